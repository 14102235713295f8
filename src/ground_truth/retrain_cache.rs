//! Finished retrainings on disk, a small file each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::atomic;
use crate::finetune::Outcome;

/// A folder of outcomes, or none.
#[derive(Debug)]
pub struct RetrainCache {
    folder: Option<PathBuf>,
    /// Whether a damaged outcome has been met, which is said once.
    warned: AtomicBool,
}

/// Entry of a file's metadata that holds the hash of its numbers.
const DIGEST: &str = "blake3";

impl RetrainCache {
    /// In the folder `retraining-<key>` of a cache.
    pub fn new(cache: Option<&Path>, key: &str) -> Self {
        Self {
            folder: cache.map(|cache| cache.join(format!("retraining-{key}"))),
            warned: AtomicBool::new(false),
        }
    }

    /// Name of an outcome: the hash of what decides it.
    pub fn name(kept: &[bool], seed: u64, by_epoch: bool) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(&[u8::from(by_epoch)]);
        let bytes: Vec<u8> = kept.iter().map(|&kept| u8::from(kept)).collect();
        hasher.update(&bytes);
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.folder
            .as_ref()
            .map(|folder| folder.join(format!("{name}.safetensors")))
    }

    /// Whether the file of an outcome is there, whole or not.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_some_and(|path| path.exists())
    }

    /// An outcome for m queries, when it is there and whole. A damaged file counts as missing.
    pub fn read(&self, name: &str, m: usize) -> Option<Outcome> {
        let path = self.path(name)?;
        let bytes = std::fs::read(&path).ok()?;
        let outcome = parse(&bytes).filter(|outcome| outcome.losses.len() == m);
        if outcome.is_none() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{} is damaged: retrainings with damaged files are done again",
                path.display()
            );
        }
        outcome
    }

    /// Writes an outcome, whole or not at all.
    ///
    /// # Errors
    /// What the file system answers, as a sentence.
    pub fn write(&self, name: &str, outcome: &Outcome) -> Result<(), String> {
        let Some(path) = self.path(name) else {
            return Ok(());
        };
        let bytes =
            |numbers: &[f64]| -> Vec<u8> { numbers.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let parts = [("losses", &outcome.losses), ("accuracy", &outcome.accuracy)];
        let parts = parts.map(|(name, numbers)| (name, numbers.len(), bytes(numbers)));
        let views = parts.iter().map(|(name, length, bytes)| {
            let view = TensorView::new(Dtype::F64, vec![*length], bytes);
            (*name, view.expect("eight bytes a number"))
        });
        let metadata = HashMap::from([(DIGEST.to_owned(), digest(outcome))]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())?;
        atomic::write(&path, &file).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}

/// Hash of an outcome's numbers.
fn digest(outcome: &Outcome) -> String {
    let mut hasher = blake3::Hasher::new();
    for numbers in [&outcome.losses, &outcome.accuracy] {
        hasher.update(&(numbers.len() as u64).to_le_bytes());
        numbers.iter().for_each(|number| {
            hasher.update(&number.to_le_bytes());
        });
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The outcome in a file; files from before their numbers were hashed are taken as they are.
fn parse(bytes: &[u8]) -> Option<Outcome> {
    let file = SafeTensors::deserialize(bytes).ok()?;
    let numbers = |name: &str| -> Option<Vec<f64>> {
        let view = file
            .tensor(name)
            .ok()
            .filter(|view| view.dtype() == Dtype::F64)?;
        let (numbers, rest) = view.data().as_chunks::<8>();
        rest.is_empty()
            .then(|| numbers.iter().map(|b| f64::from_le_bytes(*b)).collect())
    };
    let outcome = Outcome {
        losses: numbers("losses")?,
        accuracy: numbers("accuracy")?,
    };
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let written = header
        .metadata()
        .as_ref()
        .and_then(|about| about.get(DIGEST));
    written
        .is_none_or(|written| *written == digest(&outcome))
        .then_some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_return_bit_by_bit_and_broken_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = RetrainCache::new(Some(folder.path()), "k");
        let outcome = Outcome {
            losses: vec![0.1, 1.0 / 3.0, 2e-300],
            accuracy: vec![],
        };
        let name = RetrainCache::name(&[true, false], 7, false);
        assert_eq!(cache.read(&name, 3), None);
        cache.write(&name, &outcome).unwrap();
        assert_eq!(cache.read(&name, 3), Some(outcome));
        assert_eq!(cache.read(&name, 2), None);
        let path = folder
            .path()
            .join(format!("retraining-k/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&bytes[..bytes.len() - 1], &[], &flipped] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache.read(&name, 3), None);
        }
        assert_ne!(name, RetrainCache::name(&[true, false], 7, true));
        assert_ne!(name, RetrainCache::name(&[true, true], 7, false));
        assert_ne!(name, RetrainCache::name(&[true, false], 8, false));
    }
}
