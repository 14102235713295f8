//! Per-example gradients of every adapter block, and the store that holds them.
//!
//! The tensors are those of [`Model::gradient_tensors`](crate::models::Model::gradient_tensors): A
//! `[r, in]` and B `[out, r]` of every adapted matrix in PEFT's layout, then `classifier.weight`
//! `[classes, hidden]`. The classifier's bias is trained but not among them, as in the paper's code.
//!
//! An objective may have several views of an example, losses at several timesteps for instance. Every view is a row of a
//! batch; their gradients are concatenated or averaged within the row of the example ([`tensors`]).

mod by_layer;
pub mod checkpoints;
pub mod factors;
pub mod hessian;
pub mod hidden_states;
mod matrices;
pub mod one_by_one;
pub mod per_example;
pub mod per_token;
mod row;
pub mod settings;
pub mod sink;
pub mod store;
pub mod synthetic;
pub mod token_list;
#[cfg(test)]
mod views_tests;
mod work;

pub use matrices::MatrixFileError;
pub use row::tensors;
pub use sink::{GradientError, GradientSink, RowBuffer};
