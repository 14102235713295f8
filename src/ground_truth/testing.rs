//! A task whose retrainings are known in closed form.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array2;
use rand::RngExt;

use super::Retrain;
use crate::finetune::Outcome;
use crate::random::rng;

/// The mean: every example is a point x_k on a line, a model is θ = mean of the points it was trained on plus
/// `noise` of its seed, and the loss of query y is (y − θ)²/2 + 10.
///
/// The influence of example k is I(k, q) = −vg = (θ − y)(x_k − θ), for the Hessian of the training loss is 1:
/// positive where the point draws θ further away from y.
pub(crate) struct MeanTask {
    pub points: Vec<f64>,
    pub targets: Vec<f64>,
    pub noise: f64,
    /// Retrainings done.
    pub done: AtomicUsize,
    /// Fails after so many.
    pub most: usize,
}

impl MeanTask {
    pub(crate) fn new(n: usize, noise: f64) -> Self {
        let mut rng = rng(3, "mean task", "points");
        Self {
            points: (0..n).map(|_| rng.random::<f64>() * 4.0 - 2.0).collect(),
            targets: vec![1.5, -1.0, 2.5, 3.0, -2.0],
            noise,
            done: AtomicUsize::new(0),
            most: usize::MAX,
        }
    }

    fn theta(&self, kept: &[bool]) -> f64 {
        let chosen = self.points.iter().zip(kept).filter(|(_, kept)| **kept);
        let (sum, count) = chosen.fold((0.0, 0.0), |(sum, count), (x, _)| (sum + x, count + 1.0));
        sum / count
    }

    /// Exact influence, `[m, n]`.
    pub(crate) fn influence(&self) -> Array2<f64> {
        let theta = self.theta(&vec![true; self.points.len()]);
        Array2::from_shape_fn((self.targets.len(), self.points.len()), |(q, k)| {
            (theta - self.targets[q]) * (self.points[k] - theta)
        })
    }
}

impl Retrain for MeanTask {
    fn key(&self) -> &str {
        "mean"
    }

    fn examples(&self) -> usize {
        self.points.len()
    }

    fn queries(&self) -> usize {
        self.targets.len()
    }

    fn retrain(&self, kept: &[bool], seed: u64, by_epoch: bool) -> Result<Outcome, String> {
        if self.done.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err("killed".to_owned());
        }
        // noise of its own for every (part, seed), as far as it is not common to the seed
        let purpose = super::RetrainCache::name(kept, seed, false);
        let draw: f64 = rng(seed, "mean task", &purpose).random::<f64>() - 0.5;
        let theta = self.theta(kept) + self.noise * draw;
        let losses = self
            .targets
            .iter()
            .map(|y| (y - theta).powi(2) / 2.0 + 10.0)
            .collect();
        let accuracy = if by_epoch {
            vec![0.25, theta]
        } else {
            Vec::new()
        };
        Ok(Outcome { losses, accuracy })
    }
}
