//! What a model takes.

use burn::tensor::{DType, Device, Int, Tensor};

/// Form of a model's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputShape {
    /// Token ids below `vocabulary`, at most `max_length` an example.
    Tokens {
        /// Number of ids.
        vocabulary: usize,
        /// Longest example.
        max_length: usize,
    },
    /// `tokens` × `features` real numbers an example.
    Features {
        /// Tokens an example.
        tokens: usize,
        /// Features a token.
        features: usize,
    },
}

/// Inputs of a batch.
#[derive(Clone, Debug)]
pub enum ModelInput {
    /// Ids, `[n, t]`, padded at the end.
    Tokens(Tensor<2, Int>),
    /// Features, `[n, t, f]`.
    Features(Tensor<3>),
    /// What the layers below `layer` made of the inputs, `[n, t, h]`.
    Activations {
        /// The activations, padded at the end.
        x: Tensor<3>,
        /// The layer that takes them.
        layer: usize,
    },
}

/// Targets of a batch, by the kinds of [`Targets`](crate::data::Targets).
#[derive(Clone, Debug)]
pub enum BatchTargets {
    /// Labels, `[n]`.
    Classes(Tensor<1, Int>),
}

impl BatchTargets {
    /// Number of examples.
    fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.dims()[0],
        }
    }
}

/// Examples on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs.
    pub input: ModelInput,
    /// Token types, `[n, t]`; `None` when all are 0.
    pub types: Option<Tensor<2, Int>>,
    /// Real tokens of every example; `None` when all are real.
    pub lengths: Option<Vec<usize>>,
    /// What an objective holds the output against.
    pub targets: BatchTargets,
    /// Where the tensors are.
    pub device: Device,
}

impl Batch {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// The same examples for a model in f64.
    #[must_use]
    pub fn widen(mut self) -> Self {
        self.input = match self.input {
            ModelInput::Features(x) => ModelInput::Features(x.cast(DType::F64)),
            ModelInput::Activations { x, layer } => ModelInput::Activations {
                x: x.cast(DType::F64),
                layer,
            },
            tokens @ ModelInput::Tokens(_) => tokens,
        };
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
