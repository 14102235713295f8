//! infbench: how well do fast influence approximations agree with exact influence on LoRA fine-tunes?
//!
//! # Where to go
//! The way of the data: [`resolve`] reads an experiment, [`config`] checks it and makes a grid of cells; for each cell [`tasks`] makes examples
//! ([`data`]) and [`models`] a network, [`finetune`] trains it on a loss of [`objectives`], [`gradients`] takes every
//! example's gradient, [`influence`] scores,
//! [`ground_truth`] retrains, [`metrics`] hold the scores against the truth, [`results`] keep a record, and [`report`]
//! draws from records alone. [`runner`] conducts it.
//!
//! The order of imports is another: from the tools ([`input`], [`atomic`], [`device`], [`interrupt`], [`look`], [`measure`], [`progress`], [`random`],
//! [`workers`]) up through [`data`], [`models`] and [`tasks`], [`batching`], [`sampling`], [`objectives`], [`gradients`], [`finetune`], [`pretraining`], [`influence`],
//! [`metrics`], [`ground_truth`], [`theory`], [`results`], [`config`], [`resolve`], [`runner`], [`engines`], [`report`] to [`reproduce`] and the
//! command line; a module imports only from those before it. `docs/architecture.md` draws both and says how a method, a
//! task, a model or a metric is added; `tests/boundaries.rs` keeps the order.
//!
//! # Conventions
//! - n training examples, blocks l = 1..L, G_l is n×d_l (row = example), F_l = G_lᵀG_l/n and
//!   λ_l = c·tr(F_l)/d_l with c = 0.1 by default.
//! - Score of training example k for query q: I(k, q) = −Σ_l v_qᵀ(F_l + λ_l I)⁻¹g_k.
//!   **Positive = harmful.** Scores are m×n matrices (query × train).

// The synthetic records of the tests name this crate as its users do.
#[cfg(test)]
extern crate self as infbench;

pub mod atomic;
pub mod batching;
pub mod checkpoints;
pub mod config;
pub mod data;
pub mod device;
pub mod engines;
pub mod finetune;
pub mod generation;
pub mod gradient_files;
pub mod gradients;
pub mod ground_truth;
pub mod influence;
pub mod input;
pub mod interrupt;
pub mod look;
pub mod measure;
pub mod metrics;
pub mod models;
pub mod objectives;
pub mod pretraining;
pub mod progress;
pub mod random;
pub mod report;
pub mod reproduce;
pub mod resolve;
pub mod results;
pub mod runner;
pub mod sampling;
pub mod score;
pub mod tasks;
pub mod theory;
mod vector;
pub mod workers;
