//! What a model takes.

use burn::tensor::{DType, Device, Int, Tensor};

use crate::data::Targets;

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
    /// Latents of images and states of their captions, for a diffusion model.
    Latents {
        /// Channels, height and width of the latents.
        shape: [usize; 3],
        /// Width of the text states.
        width: usize,
    },
}

/// Inputs of a batch.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a batch")]
pub enum ModelInput {
    /// Ids, `[n, t]`, padded at the end.
    Tokens(Tensor<2, Int>),
    /// Features, `[n, t, f]`.
    Features(Tensor<3>),
    /// Latents of a diffusion model, with or without noise.
    Latents {
        /// `[n, channels, height, width]`; means while there are `deviations`.
        x: Tensor<4>,
        /// Standard deviations of latents that are still to be sampled.
        deviations: Option<Tensor<4>>,
        /// Means and deviations of the mirrored images, where an objective chooses between the two.
        mirrored: Option<(Tensor<4>, Option<Tensor<4>>)>,
        /// Text states, `[n, t, context]`.
        text: Tensor<3>,
    },
    /// What the layers below `layer` made of the inputs, `[n, t, h]`.
    Activations {
        /// The activations, padded at the end.
        x: Tensor<3>,
        /// The layer that takes them.
        layer: usize,
    },
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
    /// How many leading tokens of every example attention may look at; `None`: all real ones.
    pub attended: Option<Vec<usize>>,
    /// The timestep of every row, for a network that is conditioned on one.
    pub timesteps: Option<Vec<usize>>,
    /// What an objective compares the output with: one target per example, which has several rows once the views of an
    /// example are [rows of their own](Self::repeat).
    pub targets: Targets,
    /// Where the tensors are.
    pub device: Device,
}

impl Batch {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.input {
            ModelInput::Tokens(ids) => ids.dims()[0],
            ModelInput::Features(x) | ModelInput::Activations { x, .. } => x.dims()[0],
            ModelInput::Latents { x, .. } => x.dims()[0],
        }
    }

    /// How many leading tokens of every row attention may look at; `None`: all.
    pub fn keys(&self) -> Option<&[usize]> {
        self.attended.as_deref().or(self.lengths.as_deref())
    }

    /// Every row `views` times, one after another: a row for each view of an example. The targets stay as they are.
    #[must_use]
    pub fn repeat(self, views: usize) -> Self {
        let rows = repeated(&(0..self.len()).collect::<Vec<_>>(), views);
        let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
        let rows: Tensor<1, Int> = Tensor::from_data(rows.as_slice(), &self.device);
        let real = |x: Tensor<3>| x.select(0, rows.clone());
        let ids = |ids: Tensor<2, Int>| ids.select(0, rows.clone());
        let counts = |counts: Vec<usize>| repeated(&counts, views);
        Self {
            input: match self.input {
                ModelInput::Tokens(tokens) => ModelInput::Tokens(ids(tokens)),
                ModelInput::Features(x) => ModelInput::Features(real(x)),
                ModelInput::Latents {
                    x,
                    deviations,
                    mirrored,
                    text,
                } => {
                    let latents = |x: Tensor<4>| x.select(0, rows.clone());
                    ModelInput::Latents {
                        x: latents(x),
                        deviations: deviations.map(latents),
                        mirrored: mirrored.map(|(x, spread)| (latents(x), spread.map(latents))),
                        text: real(text),
                    }
                }
                ModelInput::Activations { x, layer } => {
                    ModelInput::Activations { x: real(x), layer }
                }
            },
            types: self.types.map(ids),
            lengths: self.lengths.map(counts),
            attended: self.attended.map(counts),
            timesteps: self.timesteps.map(counts),
            ..self
        }
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
            ModelInput::Latents {
                x,
                deviations,
                mirrored,
                text,
            } => {
                let wide = |x: Tensor<4>| x.cast(DType::F64);
                ModelInput::Latents {
                    x: wide(x),
                    deviations: deviations.map(wide),
                    mirrored: mirrored.map(|(x, spread)| (wide(x), spread.map(wide))),
                    text: text.cast(DType::F64),
                }
            }
            tokens @ ModelInput::Tokens(_) => tokens,
        };
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Every value `times` times, one after another.
pub fn repeated<T: Copy>(values: &[T], times: usize) -> Vec<T> {
    let each = values
        .iter()
        .flat_map(|&value| std::iter::repeat_n(value, times));
    each.collect()
}
