//! Units of work as jobs of an engine that places, retries and accounts for them: Slurm, HyperQueue.
//!
//! [`jobs`] makes one description for all engines: a job a kind of unit, short units packed into tasks, a request from
//! the forecast. An [`Engine`] writes it as the engine wants it and submits it; [`ledger`] remembers what was submitted
//! in the folder of the results; [`settle`] tells from the engine why tasks ended and submits again what ran out of time
//! or memory; [`status`] says where everything stands. There is no server and no scheduler of our own.

mod engine;
pub mod hyperqueue;
pub mod jobs;
pub mod ledger;
pub mod settle;
pub mod slurm;
pub mod status;
mod submit;
#[cfg(test)]
mod testing;

pub use engine::{Engine, EngineError, Placed, Task, TaskState, quoted};
pub use submit::{fitted, submit, written};
