//! Diffusion pipelines against what diffusers makes of them: a tiny one in float64, held to five times PyTorch's own error
//! in float32, and one of the full shape of Stable Diffusion v1.5 (`scripts/sd-full.sh`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use infbench::data::{
    GivenNoise, Inputs, Latents, Moments, NoiseSettings, NoiseTargets, Split, Targets,
};
use infbench::device::DeviceChoice;
use infbench::finetune::{optimizer::Optimizer, settings};
use infbench::gradients::{RowBuffer, per_example};
use infbench::models::diffusion::sampling::sample;
use infbench::models::diffusion::{PipelineConfig, Posterior, Sampling, Schedule, Unet};
use infbench::models::lora::settings::LoraInit;
use infbench::models::network::Network;
use infbench::models::ops::adapter_gradients;
use infbench::models::parameter::to_f32;
use infbench::models::{AdapterShape, Array, Model, Pass, Role, Site, Weights};

/// A folder of `golden` in `$INFBENCH_SHARED` or in `shared` in a folder above this one; nothing, saying so, without.
fn shared(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = here.ancestors().map(|folder| folder.join("shared"));
    let shared = given.into_iter().chain(above);
    let folder = shared
        .map(|shared| shared.join("golden").join(name))
        .find(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("left out: there is no shared/golden/{name}");
    }
    folder
}

/// The tiny pipeline.
fn golden() -> Option<Golden> {
    let folder = shared("sd_tiny")?;
    Some(Golden::open(&folder, &folder.join("pipeline")))
}

/// A tensor of a file.
#[derive(Clone)]
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
}

struct Golden {
    folder: PathBuf,
    config: PipelineConfig,
    device: Device,
    reference: BTreeMap<String, Numbers>,
    tolerance: BTreeMap<String, f64>,
}

fn read(path: &Path) -> BTreeMap<String, Numbers> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().map(|(name, view)| {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => {
                let all = data.as_chunks::<4>().0.iter();
                all.map(|b| f64::from(f32::from_le_bytes(*b))).collect()
            }
            Dtype::F64 => {
                let all = data.as_chunks::<8>().0.iter();
                all.map(|b| f64::from_le_bytes(*b)).collect()
            }
            Dtype::I64 => {
                let all = data.as_chunks::<8>().0.iter();
                all.map(|b| i64::from_le_bytes(*b) as f64).collect()
            }
            other => panic!("{name} is {other:?}"),
        };
        let shape = view.shape().to_vec();
        (name.to_owned(), Numbers { shape, values })
    });
    tensors.collect()
}

impl Golden {
    fn open(folder: &Path, pipeline: &Path) -> Self {
        let tolerance = std::fs::read_to_string(folder.join("tolerance.json")).unwrap();
        Self {
            config: PipelineConfig::read(pipeline).unwrap(),
            device: DeviceChoice::Flex.inner(),
            reference: read(&folder.join("reference.safetensors")),
            tolerance: serde_json::from_str(&tolerance).unwrap(),
            folder: folder.to_owned(),
        }
    }

    /// A reference as a tensor, its first dimensions made one when there are too many.
    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let Numbers { shape, values } = &self.reference[name];
        let extra = shape.len() - D;
        let mut dims = shape[extra..].to_vec();
        dims[0] *= shape[..extra].iter().product::<usize>();
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::from_data(TensorData::new(values, dims), &self.device)
    }

    /// Holds a tensor against a reference: the norm of the difference over that of the reference is at most five times
    /// PyTorch's own error in float32.
    #[track_caller]
    fn check<const D: usize>(&self, name: &str, found: Tensor<D>) {
        let found = to_f32(found.inner().into_data());
        let expected = &self.reference[name].values;
        assert_eq!(found.len(), expected.len(), "{name}");
        let error = distance(&found, expected);
        let bar = 5.0 * self.tolerance[name];
        eprintln!("{name}: {error:.1e}, bar {bar:.1e}");
        assert!(
            error <= bar,
            "{name}: {error:.1e} of its norm; allowed: {bar:.1e}"
        );
    }
}

impl Golden {
    fn ids(&self) -> Tensor<2, Int> {
        let Numbers { shape, values } = &self.reference["input_ids"];
        let ids: Vec<i64> = values.iter().map(|id| *id as i64).collect();
        Tensor::from_data(TensorData::new(ids, [shape[0], shape[1]]), &self.device)
    }
}

