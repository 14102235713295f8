//! Dropout of a training pass: which probabilities, and masks drawn on the host from a seeded generator.
//!
//! Masks do not depend on the device or on the number of threads. They are applied where transformers' BERT and RoBERTa
//! apply theirs in train mode.

use burn::tensor::Tensor;
use rand::RngExt;

use crate::random::Rng;

/// Dropout of a network in train mode, outside any adapters, by the names of config.json.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropoutProbabilities {
    /// `hidden_dropout_prob`: on the normalised embeddings, and on the outputs of attention and of the feed-forward
    /// layers before the residual is added; in an MLP on the activations between hidden layers.
    pub hidden: f64,
    /// `attention_probs_dropout_prob`: on the attention weights, after the softmax.
    pub attention: f64,
    /// `classifier_dropout`: on the input of every layer of the classifier.
    pub classifier: f64,
}

impl DropoutProbabilities {
    /// The same probability everywhere.
    pub fn all(p: f64) -> Self {
        Self {
            hidden: p,
            attention: p,
            classifier: p,
        }
    }

    /// Whether something below the classifier is dropped, so that the activations of an example change from pass to
    /// pass.
    pub fn in_encoder(self) -> bool {
        self.hidden > 0.0 || self.attention > 0.0
    }
}

/// Probabilities with which a fine-tuning pass sets elements to zero; the others are divided by 1 − p.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// On the input of every adapter (PEFT's `lora_dropout`).
    pub adapter: f64,
    /// Of the frozen base and the classifier.
    pub base: DropoutProbabilities,
}

/// Which elements a pass keeps.
#[derive(Clone, Debug)]
pub struct Mask {
    /// One entry an element, row-major.
    pub kept: Vec<bool>,
    /// Factor on those that are kept, 1/(1 − p).
    pub scale: f32,
}

impl Mask {
    /// `count` independent draws; each element is dropped with probability `p` below 1.
    pub fn draw(count: usize, p: f64, rng: &mut Rng) -> Self {
        let threshold = (p * f64::from(u32::MAX)) as u32;
        Self {
            kept: (0..count)
                .map(|_| rng.random::<u32>() >= threshold)
                .collect(),
            scale: (1.0 / (1.0 - p)) as f32,
        }
    }

    /// The factor of every element: 0 or 1/(1 − p).
    pub fn factors(&self) -> Vec<f32> {
        let factor = |&kept: &bool| if kept { self.scale } else { 0.0 };
        self.kept.iter().map(factor).collect()
    }
}

/// `x` with every element dropped with probability `p`; `x` itself, and nothing drawn, when p is 0.
pub fn drop<const D: usize>(x: Tensor<D>, p: f64, rng: &mut Rng) -> Tensor<D> {
    if p <= 0.0 {
        return x;
    }
    let dims = x.dims();
    let factors = Mask::draw(dims.iter().product(), p, rng).factors();
    let device = x.clone().inner().device();
    let factors = Tensor::<1>::from_floats(factors.as_slice(), &device);
    x * factors.reshape(dims)
}
