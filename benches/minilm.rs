//! `cargo bench --bench minilm`: all-MiniLM-L6-v2 with LoRA of rank 8 on query and value, f32: per-example
//! gradients at length 64 and on MRPC's training texts at their true lengths, a fine-tuning epoch on MRPC
//! in batches of 32, and the matrix-product peak with what it allows at length 64.
//!
//! `-- [peak] [length64] [mrpc] [epoch] [--device NAME] [--repeats N] [--json]`; without a part, all of
//! them. Folders: `INFBENCH_MINILM` (models/all-MiniLM-L6-v2) and `INFBENCH_DATA` (data/glue, with
//! `mrpc`, `MRPC` or `glue_mrpc`); a part whose folder is missing says so. `benches/peers` has the same measurements of
//! PyTorch, and `run.sh` there sets one against the other.

use std::path::PathBuf;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use infbench::batching;
use infbench::config::{TaskConfig, TrainConfig};
use infbench::data::{Inputs, Split, Targets, TaskData};
use infbench::device::DeviceChoice;
use infbench::finetune::settings::BaseDropout;
use infbench::finetune::{self, Base, Settings};
use infbench::gradients::{RowBuffer, per_example};
use infbench::models::lora::settings::{LoraConfig, TargetModules};
use infbench::models::{CheckpointConfig, ModelConfig};
use infbench::models::{Model, Role};
use infbench::tasks::GlueTask;
use infbench::tasks::glue::GlueName;
use rand::RngExt;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Examples of the measurement at one length.
const EXAMPLES: usize = 256;
/// Tokens of each of them.
const LENGTH: usize = 64;
/// Words of MiniLM's vocabulary.
const VOCABULARY: usize = 30522;
/// Products that the peak is the best median of: m, k, n of m×k by k×n. The last three are MiniLM's own.
const SHAPES: [[usize; 3]; 5] = [
    [4096, 4096, 4096],
    [4096, 512, 4096],
    [2048, 384, 384],
    [2048, 384, 1536],
    [2048, 1536, 384],
];