/// Norm of the difference over that of the reference.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = found.iter().zip(expected);
    norm(&mut pairs.map(|(a, b)| f64::from(*a) - b)) / norm(&mut expected.iter().copied())
}

#[test]
fn text_encoder_agrees_with_transformers() {
    let Some(golden) = golden() else { return };
    let text = golden.config.load_text(&golden.device).unwrap();
    let states = text.encode(golden.ids(), &mut Pass::Plain);
    golden.check("encoder_hidden_states", states);
}

#[test]
fn autoencoder_agrees_with_diffusers() {
    let Some(golden) = golden() else { return };
    let vae = golden.config.load_vae(&golden.device).unwrap();
    let posterior = vae.encode(golden.tensor("pixel_values"));
    golden.check("posterior_mean", posterior.mean.clone());
    golden.check("posterior_logvar", posterior.log_variance.clone());
    golden.check("decoded", vae.decode(posterior.mean.clone()));
    let noise: Tensor<4> = golden.tensor("vae_noise");
    let views = noise.dims()[0] / posterior.mean.dims()[0];
    let repeated = |x: Tensor<4>| {
        let [n, c, h, w] = x.dims();
        let x = x.reshape([n, 1, c, h, w]).expand([n, views, c, h, w]);
        x.reshape([n * views, c, h, w])
    };
    let repeated = Posterior {
        mean: repeated(posterior.mean),
        log_variance: repeated(posterior.log_variance),
    };
    golden.check("latents", vae.scale(repeated.sample(noise)));
}

#[test]
fn schedule_agrees_with_diffusers() {
    let Some(golden) = golden() else { return };
    let schedule = &golden.config.schedule;
    let expected = &golden.reference["alphas_cumprod"].values;
    assert_eq!(schedule.len(), expected.len());
    for (timestep, expected) in expected.iter().enumerate() {
        let error = (f64::from(schedule.alpha(timestep)) / expected - 1.0).abs();
        assert!(error < 4.0 * f64::from(f32::EPSILON), "{timestep}: {error}");
    }
    let [latents, noise]: [Tensor<4>; 2] = ["latents", "noise"].map(|name| golden.tensor(name));
    let [n, c, h, w] = latents.dims();
    let weights = |of: fn([f32; 2]) -> f32| {
        let weights = TIMESTEPS.map(|t| of(schedule.weights(t))).repeat(n / VIEWS);
        Tensor::<4>::from_data(TensorData::new(weights, [n, 1, 1, 1]), &golden.device)
            .expand([n, c, h, w])
    };
    let noisy = latents * weights(|[signal, _]| signal) + noise * weights(|[_, spread]| spread);
    golden.check("noisy", noisy);
}

/// The UNet with the LoRA of the golden set.
fn unet(golden: &Golden, lora: &Path) -> Unet {
    let mut unet = golden.config.load_unet(&golden.device).unwrap();
    let lora = read(lora);
    let mut adapted = 0;
    for linear in unet.adaptable_mut() {
        let name = format!("unet.{}.lora_A.weight", linear.name());
        if let Some(a) = lora.get(&name) {
            let shape = AdapterShape {
                rank: a.shape[0],
                scale: 1.0,
                init: LoraInit::Gaussian,
            };
            linear.adapt(shape, &golden.device);
            adapted += 2;
        }
    }
    assert_eq!(adapted, lora.len());
    for mut parameter in unet.parameters() {
        if parameter.role == Role::Adapter {
            let values = &lora[&format!("unet.{}", parameter.name)].values;
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            parameter.slot.set(&values, &golden.device);
        }
    }
    unet
}

const LORA: &str = "lora/pytorch_lora_weights.safetensors";
const VIEWS: usize = 6;
const TIMESTEPS: [usize; VIEWS] = [25, 225, 425, 525, 725, 925];

/// Noisy latents, timesteps, text states and noise of every (example, view).
fn rows(golden: &Golden) -> (Tensor<4>, Vec<usize>, Tensor<3>, Tensor<4>) {
    let x: Tensor<4> = golden.tensor("noisy");
    let text: Tensor<3> = golden.tensor("encoder_hidden_states");
    let [n, t, width] = text.dims();
    let text = text.reshape([n, 1, t, width]).expand([n, VIEWS, t, width]);
    let text = text.reshape([n * VIEWS, t, width]);
    (x, TIMESTEPS.repeat(n), text, golden.tensor("noise"))
}

