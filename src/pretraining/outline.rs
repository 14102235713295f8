//! A pipeline before it is trained: its shapes, and what training it costs.

use std::path::Path;

use super::error::PretrainingError;
use super::folder::Folder;
use super::settings::PipelineSettings;
use crate::models::diffusion::{PipelineConfig, cost};
use crate::tasks::text::train;

/// Backward pass to all weights beside the forward pass, in forward passes.
const BACKWARD: f64 = 2.0;

/// Writes the settings of a pipeline's parts to `folder`, without weights and with a tokenizer that knows bytes alone: what
/// a forecast asks of a pipeline. The floating-point operations of its training.
///
/// # Errors
/// Files that cannot be written.
pub fn outline(settings: &PipelineSettings, folder: &Path) -> Result<f64, PretrainingError> {
    let (text, denoiser) = (&settings.text_encoder, &settings.unet.training);
    let tokenizer = train::clip(&[], text.vocabulary, text.length)?;
    Folder(folder.to_owned()).describe(settings, &tokenizer, 1.0)?;
    let pipeline = PipelineConfig::read(folder)?;
    let side = settings.images.resolution;
    let latents = [side / pipeline.vae.factor(); 2];
    let image = cost::encoder(&pipeline.vae, [side; 2]) + cost::decoder(&pipeline.vae, [side; 2]);
    let row = cost::unet(&pipeline.unet, latents, text.length).forward
        + cost::text_encoder(&pipeline.text);
    let autoencoder = &settings.autoencoder.training;
    let of_stages = (autoencoder.steps * autoencoder.batch_size) as f64 * image
        + (denoiser.steps * denoiser.batch_size) as f64 * row;
    Ok((1.0 + BACKWARD) * of_stages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the small pipeline as counted by PyTorch's profiler: encoding 63 and decoding 176 MFLOP an image, a step of the UNet
    /// 503 an example.
    #[test]
    fn the_operations_are_those_that_were_counted() {
        let folder = tempfile::tempdir().unwrap();
        let settings: PipelineSettings =
            serde_json::from_value(serde_json::json!({"images": {"path": "icons"}})).unwrap();
        let found = outline(&settings, folder.path()).unwrap();
        let expected = (1800 * 32) as f64 * 3.0 * (63e6 + 176e6) + (3000 * 64) as f64 * 503e6;
        let error = (found / expected - 1.0).abs();
        assert!(error < 0.05, "{found:e}, not {expected:e}");
    }
}
