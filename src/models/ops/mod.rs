//! Fused operations for the pure-Rust CPU device, with their gradients.
//!
//! On that device automatic differentiation splits GELU, layer normalisation and attention into many
//! passes over memory, and its GELU is scalar. Here each is one vectorised pass forward and one
//! backward. On any other device the same functions fall back to the framework's own operations.

mod attention;
mod cpu;
mod gelu;
mod layer_norm;
mod linear;
mod simd;

pub use attention::attention;
pub use gelu::gelu;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_onto};
