//! `train:` the fine-tuning loop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fine-tuning of the adapters and the head. Defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training split; 0 takes gradients at the initial adapters.
    pub epochs: usize,
    /// Peak learning rate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub lr: f64,
    /// Examples a step.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// `adamw` (decoupled weight decay) or `sgd`.
    pub optimizer: Optimizer,
    /// AdamW's weight decay.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    /// Shape of the learning rate over the steps.
    pub schedule: Schedule,
    /// Share of the steps over which the rate rises linearly from 0 (schedule `linear` only).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// States of adapters and classifier that are kept for methods that go along the fine-tune (`tracin`):
    /// so many epochs, evenly spaced, the last one among them. Nothing is kept when no method asks.
    #[schemars(range(min = 1))]
    pub checkpoints: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            lr: 3e-4,
            batch_size: 32,
            optimizer: Optimizer::Adamw,
            weight_decay: 0.0,
            schedule: Schedule::Linear,
            warmup: 0.06,
            checkpoints: 5,
        }
    }
}

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// AdamW, β = (0.9, 0.999), ε = 1e-8.
    Adamw,
    /// Plain stochastic gradient descent.
    Sgd,
}

/// The learning rate over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Linear warm-up to `lr`, then linear decay to 0.
    Linear,
    /// `lr` throughout.
    Constant,
}

impl TrainConfig {
    /// Learning rate at `step` (from 0) of `total` steps.
    ///
    /// Linear, w = ⌊warmup · total⌋: lr · step/w below w, then lr · (total − step)/(total − w), as
    /// `get_linear_schedule_with_warmup` of transformers.
    pub fn lr_at(&self, step: usize, total: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => self.lr,
            Schedule::Linear => {
                let warm = (self.warmup * total as f64) as usize;
                if step < warm {
                    self.lr * step as f64 / warm.max(1) as f64
                } else {
                    self.lr * total.saturating_sub(step) as f64 / (total - warm).max(1) as f64
                }
            }
        }
    }
}

impl TrainConfig {
    /// The epochs after which a checkpoint is kept, from 1: k of E, ⌊jE/k⌋ for j = 1..k, all when k is more
    /// than E.
    pub fn checkpoint_epochs(&self) -> Vec<usize> {
        let count = self.checkpoints.min(self.epochs);
        (1..=count).map(|j| j * self.epochs / count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_evenly_spaced_and_end_with_the_last_epoch() {
        let of = |epochs, checkpoints| {
            let train = TrainConfig {
                epochs,
                checkpoints,
                ..TrainConfig::default()
            };
            train.checkpoint_epochs()
        };
        assert_eq!(of(10, 5), [2, 4, 6, 8, 10]);
        assert_eq!(of(7, 3), [2, 4, 7]);
        assert_eq!(of(3, 5), [1, 2, 3]);
        assert_eq!(of(4, 1), [4]);
        assert!(of(0, 5).is_empty());
    }

    #[test]
    fn linear_schedule_rises_then_falls_to_zero() {
        let train = TrainConfig {
            lr: 1.0,
            warmup: 0.1,
            ..TrainConfig::default()
        };
        assert_eq!(train.lr_at(0, 100), 0.0);
        assert_eq!(train.lr_at(5, 100), 0.5);
        assert_eq!(train.lr_at(10, 100), 1.0);
        assert_eq!(train.lr_at(55, 100), 0.5);
        assert_eq!(train.lr_at(100, 100), 0.0);
    }
}
