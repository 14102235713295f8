//! The versioned record, its files, and the environment it ran in.

pub mod record;

pub use record::Record;
