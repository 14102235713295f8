//! Causal language models of the Llama family (Touvron et al., 2023, arXiv 2302.13971): Llama, Mistral, Qwen2 and Qwen3 are
//! one network with other settings.
//!
//! x ← E\[ids\]; in every layer x ← x + Attention(RMSNorm(x)), x ← x + Mlp(RMSNorm(x)); h = RMSNorm(x); logits = W h, with
//! W = E where they are tied.

mod attention;
mod config;
mod decoder;
mod layer;
mod mlp;
mod network;
mod positions;
mod read_ahead;
mod rms_norm;
mod rope;
mod rotation;
mod shape;
mod source;
mod stage;

pub use config::LlamaConfig;
pub use network::Llama;
pub use rope::{RopeScaling, RopeSettings};
pub use shape::LlamaShape;
