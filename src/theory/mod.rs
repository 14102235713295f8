//! The theory of swapping inverse and mean, made executable: every claim with its bound, what is measured
//! beside it, and the verdict.
//!
//! For one block with gradients g_i (rows of G, `[n, d]`), F = GᵀG/n and λ > 0,
//!
//! - E = (F + λI)⁻¹ is the exact operator,
//! - D = (1/n) Σ_i (g_i g_iᵀ + λI)⁻¹ is DataInf's, and D_b the same over groups of b examples,
//! - C₂ = (1/n) Σ_i ‖g_i‖² g_i g_iᵀ − F² = (1/n) Σ_i (F − g_i g_iᵀ)² is the spread of the outer products.
//!
//! A claim is one file: its [`Info`], its [`Claim`]. [`CLAIMS`] lists them; `docs/theory.md` has the proofs
//! in full. In: gradients, as matrices ([`check()`]) or block by block from a store ([`BlockMatrices`]). Out: a
//! [`Finding`] per claim and case, and a [`Tally`] per claim. Which gradients, and the records of what was found, are the
//! business of [`crate::runner::claims`].

mod blocks;
mod bounds;
mod case;
mod ceiling;
mod check;
mod claim;
mod claims;
pub mod complexity;
mod exact_cases;
mod groups;
mod growth;
mod hessian_free;
mod identity;
mod jensen;
mod large_damping;
mod operators;
mod orthogonal;
mod score;
mod second_order;
mod second_order_inner;
mod second_order_lower;
mod spectral;
mod theorem;
mod witness;

pub use blocks::BlockMatrices;
pub use bounds::Measured;
pub use case::{Case, TheoryError};
pub use check::{Checked, Findings, Tally, check};
pub use claim::{Claim, Finding, Info, Outcome};
pub use claims::{CLAIMS, infos};
pub use groups::sizes as group_sizes;
pub use spectral::{DENSE, Extremes};
pub use witness::smallest as smallest_witness;

#[cfg(test)]
mod testing;
