//! Influence methods: (F + λI)⁻¹ and its approximations, on plain matrices.
//!
//! The deep-learning framework stops at the gradients: nothing here imports it. [`damping()`] gives λ,
//! [`BlockLayout`] says what a block is, [`run_method`] computes scores; [`METHODS`] lists what there is. A
//! method is one file: its settings, its entry in the table, its [`InfluenceMethod`].

pub mod arnoldi;
mod block;
mod block_cg;
mod cholesky;
mod columns;
mod companions;
pub mod conjugate_gradient;
pub mod cost;
mod damping;
pub mod datainf;
mod dense;
pub mod diagonal_fisher;
pub mod eigenbasis;
pub mod ekfac;
mod element;
mod error;
mod evidence;
pub mod exact;
pub mod faithful;
mod few;
pub mod grad_cos;
pub mod hessian_free;
pub mod hyperinf;
mod kernels;
pub mod kfac;
mod krylov;
pub mod lanczos;
mod layout;
pub mod lissa;
pub mod logra;
mod low_rank;
mod method;
mod moments;
pub mod nystrom;
mod projection;
pub mod random_projection;
pub mod registry;
mod run;
mod sweep;
pub mod tracin;
pub mod true_hessian;

pub use block::Block;
pub use companions::{Companions, Need, OwnedCompanions, Sampled};
pub use damping::damping;
pub use error::InfluenceError;
pub use evidence::Evidence;
pub use layout::{BlockLayout, BlockShape, Segment};
pub use low_rank::Complement;
pub use method::{Applied, InfluenceMethod, Limit, METHODS, Method, Preconditioner};
pub use run::{Influence, Queries, RunOptions, run_method};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