/// Mean square over all but the first dimension, `[n]`.
fn mean_squares(x: Tensor<4>) -> Tensor<1> {
    let [n, c, h, w] = x.dims();
    x.square()
        .reshape([n, c * h * w])
        .mean_dim(1)
        .squeeze_dim(1)
}

/// The prediction, and the gradients of every row's mean square of the error, by name.
fn gradients(
    unet: &Unet,
    x: Tensor<4>,
    timesteps: &[usize],
    text: &Tensor<3>,
    noise: Tensor<4>,
) -> (Tensor<4>, Vec<(String, Vec<f32>)>) {
    let mut pass = Pass::Probed(Vec::new());
    let predicted = unet.predict(x, timesteps, text, &mut pass);
    let mut grads = mean_squares(predicted.clone() - noise).sum().backward();
    let Pass::Probed(sites) = pass else {
        unreachable!("a pass keeps its kind")
    };
    let linears = unet.adaptable().into_iter();
    let adapted = linears.filter_map(|linear| Some((linear.name(), linear.adapter()?)));
    let mut all = Vec::new();
    for (site, (name, adapter)) in sites.into_iter().zip(adapted) {
        let (x, delta) = site.take(&mut grads);
        let found = adapter_gradients(x, delta, &adapter.a, &adapter.b, adapter.scale);
        for (part, found) in ["lora_A", "lora_B"].into_iter().zip(found) {
            all.push((format!("{name}.{part}.weight"), found));
        }
    }
    (predicted, all)
}

#[test]
fn prediction_and_losses_agree_with_diffusers() {
    let Some(golden) = golden() else { return };
    let (x, timesteps, text, noise) = rows(&golden);
    let predicted =
        unet(&golden, &golden.folder.join(LORA)).predict(x, &timesteps, &text, &mut Pass::Plain);
    golden.check("prediction", predicted.clone());
    golden.check("loss", mean_squares(predicted - noise));
}

/// Examples `first..first + n` of the golden set, with its latents and noise.
fn split(golden: &Golden, first: usize, n: usize, settings: &NoiseSettings) -> Split {
    let f32s = |name: &str| -> Vec<f32> {
        let values = &golden.reference[name].values;
        values.iter().map(|value| *value as f32).collect()
    };
    let [latents, noise, text] = ["latents", "noise", "encoder_hidden_states"].map(f32s);
    let shape: [usize; 3] = golden.reference["noise"].shape[2..].try_into().unwrap();
    let [_, tokens, width]: [usize; 3] = golden.reference["encoder_hidden_states"].shape[..]
        .try_into()
        .unwrap();
    let views = settings.timesteps.len();
    let size = views * shape.iter().product::<usize>();
    let chosen = first..first + n;
    let given = |example: usize| {
        let of = |values: &[f32]| values[example * size..(example + 1) * size].to_vec();
        Arc::new(GivenNoise {
            latents: of(&latents),
            noise: of(&noise),
        })
    };
    Split {
        inputs: Inputs::Latents(Latents {
            moments: Moments {
                means: vec![0.0; n * size / views],
                deviations: None,
            },
            mirrored: None,
            shape,
            texts: text.chunks(tokens * width).map(<[f32]>::to_vec).collect(),
            captions: chosen.clone().collect(),
            tokens,
            width,
        }),
        targets: Targets::Noise(NoiseTargets {
            given: Some(chosen.map(given).collect()),
            ..settings
                .targets(
                    n,
                    "train",
                    1,
                    golden.config.schedule.alphas(),
                    golden.config.schedule.prediction,
                )
                .unwrap()
        }),
    }
}

/// The UNet with adapters of scale `scale` from a file in diffusers' layout.
fn adapted(golden: &Golden, lora: &Path, scale: f64) -> Model {
    adapted_by(golden, &read(lora), scale)
}

