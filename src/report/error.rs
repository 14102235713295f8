//! Why a report could not be written.

use std::path::PathBuf;

use thiserror::Error;

/// Why a report could not be written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// There is nothing to report.
    #[error("there are no records to report")]
    Empty,
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Results that lack what is asked of them.
    #[error("{0}")]
    Results(String),
    /// A figure could not be drawn.
    #[error("cannot draw a figure: {0}")]
    Drawing(String),
}
