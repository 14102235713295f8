//! What training has come to: weights, their moving average, the moments of AdamW, and the losses so far; on disk, so that
//! a run that was ended goes on with the same numbers.

use std::path::Path;

use super::error::PretrainingError;
use crate::finetune::optimizer::Moments;
use crate::models::files;
use crate::models::parameter::{Array, Weights};

/// Losses of the steps so far.
const LOSSES: &str = "losses";

/// See the [module](self); lists are in the order of the parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    /// The weights.
    pub values: Vec<Vec<f32>>,
    /// Their moving average.
    pub average: Vec<Vec<f32>>,
    /// First and second moments.
    pub moments: Moments,
    /// Mean loss of every step so far.
    pub losses: Vec<f32>,
}

impl State {
    /// At the start.
    pub fn new(values: Vec<Vec<f32>>) -> Self {
        Self {
            average: values.clone(),
            moments: Moments::zeros(values.iter().map(Vec::len)),
            losses: Vec::new(),
            values,
        }
    }

    /// The lists by the names of their files' tensors.
    fn lists(&self) -> [(&'static str, &[Vec<f32>]); 4] {
        [
            ("weight", &self.values),
            ("average", &self.average),
            ("first", &self.moments.first),
            ("second", &self.moments.second),
        ]
    }

    /// Writes it whole or not at all; `key` goes along.
    pub fn save(&self, path: &Path, key: &str) -> Result<(), PretrainingError> {
        let mut weights = Weights::new();
        let array = |values: &[f32]| Array {
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        for (kind, list) in self.lists() {
            for (index, values) in list.iter().enumerate() {
                weights.insert(format!("{kind}.{index}"), array(values));
            }
        }
        weights.insert(LOSSES.to_owned(), array(&self.losses));
        Ok(files::save(path, &weights, ("pretraining", key))?)
    }

    /// What a file holds for parameters like those of `self`; nothing when there is none, or it is of other parameters.
    pub fn load(&self, path: &Path) -> Result<Option<Self>, PretrainingError> {
        if !path.is_file() {
            return Ok(None);
        }
        let mut weights = files::load(path)?;
        let mut of = |kind: &str| -> Option<Vec<Vec<f32>>> {
            let lists = self.values.iter().enumerate();
            let list = lists.map(|(index, own)| {
                let found = weights.remove(&format!("{kind}.{index}"))?;
                (found.values.len() == own.len()).then_some(found.values)
            });
            list.collect()
        };
        let lists = (of("weight"), of("average"), of("first"), of("second"));
        let losses = weights.remove(LOSSES);
        let (Some(values), Some(average), Some(first), Some(second), Some(losses)) =
            (lists.0, lists.1, lists.2, lists.3, losses)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            values,
            average,
            moments: Moments { first, second },
            losses: losses.values,
        }))
    }
}
