//! `cargo bench --bench diffusion`: the small latent diffusion model (4.1 M parameters, 32×32 icons) with LoRA of rank 1 on
//! all attentions: per-example gradients at the paper's six timesteps, and a training step on 64 examples; and the whole
//! shape of Stable Diffusion v1.5, one row (`full`: an example at one timestep) or an example at six (`six`).
//!
//! `-- [gradients] [step] [full] [six] [--repeats N] [--examples N] [--points N] [--device flex|libtorch]` (`--points`: positions of
//! the latents at a time); without a part, the first two. Folders: `INFBENCH_SD_ICONS` or shared/data/model_sd_icons32, and
//! for the whole shape `INFBENCH_SD_FULL`, made by scripts/sd-full.sh. `benches/peers/diffusion.py` has the same measurements of
//! PyTorch and diffusers. A line is a JSON object with examples/s (the median of the repeats) and the same
//! per second of processor time, for machines that are not idle.

use std::path::PathBuf;
use std::time::Instant;

use infbench::batching::{self, streaming::Memory};
use infbench::config::TrainConfig;
use infbench::data::{Inputs, Latents, Moments, NoiseSettings, Split, Targets, TaskData, Truth};
use infbench::device::DeviceChoice;
use infbench::finetune::{self, Base, BaseInfo, Settings};
use infbench::gradients::{RowBuffer, per_example};
use infbench::measure::{peak_resident, processor_seconds};
use infbench::models::diffusion::PipelineConfig;
use infbench::models::lora::settings::{AllLayers, LayerSelection, LoraConfig, TargetModules};
use infbench::models::{Loading, MlpConfig, Model, ModelConfig, Role};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Training steps of a measurement.
const STEPS: usize = 3;

fn main() {
    infbench::measure::keep_freed_memory();
    let given: Vec<String> = std::env::args().skip(1).collect();
    // cargo passes --test when it only wants to know that this starts
    if given.iter().any(|argument| argument == "--test") {
        return;
    }
    let value = |name: &str| {
        let at = given.iter().position(|argument| argument == name)?;
        given.get(at + 1)
    };
    let number = |name: &str, default: usize| {
        let given = value(name).and_then(|value| value.parse().ok());
        given.unwrap_or(default)
    };
    let device = match value("--device") {
        Some(name) => name.parse().expect("a device of this build"),
        None => DeviceChoice::Flex,
    };
    let parts: Vec<&str> = ["gradients", "step", "full", "six"]
        .into_iter()
        .filter(|part| given.iter().any(|argument| argument == part))
        .collect();
    let parts = if parts.is_empty() {
        vec!["gradients", "step"]
    } else {
        parts
    };
    let repeats = number("--repeats", 3);
    for part in parts {
        let (variable, default) = match part {
            "full" | "six" => ("INFBENCH_SD_FULL", "models/sd-full"),
            _ => ("INFBENCH_SD_ICONS", "../shared/data/model_sd_icons32"),
        };
        let folder =
            std::env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from);
        let pipeline = match PipelineConfig::read(&folder) {
            Ok(pipeline) => pipeline,
            Err(error) => {
                eprintln!("{part} is left out: {error} (set {variable})");
                continue;
            }
        };
        let (n, side, timesteps) = match part {
            "full" => (number("--examples", 1), 64, vec![525]),
            "six" => (
                number("--examples", 1),
                64,
                NoiseSettings::default().timesteps,
            ),
            "step" => (64, 8, NoiseSettings::default().timesteps),
            _ => (
                number("--examples", 64),
                8,
                NoiseSettings::default().timesteps,
            ),
        };
        let split = split(&pipeline, n, side, timesteps);
        let input = batching::input_shape(&split);
        let base = Model::of_pipeline(&pipeline, &input, &device.inner());
        let base = base.expect("a whole folder of weights");
        let model = adapted(&base);
        let points = number("--points", batching::tokens_at_a_time(&model));
        let measure = || match part {
            "step" => {
                let query = self::split(&pipeline, 1, side, vec![525]);
                steps(&base, device, &split, query)
            }
            _ => gradients(&model, &split, points),
        };
        // the whole shape takes long enough
        if side < 64 {
            measure();
        }
        let busy = processor_seconds();
        let mut rates: Vec<f64> = (0..repeats).map(|_| measure()).collect();
        let busy = busy
            .zip(processor_seconds())
            .map(|(before, after)| after - before);
        rates.sort_by(f64::total_cmp);
        let passes = if part == "step" { STEPS } else { 1 };
        let forecast = Memory::of(&mut model.clone(), Loading::default(), &[&split]);
        let forecast = forecast.expect("nothing is streamed").bytes();
        let row = batching::row_cost(&model, &split).expect("a UNet takes latents");
        let line = json!({
            "what": part,
            "gflop_of_a_row": (row.forward + row.backward) / 1e9,
            "forecast_mib": forecast >> 20,
            "value": rates[rates.len() / 2],
            "per_cpu_second": busy.map(|busy| (repeats * passes * split.len()) as f64 / busy),
            "repeats": rates,
            "peak_mib": peak_resident().map(|bytes| bytes >> 20),
        });
        println!("{line}");
    }
}

