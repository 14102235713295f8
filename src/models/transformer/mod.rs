//! Transformer encoder with layer normalisation after each sub-layer, as BERT (Devlin et al., 2019) and
//! RoBERTa (Liu et al., 2019), pooled, with a head.

mod config;
mod layer;
mod network;
mod shape;

pub use config::TransformerConfig;
pub use network::Transformer;
pub use shape::{Activation, EncoderShape, Pooling};
