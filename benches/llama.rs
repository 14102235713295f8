//! `cargo bench --bench llama`: SmolLM2-135M with LoRA of rank 8 on q_proj and v_proj of every layer, f32: per-example
//! gradients of the loss of the answer or of all tokens, and a training step on 64 examples.
//!
//! `-- [answer] [all] [step] [--repeats N] [--examples N] [--tokens N] [--device flex|libtorch]` (positions at a time); without a part, all of them. The folder is `INFBENCH_SMOLLM2` or
//! models/SmolLM2-135M-Instruct. `benches/peers/smollm2.py` has the same measurements of PyTorch on the same examples. A line
//! is a JSON object with examples/s (the median of the repeats) and examples per second of processor time, for machines
//! that are not idle.

use std::path::{Path, PathBuf};
use std::time::Instant;

use infbench::batching;
use infbench::config::TrainConfig;
use infbench::data::{
    Inputs, Measurement, NextToken, Reduction, Split, Targets, TaskData, TokenTargets, Truth,
};
use infbench::device::DeviceChoice;
use infbench::finetune::{self, Settings};
use infbench::gradients::{RowBuffer, per_example};
use infbench::measure::{peak_resident, processor_seconds};
use infbench::models::checkpoint::Checkpoint;
use infbench::models::lora::settings::{AllLayers, LayerSelection, LoraConfig, TargetModules};
use infbench::models::{CheckpointConfig, ModelConfig};
use infbench::models::{Model, Role};
use rand::RngExt;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Target tokens of an answer.
const ANSWER: usize = 12;
/// Training steps of a measurement.
const STEPS: usize = 3;

fn main() {
    infbench::measure::keep_freed_memory();
    let given: Vec<String> = std::env::args().skip(1).collect();
    // cargo passes --test when it only wants to know that this starts
    if given.iter().any(|argument| argument == "--test") {
        return;
    }
    let number = |name: &str, default: usize| {
        let at = given.iter().position(|argument| argument == name);
        let value = at.and_then(|at| given.get(at + 1)?.parse().ok());
        value.unwrap_or(default)
    };
    let device = given.iter().position(|argument| argument == "--device");
    let device: DeviceChoice = match device.and_then(|at| given.get(at + 1)) {
        Some(name) => name.parse().expect("a device of this build"),
        None => DeviceChoice::default(),
    };
    let (repeats, examples) = (number("--repeats", 3), number("--examples", 64));
    let folder = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || PathBuf::from("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    let checkpoint = match Checkpoint::open(&folder) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            eprintln!("left out: {error} (scripts/get-smollm2.sh)");
            return;
        }
    };
    let model = adapted(&checkpoint, device);
    let tokens = number("--tokens", batching::tokens_at_a_time(&model));
    let parts = ["answer", "all", "step"];
    let asked = |part: &str| {
        let mut named = given
            .iter()
            .filter(|argument| parts.contains(&argument.as_str()));
        named.clone().next().is_none() || named.any(|argument| argument == part)
    };
    for part in parts.into_iter().filter(|part| asked(part)) {
        let split = split(if part == "step" { 64 } else { examples }, part == "answer");
        let measure = || match part {
            "step" => steps(&folder, &split, device),
            _ => gradients(&model, &split, tokens),
        };
        measure();
        let busy = processor_seconds();
        let mut rates: Vec<f64> = (0..repeats).map(|_| measure()).collect();
        let busy = busy
            .zip(processor_seconds())
            .map(|(before, after)| after - before);
        rates.sort_by(f64::total_cmp);
        let passes = if part == "step" { STEPS } else { 1 };
        let line = json!({
            "what": part,
            "value": rates[rates.len() / 2],
            "per_cpu_second": busy.map(|busy| (repeats * passes * split.len()) as f64 / busy),
            "repeats": rates,
            "peak_mib": peak_resident().map(|bytes| bytes >> 20),
        });
        println!("{line}");
    }
}

/// Examples by a formula: 32 to 61 tokens, all of them targets or the last ones alone.
fn split(count: usize, answer: bool) -> Split {
    let ids: Vec<Vec<u32>> = (0..count)
        .map(|i| {
            let length = 32 + (37 * i) % 30;
            (0..length)
                .map(|j| (10 + (7919 * i + 104_729 * j) % 49_000) as u32)
                .collect()
        })
        .collect();
    let next = |ids: &Vec<u32>| {
        let first = if answer { ids.len() - ANSWER } else { 1 };
        NextToken::at(ids, first..ids.len())
    };
    Split {
        targets: Targets::Tokens(TokenTargets {
            examples: ids.iter().map(next).collect(),
            reduction: Reduction::Mean,
            measurement: Measurement::Loss,
        }),
        inputs: Inputs::Tokens {
            ids,
            types: Vec::new(),
            attended: None,
            vocabulary: 49_152,
            max_length: 128,
        },
    }
}

fn lora() -> LoraConfig {
    LoraConfig {
        rank: 8,
        alpha: Some(32.0),
        targets: TargetModules::names(["q_proj", "v_proj"]),
        layers: LayerSelection::Every(AllLayers::All),
        ..LoraConfig::default()
    }
}

/// The model with adapters that do something.
fn adapted(checkpoint: &Checkpoint, device: DeviceChoice) -> Model {
    let input = batching::input_shape(&split(1, true));
    let mut model = Model::from_checkpoint(checkpoint, &input, 0, 1, &device.inner())
        .expect("SmolLM2 takes the ids");
    model.adapt(&lora(), 1).expect("SmolLM2 has these modules");
    let mut weights = model.export(&[Role::Adapter]);
    let mut rng = infbench::random::rng(1, "bench", "adapters");
    for (_, array) in weights
        .iter_mut()
        .filter(|(name, _)| name.contains("lora_B"))
    {
        for value in &mut array.values {
            *value = (rng.random::<f32>() - 0.5) * 0.03;
        }
    }
    model
        .import(&[Role::Adapter], &weights)
        .expect("the shapes are the model's own");
    model
}

/// Examples/s of per-example gradients.
fn gradients(model: &Model, split: &Split, tokens: usize) -> f64 {
    let tensors = model.gradient_tensors();
    let widths = tensors.iter().map(|t| t.shape[0] * t.shape[1]).collect();
    let mut rows = RowBuffer::new(split.len(), widths);
    let start = Instant::now();
    per_example::collect(model, split, tokens, &mut rows).expect("finite losses");
    split.len() as f64 / start.elapsed().as_secs_f64()
}

/// Examples/s of [`STEPS`] training steps on all examples at once.
fn steps(folder: &Path, split: &Split, device: DeviceChoice) -> f64 {
    let model = ModelConfig::Checkpoint(CheckpointConfig::at(folder));
    let settings = Settings {
        model: &model,
        seed: 1,
        device,
        cache: None,
        activations: 4 << 30,
    };
    let few = Split {
        inputs: self::split(1, false).inputs,
        targets: self::split(1, false).targets,
    };
    let data = TaskData {
        train: split.clone(),
        query: few,
        pretrain: None,
        classes: 0,
        passed_over: 0,
        tuning: None,
        texts: None,
        images: None,
        truth: Truth::default(),
    };
    let train = TrainConfig {
        epochs: STEPS,
        batch_size: split.len(),
        ..TrainConfig::default()
    };
    let base = finetune::pretrained_base(&settings, &data, &mut |_| ()).expect("a whole folder");
    let tuned = finetune::fine_tune(&settings, &base, &data, &lora(), &train, &mut |_| ())
        .expect("finite losses");
    (STEPS * split.len()) as f64 / tuned.training.seconds
}
