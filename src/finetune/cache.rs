//! Pretrained bases and fine-tuned adapters on disk, by the hash of everything that decides them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::FinetuneError;
use crate::atomic;
use crate::models::files::{self, WeightFileError};
use crate::models::parameter::Weights;
use crate::tasks::{Inputs, Split};

/// Raised when training, initialisation or naming changes its numbers: older files are then left alone.
pub const LAYOUT: u32 = 3;

/// Collects what decides a result into a key.
pub struct Key(blake3::Hasher);

impl Key {
    /// A key for results of this kind.
    pub fn new(kind: &str) -> Self {
        let mut key = Self(blake3::Hasher::new());
        key.0.update(&LAYOUT.to_le_bytes());
        key.text(kind);
        key
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// Settings, in full.
    pub fn settings(&mut self, settings: &impl Serialize) {
        self.text(
            &serde_json::to_string(settings)
                .expect("settings are maps with text keys and finite numbers"),
        );
    }

    /// Examples: inputs and labels.
    pub fn split(&mut self, split: &Split) {
        match &split.inputs {
            Inputs::Tokens {
                ids,
                types,
                vocabulary,
                max_length,
            } => {
                self.numbers(&[*vocabulary, *max_length, ids.len()]);
                for ids in ids.iter().chain(types) {
                    self.numbers(&[ids.len()]);
                    ids.iter().for_each(|id| {
                        self.0.update(&id.to_le_bytes());
                    });
                }
            }
            Inputs::Features {
                values,
                tokens,
                features,
            } => {
                self.numbers(&[*tokens, *features, values.len()]);
                values.iter().for_each(|value| {
                    self.0.update(&value.to_le_bytes());
                });
            }
            Inputs::Activations { rows, width, layer } => {
                self.numbers(&[*width, *layer, rows.len()]);
                for row in rows {
                    self.numbers(&[row.len()]);
                    row.iter().for_each(|value| {
                        self.0.update(&value.to_le_bytes());
                    });
                }
            }
        }
        self.numbers(&split.labels);
    }

    fn numbers(&mut self, numbers: &[usize]) {
        numbers.iter().for_each(|&number| {
            self.0.update(&(number as u64).to_le_bytes());
        });
    }

    /// 32 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().to_hex()[..32].to_owned()
    }
}

/// A folder of results, or none.
#[derive(Clone, Copy, Debug)]
pub struct Cache<'a>(pub Option<&'a Path>);

impl Cache<'_> {
    fn paths(&self, kind: &str, key: &str) -> Option<(PathBuf, PathBuf)> {
        self.0.map(|folder| {
            (
                folder.join(format!("{kind}-{key}.safetensors")),
                folder.join(format!("{kind}-{key}.json")),
            )
        })
    }

    /// The weights and the facts beside them, if both are there.
    ///
    /// # Errors
    /// When they are there but cannot be read.
    pub fn read<F: DeserializeOwned>(
        &self,
        kind: &str,
        key: &str,
    ) -> Result<Option<(Weights, F)>, FinetuneError> {
        let Some((weights, facts)) = self
            .paths(kind, key)
            .filter(|(weights, facts)| weights.exists() && facts.exists())
        else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(&facts).map_err(|source| WeightFileError::Io {
            path: facts.clone(),
            source,
        })?;
        let facts = serde_json::from_str(&text).map_err(|source| FinetuneError::Facts {
            path: facts,
            source,
        })?;
        Ok(Some((files::load(&weights)?, facts)))
    }

    /// Writes the weights, then the facts; each atomically, so that a reader finds both or neither.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(
        &self,
        kind: &str,
        key: &str,
        weights: &Weights,
        facts: &impl Serialize,
    ) -> Result<(), FinetuneError> {
        let Some((weights_path, facts_path)) = self.paths(kind, key) else {
            return Ok(());
        };
        let about = format!("{kind} {key}, layout {LAYOUT}");
        files::save(&weights_path, weights, ("infbench", &about))?;
        let text = serde_json::to_vec_pretty(facts).map_err(|source| FinetuneError::Facts {
            path: facts_path.clone(),
            source,
        })?;
        atomic::write(&facts_path, &text).map_err(|source| WeightFileError::Io {
            path: facts_path,
            source,
        })?;
        Ok(())
    }
}
