//! What decides a network of the Llama family.

use super::rope::RopeSettings;

/// Sizes and settings of a network of the Llama family.
#[derive(Clone, Debug, PartialEq)]
pub struct LlamaShape {
    /// Token ids.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward layers.
    pub ffn: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divide `heads`.
    pub key_heads: usize,
    /// Width of a head (`head_dim`), even.
    pub part: usize,
    /// ε of every normalisation.
    pub rms_norm_eps: f64,
    /// The rotary embedding.
    pub rope: RopeSettings,
    /// Whether queries, keys and values have biases.
    pub query_bias: bool,
    /// Whether the attention's output has one.
    pub output_bias: bool,
    /// Whether the feed-forward layers have biases.
    pub mlp_bias: bool,
    /// Whether every head of queries and keys is normalised (Qwen3).
    pub head_norm: bool,
    /// How many tokens a position looks back in every layer, its own included; none: to the beginning.
    pub windows: Vec<Option<usize>>,
    /// Whether the embedding is also the matrix that gives the logits.
    pub tied: bool,
}

impl LlamaShape {
    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.windows.len()
    }
}
