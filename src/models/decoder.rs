//! Continuing texts: what generation needs of a language model.

use burn::tensor::{Int, Tensor};

/// Rotated keys and values of the tokens that a network has seen, layer by layer.
#[derive(Clone, Debug)]
pub struct Cache {
    /// `[n, room, width]` twice a layer: the tokens of an example first, zeros behind.
    pub layers: Vec<[Tensor<3>; 2]>,
    /// Tokens of every example.
    pub lengths: Vec<usize>,
    /// Tokens that there is room for.
    pub room: usize,
}

/// A network that continues texts.
pub trait Decoder {
    /// Hidden states of prompts after the final normalisation, `[n, t, width]`, and their keys and values with room for
    /// `room` tokens. `ids` are padded at the end; `lengths` are the real tokens of every prompt.
    fn begin(&self, ids: Tensor<2, Int>, lengths: &[usize], room: usize) -> (Tensor<3>, Cache);

    /// Hidden states of one more token of every example, `[n, 1, width]`; `ids` is `[n, 1]`.
    ///
    /// # Panics
    /// Without room in the cache.
    fn step(&self, ids: Tensor<2, Int>, cache: &mut Cache) -> Tensor<3>;

    /// Whether the keys of texts of up to `tokens` tokens stay as they are when a token is added, so that they can be
    /// kept. Those of a rotary embedding that is stretched with the text's length (`dynamic`) do not.
    fn keeps_keys(&self, tokens: usize) -> bool;
}
