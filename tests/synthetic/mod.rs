//! Records as a run would leave them: sweeps over rank, size and layers, several seeds and one, a
//! failed cell, failed methods and undefined values.

use infbench::influence::SolverDiagnostics;
use infbench::measure::{StageBytes, StageSeconds};
use infbench::metrics::decomposition::{
    Candidate, DecompositionInfo, LadderInfo, MethodParts, PartInfo, Switch,
};
use infbench::metrics::{Curve, MetricValue};
use infbench::random::{Rng, rng};
use infbench::results::record::{
    BlockInfo, CellInfo, CompanionInfo, EpochInfo, GradientInfo, GroundTruthInfo, LeaveOneOutInfo,
    MethodRecord, ModelInfo, Provenance, Record, SCHEMA, Status, SubsetInfo, TaskInfo,
    TrainingInfo,
};
use rand::RngExt;
use serde_json::{Map, Value, json};

/// Methods with how good they are (1 is exact) and how dear (seconds for 1000 examples).
const METHODS: [(&str, f64, f64); 10] = [
    ("exact", 1.0, 2.0),
    ("datainf", 0.82, 0.02),
    ("datainf:group_size=8", 0.90, 0.06),
    ("datainf:group_size=32", 0.96, 0.16),
    ("hessian_free", 0.55, 0.004),
    ("hessian_free_block_weighted", 0.70, 0.005),
    ("diagonal_fisher", 0.74, 0.015),
    ("lissa", 0.52, 0.11),
    ("lissa:variant=code", 0.48, 0.12),
    ("lissa:scale=auto,iterations=50", 0.88, 0.5),
];

/// Every set of records, by name.
pub fn all() -> Vec<(&'static str, Vec<Record>)> {
    vec![
        ("rank", rank()),
        ("size", size()),
        ("layers", layers()),
        ("glue", glue()),
        ("retraining", retraining(2)),
        ("retraining of one seed", retraining(1)),
        ("decomposition", decomposition(3)),
        ("decomposition of one seed", decomposition(1)),
        ("damping", damping()),
        ("single", single()),
        ("hopeless", hopeless()),
    ]
}

/// Ranks 1–8 of two tasks, three seeds; one failed cell, a method that fails, one that is undefined.
pub fn rank() -> Vec<Record> {
    let mut records = Vec::new();
    for task in ["digits", "sentences"] {
        for rank in [1, 2, 4, 8] {
            for seed in 0..3 {
                let axes = [("task.name", json!(task)), ("lora.rank", json!(rank))];
                let shape = Shape {
                    task,
                    n: 600,
                    seed,
                    index: records.len() / 3,
                    difficulty: f64::from(rank) / 20.0,
                    layers: 4,
                    axes: &axes,
                };
                let mut record = record("rank sweep", &shape);
                if (task, rank, seed) == ("digits", 8, 1) {
                    fail(&mut record, "out of memory: 12.3 GB asked for <gradients>");
                }
                for method in &mut record.methods {
                    if method.label == "lissa" && rank <= 2 {
                        diverge(method);
                    }
                    if method.label == "lissa:variant=code" && rank == 4 && seed == 2 {
                        fail_method(method);
                    }
                }
                records.push(record);
            }
        }
    }
    records
}

/// n from 500 to 10,000 on synthetic gradients, one seed, no model; swept together with the queries.
pub fn size() -> Vec<Record> {
    let sizes = [500, 1000, 2000, 5000, 10_000];
    let of = |(index, n): (usize, &usize)| {
        let axes = [("task.train", json!(n)), ("task.query", json!(n / 50))];
        let mut record = record(
            "data set size",
            &Shape {
                task: "gradients",
                n: *n,
                seed: 0,
                index,
                difficulty: 0.2,
                layers: 4,
                axes: &axes,
            },
        );
        (record.model, record.training) = (None, None);
        for method in record
            .methods
            .iter_mut()
            .filter(|method| method.label == "lissa" && *n > 2000)
        {
            diverge(method);
        }
        record
    };
    sizes.iter().enumerate().map(of).collect()
}

