//! The Hessian of a fine-tuned model against closed forms and second differences of its loss, `true_hessian` against
//! dense inverses, and both from end to end.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use faer::Mat;
use faer::linalg::solvers::DenseSolveCore;
use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::{Inputs, Split, Targets};
use infbench::device::DeviceChoice;
use infbench::gradients::hessian::differences::{MeanLoss, STEP, hessian};
use infbench::gradients::hessian::{HessianGroup, Hessians};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::gradients::{RowBuffer, per_example};
use infbench::influence::{
    BlockLayout, Companions, Influence, InfluenceError, RunOptions, damping, run_method,
};
use infbench::influence::{Blocks, Precision};
use infbench::models::lora::settings::{LayerSelection, LoraConfig, TargetModules};
use infbench::models::{MlpConfig, ModelConfig, TransformerConfig};
use infbench::models::{Model, Role};
use infbench::random::rng;
use infbench::tasks::{ClustersTask, DigitsTask, SentencesTask};
use ndarray::Array2;
use predicates::str::contains;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

/// A model with adapters that do something, and its training examples.
fn build(model: &ModelConfig, task: &TaskConfig, targets: &[&str]) -> (Model, Split) {
    let data = task.build(None, 3).unwrap();
    let input = batching::input_shape(&data.train);
    let device = DeviceChoice::default().inner();
    let mut built = Model::new(model, &input, data.classes, 3, &device).unwrap();
    let lora = LoraConfig {
        rank: 1,
        alpha: Some(2.0),
        targets: TargetModules::names(targets.iter().copied()),
        layers: LayerSelection::List(vec![1]),
        dropout: 0.3,
        ..LoraConfig::default()
    };
    built.adapt(&lora, 3).unwrap();
    let mut random = rng(3, "test", "adapters");
    let roles = [Role::Adapter, Role::Head];
    let mut weights = built.export(&roles);
    for value in weights.values_mut().flat_map(|array| &mut array.values) {
        *value = random.random::<f32>() - 0.5;
    }
    built.import(&roles, &weights).unwrap();
    (built, data.train)
}

fn mlp() -> (Model, Split) {
    let model = ModelConfig::Mlp(MlpConfig {
        hidden: 6,
        layers: 2,
        ..MlpConfig::default()
    });
    let task = TaskConfig::Clusters(ClustersTask {
        train: 30,
        query: 5,
        ..ClustersTask::default()
    });
    build(&model, &task, &["ffn"])
}

fn transformer(task: &TaskConfig) -> (Model, Split) {
    let model = ModelConfig::Transformer(TransformerConfig {
        hidden: 8,
        heads: 2,
        layers: 2,
        ffn: 12,
        ..TransformerConfig::default()
    });
    build(&model, task, &["query", "value"])
}

/// Patches of digits, and sentences of several lengths, which are padded and masked.
fn transformers() -> Vec<(&'static str, Model, Split)> {
    let digits = TaskConfig::Digits(DigitsTask {
        train: 20,
        query: 5,
        ..DigitsTask::default()
    });
    let sentences = TaskConfig::Sentences(SentencesTask {
        train: 20,
        query: 5,
        ..SentencesTask::default()
    });
    [("digits", digits), ("sentences", sentences)]
        .into_iter()
        .map(|(name, task)| {
            let (model, split) = transformer(&task);
            (name, model, split)
        })
        .collect()
}

fn found(model: &Model, split: &Split) -> Hessians {
    let mut heard = Vec::new();
    let found = hessian(model, split, 4096, &mut |done, all| heard.push((done, all))).unwrap();
    let size = found.groups[0].matrix.nrows();
    assert_eq!(heard.first(), Some(&(0, size)));
    assert_eq!(heard.last(), Some(&(size, size)));
    found
}