fn adapted_by(golden: &Golden, lora: &BTreeMap<String, Numbers>, scale: f64) -> Model {
    let input = golden.config.input([1, 1]);
    let mut model = Model::of_pipeline(&golden.config, &input, &golden.device).unwrap();
    let arrays = lora.iter().map(|(name, numbers)| {
        let array = Array {
            shape: numbers.shape.clone(),
            values: numbers.values.iter().map(|value| *value as f32).collect(),
        };
        (name["unet.".len()..].to_owned(), array)
    });
    let weights: Weights = arrays.collect();
    let sites = weights.iter().filter_map(|(name, array)| {
        let shape = AdapterShape {
            rank: array.shape[0],
            scale,
            init: LoraInit::Gaussian,
        };
        Some((name.strip_suffix(".lora_A.weight")?.to_owned(), shape))
    });
    model.adapt_matrices(&sites.collect()).unwrap();
    model.import(&[Role::Adapter], &weights).unwrap();
    model
}

/// Largest distances of a tensor, and of one example's row of it.
#[derive(Default)]
struct Worst {
    tensor: f64,
    row: f64,
}

impl Worst {
    /// Gradients of a split through the product's own path, against `expected` with `prefix` before the names.
    fn compare(
        &mut self,
        model: &Model,
        split: &Split,
        losses: &[f64],
        expected: &BTreeMap<String, Numbers>,
        prefix: &str,
    ) -> f64 {
        let n = split.len();
        let tensors = infbench::gradients::tensors(model, &split.targets);
        let widths = tensors
            .iter()
            .map(|tensor| tensor.shape[0] * tensor.shape[1]);
        let mut rows = RowBuffer::new(n, widths.collect());
        // two examples at a time
        let found = per_example::collect(model, split, 2 * VIEWS * 16 * 12, &mut rows).unwrap();
        let means = losses.chunks(losses.len() / n);
        let means: Vec<f64> = means
            .map(|row| row.iter().sum::<f64>() / row.len() as f64)
            .collect();
        let expected_tensors = expected.keys().filter(|name| name.starts_with(prefix));
        assert_eq!(
            tensors.len(),
            expected_tensors
                .filter(|name| name.contains("lora_"))
                .count()
        );
        for (tensor, found) in tensors.iter().zip(&rows.tensors) {
            let Numbers { shape, values } = &expected[&format!("{prefix}{}", tensor.name)];
            assert_eq!(shape, &[n, tensor.shape[0] * tensor.shape[1]]);
            self.tensor = self.tensor.max(distance(found, values));
            for (found, expected) in found.chunks(shape[1]).zip(values.chunks(shape[1])) {
                self.row = self.row.max(distance(found, expected));
            }
        }
        distance(&found, &means)
    }

    #[track_caller]
    fn check(&self, golden: &Golden) {
        for (kind, worst) in [("tensor", self.tensor), ("row of a tensor", self.row)] {
            let bar = 5.0 * golden.tolerance[&format!("gradients, worst {kind}")];
            eprintln!("worst {kind}: {worst:.1e}, bar {bar:.1e}");
            assert!(
                worst <= bar,
                "worst {kind}: {worst:.1e}; allowed: {bar:.1e}"
            );
        }
    }
}

#[test]
fn gradients_of_every_example_and_view_agree_with_diffusers() {
    let Some(golden) = golden() else { return };
    let model = adapted(&golden, &golden.folder.join(LORA), 1.0);
    let mut worst = Worst::default();
    for (first, n, file) in [(0, 6, "train"), (6, 2, "query")] {
        let split = split(&golden, first, n, &NoiseSettings::default());
        let losses = &golden.reference["loss"].values[first * VIEWS..(first + n) * VIEWS];
        let expected = read(&golden.folder.join(format!("{file}.safetensors")));
        let loss = worst.compare(&model, &split, losses, &expected, "");
        assert!(loss <= 5.0 * golden.tolerance["loss"], "{loss:.1e}");
    }
    worst.check(&golden);
}