/// The last 1–4 layers at two dampings, two seeds.
pub fn layers() -> Vec<Record> {
    let mut records = Vec::new();
    for damping in [0.1, 0.01] {
        for layers in 1..=4 {
            for seed in 0..2 {
                let axes = [
                    ("influence.damping", json!(damping)),
                    ("lora.layers", json!({"last": layers})),
                ];
                let shape = Shape {
                    task: "digits",
                    n: 600,
                    seed,
                    index: records.len() / 2,
                    difficulty: 0.1,
                    layers,
                    axes: &axes,
                };
                let mut record = record("layers", &shape);
                record.config["influence"]["damping"] = json!(damping);
                records.push(record);
            }
        }
    }
    records
}

/// Four tasks of GLUE, each in its folder, ranks 1–8, three seeds.
pub fn glue() -> Vec<Record> {
    let mut records = Vec::new();
    for task in ["mrpc", "sst2", "wnli", "qqp"] {
        for rank in [1, 2, 4, 8] {
            for seed in 0..3 {
                let axes = [
                    ("task.task", json!(task)),
                    ("task.path", json!(format!("data/{task}"))),
                    ("lora.rank", json!(rank)),
                ];
                let shape = Shape {
                    task: "glue",
                    n: 400,
                    seed,
                    index: records.len() / 3,
                    difficulty: f64::from(rank) / 20.0,
                    layers: 6,
                    axes: &axes,
                };
                let mut record = record("glue_rank", &shape);
                record.config["task"]["task"] = json!(task);
                record.profile = Some("laptop".to_owned());
                records.push(record);
            }
        }
    }
    records
}

/// One cell, one seed, nothing swept; names that would break a page that does not escape them.
pub fn single() -> Vec<Record> {
    let shape = Shape {
        task: "sentences",
        n: 300,
        seed: 5,
        index: 0,
        difficulty: 0.1,
        layers: 4,
        axes: &[],
    };
    let mut record = record("one <b>cell</b> & \"no\" sweep", &shape);
    let mut other = record.methods[1].clone();
    other.label = "arnoldi:rank=16,complement=<true>".to_owned();
    other.name = "arnoldi".to_owned();
    record.methods.push(other.clone());
    other.name = "a_method_of_another_house_with_a_name_that_is_far_too_long".to_owned();
    other.label = format!(
        "{}:first_option=12345678,second_option=abcdefghijkl",
        other.name
    );
    record.methods.push(other);
    vec![record]
}

/// Retraining of one setting, two seeds and one: scores below their ceilings, a metric that is undefined, curves.
pub fn retraining(seeds: u64) -> Vec<Record> {
    let value = |metric: &str, value: f64, half: f64| MetricValue {
        metric: metric.to_owned(),
        value: Some(value),
        low: Some(value - half),
        high: Some(value + half),
        cases: 100,
        undefined: 3,
    };
    let curve = |name: &str, from: f64, to: f64| {
        let x: Vec<f64> = (1..=5).map(f64::from).collect();
        Curve {
            name: name.to_owned(),
            y: x.iter()
                .map(|x| from + (to - from) * (x - 1.0) / 4.0)
                .collect(),
            x,
        }
    };
    let of = |seed| {
        let shape = Shape {
            task: "digits",
            n: 200,
            seed,
            index: 0,
            difficulty: 0.1,
            layers: 2,
            axes: &[],
        };
        let mut record = record("retraining", &shape);
        let own = 0.01 * seed as f64;
        record.ground_truth = Some(GroundTruthInfo {
            seconds: 100.0,
            leave_one_out: Some(LeaveOneOutInfo {
                examples: 200,
                seeds: 5,
                min_snr: 1.0,
                snr: vec![Some(3.0), None],
                ceiling: value("loo_ceiling", 0.9 + own, 0.02),
            }),
            subsets: [50, 90, 99]
                .map(|percent| SubsetInfo {
                    percent,
                    subsets: 100,
                    seeds: 5,
                    split_half: value("split_half", 0.8, 0.05),
                    ceiling: value("lds_ceiling", 0.95 - own, 0.03),
                })
                .to_vec(),
            decomposition: None,
            curves: vec![
                curve("selection_accuracy/full", 0.4, 0.86 + own),
                curve("selection_accuracy/random", 0.4, 0.82 + own),
                curve("removal_loss/random", 0.5, 0.55 + own),
            ],
        });
        for (i, method) in record.methods.iter_mut().enumerate() {
            let less = 0.05 * i as f64 + own;
            for metric in ["loo_pearson", "loo_spearman", "lds_50", "lds_90", "lds_99"] {
                method.metrics.push(value(metric, 0.7 - less, 0.06));
            }
            let loss = curve("removal_loss", 0.5, 0.9 - less);
            let accuracy = curve("selection_accuracy", 0.4, 0.9 - less / 2.0);
            method.curves.extend([loss, accuracy]);
        }
        let last = record.methods.last_mut().expect("ten methods");
        diverge(last);
        record
    };
    (0..seeds).map(of).collect()
}

