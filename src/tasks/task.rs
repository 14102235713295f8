//! What the rest of the program asks of a task, whichever it is.

use std::path::{Path, PathBuf};

use super::error::TaskError;
use super::image_folder::ImageSource;
use crate::data::{Reads, TaskData};
use crate::input::Problem;

/// The files that a task reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFiles<'a> {
    /// Name of the data set.
    pub name: &'static str,
    /// Where they are looked for, as in the settings.
    pub path: &'a Path,
}

/// A task, as its settings describe it.
pub trait Task {
    /// What a network must be able to read.
    fn reads(&self) -> Reads;

    /// Training examples n, where the settings alone tell.
    fn train(&self) -> Option<usize> {
        None
    }

    /// Share of the training labels that are flipped.
    fn flip(&self) -> f64 {
        0.0
    }

    /// The images of a task that [reads](Self::reads) such.
    fn images(&self) -> Option<ImageSource<'_>> {
        None
    }

    /// Whether examples have classes, so that a query's own class can be told from the others.
    fn has_classes(&self) -> bool {
        true
    }

    /// Longest sequence in tokens, special ones included, of a task that has texts.
    fn max_length(&self) -> Option<usize> {
        None
    }

    /// The first contradiction between its settings, with the field that it is about. Ranges of single fields are in
    /// the schema.
    fn problem(&self) -> Option<(&'static str, Problem)> {
        None
    }

    /// The files that it reads; `None` when it makes its examples itself.
    fn files(&self) -> Option<DataFiles<'_>> {
        self.images().map(|source| DataFiles {
            name: source.task,
            path: source.path,
        })
    }

    /// The folder in which its files are, once they have been looked up.
    ///
    /// # Errors
    /// Files that are not there, or images that cannot be used.
    fn find(&self) -> Result<PathBuf, TaskError> {
        self.images()
            .map_or_else(|| Ok(PathBuf::new()), |source| source.find())
    }

    /// The examples; the same for the same settings, files and seed. Texts become token ids by the tokenizer of the
    /// checkpoint in the folder `tokenizer`; tasks without texts do not look at it. [Images](Self::images) become
    /// examples by a pipeline only.
    ///
    /// # Errors
    /// Settings that ask for what the data does not have, files that cannot be read, texts without a tokenizer; a task
    /// that has no examples by itself.
    fn build(&self, _tokenizer: Option<&Path>, _seed: u64) -> Result<TaskData, TaskError> {
        Err(TaskError::NoExamples)
    }
}
