//! Pretrained bases and fine-tuned adapters on disk, by the hash of everything that decides them.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::FinetuneError;
use crate::atomic;
use crate::checkpoints::TensorFileError;
use crate::data::{Inputs, Split, Targets};
use crate::input;
use crate::models::files::{self, WeightFileError};
use crate::models::parameter::Weights;

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
        self.bytes(text.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Settings, in full.
    pub fn settings(&mut self, settings: &impl Serialize) {
        self.text(
            &serde_json::to_string(settings)
                .expect("settings are maps with text keys and finite numbers"),
        );
    }

    /// Examples: inputs and targets.
    pub fn split(&mut self, split: &Split) {
        self.inputs(split);
        self.targets(&split.targets);
    }

    /// Examples that are trained on. What noise is drawn with gradients does not matter to a training step, which draws
    /// its own.
    pub fn trained_on(&mut self, split: &Split) {
        self.inputs(split);
        match &split.targets {
            Targets::Noise(targets) => {
                self.text("noise at every step");
                self.settings(&(targets.seeds.len(), &*targets.alphas, targets.prediction));
            }
            own => self.targets(own),
        }
    }

    fn inputs(&mut self, split: &Split) {
        match &split.inputs {
            Inputs::Tokens {
                ids,
                types,
                attended,
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
                self.attended(attended.as_deref());
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
            Inputs::Latents(latents) => {
                self.text("latents");
                self.numbers(&latents.shape);
                self.numbers(&latents.captions);
                if latents.mirrored.is_some() {
                    self.text("mirrored");
                }
                let moments = [&latents.moments].into_iter().chain(&latents.mirrored);
                let moments = moments
                    .flat_map(|moments| [&moments.means].into_iter().chain(&moments.deviations));
                for values in moments.chain(latents.texts.iter()) {
                    self.numbers(&[values.len()]);
                    self.0.update(bytemuck::cast_slice(values));
                }
            }
            Inputs::Activations {
                rows,
                attended,
                width,
                layer,
            } => {
                self.numbers(&[*width, *layer, rows.len()]);
                for row in rows {
                    self.numbers(&[row.len()]);
                    row.iter().for_each(|value| {
                        self.0.update(&value.to_le_bytes());
                    });
                }
                self.attended(attended.as_deref());
            }
        }
    }

    fn targets(&mut self, targets: &Targets) {
        match targets {
            Targets::Classes(labels) => self.numbers(labels),
            Targets::Tokens(targets) => {
                self.text("tokens");
                self.settings(&(targets.reduction, targets.measurement));
                for tokens in &targets.examples {
                    self.numbers(&[tokens.len()]);
                    for next in tokens {
                        self.numbers(&[next.position as usize, next.token as usize]);
                    }
                }
            }
            Targets::Noise(targets) => {
                self.text("noise");
                self.settings(&(&targets.seeds, &*targets.alphas, targets.prediction));
                self.settings(&targets.draws);
                for example in 0..targets.seeds.len() {
                    let timesteps = targets.of_views(example);
                    self.numbers(&timesteps.map(|(timestep, _)| timestep).collect::<Vec<_>>());
                }
                for given in targets.given.iter().flatten() {
                    self.0.update(bytemuck::cast_slice(&given.latents));
                    self.0.update(bytemuck::cast_slice(&given.noise));
                }
            }
        }
    }

    fn attended(&mut self, attended: Option<&[usize]>) {
        if let Some(attended) = attended {
            self.text("attended");
            self.numbers(attended);
        }
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

/// What the file beside the weights holds.
#[derive(Serialize, Deserialize)]
struct Stored<F> {
    /// [`digest`] of the weights.
    weights: String,
    facts: F,
}

/// Hash of names, shapes and numbers.
fn digest(weights: &Weights) -> String {
    let mut key = Key(blake3::Hasher::new());
    for (name, array) in weights {
        key.text(name);
        key.numbers(&[array.shape.len(), array.values.len()]);
        key.numbers(&array.shape);
        key.0.update(bytemuck::cast_slice(&array.values));
    }
    key.finish()
}

/// Weights and facts, or what is wrong with them.
fn read_whole<F: DeserializeOwned>(weights: &Path, facts: &Path) -> Result<(Weights, F), String> {
    let stored: Stored<F> = input::json(facts).map_err(|error| error.to_string())?;
    let found = files::load(weights).map_err(|error| error.to_string())?;
    if digest(&found) != stored.weights {
        let path = weights.display();
        return Err(format!("{path} has other numbers than were written"));
    }
    Ok((found, stored.facts))
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

    /// Whether the files of a result are there, whole or not.
    pub fn has(&self, kind: &str, key: &str) -> bool {
        let paths = self.paths(kind, key);
        paths.is_some_and(|(weights, facts)| weights.exists() && facts.exists())
    }

    /// The weights and the facts beside them, if both are there and whole. A damaged file counts as missing: a warning
    /// says so, and it is made anew.
    pub fn read<F: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<(Weights, F)> {
        let (weights, facts) = self.paths(kind, key).filter(|_| self.has(kind, key))?;
        match read_whole(&weights, &facts) {
            Ok(found) => Some(found),
            Err(reason) => {
                tracing::warn!("{reason}; this part of the cache is made anew");
                None
            }
        }
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
        let stored = Stored {
            weights: digest(weights),
            facts,
        };
        let text = serde_json::to_vec_pretty(&stored).map_err(|source| FinetuneError::Info {
            path: facts_path.clone(),
            source,
        })?;
        let written = atomic::write(&facts_path, &text);
        written
            .map_err(|error| WeightFileError::from(TensorFileError::write(&facts_path)(error)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::parameter::Array;

    #[test]
    fn what_is_damaged_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache(Some(folder.path()));
        let values = vec![1.0, -0.0, f32::from_bits(1)];
        let array = Array {
            shape: vec![3],
            values,
        };
        let weights = Weights::from([("a".to_owned(), array)]);
        let (about, numbers) = cache.paths("adapters", "k").map(|(w, f)| (f, w)).unwrap();
        let write = || cache.write("adapters", "k", &weights, &"facts").unwrap();
        let read = || cache.read::<String>("adapters", "k");
        assert!(read().is_none());
        write();
        let (found, facts) = read().unwrap();
        assert_eq!(
            (digest(&found), facts.as_str()),
            (digest(&weights), "facts")
        );
        let whole = [&about, &numbers].map(|path| std::fs::read(path).unwrap());
        for (path, whole) in [&about, &numbers].into_iter().zip(&whole) {
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 1;
            for damaged in [
                &[][..],
                &whole[..whole.len() / 2],
                &vec![0; whole.len()],
                &flipped,
            ] {
                write();
                assert!(read().is_some());
                std::fs::write(path, damaged).unwrap();
                assert!(read().is_none(), "{}: {damaged:?}", path.display());
            }
            write();
        }
        std::fs::remove_file(&about).unwrap();
        assert!(read().is_none());
    }
}