/// Gaps in parts by two metrics, some of them gains; a method that failed, and one with what could not be told apart.
pub fn decomposition(seeds: u64) -> Vec<Record> {
    use Switch::{
        Approximation, BlockDamping, Blocks, Convergence, Damping, Fisher, Influence, Noise,
        Precision, Swap,
    };
    let mut records = retraining(seeds);
    for (seed, record) in records.iter_mut().enumerate() {
        let own = 0.01 * seed as f64;
        let labels: Vec<String> = record.methods.iter().map(|m| m.label.clone()).collect();
        let value = |metric: String, value: f64| MetricValue {
            metric,
            value: Some(value),
            low: Some(value - 0.02),
            high: Some(value + 0.03),
            cases: 100,
            undefined: 0,
        };
        let method = |metric: &str, i: usize, label: &String| -> MethodParts {
            let name = label.split(':').next().unwrap_or(label);
            let kind = match name {
                "datainf" => Swap,
                "exact" | "lissa" => Convergence,
                _ => Approximation,
            };
            if name == "grad_cos" || i + 1 == labels.len() {
                return MethodParts {
                    method: label.clone(),
                    problem: Some("the method failed: out of memory".to_owned()),
                    gap: infbench::metrics::no_value(&format!("{metric}/gap")),
                    parts: Vec::new(),
                };
            }
            let mut losses = vec![
                (vec![Noise], 0.05 + own),
                (vec![Influence], 0.1),
                (vec![Fisher], 0.08 - own),
                (vec![Blocks], 0.06),
                (vec![BlockDamping], -0.03),
                (vec![Damping], -0.02),
                (vec![kind], 0.02 * i as f64),
                (vec![Precision], 0.0),
            ];
            if i == 1 {
                let (_, joined) = losses.remove(2);
                losses[1] = (vec![Influence, Fisher], 0.1 + joined);
            }
            let (mut agreement, mut parts) = (1.0, Vec::new());
            for (switches, loss) in losses {
                agreement -= loss;
                parts.push(PartInfo {
                    size: (switches[0] > Influence).then(|| value("size".to_owned(), loss.abs())),
                    note: (switches.len() > 1).then(|| "no rung between: too large".to_owned()),
                    switches,
                    loss: value("loss".to_owned(), loss),
                    agreement: value("agreement".to_owned(), agreement),
                });
            }
            MethodParts {
                method: label.clone(),
                problem: None,
                gap: value(format!("{metric}/gap"), 1.0 - agreement),
                parts,
            }
        };
        let ladder = |metric: &str| LadderInfo {
            metric: metric.to_owned(),
            damping: [1.0, 0.1][seed % 2],
            candidates: [0.01, 0.1, 1.0]
                .map(|damping| Candidate {
                    damping,
                    agreement: Some(0.8 - own - 0.1 * f64::abs(damping.log10())),
                })
                .to_vec(),
            methods: labels
                .iter()
                .enumerate()
                .map(|(i, label)| method(metric, i, label))
                .collect(),
        };
        let truth = record.ground_truth.as_mut().expect("retrained");
        truth.decomposition = Some(DecompositionInfo {
            seconds: 3.0,
            ladders: ["loo_pearson", "lds_50"].map(ladder).to_vec(),
        });
    }
    records
}

/// Seven dampings, two seeds: agreement with retraining is best at c = 1, and Hessian-free knows of none.
pub fn damping() -> Vec<Record> {
    let mut records = Vec::new();
    for (index, c) in [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
        .into_iter()
        .enumerate()
    {
        for mut record in retraining(2) {
            record.experiment = "damping".to_owned();
            record.cell.index = index;
            record.cell.id = format!("{:016x}", 0xda00_0000 + records.len());
            record
                .cell
                .axes
                .insert("influence.damping".to_owned(), json!(c));
            record.config["influence"]["damping"] = json!(c);
            for method in &mut record.methods {
                let bend = if method.label == "hessian_free" {
                    0.0
                } else {
                    0.03 * f64::abs(f64::log10(c))
                };
                for value in &mut method.metrics {
                    let bent = |x: Option<f64>| x.map(|x| x - bend);
                    (value.value, value.low, value.high) =
                        (bent(value.value), bent(value.low), bent(value.high));
                }
                let mut at_default = method.metrics[0].clone();
                at_default.metric = "pearson_default_damping".to_owned();
                method.metrics.push(at_default);
            }
            records.push(record);
        }
    }
    records
}

/// Nothing but failures.
pub fn hopeless() -> Vec<Record> {
    let mut records = single();
    fail(&mut records[0], "the loss is NaN after epoch 1");
    records
}

struct Shape<'a> {
    task: &'a str,
    n: usize,
    seed: u64,
    index: usize,
    difficulty: f64,
    layers: usize,
    axes: &'a [(&'a str, Value)],
}

