//! What the check of a cell asks of files and of the hub: the seam behind which [`crate::resolve`] looks.
//!
//! Settings and files are checked in one order, so that the first thing that is wrong is what a user hears of. Nothing in
//! `config` looks itself.

use std::path::Path;

use super::TaskConfig;
use crate::input::Problem;
use crate::models::CheckpointConfig;
use crate::models::Model;

/// Dotted path of a setting, and what is wrong with it.
pub type Violation = (&'static str, Problem);

/// Looks up what settings name.
pub trait Resolve {
    /// Looks for the files of a task.
    ///
    /// # Errors
    /// Files that are not there.
    fn task(&mut self, task: &TaskConfig) -> Result<(), Violation>;

    /// Looks for a tokenizer in a folder.
    ///
    /// # Errors
    /// A folder without one.
    fn tokenizer(&mut self, folder: &Path) -> Result<(), Problem>;

    /// Looks for a checkpoint, keeps in `checkpoint` where it lies, and holds it against the task. The network that its
    /// config.json describes, without its weights; `None` where it is not looked at.
    ///
    /// # Errors
    /// A checkpoint that cannot be found or read, or whose sequences are shorter than the task's.
    fn checkpoint(
        &mut self,
        task: &TaskConfig,
        checkpoint: &mut CheckpointConfig,
    ) -> Result<Option<Model>, Violation>;
}

/// Looks at nothing: settings alone are checked.
#[derive(Clone, Copy, Debug)]
pub struct Unresolved;

impl Resolve for Unresolved {
    fn task(&mut self, _: &TaskConfig) -> Result<(), Violation> {
        Ok(())
    }

    fn tokenizer(&mut self, _: &Path) -> Result<(), Problem> {
        Ok(())
    }

    fn checkpoint(
        &mut self,
        _: &TaskConfig,
        _: &mut CheckpointConfig,
    ) -> Result<Option<Model>, Violation> {
        Ok(None)
    }
}