/// Blocks that are computed twice give the same gradients: those of diffusers, and to rounding those of a pass that keeps all.
#[test]
fn blocks_that_are_computed_twice_give_the_same_gradients() {
    if let Some(golden) = golden() {
        let mut model = adapted(&golden, &golden.folder.join(LORA), 1.0);
        model.recompute(true);
        let split = split(&golden, 6, 2, &NoiseSettings::default());
        let losses = &golden.reference["loss"].values[6 * VIEWS..8 * VIEWS];
        let expected = read(&golden.folder.join("query.safetensors"));
        let mut worst = Worst::default();
        let loss = worst.compare(&model, &split, losses, &expected, "");
        assert!(loss <= 5.0 * golden.tolerance["loss"], "{loss:.1e}");
        worst.check(&golden);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion");
    let golden = Golden::open(&folder, &folder.join("pipeline"));
    let mut lora = read(&folder.join("lora.safetensors"));
    // without those of the time, before all blocks: with them nothing is computed twice
    lora.retain(|name, _| !name.contains(".time_embedding."));
    let settings = NoiseSettings {
        timesteps: vec![30, 800],
        ..NoiseSettings::default()
    };
    let split = split(&golden, 0, 2, &settings);
    let collected = |model: &Model| {
        let tensors = infbench::gradients::tensors(model, &split.targets);
        let widths = tensors.iter().map(|t| t.shape[0] * t.shape[1]);
        let mut rows = RowBuffer::new(2, widths.collect());
        let losses = per_example::collect(model, &split, 35, &mut rows).unwrap();
        (losses, rows.tensors)
    };
    let mut model = adapted_by(&golden, &lora, 2.0);
    let (losses, kept) = collected(&model);
    model.recompute(true);
    let (again, twice) = collected(&model);
    let doubles = |values: &[f32]| -> Vec<f64> { values.iter().map(|x| f64::from(*x)).collect() };
    assert!(distance(&again, &doubles(&losses)) < 1e-6);
    assert!(kept.len() > 20, "{}", kept.len());
    for (kept, twice) in kept.iter().zip(&twice) {
        let error = distance(twice, &doubles(kept));
        assert!(error < 1e-5, "{error:.1e}");
    }
    // a pass that keeps all would pass the test, too
    let batch = infbench::batching::batch(&split, &[0], &golden.device);
    let mut pass = Pass::Probed(Vec::new());
    let _ = infbench::objectives::of(&split.targets).losses(&model, &batch, &mut pass);
    let sites = pass.into_sites();
    assert_eq!(2 * sites.len(), kept.len());
    assert!(sites.iter().all(|site| matches!(site, Site::Replayed(_))));
}

/// A pipeline unlike SD v1.5's wherever a config allows it; see its `make.py`.
#[test]
fn another_pipeline_agrees_with_diffusers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion");
    let golden = Golden::open(&folder, &folder.join("pipeline"));
    let text = golden.config.load_text(&golden.device).unwrap();
    let states = text.encode(golden.ids(), &mut Pass::Plain);
    golden.check("encoder_hidden_states", states);
    let vae = golden.config.load_vae(&golden.device).unwrap();
    let posterior = vae.encode(golden.tensor("pixel_values"));
    golden.check("posterior_mean", posterior.mean.clone());
    golden.check("posterior_logvar", posterior.log_variance.clone());
    golden.check("decoded", vae.decode(posterior.mean.clone()));
    let settings = NoiseSettings {
        timesteps: vec![30, 800],
        ..NoiseSettings::default()
    };
    let model = adapted(&golden, &folder.join("lora.safetensors"), 2.0);
    let split = split(&golden, 0, 2, &settings);
    let losses = &golden.reference["loss"].values;
    let mut worst = Worst::default();
    let loss = worst.compare(&model, &split, losses, &golden.reference, "gradient.");
    let bar = 5.0 * golden.tolerance["loss"];
    assert!(loss <= bar, "losses: {loss:.1e}; allowed: {bar:.1e}");
    worst.check(&golden);
}