fn record(experiment: &str, shape: &Shape) -> Record {
    let mut axes = Map::new();
    shape
        .axes
        .iter()
        .for_each(|(key, value)| drop(axes.insert((*key).to_owned(), value.clone())));
    let rng = &mut rng(
        shape.seed,
        &format!("{experiment}{:?}{}", shape.axes, shape.task),
        "synthetic",
    );
    let classes = shape.task == "sentences";
    let blocks = (0..2 * shape.layers).map(|l| BlockInfo {
        name: format!("layer.{}.lora_{}", l / 2, ["A", "B"][l % 2]),
        dim: 192,
        lambda: 1e-4 * (l + 1) as f64,
    });
    Record {
        schema: SCHEMA,
        experiment: experiment.to_owned(),
        profile: None,
        description: "How does a <made-up> method fare?".to_owned(),
        cell: CellInfo {
            id: format!(
                "{:016x}",
                0xabc0_0000 + shape.index as u64 * 16 + shape.seed
            ),
            index: shape.index,
            seed: shape.seed,
            axes,
        },
        status: Status::Ok,
        error: None,
        config: json!({"name": experiment, "task": {"name": shape.task, "train": shape.n}, "influence": {"damping": 0.1}}),
        provenance: Provenance {
            version: "0.1.0".to_owned(),
            commit: Some("0123456789abcdef".to_owned()),
            started: format!("2026-01-0{}T10:00:00Z", 1 + shape.seed),
            seconds: 4.5,
            device: "flex".to_owned(),
            threads: 2,
            cpu: Some("A processor".to_owned()),
            cores: 2,
            memory_bytes: Some(24_000_000_000),
            os: "linux x86_64".to_owned(),
            libraries: Map::from_iter([
                ("burn".to_owned(), json!("0.22.1")),
                ("faer".to_owned(), json!("0.24.4")),
            ]),
        },
        task: Some(TaskInfo {
            name: shape.task.to_owned(),
            train: shape.n,
            query: 100,
            classes: classes.then_some(10),
            flipped: Some(shape.n / 5),
            passed_over: 0,
            truncated: 0,
            long_prompts: 0,
            duplicates: 0,
        }),
        model: Some(ModelInfo {
            base_dropout: None,
            name: "transformer".to_owned(),
            parameters: 80_000,
            trainable: 3_000,
            layers: 4,
            adapted_layers: shape.layers,
            commit: None,
        }),
        training: Some(TrainingInfo {
            seconds: 0.4 * shape.layers as f64 + 0.1 * rng.random::<f64>(),
            cached: false,
            accuracy_of: "examples".to_owned(),
            epochs: epochs(rng, shape),
        }),
        gradients: Some(GradientInfo {
            seconds: 0.1 * shape.layers as f64,
            examples_per_second: 1750.0,
            padding: (shape.task == "sentences").then_some(0.031),
            bytes: (shape.n * shape.layers * 384 * 4) as u64,
            storage: "memory".to_owned(),
            blocks: blocks.collect(),
            companions: CompanionInfo::default(),
        }),
        ground_truth: None,
        methods: METHODS
            .iter()
            .map(|entry| method(rng, shape, *entry, classes))
            .collect(),
        no_reference: Vec::new(),
        pairing: Vec::new(),
        by_token: Vec::new(),
        answers: Vec::new(),
        by_image: Vec::new(),
        samples: Vec::new(),
    }
}

fn epochs(rng: &mut Rng, shape: &Shape) -> Vec<EpochInfo> {
    let of = |epoch: usize| {
        let left = (-(epoch as f64) / 3.0).exp();
        EpochInfo {
            epoch,
            train_loss: 0.5 + 1.2 * left,
            query_loss: 0.3 + 1.3 * left + 0.05 * rng.random::<f64>(),
            query_accuracy: Some(
                0.93 - 0.6 * left - 0.1 * shape.difficulty + 0.02 * rng.random::<f64>(),
            ),
        }
    };
    (1..=10).map(of).collect()
}

