//! Fused operations for devices whose tensors lie in this program's memory, with their gradients.
//!
//! Automatic differentiation splits GELU, normalisations and attention into many passes over
//! memory, and the pure-Rust device's GELU is scalar. Here each is one vectorised pass forward and one
//! backward. On any other device (a GPU) the same functions fall back to the framework's own operations.

mod activation;
mod attention;
mod conv;
pub mod encoder;
mod flex;
mod gemm;
mod host;
mod layer_norm;
#[cfg(feature = "libtorch")]
#[expect(deprecated, reason = "burn is leaving libtorch to users like this one")]
mod libtorch;
mod linear;
mod outer;
mod simd;

pub use activation::{gelu, silu};
pub use attention::{Attend, Reach, attention};
pub use conv::{Window, conv2d};
pub use host::{by_libtorch, in_memory};
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_back, linear_onto};
pub use outer::{adapter_gradients, weight_gradients};