/// Every β schedule, prediction and spacing of diffusers' schedulers that there is here.
#[test]
fn schedules_agree_with_diffusers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion");
    let text = std::fs::read_to_string(folder.join("schedules.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        let list = value.as_array().unwrap().iter();
        list.map(|number| number.as_f64().unwrap()).collect()
    };
    let device = DeviceChoice::Flex.inner();
    let tensor = |value: &serde_json::Value| {
        let values: Vec<f32> = numbers(value).iter().map(|x| *x as f32).collect();
        Tensor::<1>::from_floats(values.as_slice(), &device)
    };
    let scratch = tempfile::tempdir().unwrap();
    for case in all["cases"].as_array().unwrap() {
        let config = case["config"].to_string();
        std::fs::write(scratch.path().join("scheduler_config.json"), &config).unwrap();
        let schedule = Schedule::read(scratch.path()).unwrap();
        let expected = numbers(&case["alphas"]);
        assert_eq!(schedule.len(), expected.len());
        // a rounding of every 1 − β; rescaled, √ᾱ comes out of a difference that is five times smaller than its terms
        let rescaled = case["config"]["rescale_betas_zero_snr"] == true;
        let bar = if rescaled { 3e-6 } else { 3e-7 };
        for (found, expected) in schedule.alphas().iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() < bar,
                "{found}, {expected}: {config}"
            );
        }
        let Some(timesteps) = case["timesteps"].as_array() else {
            continue;
        };
        let timesteps: Vec<u64> = timesteps.iter().map(|t| t.as_u64().unwrap()).collect();
        let found: Vec<u64> = schedule.sampling(7).iter().map(|t| *t as u64).collect();
        assert_eq!(found, timesteps, "{config}");
        for step in case["steps"].as_array().unwrap() {
            let timestep = step[0].as_u64().unwrap() as usize;
            let found = schedule.step(tensor(&all["x"]), tensor(&all["y"]), timestep, 7);
            let error = distance(&to_f32(found.into_data()), &numbers(&step[1]));
            assert!(error < 2e-6, "{error:.1e} at {timestep}: {config}");
        }
    }
}

/// Five steps of AdamW: pairs of examples at one timestep, clipping, cosine.
#[test]
fn training_steps_agree_with_pytorch() {
    let Some(golden) = golden() else { return };
    let mut unet = unet(&golden, &golden.folder.join(LORA));
    let (noisy, _, text, noise) = rows(&golden);
    let steps = &golden.reference["train.steps"].values;
    let (train_examples, count) = (6, 5);
    let adapters = |unet: &mut Unet| -> Vec<(String, Vec<f32>)> {
        let parameters = unet.parameters().into_iter();
        let adapters = parameters.filter(|parameter| parameter.role == Role::Adapter);
        adapters
            .map(|parameter| (parameter.name.clone(), parameter.slot.values()))
            .collect()
    };
    let (names, mut values): (Vec<_>, Vec<_>) = adapters(&mut unet).into_iter().unzip();
    let sizes = values.iter().map(Vec::len).collect::<Vec<_>>();
    let mut optimizer = Optimizer::new(settings::Optimizer::Adamw, 1e-2, sizes);
    for step in 0..count {
        let view = step % VIEWS;
        let pick = [2 * step, 2 * step + 1].map(|example| example % train_examples * VIEWS + view);
        let some =
            |x: &Tensor<4>| Tensor::cat(pick.map(|row| x.clone().narrow(0, row, 1)).to_vec(), 0);
        let states = pick.map(|row| text.clone().narrow(0, row, 1));
        for mut parameter in unet.parameters() {
            if parameter.role == Role::Adapter {
                parameter.slot.require_grad();
            }
        }
        let predicted = unet.predict(
            some(&noisy),
            &[TIMESTEPS[view]; 2],
            &Tensor::cat(states.to_vec(), 0),
            &mut Pass::Plain,
        );
        let loss = mean_squares(predicted - some(&noise)).mean();
        let mut grads = loss.backward();
        let mut gradients: Vec<Vec<f32>> = Vec::new();
        for parameter in unet.parameters() {
            if parameter.role == Role::Adapter {
                gradients.push(parameter.slot.take_grad(&mut grads));
            }
        }
        let squares = gradients.iter().flatten().map(|g| f64::from(*g).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        let lr = 1e-2 * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / count as f64).cos());
        let loss: f32 = loss.into_scalar();
        let found = [loss, norm as f32, lr as f32];
        let error = distance(&found, &steps[3 * step..3 * step + 3]);
        let bar = 5.0 * golden.tolerance["train.steps"];
        assert!(error <= bar, "step {step}: {error:.1e}; allowed: {bar:.1e}");
        let shrink = (0.25 / (norm + 1e-6)).min(1.0) as f32;
        gradients.iter_mut().flatten().for_each(|g| *g *= shrink);
        optimizer.update(&mut values, &gradients, lr);
        let parameters = unet.parameters().into_iter();
        let parameters = parameters.filter(|parameter| parameter.role == Role::Adapter);
        for (mut parameter, values) in parameters.zip(&values) {
            parameter.slot.set(values, &golden.device);
        }
    }
    let bar = 5.0 * golden.tolerance["train.final"];
    for (name, values) in names.iter().zip(&values) {
        let expected = &golden.reference[&format!("train.final.{name}")].values;
        let error = distance(values, expected);
        assert!(error <= bar, "{name}: {error:.1e}; allowed: {bar:.1e}");
    }
}

