//! What a task of prompts and answers says of itself, and what it then is as a [`Task`].

use std::path::{Path, PathBuf};

use super::{CompletionSettings, Examples, build, files};
use crate::data::Reads;
use crate::data::TaskData;
use crate::input::Problem;
use crate::tasks::error::TaskError;
use crate::tasks::task::{DataFiles, Task};

/// A task of prompts and answers.
pub trait CompletionTask {
    /// Name in the settings.
    fn name(&self) -> &'static str;

    /// The settings that all of these tasks have.
    fn settings(&self) -> &CompletionSettings;

    /// Examples of its own, where the settings name no files.
    ///
    /// # Errors
    /// A task that has files only.
    fn generate(&self, seed: u64) -> Result<Examples, TaskError>;

    /// Changes examples that come from files.
    ///
    /// # Errors
    /// Examples that are not of the form that the change wants.
    fn edit(&self, _examples: &mut Examples) -> Result<(), TaskError> {
        Ok(())
    }

    /// As [`Task::problem`].
    fn contradiction(&self) -> Option<(&'static str, Problem)> {
        None
    }
}

impl<T: CompletionTask> Task for T {
    fn reads(&self) -> Reads {
        Reads::Prompts
    }

    fn train(&self) -> Option<usize> {
        self.settings().train()
    }

    fn flip(&self) -> f64 {
        0.0
    }

    fn max_length(&self) -> Option<usize> {
        Some(self.settings().max_length)
    }

    fn problem(&self) -> Option<(&'static str, Problem)> {
        self.contradiction()
    }

    fn files(&self) -> Option<DataFiles<'_>> {
        let path = self.settings().path.as_deref()?;
        Some(DataFiles {
            name: self.name(),
            path,
        })
    }

    fn find(&self) -> Result<PathBuf, TaskError> {
        let Some(path) = &self.settings().path else {
            return Ok(PathBuf::new());
        };
        let files = files::Files::find(path)?;
        Ok(files.train.parent().unwrap_or(path).to_owned())
    }

    fn build(&self, tokenizer: Option<&Path>, seed: u64) -> Result<TaskData, TaskError> {
        let Some(folder) = tokenizer else {
            return Err(TaskError::NoTokenizer);
        };
        let settings = self.settings();
        let examples = match &settings.path {
            Some(path) => {
                let mut examples = files::read(path, settings, seed)?;
                self.edit(&mut examples)?;
                examples
            }
            None => self.generate(seed)?,
        };
        build(examples, settings, folder)
    }
}
