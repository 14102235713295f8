//! Fused operations for devices whose tensors lie in this program's memory, with their gradients.
//!
//! Automatic differentiation splits GELU, normalisations and attention into many passes over
//! memory, and the pure-Rust device's GELU is scalar. Here each is one vectorised pass forward and one
//! backward. On any other device (a GPU) the same functions fall back to the framework's own operations.

mod attention;
mod conv;
mod cross_entropy;
pub mod encoder;
mod flex;
mod gelu;
mod gemm;
mod group_norm;
mod host;
mod layer_norm;
#[cfg(feature = "libtorch")]
#[expect(deprecated, reason = "burn is leaving libtorch to users like this one")]
mod libtorch;
mod linear;
mod outer;
mod rms_norm;
mod rope;
mod simd;
mod swiglu;

pub use attention::{Attend, Reach, attention};
pub use conv::{Window, conv2d};
pub use cross_entropy::cross_entropy;
pub use gelu::gelu;
pub use group_norm::{Grouping, group_norm};
pub use host::in_memory;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_back, linear_onto};
pub use outer::{adapter_gradients, weight_gradients};
pub use rms_norm::rms_norm;
pub use rope::{Rotation, rotate};
pub use swiglu::swiglu;
