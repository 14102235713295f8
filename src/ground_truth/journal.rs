//! Finished retrainings on disk, a small file each.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::Outcome;
use crate::atomic;

/// A folder of outcomes, or none.
#[derive(Clone, Debug)]
pub struct Journal(Option<PathBuf>);

impl Journal {
    /// In the folder `retraining-<key>` of a cache.
    pub fn new(cache: Option<&Path>, key: &str) -> Self {
        Self(cache.map(|cache| cache.join(format!("retraining-{key}"))))
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
        self.0
            .as_ref()
            .map(|folder| folder.join(format!("{name}.safetensors")))
    }

    /// An outcome for m queries, when it is there and whole.
    pub fn read(&self, name: &str, m: usize) -> Option<Outcome> {
        let bytes = std::fs::read(self.path(name)?).ok()?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
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
        (outcome.losses.len() == m).then_some(outcome)
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
        let file = safetensors::serialize(views, None).map_err(|e| e.to_string())?;
        atomic::write(&path, &file).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_return_bit_by_bit_and_broken_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(Some(folder.path()), "k");
        let outcome = Outcome {
            losses: vec![0.1, 1.0 / 3.0, 2e-300],
            accuracy: vec![],
        };
        let name = Journal::name(&[true, false], 7, false);
        assert_eq!(journal.read(&name, 3), None);
        journal.write(&name, &outcome).unwrap();
        assert_eq!(journal.read(&name, 3), Some(outcome));
        assert_eq!(journal.read(&name, 2), None);
        let path = folder
            .path()
            .join(format!("retraining-k/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(journal.read(&name, 3), None);
        assert_ne!(name, Journal::name(&[true, false], 7, true));
        assert_ne!(name, Journal::name(&[true, true], 7, false));
        assert_ne!(name, Journal::name(&[true, false], 8, false));
    }
}
