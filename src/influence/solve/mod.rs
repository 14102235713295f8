//! What solves: factorisations, Krylov spaces, sketches, projections, eigenbases of Kronecker factors. The methods choose
//! among these and say what they are.

pub(crate) mod block_cg;
pub(crate) mod cholesky;
pub(crate) mod dense;
pub(crate) mod diagonal;
pub mod exact;
pub mod kronecker;
pub(crate) mod krylov;
pub mod low_rank;
pub mod projection;
pub(crate) mod schulz;
pub(crate) mod second_moments;
pub(crate) mod sketch;
