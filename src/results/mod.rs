//! The versioned record, its files, and the environment it ran in.
//!
//! In: what the runner found of a cell ([`record::Record`]) or of a theory experiment ([`theory::TheoryResults`]). Out:
//! `cells/*.json`, `records.jsonl`, `results.csv` and `theory.json`, read back by [`crate::report`]; and where two
//! results differ ([`difference`]).

pub mod difference;
pub mod environment;
pub mod files;
pub mod merge;
pub mod methods;
mod packed;
pub mod record;
pub mod theory;
mod tidy;

pub use files::{ResultsDir, ResultsError, load};
pub use record::Record;
