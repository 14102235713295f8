//! How large a model is.

/// What the weights of a model take, bytes; in f32 where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightBytes {
    /// Outside the layers: embedding, last norm, head, adapters.
    pub outside: u64,
    /// The largest layer.
    pub layer: u64,
    /// All layers.
    pub layers: u64,
    /// All layers in the types in which a GPU keeps them, see `Narrow::dtype`.
    pub narrow: u64,
}

impl WeightBytes {
    /// Everything.
    pub fn whole(self) -> u64 {
        self.outside + self.layers
    }

    /// What is in memory while layers are streamed: one layer, and the next, which is being read.
    pub fn streamed(self) -> u64 {
        self.outside + 2 * self.layer
    }

    /// What is in memory while layers are widened one at a time from narrow ones on the same device.
    pub fn resident(self) -> u64 {
        self.streamed() + self.narrow
    }
}
