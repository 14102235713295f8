//! What is known of a pipeline's training: `pretraining.json` and `losses.csv` in its folder.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::settings::PipelineSettings;

/// Points of a loss curve.
const POINTS: usize = 100;

/// How a pipeline was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PretrainingRecord {
    /// Hash of settings and images.
    pub key: String,
    /// Version of infbench.
    pub version: String,
    /// The settings.
    pub settings: PipelineSettings,
    /// Captioned images trained on.
    pub images: usize,
    /// Further images that the autoencoder was trained on.
    pub autoencoder_only: usize,
    /// The autoencoder.
    pub autoencoder: StageRecord,
    /// Peak signal-to-noise ratio of the images held out that went through the autoencoder and back, dB.
    pub psnr: f64,
    /// UNet and text encoder.
    pub denoiser: StageRecord,
    /// Timesteps of `held_out_losses`.
    pub timesteps: Vec<usize>,
    /// Mean loss of the images held out at each of the timesteps.
    pub held_out_losses: Vec<f64>,
}

/// A stage of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Parameters.
    pub parameters: usize,
    /// Wall time of the last run, which a state on disk may have shortened.
    pub seconds: f64,
    /// Step at the end of each of at most 100 parts of the training.
    pub steps: Vec<usize>,
    /// Mean loss of each part.
    pub losses: Vec<f64>,
}

impl StageRecord {
    /// Of the losses of all steps.
    pub(super) fn new(parameters: usize, seconds: f64, losses: &[f32]) -> Self {
        let part = losses.len().div_ceil(POINTS).max(1);
        let mean = |part: &[f32]| {
            part.iter().map(|&loss| f64::from(loss)).sum::<f64>() / part.len() as f64
        };
        let ends = (1..=losses.len().div_ceil(part)).map(|end| (end * part).min(losses.len()));
        Self {
            parameters,
            seconds,
            steps: ends.collect(),
            losses: losses.chunks(part).map(mean).collect(),
        }
    }
}

impl PretrainingRecord {
    /// The loss curves: `stage,step,loss`.
    pub fn curves(&self) -> String {
        let mut text = "stage,step,loss\n".to_owned();
        for (name, stage) in [("autoencoder", &self.autoencoder), ("unet", &self.denoiser)] {
            for (step, loss) in stage.steps.iter().zip(&stage.losses) {
                let _ = writeln!(text, "{name},{step},{loss}");
            }
        }
        text
    }
}
