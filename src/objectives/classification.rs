//! One class an example: cross-entropy of its label, in nats; one view. A prediction is right when its logit is the
//! largest.
//!
//! Gradients at the data's labels give the *empirical* Fisher; those at labels drawn from the softmax give an unbiased
//! estimate of the Fisher itself, which is what K-FAC was made for (Kunstner et al., 2019, arXiv 1905.12558).

use burn::tensor::{Tensor, activation};
use rand::RngExt;

use super::objective::{Evaluation, NotFinite, Objective, map_pieces};
use crate::data::{Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Batch, BatchTargets, Model, Pass};
use crate::random::Rng;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Classification;

/// Cross-entropy of logits `[n, classes]`, `[n, 1]`.
fn cross_entropy(logits: Tensor<2>, targets: &BatchTargets) -> Tensor<2> {
    let BatchTargets::Classes(labels) = targets;
    let n = labels.dims()[0];
    activation::log_softmax(logits, 1)
        .gather(1, labels.clone().reshape([n, 1]))
        .neg()
}

impl Objective for Classification {
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        cross_entropy(model.logits(batch, pass), &batch.targets)
    }

    /// One number an example from `rng`, in their order, and one forward pass.
    fn sample(&self, model: &Model, split: &Split, rng: &mut Rng) -> Result<Targets, NotFinite> {
        let classes = model.classes();
        let draws: Vec<f64> = (0..split.len()).map(|_| rng.random()).collect();
        let mut labels = vec![0; split.len()];
        let pieces = map_pieces(model, split, |model, batch| {
            to_f32(model.logits(&batch, &mut Pass::Plain).inner().into_data())
        });
        for (indices, logits) in pieces {
            for (&example, logits) in indices.iter().zip(logits.chunks_exact(classes)) {
                labels[example] = draw(logits, draws[example]).ok_or(NotFinite { example })?;
            }
        }
        Ok(Targets::Classes(labels))
    }

    fn evaluate(&self, model: &Model, split: &Split) -> Evaluation {
        let classes = model.classes();
        let pieces = map_pieces(model, split, |model, batch| {
            let logits = model.logits(&batch, &mut Pass::Plain);
            let losses = cross_entropy(logits.clone(), &batch.targets);
            [losses, logits].map(|tensor| to_f32(tensor.into_data()))
        });
        let labels = split.targets.classes();
        let pieces = pieces.map(|(indices, [losses, logits])| {
            let rows = logits.chunks_exact(classes).zip(&indices);
            let right = rows.filter(|(row, index)| largest(row) == labels[**index]);
            let right = right.count();
            (indices, losses, Some(right))
        });
        Evaluation::new(split.len(), pieces)
    }
}

fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(
        0,
        |best, index| if row[index] > row[best] { index } else { best },
    )
}

/// The class at which the summed probabilities pass `uniform`, from [0, 1); none when a logit is not finite.
fn draw(logits: &[f32], uniform: f64) -> Option<usize> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |max, v| max.max(*v));
    if logits.iter().any(|logit| !logit.is_finite()) {
        return None;
    }
    let weights: Vec<f64> = logits
        .iter()
        .map(|&logit| (f64::from(logit) - f64::from(largest)).exp())
        .collect();
    let mut left = uniform * weights.iter().sum::<f64>();
    for (class, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(class);
        }
    }
    // rounding alone leads here
    weights.iter().rposition(|weight| *weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_softmax() {
        // probabilities 1/6, 3/6, 2/6
        let logits = [0.0f32, 3.0f32.ln(), 2.0f32.ln()];
        let n = 6000;
        let mut counts = [0; 3];
        for k in 0..n {
            let uniform = (f64::from(k) + 0.5) / f64::from(n);
            counts[draw(&logits, uniform).unwrap()] += 1;
        }
        assert_eq!(counts, [1000, 3000, 2000]);
        assert_eq!(draw(&[0.0, -200.0], 1.0 - 1e-17), Some(1));
        assert_eq!(draw(&[-3.0, -2000.0], 0.999_999), Some(0));
        assert_eq!(draw(&[0.0, f32::NAN], 0.5), None);
    }
}
