//! Per-example gradients of every adapter block, and the store that holds them.

pub mod store;

