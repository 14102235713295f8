//! Why the texts of a task cannot be had.

use std::path::PathBuf;

use thiserror::Error;

use super::locate::GlueFilesError;
use crate::input::InputError;
use crate::tasks::text::TokenizerError;

/// Why texts cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A line is not as its task has it.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A row of a Parquet file is not as its task has it.
    #[error("{path}: row {row}: {problem}")]
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// What is wrong.
        problem: String,
    },
    /// A Parquet file lacks a column of its task.
    #[error("{path}: the column `{name}` of {task} is missing; the file has {found}")]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        name: &'static str,
        /// The task.
        task: &'static str,
        /// Columns of the file.
        found: String,
    },
    /// The files cannot be found.
    #[error(transparent)]
    Files(#[from] GlueFilesError),
    /// A file of another kind.
    #[error("{path}: not a .jsonl, .tsv or .parquet file")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// The texts cannot be turned into token ids.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}
