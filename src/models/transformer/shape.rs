//! Sizes and settings of an encoder.

/// Sizes and settings of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderShape {
    /// Width h.
    pub hidden: usize,
    /// Attention heads; divide `hidden`.
    pub heads: usize,
    /// Layers.
    pub layers: usize,
    /// Width of the feed-forward layer.
    pub ffn: usize,
    /// ε of every layer normalisation.
    pub layer_norm_eps: f64,
    /// Nonlinearity of the feed-forward layers.
    pub activation: Activation,
    /// Token types; 0 for an encoder that knows none.
    pub types: usize,
    /// Id of the padding when positions count the tokens that are none; without it they count all tokens.
    pub padding: Option<usize>,
    /// How an example's tokens become one vector.
    pub pooling: Pooling,
}

/// Nonlinearity of the feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x), exactly.
    Gelu,
    /// x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// How the last layer's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token.
    First,
    /// tanh of a dense layer on the first token: BERT's pooler.
    Pooler,
}