/// For logits z = W x + b the Hessian of the mean loss in W is mean (diag p − ppᵀ) ⊗ xxᵀ.
#[test]
fn the_head_s_block_is_that_of_softmax_regression() {
    let (mut model, split) = mlp();
    let (classes, width) = (model.classes(), model.width());
    let name = model.gradient_tensors().pop().unwrap().name;
    let block = found(&model, &split).block(&[&name]).unwrap();

    let weights = model.export(&[Role::Head]);
    let wide = |name: &str| weights[name].values.iter().map(|&v| f64::from(v));
    let (w, b): (Vec<f64>, Vec<f64>) = (wide(&name).collect(), wide("classifier.bias").collect());
    let n = split.len();
    let mut expected = Mat::<f64>::zeros(classes * width, classes * width);
    let mut longest = 0.0f64;
    for i in 0..n {
        let x = inputs_of_head(&model, &split, i);
        longest = x.iter().fold(longest, |max, v| max.max(v.abs()));
        let z: Vec<f64> = (0..classes)
            .map(|c| b[c] + (0..width).map(|k| w[c * width + k] * x[k]).sum::<f64>())
            .collect();
        let sum: f64 = z.iter().map(|z| z.exp()).sum();
        let p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
        for (c, e) in (0..classes).flat_map(|c| (0..classes).map(move |e| (c, e))) {
            let weight = (if c == e { p[c] } else { 0.0 }) - p[c] * p[e];
            for (k, l) in (0..width).flat_map(|k| (0..width).map(move |l| (k, l))) {
                expected[(c * width + k, e * width + l)] += weight * x[k] * x[l] / n as f64;
            }
        }
    }
    // fourth derivatives of log-sum-exp are below 1 in the logits; gradients of logits |p − y| ≤ 1 times x, with
    // the rounding of a few dozen operations before them
    let truncation = STEP * STEP / 6.0 * longest.powi(4);
    let rounding = 64.0 * f64::EPSILON * longest / STEP;
    let largest = expected.norm_max();
    assert!(largest > 0.01, "{largest}");
    let worst = (&block - &expected).norm_max();
    assert!(worst <= truncation + rounding, "{worst:e} of {largest:e}");
}

/// What the head sees of an example: at W = 0 the gradient of its first row is (p − y) x with p from the bias alone.
fn inputs_of_head(model: &Model, split: &Split, example: usize) -> Vec<f64> {
    let Inputs::Features {
        values,
        tokens,
        features,
    } = &split.inputs
    else {
        panic!("clusters are points")
    };
    let size = tokens * features;
    let one = Split {
        inputs: Inputs::Features {
            values: values[example * size..(example + 1) * size].to_vec(),
            tokens: *tokens,
            features: *features,
        },
        targets: Targets::Classes(vec![split.targets.classes()[example]]),
    };
    let loss = MeanLoss::new(model, &one);
    let width = model.width();
    let first = loss.values().len() - model.classes() * width;
    let mut values = loss.values().to_vec();
    values[first..].fill(0.0);
    let (_, gradient) = loss.gradient(&values);
    let bias = model.clone().export(&[Role::Head])["classifier.bias"].clone();
    let exps: Vec<f64> = bias.values.iter().map(|&b| f64::from(b).exp()).collect();
    let p = exps[0] / exps.iter().sum::<f64>();
    let delta = p - f64::from(u8::from(one.targets.classes()[0] == 0));
    gradient[first..first + width]
        .iter()
        .map(|v| v / delta)
        .collect()
}

