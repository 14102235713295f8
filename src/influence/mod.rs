//! Influence methods: (F + λI)⁻¹ and its approximations, on plain matrices.
//!
//! In come stored gradients of training examples and queries ([`GradientStore`](crate::gradients::store::GradientStore)),
//! out go scores and what they cost. The deep-learning framework stops at the gradients: nothing here imports it.
//!
//! From the ground up: [`block`] is one block of gradients with the products, moments and λ that all methods share,
//! [`solve`] what inverts, [`methods`], [`compat`] and [`controls`] the methods, a file each, [`METHODS`] the table of them,
//! [`MethodSpec`] a method with its options as written, and [`run_method`] computes its scores.

pub mod block;
mod companions;
pub mod compat;
pub mod controls;
pub mod cost;
mod diagnostics;
mod error;
mod method;
pub mod methods;
pub mod registry;
mod run;
pub mod solve;
pub mod spec;
mod table;

pub use block::damping::damping;
pub use block::layout::{BlockLayout, BlockShape, Blocks, TensorSpan};
pub use block::precision::Precision;
pub use block::view::Block;
pub use companions::{Companions, Need, OwnedCompanions, Sampled};
pub use diagnostics::SolverDiagnostics;
pub use error::InfluenceError;
pub use method::{Applied, Control, InfluenceMethod, Limit, Preconditioner};
pub use run::{Influence, Parts, PreconditionedQueries, Queries, RunOptions, run_method};
pub use spec::MethodSpec;
pub use table::{GRADIENT_METHODS, METHODS};

#[cfg(test)]
mod table_tests;
