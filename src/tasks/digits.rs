//! Real data: the 1,797 handwritten digits (8×8) of the UCI optical recognition set, in patches.
//!
//! With `classes: new` the base is pretrained on every image of 0–4 and fine-tuned on 5–9. With
//! `classes: all` training, query and pretraining images are disjoint: the base is pretrained on the
//! digits 0–4 among the images that are neither training nor query examples.

use std::path::Path;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smartcore::dataset::digits;

use super::error::{TaskError, require};
use super::flip;
use super::task::Task;
use crate::data::Reads;
use crate::data::{Inputs, Split, Targets, TaskData, Truth};
use crate::input::Problem;
use crate::random;

/// Side of an image in pixels.
const SIDE: usize = 8;
/// Digits below this one are pretrained on.
const FIRST_NEW: usize = 5;

/// Handwritten digits. The base model is pretrained on 0–4 (`pretrain` of the model), frozen, and
/// LoRA-fine-tuned on other digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DigitsTask {
    /// Fine-tune on the digits 5–9 (`new`) or on all ten (`all`).
    pub classes: DigitClasses,
    /// Training examples; `new` has 896 digits, `all` has 1,797, shared with `query`.
    #[schemars(range(min = 1, max = 1796))]
    pub train: usize,
    /// Query (validation) examples.
    #[schemars(range(min = 1, max = 1796))]
    pub query: usize,
    /// Side of a square patch in pixels: 1, 2, 4 or 8; an image becomes (8/side)² tokens.
    pub patch: usize,
    /// Share of the training labels flipped uniformly to another class.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
}

/// Which digits are fine-tuned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DigitClasses {
    /// 5–9: five classes that the pretraining has not seen.
    New,
    /// All ten.
    All,
}

impl Default for DigitsTask {
    fn default() -> Self {
        Self {
            classes: DigitClasses::New,
            train: 600,
            query: 200,
            patch: 2,
            flip: 0.2,
        }
    }
}

impl Task for DigitsTask {
    fn reads(&self) -> Reads {
        Reads::Vectors
    }

    fn train(&self) -> Option<usize> {
        Some(self.train)
    }

    fn flip(&self) -> f64 {
        self.flip
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        if ![1, 2, 4, 8].contains(&self.patch) {
            let text = format!(
                "{} is not the side of a patch; allowed: 1, 2, 4, 8",
                self.patch
            );
            return Some(("patch", Problem::new(text)));
        }
        let available = match self.classes {
            DigitClasses::New => 896,
            DigitClasses::All => 1797,
        };
        let asked = self.train + self.query;
        (asked > available).then(|| {
            let text =
                format!("train + query = {asked} is more than the {available} digits there are");
            ("train", Problem::new(text))
        })
    }

    fn build(&self, _: Option<&Path>, seed: u64) -> Result<TaskData, TaskError> {
        build(self, seed)
    }
}

/// The examples; the same for the same settings and seed.
///
/// # Errors
/// When a size is 0, the patches do not tile the image, or more examples are asked for than there are.
pub fn build(config: &DigitsTask, seed: u64) -> Result<TaskData, TaskError> {
    require("task.train", config.train, 1)?;
    require("task.query", config.query, 1)?;
    if !SIDE.is_multiple_of(config.patch) {
        return Err(TaskError::Patch {
            found: config.patch,
        });
    }
    let images = digits::load_dataset();
    let digit = |index: usize| images.target[index] as usize;
    let (first, classes) = match config.classes {
        DigitClasses::New => (FIRST_NEW, 10 - FIRST_NEW),
        DigitClasses::All => (0, 10),
    };
    let mut order: Vec<usize> = (0..images.num_samples)
        .filter(|&index| digit(index) >= first)
        .collect();
    let available = order.len();
    if config.train + config.query > available {
        return Err(TaskError::NotEnough {
            train: config.train,
            query: config.query,
            available,
        });
    }
    order.shuffle(&mut random::rng(seed, "digits", "split"));
    let (train, rest) = order.split_at(config.train);
    let (query, unused) = rest.split_at(config.query);
    let mut old: Vec<usize> = match config.classes {
        DigitClasses::New => (0..images.num_samples)
            .filter(|&index| digit(index) < FIRST_NEW)
            .collect(),
        DigitClasses::All => unused
            .iter()
            .copied()
            .filter(|&index| digit(index) < FIRST_NEW)
            .collect(),
    };
    old.sort_unstable();
    let split = |indices: &[usize], labels: Vec<usize>| Split {
        inputs: Inputs::Features {
            values: indices
                .iter()
                .flat_map(|&index| {
                    patches(
                        &images.data[index * SIDE * SIDE..][..SIDE * SIDE],
                        config.patch,
                    )
                })
                .collect(),
            tokens: (SIDE / config.patch).pow(2),
            features: config.patch.pow(2),
        },
        targets: Targets::Classes(labels),
    };
    let classes_of = |indices: &[usize]| -> Vec<usize> {
        indices.iter().map(|&index| digit(index) - first).collect()
    };
    let (train_classes, query_classes) = (classes_of(train), classes_of(query));
    let mut labels = train_classes.clone();
    let flipped = flip::flip(
        &mut labels,
        classes,
        config.flip,
        &mut random::rng(seed, "digits", "flip"),
    );
    let old_labels = old.iter().map(|&index| digit(index)).collect();
    Ok(TaskData {
        train: split(train, labels),
        query: split(query, query_classes.clone()),
        pretrain: (!old.is_empty()).then(|| (split(&old, old_labels), FIRST_NEW)),
        classes,
        passed_over: 0,
        tuning: None,
        texts: None,
        images: None,
        truth: Truth {
            flipped: (config.flip > 0.0).then_some(flipped),
            train_classes: Some(train_classes),
            query_classes: Some(query_classes),
        },
    })
}