#[test]
fn gradients_in_f64_are_those_that_the_methods_see() {
    for (name, model, split) in transformers() {
        let widths: Vec<usize> = model
            .gradient_tensors()
            .iter()
            .map(|t| t.shape.iter().product())
            .collect();
        let n = split.len();
        let mut rows = RowBuffer::new(n, widths.clone());
        let losses = per_example::collect(&model, &split, 64, &mut rows).unwrap();
        let loss = MeanLoss::new(&model, &split);
        let (mean, gradient) = loss.gradient(loss.values());
        let expected = losses.iter().map(|&l| f64::from(l)).sum::<f64>() / n as f64;
        assert!((mean - expected).abs() < 1e-5 * expected, "{name}");
        let mut first = 0;
        for (tensor, width) in rows.tensors.iter().zip(widths) {
            let own = &gradient[first..first + width];
            first += width;
            let largest = own.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            for (k, found) in own.iter().enumerate() {
                let column = (0..n).map(|i| f64::from(tensor[i * width + k]));
                let mean = column.sum::<f64>() / n as f64;
                // f32 through two layers
                assert!((found - mean).abs() < 1e-4 * largest, "{name} {k}");
            }
        }
    }
}

/// vᵀHv is the second derivative of the loss along v, which needs no gradient; v goes through all tensors.
#[test]
fn the_whole_is_symmetric_and_the_loss_s_second_derivative_along_any_line() {
    for (name, model, split) in transformers() {
        let hessians = found(&model, &split);
        let group = &hessians.groups[0];
        let names: Vec<&str> = group.tensors.iter().map(|(name, _)| &**name).collect();
        // 1e-11 of derivatives of order one, on entries of some hundredths
        let asymmetry = hessians.asymmetry(&names).unwrap();
        assert!(asymmetry < 1e-7, "{name}: {asymmetry:e}");
        let block = hessians.block(&names).unwrap();
        let loss = MeanLoss::new(&model, &split);
        let mut random = rng(4, "test", name);
        for _ in 0..3 {
            let v: Vec<f64> = (0..block.nrows())
                .map(|_| StandardNormal.sample(&mut random))
                .collect();
            let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let v: Vec<f64> = v.iter().map(|v| v / norm).collect();
            let quadratic: f64 = (0..v.len())
                .flat_map(|i| (0..v.len()).map(move |j| (i, j)))
                .map(|(i, j)| v[i] * block[(i, j)] * v[j])
                .sum();
            let at = |t: f64| {
                let values = loss.values().iter().zip(&v).map(|(value, v)| value + t * v);
                loss.gradient(&values.collect::<Vec<_>>()).0
            };
            // fourth-order differences: errors of order t⁴ = 1e-8 and ε/t² = 1e-12
            let t = 1e-2;
            let second = (-at(2.0 * t) + 16.0 * at(t) - 30.0 * at(0.0) + 16.0 * at(-t)
                - at(-2.0 * t))
                / (12.0 * t * t);
            assert!(
                (quadratic - second).abs() < 1e-6,
                "{name}: {quadratic} {second}"
            );
        }
    }
}

#[test]
fn too_many_parameters_are_refused_before_anything_is_computed() {
    let (model, split) = mlp();
    let size: usize = model
        .gradient_tensors()
        .iter()
        .map(|t| t.shape.iter().product::<usize>())
        .sum();
    let mut heard = 0;
    let error = hessian(&model, &split, size - 1, &mut |_, _| heard += 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the Hessian of {size} parameters takes {} passes over the training examples and as many squared numbers; {} parameters is the largest allowed (option `limit`)",
            2 * size,
            size - 1
        )
    );
    assert_eq!(heard, 0);
}

/// Gradients of an adapter and a head.
fn store(purpose: &str, rows: usize) -> GradientStore {
    let tensors = [
        ("l.lora_A.weight", 7),
        ("l.lora_B.weight", 5),
        ("head.weight", 4),
    ];
    let tensor = |(name, d): (&str, usize)| {
        let mut random = rng(7, "hessian", &format!("{purpose}/{name}"));
        let values = (0..rows * d).map(|_| {
            let value: f64 = StandardNormal.sample(&mut random);
            value as f32
        });
        (TensorInfo::new(name, [d]), values.collect())
    };
    GradientStore::from_memory(rows, tensors.into_iter().map(tensor).collect()).unwrap()
}

