//! Files of what some methods need beside the gradients.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::error::ScoreError;
use crate::gradients::checkpoints::Checkpoint;
use crate::gradients::factors::KroneckerFactors;
use crate::gradients::hessian::Hessians;
use crate::gradients::store::GradientStore;
use crate::influence::OwnedCompanions;
use crate::input::{expand_home, quote};

/// Files of what some methods need beside the gradients; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CompanionFiles {
    /// Kronecker factors: `NAME.inputs` and `NAME.outputs` of every tensor.
    pub factors: Option<PathBuf>,
    /// The same at labels drawn from the model's predictions.
    pub sampled: Option<SampledFiles>,
    /// Second derivatives of the mean training loss: a `[d, d]` tensor for every tensor of the gradients.
    pub hessian: Option<PathBuf>,
    /// Gradients along the fine-tune.
    pub checkpoints: Vec<CheckpointFiles>,
}

/// `G:F`: gradients at sampled labels, and their factors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SampledFiles {
    /// The gradients.
    pub gradients: PathBuf,
    /// Their Kronecker factors.
    pub factors: PathBuf,
}

/// `LR:TRAIN:QUERY`: gradients at a checkpoint, and its learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckpointFiles {
    /// η.
    pub learning_rate: f64,
    /// Training gradients there.
    pub train: PathBuf,
    /// Query gradients there.
    pub query: PathBuf,
}

impl FromStr for SampledFiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split(':').collect::<Vec<_>>()[..] {
            [gradients, factors] if !gradients.is_empty() && !factors.is_empty() => Ok(Self {
                gradients: expand_home(gradients.as_ref()),
                factors: expand_home(factors.as_ref()),
            }),
            _ => Err("expected GRADIENTS:FACTORS, two files without `:` in their names".to_owned()),
        }
    }
}

impl FromStr for CheckpointFiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [rate, train, query] = text.split(':').collect::<Vec<_>>()[..] else {
            let form = "expected LR:TRAIN:QUERY, a number and two files without `:` in their names";
            return Err(form.to_owned());
        };
        match rate.parse() {
            Ok(learning_rate) if f64::is_finite(learning_rate) && learning_rate >= 0.0 => {
                Ok(Self {
                    learning_rate,
                    train: expand_home(train.as_ref()),
                    query: expand_home(query.as_ref()),
                })
            }
            _ => Err(format!(
                "the learning rate is `{}`, expected a finite number, at least 0",
                quote(rate)
            )),
        }
    }
}

impl CompanionFiles {
    /// Every file.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let sampled = self.sampled.iter();
        let checkpoints = self.checkpoints.iter();
        self.factors
            .iter()
            .chain(&self.hessian)
            .chain(sampled.flat_map(|files| [&files.gradients, &files.factors]))
            .chain(checkpoints.flat_map(|files| [&files.train, &files.query]))
    }

    /// Opens every file.
    pub(super) fn open(&self) -> Result<OwnedCompanions, ScoreError> {
        let checkpoint = |files: &CheckpointFiles| -> Result<Checkpoint, ScoreError> {
            Ok(Checkpoint {
                learning_rate: files.learning_rate,
                train: GradientStore::open(&files.train)?,
                query: GradientStore::open(&files.query)?,
            })
        };
        let mut opened = OwnedCompanions::default();
        if let Some(path) = &self.factors {
            opened.factors = Some(KroneckerFactors::load(path)?);
        }
        if let Some(files) = &self.sampled {
            let gradients = GradientStore::open(&files.gradients)?;
            opened.sampled = Some((gradients, KroneckerFactors::load(&files.factors)?));
        }
        if let Some(path) = &self.hessian {
            opened.hessians = Some(Hessians::load(path)?);
        }
        let checkpoints = self.checkpoints.iter().map(checkpoint);
        opened.checkpoints = checkpoints.collect::<Result<_, _>>()?;
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_from_one_argument() {
        let sampled: SampledFiles = "a/G.safetensors:F.safetensors".parse().unwrap();
        assert_eq!(sampled.factors, PathBuf::from("F.safetensors"));
        let checkpoint: CheckpointFiles = "3e-4:T:Q".parse().unwrap();
        assert_eq!(
            (checkpoint.learning_rate, checkpoint.train),
            (3e-4, PathBuf::from("T"))
        );
        for text in ["G", "G:", "G:F:H"] {
            let error = text.parse::<SampledFiles>().unwrap_err();
            assert!(error.starts_with("expected GRADIENTS:FACTORS"), "{text}");
        }
        assert!("1:T".parse::<CheckpointFiles>().is_err());
        for text in ["-1:T:Q", "nan:T:Q", "T:1:Q"] {
            let error = text.parse::<CheckpointFiles>().unwrap_err();
            assert!(error.starts_with("the learning rate is `"), "{text}");
        }
    }
}
