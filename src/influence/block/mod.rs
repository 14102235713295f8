//! The training gradients of one block, and the few operations on them that every method is written with.
//!
//! [`view::Block`] says which numbers of a store belong together; `products` and `moments` go through them in chunks of
//! rows (`row_pass`), in the [`precision`] asked, so that gradients may be larger than memory. `columns` works on matrices
//! of queries, `reduce` on single vectors. [`damping()`](damping::damping) gives λ of every block.

pub(crate) mod columns;
pub mod damping;
pub mod layout;
mod moments;
pub mod precision;
mod products;
pub(crate) mod reduce;
mod row_pass;
mod small_batch;
pub mod view;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