fn side_by_side(store: &GradientStore) -> Mat<f64> {
    let rows = |i: usize| {
        (0..store.tensors().len()).flat_map(move |t| store.tensor_rows(t, i..i + 1).into_owned())
    };
    let rows: Vec<Vec<f64>> = (0..store.rows())
        .map(|i| rows(i).map(f64::from).collect())
        .collect();
    Mat::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn given(store: &GradientStore, matrix: Mat<f64>) -> Hessians {
    let tensors = store.tensors().iter().map(|t| (t.name.clone(), t.dim()));
    let tensors = tensors.collect();
    Hessians {
        groups: vec![HessianGroup { tensors, matrix }],
    }
}

fn run(
    method: &str,
    blocks: Blocks,
    hessians: &Hessians,
    precision: Precision,
) -> Result<Influence, InfluenceError> {
    let (train, query) = (store("train", 30), store("query", 20));
    let layout = BlockLayout::new(train.tensors(), blocks);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let options = RunOptions {
        precision,
        companions: Companions {
            hessians: Some(hessians),
            ..Companions::default()
        },
        ..RunOptions::default()
    };
    run_method(
        &method.parse().unwrap(),
        &train,
        &query,
        &layout,
        &lambda,
        &options,
    )
}

fn difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let norm = |values: Array2<f64>| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    norm(a - b) / norm(b.clone())
}

const LAYOUTS: [Blocks; 3] = [Blocks::PerMatrix, Blocks::PerLayer, Blocks::Whole];

#[test]
fn with_the_fisher_for_a_hessian_it_is_exact() {
    let train = store("train", 30);
    let g = side_by_side(&train);
    let fisher = g.transpose() * &g * faer::Scale(1.0 / 30.0);
    let hessians = given(&train, fisher);
    for blocks in LAYOUTS {
        for precision in [Precision::F32, Precision::F64] {
            let exact = run("exact", blocks, &hessians, precision).unwrap().scores;
            for method in [
                "true_hessian",
                "true_hessian:negative=absolute",
                "true_hessian:negative=clip",
            ] {
                let found = run(method, blocks, &hessians, precision).unwrap();
                // the condition of F + λI is at most 1 + 16/0.1
                let tolerance = 160.0 * 16.0 * f64::EPSILON;
                let apart = difference(&found.scores, &exact);
                assert!(apart <= tolerance, "{method} {blocks:?}: {apart:e}");
                assert_eq!(found.evidence.negative, Some([0, 16]));
            }
        }
    }
}

