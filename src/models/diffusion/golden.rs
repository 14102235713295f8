//! A tiny pipeline against what diffusers made of it in float64, and its own error in float32.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

use super::*;
use crate::device::DeviceChoice;
use crate::models::Pass;
use crate::models::parameter::to_f32;

/// `golden/sd_tiny` in `$INFBENCH_SHARED` or in `shared` in a folder above this one; nothing, saying so, without.
fn golden() -> Option<Golden> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = here.ancestors().map(|folder| folder.join("shared"));
    let shared = given.into_iter().chain(above);
    let folder = shared
        .map(|shared| shared.join("golden/sd_tiny"))
        .find(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("left out: there is no shared/golden/sd_tiny");
    }
    folder.map(|folder| Golden::open(&folder))
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
    fn open(folder: &Path) -> Self {
        let tolerance = std::fs::read_to_string(folder.join("tolerance.json")).unwrap();
        Self {
            config: PipelineConfig::read(&folder.join("pipeline")).unwrap(),
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
    let Numbers { shape, values } = &golden.reference["input_ids"];
    let ids: Vec<i64> = values.iter().map(|id| *id as i64).collect();
    let ids = Tensor::from_data(TensorData::new(ids, [shape[0], shape[1]]), &golden.device);
    golden.check("encoder_hidden_states", text.encode(ids, &mut Pass::Plain));
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
    let timesteps: Vec<usize> = golden.reference["timesteps"]
        .values
        .iter()
        .map(|t| *t as usize)
        .collect();
    let size: usize = golden.reference["noise"].shape[2..].iter().product();
    let f32s = |name: &str| -> Vec<f32> {
        let values = &golden.reference[name].values;
        values.iter().map(|value| *value as f32).collect()
    };
    let (latents, noise) = (f32s("latents"), f32s("noise"));
    let rows = latents.chunks(size).zip(noise.chunks(size)).enumerate();
    let noisy: Vec<f32> = rows
        .flat_map(|(row, (x, e))| schedule.noisy(x, e, timesteps[row % timesteps.len()]))
        .collect();
    let count = noisy.len();
    let noisy = Tensor::<1>::from_data(TensorData::new(noisy, [count]), &golden.device);
    golden.check("noisy", noisy);
}

#[test]
fn base_prediction_runs() {
    let Some(golden) = golden() else { return };
    let unet = golden.config.load_unet(&golden.device).unwrap();
    let x: Tensor<4> = golden.tensor("noisy");
    let n = x.dims()[0] / 6;
    let timesteps: Vec<usize> = [25, 225, 425, 525, 725, 925].repeat(n);
    let text: Tensor<3> = golden.tensor("encoder_hidden_states");
    let [_, t, width] = text.dims();
    let text = text
        .reshape([n, 1, t, width])
        .expand([n, 6, t, width])
        .reshape([6 * n, t, width]);
    let found = unet.predict(x, &timesteps, &text, &mut Pass::Plain);
    let error = distance(
        &to_f32(found.into_data()),
        &golden.reference["prediction"].values,
    );
    eprintln!("without LoRA {error}; {:?}", golden.folder);
}
