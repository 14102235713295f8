//! GLUE (Wang et al., 2019): real sentences and pairs of sentences with two classes, from files.
//!
//! Training labels are flipped, query labels are not. Without `train` and `query` a task with more than
//! 4,500 training and more than 500 query examples is drawn down to these sizes, and any other is taken
//! whole, as in the paper. Drawn examples keep the order of their file. A folder without validation file gives the query examples of its training
//! file, which are then no training examples.

mod error;
pub mod files;
mod locate;
mod name;
mod parquet;
mod rows;

use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::files::read_all;
use super::error::{TaskError, require};
use super::flip;
use super::task::{DataFiles, Task};
use super::text::{Encoder, Texts};
use crate::data::Reads;
use crate::data::{Split, Targets, TaskData, Truth};
use crate::random;

pub use self::error::TextError;
pub use self::locate::{GlueFiles, GlueFilesError};
pub use self::name::GlueName;
pub use self::rows::{Example, Rows};

/// Classes of every task here.
pub const CLASSES: usize = 2;
/// Training examples of a large task when the settings do not say.
const TRAIN: usize = 4500;
/// Query examples of a large task when the settings do not say.
const QUERY: usize = 500;

/// Real sentences and pairs of sentences with two classes: `task: {name: glue, task: mrpc, path: FOLDER}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlueTask {
    /// Which task.
    pub task: GlueName,
    /// Folder with `train` and `validation` (or `dev`) as .jsonl or .parquet (the hub's field names;
    /// shards as `train-00000-of-00001.parquet`) or .tsv (the original archive's), or a folder that
    /// holds the task's under a usual name: `mrpc`, `MRPC`, `glue_mrpc` or `glue_mrpc_*`. Relative to
    /// the folder that infbench is started in. Without a validation file the query examples are drawn
    /// from the training file.
    pub path: PathBuf,
    /// Training examples, drawn by the seed. Default: all; 4500 where there are more than 4500 and more
    /// than 500 query examples, as in the paper.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub train: Option<usize>,
    /// Query (validation) examples, drawn by the seed. Default: all; 500 where `train` is 4500 by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub query: Option<usize>,
    /// Share of the training labels flipped to the other class.
    #[serde(default = "glue_flip")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flip: f64,
    /// Longest sequence in tokens, special ones included; the longer text of a pair is cut first.
    #[serde(default = "glue_max_length")]
    #[schemars(range(min = 8))]
    pub max_length: usize,
}

/// The paper's share of flipped labels.
fn glue_flip() -> f64 {
    0.2
}

/// The paper's length.
fn glue_max_length() -> usize {
    128
}

impl Task for GlueTask {
    fn reads(&self) -> Reads {
        Reads::Texts
    }

    fn train(&self) -> Option<usize> {
        self.train
    }

    fn flip(&self) -> f64 {
        self.flip
    }

    fn max_length(&self) -> Option<usize> {
        Some(self.max_length)
    }

    fn files(&self) -> Option<DataFiles<'_>> {
        Some(DataFiles {
            name: self.task.name(),
            path: &self.path,
        })
    }

    fn find(&self) -> Result<PathBuf, TaskError> {
        let files = GlueFiles::find(&self.path, self.task).map_err(TextError::from)?;
        let first = files.train.first().and_then(|file| file.parent());
        Ok(first.unwrap_or(&self.path).to_owned())
    }

    fn build(&self, tokenizer: Option<&Path>, seed: u64) -> Result<TaskData, TaskError> {
        let Some(folder) = tokenizer else {
            return Err(TaskError::NoTokenizer);
        };
        build(self, folder, seed)
    }
}

/// Whether the paper takes a part of a task only: both of its splits are larger than the parts.
fn is_large(train: usize, query: usize) -> bool {
    train > TRAIN && query > QUERY
}

