//! Units of work: the parts of an experiment that run by themselves, in any process on any host that sees the folder of
//! the results.
//!
//! pretraining of a base → fine-tune of a group of cells, slices of retrainings → scores of a cell → collection. What a
//! unit makes has a name by content (a record, an entry of the cache) and gets it whole or not at all, so that nothing is
//! locked: two processes that do the same unit write the same.
//!
//! In: a [`Plan`](crate::config::Plan). Out: its units ([`list`]) with what they need and take; and, by [`Worker`], the unit's
//! files. `engines` hands them to a scheduler.

mod graph;
mod id;
pub mod report;
mod run;
mod shared;

pub use graph::{Cut, Unit, list};
pub use id::{Kind, UnitId};
pub use run::{Outcome, Worker};
