//! A Hugging Face checkpoint: settings and weights.
//!
//! Names are PyTorch's, with or without the family's prefix (`bert.`, `roberta.`, `model.`), and with the older
//! `gamma` and `beta` of layer normalisations.

use std::path::Path;

use thiserror::Error;

use super::huggingface::HuggingFaceConfig;
use super::parameter::Parameter;
use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::shards::{Naming, Shards, ShardsError};

/// Why a checkpoint cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Its settings.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// Its weights.
    #[error(transparent)]
    Weights(#[from] ShardsError),
}

/// An opened checkpoint; nothing of it has been copied yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// What config.json says.
    pub config: HuggingFaceConfig,
    shards: Shards,
}

impl Checkpoint {
    /// Maps the files of the checkpoint in `folder`.
    ///
    /// # Errors
    /// Settings that are not supported, missing or damaged files.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let config = HuggingFaceConfig::read(folder)?;
        let naming = Naming {
            stem: "model",
            prefix: config.family.prefix(),
            today,
        };
        let shards = Shards::open(folder, naming)?;
        Ok(Self { config, shards })
    }

    /// Whether every one of `parameters` is here with its shape.
    pub fn has(&self, parameters: &[Parameter]) -> bool {
        let has = |p: &Parameter| self.shards.has(&p.name, &p.slot.shape());
        parameters.iter().all(has)
    }

    /// Copies a parameter's numbers.
    ///
    /// # Errors
    /// When it is missing, has another shape, or is of a type that weights do not have.
    pub fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        Ok(self.shards.values(name, expected)?)
    }

    /// Fills `parameters` from the files, one at a time.
    ///
    /// # Errors
    /// See [`Self::values`].
    pub fn load(
        &self,
        parameters: Vec<Parameter>,
        device: &burn::tensor::Device,
    ) -> Result<(), CheckpointError> {
        Ok(load(&self.shards, parameters, device)?)
    }

    /// Hash of everything in the files that a model is made of.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", self.config).as_bytes());
        self.shards.feed(&mut hasher);
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Fills `parameters` from files, one at a time.
///
/// # Errors
/// When one is missing, has another shape, or is of a type that weights do not have.
pub fn load(
    shards: &Shards,
    parameters: Vec<Parameter>,
    device: &burn::tensor::Device,
) -> Result<(), ShardsError> {
    for mut parameter in parameters {
        let name = &parameter.name;
        let read = |shape: &[usize]| shards.values(name, shape);
        parameter.slot.replace(device, read)?;
    }
    Ok(())
}

/// The name of today of a layer normalisation's parameters.
fn today(name: &str) -> String {
    for (old, new) in [
        ("LayerNorm.gamma", "LayerNorm.weight"),
        ("LayerNorm.beta", "LayerNorm.bias"),
    ] {
        if let Some(start) = name.strip_suffix(old) {
            return format!("{start}{new}");
        }
    }
    name.to_owned()
}
