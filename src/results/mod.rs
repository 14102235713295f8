//! The versioned record, its files, and the environment it ran in.

pub mod decomposition;
pub mod difference;
pub mod environment;
pub mod files;
pub mod methods;
pub mod record;
pub mod theory;
mod tidy;

pub use files::{ResultsDir, ResultsError, load};
pub use record::Record;