/// The examples of a GLUE task as token ids of the tokenizer in the folder `checkpoint`.
///
/// # Errors
/// Files that are missing or not understood, more examples asked for than there are, a tokenizer that
/// does not fit the checkpoint.
pub fn build(config: &GlueTask, checkpoint: &Path, seed: u64) -> Result<TaskData, TaskError> {
    require("task.max_length", config.max_length, 8)?;
    let found = GlueFiles::find(&config.path, config.task).map_err(TextError::from)?;
    let Rows {
        examples: train,
        mut passed_over,
    } = read_all(&found.train, config.task)?;
    let draw = |from: &[usize], count: usize, purpose: &str| -> Vec<usize> {
        let mut order = from.to_vec();
        if count < order.len() {
            order.shuffle(&mut random::rng(seed, "glue", purpose));
            order.truncate(count);
            order.sort_unstable();
        }
        order
    };
    let all: Vec<usize> = (0..train.len()).collect();
    let count = |asked: Option<usize>, large: bool, part: usize, available: usize| {
        asked.unwrap_or(if large {
            part.min(available)
        } else {
            available
        })
    };
    let (train, query): (Vec<Example>, Vec<Example>) = match found.validation {
        Some(paths) => {
            let rows = read_all(&paths, config.task)?;
            passed_over += rows.passed_over;
            let query = rows.examples;
            let large = is_large(train.len(), query.len());
            let counts = (
                count(config.train, large, TRAIN, train.len()),
                count(config.query, large, QUERY, query.len()),
            );
            enough("task.train", counts.0, train.len())?;
            enough("task.query", counts.1, query.len())?;
            let others: Vec<usize> = (0..query.len()).collect();
            (
                pick(&train, &draw(&all, counts.0, "train")),
                pick(&query, &draw(&others, counts.1, "query")),
            )
        }
        None => {
            let held_out = train.len() / 5;
            let large = is_large(train.len() - held_out, held_out);
            let queries = count(config.query, large, QUERY, held_out);
            enough("task.query", queries, train.len())?;
            let chosen = draw(&all, queries, "query");
            let rest: Vec<usize> = all
                .iter()
                .copied()
                .filter(|index| chosen.binary_search(index).is_err())
                .collect();
            let trained = count(config.train, large, TRAIN, rest.len());
            enough("task.train", trained, rest.len())?;
            (
                pick(&train, &draw(&rest, trained, "train")),
                pick(&train, &chosen),
            )
        }
    };
    let encoder = Encoder::open(checkpoint, config.max_length).map_err(TextError::from)?;
    let train_classes: Vec<usize> = train.iter().map(|example| example.label).collect();
    let query_classes: Vec<usize> = query.iter().map(|example| example.label).collect();
    let mut train = split(&encoder, &train)?;
    let flipped = flip::flip(
        train.targets.classes_mut(),
        CLASSES,
        config.flip,
        &mut random::rng(seed, "glue", "flip"),
    );
    Ok(TaskData {
        train,
        query: split(&encoder, &query)?,
        pretrain: None,
        classes: CLASSES,
        passed_over,
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

/// Token ids and labels of the examples, in order.
///
/// # Errors
/// See [`Encoder::encode`].
pub fn split(encoder: &Encoder, examples: &[Example]) -> Result<Split, TextError> {
    let texts: Vec<Texts> = examples
        .iter()
        .map(|example| (example.first.as_str(), example.second.as_deref()))
        .collect();
    Ok(Split {
        inputs: encoder.encode(&texts)?,
        targets: Targets::Classes(examples.iter().map(|example| example.label).collect()),
    })
}

fn enough(setting: &'static str, asked: usize, available: usize) -> Result<(), TaskError> {
    require(setting, asked, 1)?;
    if asked > available {
        return Err(TaskError::TooMany {
            setting,
            asked,
            available,
        });
    }
    Ok(())
}

fn pick(examples: &[Example], indices: &[usize]) -> Vec<Example> {
    indices
        .iter()
        .map(|&index| examples[index].clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paper_draws_from_tasks_that_are_large_in_both_splits() {
        // (train, validation): QQP and SST-2 are drawn from, MRPC and WNLI taken whole
        assert!(is_large(363_846, 40_430) && is_large(67_349, 872));
        assert!(!is_large(3668, 408) && !is_large(635, 71) && !is_large(2000, 5463));
    }
}