/// Random latents and text states.
fn split(pipeline: &PipelineConfig, n: usize, side: usize, timesteps: Vec<usize>) -> Split {
    let mut rng = infbench::random::rng(1, "bench", "examples");
    let mut draw = |count: usize, scale: f32| -> Vec<f32> {
        let mut one = || -> f32 { StandardNormal.sample(&mut rng) };
        (0..count).map(|_| scale * one()).collect()
    };
    let shape = [pipeline.unet.inputs, side, side];
    let size = shape.iter().product::<usize>();
    let (tokens, width) = (pipeline.text.positions, pipeline.text.hidden);
    let settings = NoiseSettings {
        timesteps,
        ..NoiseSettings::default()
    };
    let schedule = &pipeline.schedule;
    let targets = settings.targets(n, "train", 1, schedule.alphas(), schedule.prediction);
    Split {
        inputs: Inputs::Latents(Latents {
            moments: Moments {
                means: draw(n * size, 1.0),
                deviations: Some(vec![0.1; n * size]),
            },
            mirrored: None,
            shape,
            texts: (0..n).map(|_| draw(tokens * width, 1.0)).collect(),
            captions: (0..n).collect(),
            tokens,
            width,
        }),
        targets: Targets::Noise(targets.expect("the schedule has these timesteps")),
    }
}

fn lora() -> LoraConfig {
    LoraConfig {
        rank: 1,
        alpha: Some(1.0),
        targets: TargetModules::names(["to_q", "to_k", "to_v", "to_out.0"]),
        layers: LayerSelection::Every(AllLayers::All),
        // as in diffusers' scripts
        dropout: 0.0,
        ..LoraConfig::default()
    }
}

/// The UNet with adapters that do something.
fn adapted(base: &Model) -> Model {
    let mut model = base.clone();
    model.adapt(&lora(), 1).expect("UNets have these modules");
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
fn gradients(model: &Model, split: &Split, points: usize) -> f64 {
    let tensors = infbench::gradients::tensors(model, &split.targets);
    let widths = tensors.iter().map(|t| t.shape[0] * t.shape[1]).collect();
    let mut rows = RowBuffer::new(split.len(), widths);
    let start = Instant::now();
    per_example::collect(model, split, points, &mut rows).expect("finite losses");
    split.len() as f64 / start.elapsed().as_secs_f64()
}

/// Examples/s of [`STEPS`] training steps of the adapters on all examples at once.
fn steps(model: &Model, device: DeviceChoice, split: &Split, query: Split) -> f64 {
    let settings = Settings {
        model: &ModelConfig::Mlp(MlpConfig::default()),
        seed: 1,
        device,
        cache: None,
        activations: 0,
    };
    let base = Base {
        key: String::new(),
        model: model.clone(),
        info: BaseInfo {
            seconds: 0.0,
            cached: false,
            losses: Vec::new(),
            accuracy: None,
        },
    };
    let data = TaskData {
        train: split.clone(),
        query,
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
    let tuned = finetune::fine_tune(&settings, &base, &data, &lora(), &train, &mut |_| ())
        .expect("finite losses");
    (STEPS * split.len()) as f64 / tuned.training.seconds
}