fn main() {
    infbench::measure::keep_freed_memory();
    let given: Vec<String> = std::env::args().skip(1).collect();
    // cargo passes --test when it only wants to know that this starts
    if given.iter().any(|argument| argument == "--test") {
        return;
    }
    let bench = match Bench::new(&given) {
        Ok(bench) => bench,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    if !bench.json {
        println!("| what | by | examples/s | of each repeat |\n|---|---|---:|---|");
    }
    bench.run();
}

/// What is measured, and where.
struct Bench {
    parts: Vec<String>,
    device: DeviceChoice,
    repeats: usize,
    json: bool,
    model: PathBuf,
    data: PathBuf,
}

impl Bench {
    fn new(given: &[String]) -> Result<Self, String> {
        let folder = |variable: &str, default: &str| {
            std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from)
        };
        let mut bench = Self {
            parts: Vec::new(),
            device: DeviceChoice::default(),
            repeats: 5,
            json: false,
            model: folder("INFBENCH_MINILM", "models/all-MiniLM-L6-v2"),
            data: folder("INFBENCH_DATA", "data/glue"),
        };
        let mut given = given.iter();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--bench" => {} // from cargo
                "--json" => bench.json = true,
                "--device" => {
                    let name = given.next().map_or("", String::as_str);
                    bench.device = name.parse().map_err(|e| format!("--device: {e}"))?;
                }
                "--repeats" => {
                    let count = given.next().map_or("", String::as_str);
                    bench.repeats = count
                        .parse()
                        .ok()
                        .filter(|&count| count > 0)
                        .ok_or_else(|| format!("--repeats is `{count}`; allowed: 1 or more"))?;
                }
                "peak" | "length64" | "mrpc" | "epoch" => bench.parts.push(argument.clone()),
                other => {
                    return Err(format!(
                        "unknown argument `{other}`; allowed: peak, length64, mrpc, epoch, --device, --repeats, --json"
                    ));
                }
            }
        }
        Ok(bench)
    }

    fn run(&self) {
        let wanted = |part: &str| self.parts.is_empty() || self.parts.iter().any(|p| p == part);
        if wanted("peak") {
            self.peak();
        }
        for (part, run) in [
            ("length64", Self::length64 as fn(&Self)),
            ("mrpc", Self::mrpc),
            ("epoch", Self::epoch),
        ] {
            if !wanted(part) {
                continue;
            }
            let missing = [&self.model, &self.data]
                .into_iter()
                .take(if part == "length64" { 1 } else { 2 })
                .find(|folder| !folder.is_dir());
            match missing {
                Some(folder) => {
                    eprintln!("{part}: skipped, there is no folder {}", folder.display())
                }
                None => run(self),
            }
        }
    }

    /// The best product, and the examples/s that it allows at length 64.
    fn peak(&self) {
        let mut best = 0.0f64;
        for [m, k, n] in SHAPES {
            let a = Mat::<f32>::from_fn(m, k, |i, j| ((i + j) % 7) as f32);
            let b = Mat::<f32>::from_fn(k, n, |i, j| ((i * j) % 5) as f32);
            let mut c = Mat::<f32>::zeros(m, n);
            let operations = 2.0 * (m * k * n) as f64;
            // as many products as take a quarter of a second
            let calls = (2.5e10 / operations).ceil() as usize;
            let rates = self.repeated(|| {
                let clock = Instant::now();
                for _ in 0..calls {
                    matmul(
                        c.as_mut(),
                        Accum::Replace,
                        a.as_ref(),
                        b.as_ref(),
                        1.0,
                        Par::rayon(0),
                    );
                }
                calls as f64 * operations / clock.elapsed().as_secs_f64() / 1e9
            });
            let rate = median(&rates);
            best = best.max(rate);
            self.say("gemm", &format!("faer {m}×{k}×{n}, GFLOP/s"), rate, &rates);
        }
        let bound = best * 1e9 / operations(LENGTH);
        self.say("bound", "faer's peak at length 64", bound, &[bound]);
    }

    fn length64(&self) {
        // a GPU wants many at once, and too short a run would measure its start
        let examples = if DeviceChoice::in_memory().contains(&self.device) {
            EXAMPLES
        } else {
            16 * EXAMPLES
        };
        let mut rng = infbench::random::rng(1, "bench", "tokens");
        let split = Split {
            inputs: Inputs::Tokens {
                ids: (0..examples)
                    .map(|_| {
                        (0..LENGTH)
                            .map(|_| rng.random_range(1000..VOCABULARY as u32))
                            .collect()
                    })
                    .collect(),
                types: Vec::new(),
                attended: None,
                vocabulary: VOCABULARY,
                max_length: LENGTH,
            },
            targets: Targets::Classes((0..examples).map(|index| index % 2).collect()),
        };
        self.gradients("length64", &split);
    }

    fn mrpc(&self) {
        self.gradients("mrpc", &self.task(None).train);
    }

    fn gradients(&self, what: &str, split: &Split) {
        let model = self.adapted(split);
        let widths: Vec<usize> = model
            .gradient_tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product())
            .collect();
        let mut rows = RowBuffer::new(split.len(), widths);
        let tokens = batching::tokens_at_a_time(&model);
        let rates = self.repeated(|| {
            let clock = Instant::now();
            per_example::collect(&model, split, tokens, &mut rows).expect("finite losses");
            split.len() as f64 / clock.elapsed().as_secs_f64()
        });
        self.say(
            what,
            &format!("infbench {}", self.device),
            median(&rates),
            &rates,
        );
    }

    /// A model whose adapters do something.
    fn adapted(&self, split: &Split) -> Model {
        let config = self.checkpoint();
        let device = self.device.inner();
        let mut model = Model::new(&config, &batching::input_shape(split), 2, 1, &device)
            .unwrap_or_else(|e| stop(&e));
        model.adapt(&lora(), 1).unwrap_or_else(|e| stop(&e));
        let mut weights = model.export(&[Role::Adapter]);
        let mut rng = infbench::random::rng(1, "bench", "adapters");
        weights
            .values_mut()
            .flat_map(|array| &mut array.values)
            .for_each(|value| *value = 0.1 * (rng.random::<f32>() - 0.5));
        model
            .import(&[Role::Adapter], &weights)
            .expect("the model's own weights");
        model
    }

    /// An epoch of fine-tuning; the evaluation after it, of eight examples, is in the time.
    fn epoch(&self) {
        let data = self.task(None);
        let model = self.checkpoint();
        let settings = Settings {
            model: &model,
            seed: 1,
            device: self.device,
            cache: None,
            activations: 4 << 30,
        };
        let base =
            finetune::pretrained_base(&settings, &data, &mut |_| ()).unwrap_or_else(|e| stop(&e));
        // a few steps to warm up
        let some = self.task(Some(data.train.len().min(96)));
        for (base_dropout, label) in [
            (BaseDropout::Everywhere(0.0), "0"),
            (BaseDropout::default(), "0.1"),
        ] {
            let train = TrainConfig {
                epochs: 1,
                base_dropout,
                ..TrainConfig::default()
            };
            self.epochs(&settings, &base, &train, [&some, &data], label);
        }
    }

    fn epochs(
        &self,
        settings: &Settings,
        base: &Base,
        train: &TrainConfig,
        [some, data]: [&TaskData; 2],
        dropout: &str,
    ) {
        let rate = |data: &TaskData| {
            let tuned = finetune::fine_tune(settings, base, data, &lora(), train, &mut |_| ())
                .unwrap_or_else(|e| stop(&e));
            data.train.len() as f64 / tuned.training.seconds
        };
        rate(some);
        let rates: Vec<f64> = (0..self.repeats).map(|_| rate(data)).collect();
        let by = format!(
            "infbench {}, batch {}, encoder dropout {dropout}",
            self.device, train.batch_size
        );
        self.say("epoch", &by, median(&rates), &rates);
    }

    /// MRPC with `train` training examples, or all.
    fn task(&self, train: Option<usize>) -> TaskData {
        let task = TaskConfig::Glue(GlueTask {
            task: GlueName::Mrpc,
            path: self.data.clone(),
            train,
            query: Some(8),
            flip: 0.0,
            max_length: 128,
        });
        task.build(self.checkpoint().tokenizer(), 1)
            .unwrap_or_else(|e| stop(&e))
    }

    fn checkpoint(&self) -> ModelConfig {
        ModelConfig::Checkpoint(CheckpointConfig::at(&self.model))
    }

    /// `measure` once to warm up, then as often as asked.
    fn repeated(&self, mut measure: impl FnMut() -> f64) -> Vec<f64> {
        measure();
        (0..self.repeats).map(|_| measure()).collect()
    }

    fn say(&self, what: &str, by: &str, value: f64, repeats: &[f64]) {
        if self.json {
            println!(
                "{}",
                json!({"what": what, "by": by, "value": value, "repeats": repeats})
            );
        } else {
            let repeats: Vec<String> = repeats.iter().map(|rate| format!("{rate:.1}")).collect();
            println!("| {what} | {by} | {value:.1} | {} |", repeats.join(", "));
        }
    }
}

