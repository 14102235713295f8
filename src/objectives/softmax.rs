//! Logits: the cross-entropy of given classes, the likeliest class of a row, and one drawn from the softmax.

use burn::tensor::{Int, Tensor, activation};

/// −log softmax(logits) at the class of every row, in nats: `[k, classes]` and `[k, 1]` → `[k, 1]`.
pub(super) fn cross_entropy(logits: Tensor<2>, classes: Tensor<2, Int>) -> Tensor<2> {
    activation::log_softmax(logits, 1).gather(1, classes).neg()
}

/// Index of the largest number, the first of equal ones.
pub(super) fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(
        0,
        |best, index| if row[index] > row[best] { index } else { best },
    )
}

/// The class at which the summed probabilities pass `uniform`, from [0, 1); none when a logit is not finite.
pub(super) fn draw(logits: &[f32], uniform: f64) -> Option<usize> {
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