#[test]
fn sampling_agrees_with_diffusers() {
    let Some(golden) = golden() else { return };
    let schedule = &golden.config.schedule;
    let expected = &golden.reference["sample.timesteps"].values;
    let timesteps: Vec<f64> = schedule.sampling(4).iter().map(|t| *t as f64).collect();
    assert_eq!(&timesteps, expected);
    let text: Tensor<3> = golden.tensor("encoder_hidden_states");
    // caption 5 is empty
    let [first, empty] = [0, 5].map(|caption| text.clone().narrow(0, caption, 1));
    let start: Tensor<4> = golden.tensor("sample.first");
    let unet = unet(&golden, &golden.folder.join(LORA));
    let sampling = Sampling {
        steps: 4,
        guidance: 5.0,
    };
    let latents = sample(
        |x, timesteps, text| unet.predict(x, timesteps, text, &mut Pass::Plain),
        schedule,
        start,
        &first,
        &empty,
        sampling,
    );
    golden.check("sample.latents", latents.clone());
    let vae = golden.config.load_vae(&golden.device).unwrap();
    golden.check("sample.image", vae.decode(vae.unscale(latents)));
}

/// One image, one text and one timestep at 512 × 512 with the weights of `golden/sd_full/make_weights.py` in the folder
/// `$INFBENCH_SD_FULL`: 4.3 GB, a minute, and 8 GB of memory; see `scripts/sd-full.sh`.
#[test]
#[ignore = "needs the weights of the full shape in $INFBENCH_SD_FULL"]
fn full_shape_agrees_with_diffusers() {
    let pipeline = PathBuf::from(std::env::var_os("INFBENCH_SD_FULL").expect("INFBENCH_SD_FULL"));
    let golden = Golden::open(
        &shared("sd_full").expect("shared/golden/sd_full"),
        &pipeline,
    );
    let inputs = Golden {
        reference: read(&pipeline.join("inputs.safetensors")),
        ..Golden::open(&golden.folder, &pipeline)
    };
    let clock = std::time::Instant::now();
    let lap = |what: &str| eprintln!("{what}: {:.1} s", clock.elapsed().as_secs_f64());
    let text: Tensor<3> = {
        let encoder = golden.config.load_text(&golden.device).unwrap();
        lap("text encoder loaded");
        encoder.encode(golden.ids(), &mut Pass::Plain)
    };
    lap("text encoded");
    golden.check("encoder_hidden_states", text.clone());
    let latents = {
        let vae = golden.config.load_vae(&golden.device).unwrap();
        lap("autoencoder loaded");
        let posterior = vae.encode(inputs.tensor("pixels"));
        lap("image encoded");
        golden.check("posterior_mean", posterior.mean.clone());
        vae.scale(posterior.sample(inputs.tensor("vae_noise")))
    };
    let noise: Tensor<4> = inputs.tensor("noise");
    let timestep = golden.reference["timestep"].values[0] as usize;
    let [signal, spread] = golden.config.schedule.weights(timestep);
    let noisy = latents * signal + noise.clone() * spread;
    let unet = unet(&golden, &pipeline.join(LORA));
    lap("UNet loaded");
    let (predicted, found) = gradients(&unet, noisy, &[timestep], &text, noise);
    lap("gradients");
    let error = distance(
        &to_f32(predicted.inner().into_data()),
        &golden.reference["prediction"].values,
    );
    let expected = read(&golden.folder.join("gradients.safetensors"));
    assert_eq!(found.len(), expected.len());
    let mut errors: Vec<(f64, &str)> = found
        .iter()
        .map(|(name, found)| (distance(found, &expected[name].values), name.as_str()))
        .collect();
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (worst, name) = errors[errors.len() - 1];
    let (median, _) = errors[errors.len() / 2];
    eprintln!("prediction {error:.1e}, median tensor {median:.1e}, worst {worst:.1e} ({name})");
    assert!(error <= 5e-6, "prediction: {error:.1e}");
    assert!(worst <= 5e-5, "{name}: {worst:.1e}");
}