#[test]
fn indefinite_hessians_are_inverted_within_every_layout() {
    let (train, query) = (store("train", 30), store("query", 20));
    let (g, v) = (side_by_side(&train), side_by_side(&query));
    // not quite symmetric, as differences leave it; eigenvalues of both signs
    let raw = Mat::from_fn(16, 16, |i, j| {
        let (low, high) = (i.min(j), i.max(j));
        ((3 * low + 7 * high) as f64).sin() + 1e-3 * (i as f64 - j as f64)
    });
    let hessians = given(&train, raw.clone());
    let symmetric = Mat::from_fn(16, 16, |i, j| 0.5 * (raw[(i, j)] + raw[(j, i)]));
    for blocks in LAYOUTS {
        let layout = BlockLayout::new(train.tensors(), blocks);
        let lambda = damping(&train, &layout, 0.1).unwrap();
        // first column of every tensor
        let starts = [0, 7, 12];
        let mut expected = Array2::<f64>::zeros((20, 30));
        let mut condition = 0.0f64;
        for (block, lambda) in layout.blocks().iter().zip(lambda) {
            let columns: Vec<usize> = block
                .segments
                .iter()
                .flat_map(|s| starts[s.tensor]..starts[s.tensor] + s.dim)
                .collect();
            let d = columns.len();
            let damped = Mat::from_fn(d, d, |i, j| {
                symmetric[(columns[i], columns[j])] + if i == j { lambda } else { 0.0 }
            });
            let inverse = damped.partial_piv_lu().inverse();
            condition = condition.max(damped.norm_l2() * inverse.norm_l2());
            let pick = |m: &Mat<f64>| Mat::from_fn(m.nrows(), d, |i, j| m[(i, columns[j])]);
            let scores = pick(&v) * &inverse * pick(&g).transpose();
            expected -= &Array2::from_shape_fn((20, 30), |(q, k)| scores[(q, k)]);
        }
        let found = run("true_hessian", blocks, &hessians, Precision::F64).unwrap();
        let apart = difference(&found.scores, &expected);
        assert!(condition < 1e5, "{condition}");
        let tolerance = 100.0 * condition * f64::EPSILON;
        assert!(apart <= tolerance, "{blocks:?}: {apart:e}");
        assert_eq!(found.evidence.solver.as_deref(), Some("eigen"));
        let [negative, all] = found.evidence.negative.unwrap();
        assert!(negative > 0 && negative < all, "{negative} of {all}");
        assert!(found.evidence.residual.unwrap() < 1e-9);
        // whatever becomes of them, they are counted
        for method in [
            "true_hessian:negative=absolute",
            "true_hessian:negative=clip",
        ] {
            let other = run(method, blocks, &hessians, Precision::F64).unwrap();
            assert_eq!(other.evidence.negative, found.evidence.negative);
            assert!(difference(&other.scores, &found.scores) > 0.01);
        }
    }
}

#[test]
fn what_is_missing_or_foreign_is_named() {
    let train = store("train", 30);
    let apart = |dims: [usize; 3]| Hessians {
        groups: train
            .tensors()
            .iter()
            .zip(dims)
            .map(|(info, d)| HessianGroup {
                tensors: vec![(info.name.clone(), d)],
                matrix: Mat::identity(d, d),
            })
            .collect(),
    };
    let fits = apart([7, 5, 4]);
    assert!(run("true_hessian", Blocks::PerMatrix, &fits, Precision::F64).is_ok());
    let error = |method: &str, blocks, hessians: &Hessians| {
        let error = run(method, blocks, hessians, Precision::F64).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        error("true_hessian", Blocks::Whole, &fits),
        "tensor `l.lora_A.weight`: has no second derivatives together with the other 2 tensors of block `whole` among those given"
    );
    assert_eq!(
        error("true_hessian", Blocks::PerMatrix, &apart([7, 6, 4])),
        "tensor `l.lora_B.weight`: its Hessian is of 6 parameters, a gradient has 5"
    );
    let mut less = fits.clone();
    less.groups.truncate(2);
    assert_eq!(
        error("exact", Blocks::PerMatrix, &less),
        "tensor `head.weight`: has no second derivatives among those given"
    );
    assert_eq!(
        error("true_hessian:limit=6", Blocks::PerMatrix, &fits),
        "block `l.lora_A.weight`: `true_hessian` inverts a dense 7×7 matrix, 6 is the largest allowed"
    );
}

const EXPERIMENT: &str = "name: curved
seed: 4
task: {name: digits, train: 60, query: 12}
model: {name: transformer, hidden: 8, heads: 2, layers: 2, ffn: 12, pretrain: null}
lora: {rank: 1, targets: [query, value], layers: {last: 1}}
train: {epochs: 2, lr: 1.0e-2, batch_size: 20}
outputs: {scores: true, gradients: true, report: false}
influence:
  blocks: per_layer
  methods: [exact, true_hessian, \"true_hessian:negative=absolute\"]
";

fn infbench() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
}

fn experiment(folder: &Path, text: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join("curved.yaml");
    fs::write(&file, text).unwrap();
    let out = folder.join("out");
    let mut command = infbench();
    command.arg("run").arg(&file).arg("--out").arg(&out);
    command.args(arguments).assert().success();
    out
}