fn lora() -> LoraConfig {
    LoraConfig {
        rank: 8,
        alpha: Some(16.0),
        targets: TargetModules::names(["query", "value"]),
        ..LoraConfig::default()
    }
}

/// Floating-point operations that one example of `t` tokens needs in MiniLM (6 layers, hidden 384, ffn
/// 1536, 2 classes): all products of the forward pass, and those of the backward pass that give gradients
/// of inputs, down to query and value of the first layer. None that gives a gradient of a weight, none
/// that is computed twice.
fn operations(t: usize) -> f64 {
    let (layers, h, ffn, classes, t) = (6.0, 384.0, 1536.0, 2.0, t as f64);
    let projections = 3.0 * t * h * h;
    let rest = t * h * h + 2.0 * t * h * ffn;
    // one of Q Kᵀ and P V, or of the four products that lead back through them
    let attention = t * t * h;
    let multiply_adds = layers * (2.0 * (projections + rest) + 6.0 * attention)
        // nothing flows below the first layer's query and value
        - projections
        - attention
        // pooler and classifier, on the first token
        + 2.0 * (h * h + classes * h);
    2.0 * multiply_adds
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

fn stop(error: &dyn std::fmt::Display) -> ! {
    eprintln!("{error}");
    std::process::exit(2)
}
