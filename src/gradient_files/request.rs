//! What is asked of `infbench gradients`.

use std::path::{Path, PathBuf};

use super::task::{GradientTask, ImageOptions};
use crate::checkpoints::hub::Hub;
use crate::device::DeviceChoice;
use crate::gradients::settings::GradientType;
use crate::gradients::token_list::token_file;
use crate::models::Loading;

/// What is asked.
#[derive(Clone, Debug)]
pub struct GradientRequest {
    /// Folder of the checkpoint, or its id on the hub.
    pub model: PathBuf,
    /// Branch, tag or commit of a model on the hub.
    pub revision: Option<String>,
    /// Where ids are looked up.
    pub hub: Hub,
    /// Folder of an adapter in PEFT's layout, or a LoRA file of diffusers; without one the gradients are the head's
    /// alone.
    pub adapter: Option<PathBuf>,
    /// Whether gradients are taken of every weight matrix that is trained in full, not of the classifier's last alone.
    pub modules_to_save: bool,
    /// The task, which names the fields of the examples.
    pub task: GradientTask,
    /// Settings of the task `images`.
    pub images: ImageOptions,
    /// Examples: .jsonl, .parquet or .tsv.
    pub examples: PathBuf,
    /// Longest sequence in tokens, special ones included.
    pub max_length: usize,
    /// Where the gradients go; the rest goes beside them as `.json`.
    pub out: PathBuf,
    /// Where Kronecker factors go, if they are wanted.
    pub factors: Option<PathBuf>,
    /// Where gradients at sampled labels go, if they are wanted; their factors go beside them, see
    /// [`sampled_factors`].
    pub sampled: Option<PathBuf>,
    /// Where the gradients of every target token go, if they are wanted; the list of the tokens goes beside them as
    /// `.json` ([`token_file`]).
    pub per_token: Option<PathBuf>,
    /// What labels are drawn from.
    pub seed: u64,
    /// Type of the numbers in the files.
    pub dtype: GradientType,
    /// How the model's weights are held and multiplied with.
    pub loading: Loading,
    /// Where they are computed.
    pub device: DeviceChoice,
}

impl GradientRequest {
    /// Every file that is written.
    pub(super) fn outputs(&self) -> Vec<PathBuf> {
        let mut all = vec![self.out.clone(), self.out.with_extension("json")];
        all.extend(self.factors.clone());
        if let Some(sampled) = &self.sampled {
            all.extend([sampled.clone(), sampled_factors(sampled)]);
        }
        if let Some(per_token) = &self.per_token {
            all.extend([per_token.clone(), token_file(per_token)]);
        }
        all
    }
}

/// Where the factors of sampled gradients go: `S.factors.safetensors` beside `S.safetensors`.
pub fn sampled_factors(gradients: &Path) -> PathBuf {
    gradients.with_extension("factors.safetensors")
}