fn method(
    rng: &mut Rng,
    shape: &Shape,
    (label, quality, cost): (&str, f64, f64),
    classes: bool,
) -> MethodRecord {
    let exact = label == "exact";
    let mut noise = |size: f64| size * (rng.random::<f64>() - 0.5);
    let r = if exact {
        1.0
    } else {
        (quality - shape.difficulty * (1.0 - quality) * 3.0 + noise(0.05)).min(0.999)
    };
    let auc = 0.5 + 0.42 * quality + noise(0.04);
    let value = |metric: &str, value: f64, half: f64, cases: usize, applies: bool| MetricValue {
        metric: metric.to_owned(),
        value: applies.then_some(value),
        low: applies.then_some(value - half),
        high: applies.then_some(value + half),
        cases: if applies { cases } else { 0 },
        undefined: 0,
    };
    let thousands = shape.n as f64 / 1000.0;
    let growth = if exact {
        thousands.powf(2.2)
    } else {
        thousands
    };
    let seconds = cost * growth * shape.layers as f64 / 4.0 * (1.0 + noise(0.1));
    let steps = 100;
    let x: Vec<f64> = (0..=steps)
        .map(|i| f64::from(i) / f64::from(steps))
        .collect();
    let power = (1.0 - auc) / auc;
    MethodRecord {
        label: label.to_owned(),
        name: label.split(':').next().unwrap_or(label).to_owned(),
        status: Status::Ok,
        error: None,
        seconds: Some(StageSeconds {
            prepare: 0.2 * seconds,
            apply: 0.7 * seconds,
            score: 0.1 * seconds,
        }),
        peak_bytes: Some(StageBytes {
            prepare: (4e6 * growth * (1.0 + quality)) as u64,
            apply: (1e6 * thousands) as u64,
            score: 100_000,
        }),
        operations: Some(1e6 * thousands * thousands),
        bytes_read: Some(2_000_000),
        evidence: SolverDiagnostics {
            residual: Some(if exact { 3e-15 } else { 1.0 - quality }),
            iterations: label.starts_with("lissa").then_some(10),
            solver: exact.then(|| "dual".to_owned()),
            not_converged: 0,
            ..SolverDiagnostics::default()
        },
        non_finite: 0,
        metrics: vec![
            value("pearson", r, 0.02, 100, true),
            value("spearman", r - 0.01, 0.02, 100, true),
            value("pearson_mean_query", (r + 0.02).min(1.0), 0.03, 1, true),
            value(
                "relative_error",
                if exact {
                    0.0
                } else {
                    (1.0 - r * r).sqrt()
                        * if label.starts_with("lissa") {
                            30.0
                        } else {
                            1.0
                        }
                },
                0.01,
                100,
                true,
            ),
            value("top_k_overlap", r.abs().powi(2), 0.02, 100, true),
            value("detection_auc", auc, 0.03, 1, true),
            value("detection_average_precision", auc - 0.2, 0.05, 1, true),
            value("class_auc", 0.5 + 0.48 * quality, 0.02, 100, classes),
            value("class_recall", 0.9 * quality, 0.03, 100, classes),
        ],
        curves: vec![Curve {
            name: "detection".to_owned(),
            y: x.iter().map(|x| x.powf(power)).collect(),
            x,
        }],
    }
}

/// A cell that ended in an error.
fn fail(record: &mut Record, why: &str) {
    record.status = Status::Failed;
    record.error = Some(why.to_owned());
    (record.task, record.model, record.training, record.gradients) = (None, None, None, None);
    record.methods.clear();
}

fn fail_method(method: &mut MethodRecord) {
    method.status = Status::Failed;
    method.error = Some("not converged after 10 iterations".to_owned());
    (method.seconds, method.peak_bytes) = (None, None);
    method.metrics.clear();
    method.curves.clear();
}

/// Scores that are NaN: metrics without a value, and counted.
fn diverge(method: &mut MethodRecord) {
    method.non_finite = 60_000;
    for value in &mut method.metrics {
        (value.value, value.low, value.high, value.undefined) = (None, None, None, value.cases);
    }
    method.curves.clear();
}