fn tensor(path: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.tensor(name).unwrap().data().to_vec()
}

#[test]
fn a_run_computes_it_and_files_give_the_same_scores() {
    let folder = tempfile::tempdir().unwrap();
    let out = experiment(folder.path(), EXPERIMENT, &["--threads", "1"]);
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let id = record["cell"]["id"].as_str().unwrap();
    let facts = &record["gradients"]["companions"]["hessian"];
    // A [1, 8] and B [8, 1] of two matrices, a head [5, 8]
    assert_eq!(facts["bytes"], 8 * 72 * 72);
    assert!(facts["seconds"].as_f64().unwrap() > 0.0);
    let asymmetry = facts["asymmetry"].as_f64().unwrap();
    assert!(asymmetry > 0.0 && asymmetry < 1e-6, "{asymmetry:e}");
    let methods = record["methods"].as_array().unwrap();
    assert!(methods.iter().all(|method| method["status"] == "ok"));
    assert_eq!(methods[1]["evidence"]["solver"], "eigen");
    assert_eq!(methods[1]["evidence"]["negative"][1], 72);

    let gradients = |out: &Path, name: &str| out.join(format!("gradients/{id}.{name}.safetensors"));
    let scores = |out: &Path| out.join(format!("scores/{id}.safetensors"));
    // the same bytes on other threads
    let other = tempfile::tempdir().unwrap();
    let again = experiment(other.path(), EXPERIMENT, &["--threads", "3"]);
    let bytes = |path: PathBuf| fs::read(path).unwrap();
    assert!(bytes(gradients(&out, "hessian")) == bytes(gradients(&again, "hessian")));
    let labels = ["true_hessian", "true_hessian:negative=absolute"];
    for label in labels {
        assert!(tensor(&scores(&out), label) == tensor(&scores(&again), label));
    }

    let made = folder.path().join("S.safetensors");
    let mut command = infbench();
    command.arg("score");
    for (flag, path) in [
        ("--train", gradients(&out, "train")),
        ("--query", gradients(&out, "query")),
        ("--hessian", gradients(&out, "hessian")),
        ("--out", made.clone()),
    ] {
        command.arg(flag).arg(path);
    }
    for label in labels {
        command.args(["--method", label]);
    }
    command.args(["--blocks", "per_layer"]).assert().success();
    for label in labels {
        let (found, kept) = (tensor(&made, label), tensor(&scores(&out), label));
        let numbers = |bytes: &[u8]| -> Vec<f64> {
            let numbers = bytes.as_chunks::<8>().0.iter();
            numbers.map(|number| f64::from_le_bytes(*number)).collect()
        };
        // the kept ones have the mean query as one more row; files have their tensors in another order
        let (found, kept) = (numbers(&found), numbers(&kept));
        assert_eq!(kept.len(), found.len() + 60);
        let largest = found.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        for (a, b) in found.iter().zip(&kept) {
            assert!((a - b).abs() <= 1e-9 * largest, "{label}: {a} {b}");
        }
    }
}

#[test]
fn what_cannot_be_had_is_said_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("curved.yaml");
    let refused = |text: &str, message: &str| {
        fs::write(&file, text).unwrap();
        let mut command = infbench();
        command.arg("plan").arg(&file);
        command.assert().failure().stderr(contains(message));
    };
    let synthetic =
        "name: t\ntask: {name: gradients}\ninfluence: {methods: [exact, true_hessian]}\n";
    refused(synthetic, "`true_hessian` needs second derivatives");
    refused(
        &EXPERIMENT.replace("hidden: 8", "hidden: 1024"),
        "needs the Hessian of at least 6144 parameters; 4096 is the largest allowed",
    );
    refused(
        &EXPERIMENT.replace(
            "[exact, true_hessian,",
            "[exact, \"true_hessian:limit=40\",",
        ),
        "`true_hessian:limit=40` needs the Hessian of at least 48 parameters; 40 is",
    );
}
