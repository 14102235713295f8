//! Influence methods: (F + λI)⁻¹ and its approximations, on plain matrices.
//!
//! The deep-learning framework stops at the gradients: nothing here imports it. [`damping()`] gives λ,
//! [`BlockLayout`] says what a block is, [`run_method`] computes scores; [`METHODS`] lists what there is. A
//! method is one file: its settings, its entry in the table, its [`InfluenceMethod`].

mod block;
mod cholesky;
mod companions;
mod damping;
pub mod datainf;
pub mod diagonal_fisher;
pub mod eigenbasis;
pub mod ekfac;
mod element;
mod error;
mod evidence;
pub mod exact;
pub mod hessian_free;
mod kernels;
pub mod kfac;
mod layout;
pub mod lissa;
mod method;
mod moments;
pub mod registry;
mod run;
pub mod tracin;

pub use block::Block;
pub use companions::{Companions, Need, Sampled};
pub use damping::damping;
pub use error::InfluenceError;
pub use evidence::Evidence;
pub use layout::{BlockLayout, BlockShape, Segment};
pub use method::{Applied, InfluenceMethod, METHODS, Method, Preconditioner};
pub use run::{Influence, Queries, RunOptions, run_method};

#[cfg(test)]
mod tests;
