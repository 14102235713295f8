//! One class an example: cross-entropy of its label, in nats; one view. A prediction is right when its logit is the
//! largest.
//!
//! Gradients at the data's labels give the *empirical* Fisher; those at labels drawn from the softmax give an unbiased
//! estimate of the Fisher itself, which is what K-FAC was made for (Kunstner et al., 2019, arXiv 1905.12558).

use burn::tensor::{Int, Tensor};
use rand::RngExt;

use super::objective::{Evaluation, Objective, Right, SampleError, map_pieces};
use super::softmax::{self, draw, largest};
use crate::data::{Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Batch, Model, Pass};
use crate::random::Rng;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Classification;

/// Cross-entropy of logits `[n, classes]`, `[n, 1]`.
fn cross_entropy(logits: Tensor<2>, batch: &Batch) -> Tensor<2> {
    let labels: Vec<i64> = batch
        .targets
        .classes()
        .iter()
        .map(|&label| label as i64)
        .collect();
    let labels: Tensor<1, Int> = Tensor::from_data(labels.as_slice(), &batch.device);
    let n = batch.len();
    softmax::cross_entropy(logits, labels.reshape([n, 1]))
}

impl Objective for Classification {
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        cross_entropy(model.logits(batch, pass), batch)
    }

    /// One number an example from `rng`, in their order, and one forward pass.
    fn sample(&self, model: &Model, split: &Split, rng: &mut Rng) -> Result<Targets, SampleError> {
        let classes = model.classes();
        let draws: Vec<f64> = (0..split.len()).map(|_| rng.random()).collect();
        let mut labels = vec![0; split.len()];
        let pieces = map_pieces(model, split, |model, batch, _| {
            to_f32(model.logits(&batch, &mut Pass::Plain).inner().into_data())
        });
        for (indices, logits) in pieces {
            for (&example, logits) in indices.iter().zip(logits.chunks_exact(classes)) {
                labels[example] =
                    draw(logits, draws[example]).ok_or(SampleError::NotFinite { example })?;
            }
        }
        Ok(Targets::Classes(labels))
    }

    fn unit(&self) -> &'static str {
        "examples"
    }

    fn evaluate(&self, model: &Model, split: &Split) -> Evaluation {
        let classes = model.classes();
        let pieces = map_pieces(model, split, |model, batch, _| {
            let logits = model.logits(&batch, &mut Pass::Plain);
            let losses = cross_entropy(logits.clone(), &batch);
            [losses, logits].map(|tensor| to_f32(tensor.into_data()))
        });
        let labels = split.targets.classes();
        let pieces = pieces.map(|(indices, [losses, logits])| {
            let rows = logits.chunks_exact(classes).zip(&indices);
            let right = rows.filter(|(row, index)| largest(row) == labels[**index]);
            let right = Right {
                count: right.count(),
                of: indices.len(),
            };
            (indices, losses, Some(right))
        });
        Evaluation::new(split.len(), pieces)
    }
}
