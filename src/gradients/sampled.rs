//! Labels drawn from the model's own predictions.
//!
//! Gradients at the data's labels give the *empirical* Fisher; those at labels drawn from the softmax give an
//! unbiased estimate of the Fisher itself, which is what K-FAC was made for (Kunstner et al., 2019, arXiv
//! 1905.12558).

use rand::RngExt;

use super::GradientError;
use crate::models::parameter::to_f32;
use crate::models::{Model, Pass};
use crate::tasks::Split;
use crate::{batching, random, workers};

/// One label an example, drawn from the model's softmax without dropout; the same for the same seed, whatever
/// the number of threads. One forward pass.
///
/// # Errors
/// Logits that are not finite.
pub fn labels(model: &Model, split: &Split, seed: u64) -> Result<Vec<usize>, GradientError> {
    let all: Vec<usize> = (0..split.len()).collect();
    let pieces = batching::pieces(split, &all, batching::tokens_at_a_time(model));
    let mut model = model.clone();
    model.freeze();
    let classes = model.classes();
    let results = workers::map_on(model.device(), pieces.len(), |piece| {
        let batch = batching::batch(split, &pieces[piece], model.device());
        to_f32(model.logits(&batch, &mut Pass::Plain).inner().into_data())
    });
    // one number an example, in their order
    let mut rng = random::rng(seed, "gradients", "sampled labels");
    let draws: Vec<f64> = all.iter().map(|_| rng.random()).collect();
    let mut labels = vec![0; split.len()];
    for (indices, logits) in pieces.iter().zip(results) {
        for (&example, logits) in indices.iter().zip(logits.chunks_exact(classes)) {
            labels[example] = draw(logits, draws[example]).ok_or(GradientError::NotFinite {
                example,
                loss: f32::NAN,
            })?;
        }
    }
    Ok(labels)
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
