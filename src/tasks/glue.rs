//! GLUE (Wang et al., 2019): real sentences and pairs of sentences with two classes, from files.
//!
//! Training labels are flipped, query labels are not. Without `train` and `query` a task with more than
//! 4,500 training and more than 500 query examples is drawn down to these sizes, and any other is taken
//! whole, as in the paper. Drawn examples keep the order of their file. A folder without validation file gives the query examples of its training
//! file, which are then no training examples.

pub mod files;
mod parquet;

use rand::seq::SliceRandom;

use self::files::{Example, Rows};
use super::text::{Encoder, Texts};
use super::{TaskError, flip, require};
use crate::config::CheckpointConfig;
use crate::config::glue_files::GlueFiles;
use crate::config::task::GlueTask;
use crate::data::{Split, Targets, TaskData, Truth};
use crate::random;

pub use files::TextError;

/// Classes of every task here.
pub const CLASSES: usize = 2;
/// Training examples of a large task when the settings do not say.
const TRAIN: usize = 4500;
/// Query examples of a large task when the settings do not say.
const QUERY: usize = 500;

/// Whether the paper takes a part of a task only: both of its splits are larger than the parts.
fn is_large(train: usize, query: usize) -> bool {
    train > TRAIN && query > QUERY
}

/// The examples of a GLUE task as token ids of the checkpoint's tokenizer.
///
/// # Errors
/// Files that are missing or not understood, more examples asked for than there are, a tokenizer that
/// does not fit the checkpoint.
pub fn build(
    config: &GlueTask,
    checkpoint: &CheckpointConfig,
    seed: u64,
) -> Result<TaskData, TaskError> {
    require("task.max_length", config.max_length, 8)?;
    let found = GlueFiles::find(&config.path, config.task).map_err(TextError::from)?;
    let Rows {
        examples: train,
        mut passed_over,
    } = files::read_all(&found.train, config.task)?;
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
            let rows = files::read_all(&paths, config.task)?;
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
    let encoder = Encoder::open(checkpoint.folder(), config.max_length).map_err(TextError::from)?;
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