/// The patches of an image from left to right and top to bottom, each row-major; pixels 0–16 become 0–1.
fn patches(image: &[f32], patch: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(SIDE * SIDE);
    for top in (0..SIDE).step_by(patch) {
        for left in (0..SIDE).step_by(patch) {
            for row in top..top + patch {
                values.extend(
                    image[row * SIDE + left..][..patch]
                        .iter()
                        .map(|pixel| pixel / 16.0),
                );
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(split: &Split) -> Vec<Vec<u32>> {
        let Inputs::Features { values, .. } = &split.inputs else {
            panic!("features")
        };
        values
            .chunks_exact(64)
            .map(|image| image.iter().map(|value| value.to_bits()).collect())
            .collect()
    }

    #[test]
    fn splits_are_disjoint_and_reproducible() {
        for classes in [DigitClasses::New, DigitClasses::All] {
            let config = DigitsTask {
                classes,
                ..DigitsTask::default()
            };
            let data = build(&config, 1).unwrap();
            assert_eq!(data, build(&config, 1).unwrap());
            assert_ne!(data.train, build(&config, 2).unwrap().train);
            let mut all = examples(&data.train);
            all.extend(examples(&data.query));
            all.extend(examples(&data.pretrain.as_ref().unwrap().0));
            let total = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), total, "an image stands in two splits");
            assert_eq!(
                data.truth
                    .flipped
                    .unwrap()
                    .iter()
                    .filter(|&&flipped| flipped)
                    .count(),
                120
            );
            assert!(
                data.query
                    .targets
                    .classes()
                    .iter()
                    .all(|&label| label < data.classes)
            );
        }
    }

    #[test]
    fn new_digits_are_896_and_old_901() {
        let data = build(
            &DigitsTask {
                train: 895,
                query: 1,
                ..DigitsTask::default()
            },
            1,
        )
        .unwrap();
        let (old, classes) = data.pretrain.unwrap();
        assert_eq!((old.len(), classes, data.classes), (901, 5, 5));
        let error = build(
            &DigitsTask {
                train: 896,
                query: 1,
                ..DigitsTask::default()
            },
            1,
        )
        .unwrap_err();
        assert_eq!(
            error,
            TaskError::NotEnough {
                train: 896,
                query: 1,
                available: 896
            }
        );
    }

    #[test]
    fn patches_tile_the_image() {
        let image: Vec<f32> = (0..64).map(|pixel| pixel as f32 * 16.0).collect();
        assert_eq!(
            patches(&image, 4)[..8],
            [0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 10.0, 11.0]
        );
        assert_eq!(patches(&image, 4)[16], 4.0);
        let mut sorted = patches(&image, 2);
        sorted.sort_by(f32::total_cmp);
        assert_eq!(
            sorted,
            (0..64).map(|pixel| pixel as f32).collect::<Vec<_>>()
        );
        assert_eq!(
            build(
                &DigitsTask {
                    patch: 3,
                    ..DigitsTask::default()
                },
                1
            ),
            Err(TaskError::Patch { found: 3 })
        );
    }
}
