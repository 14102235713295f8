//! The settings `train:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::dropout::DropoutProbabilities;
use crate::models::{Dropout, Model};

/// Fine-tuning of the adapters and the head. Defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training split; 0 takes gradients at the initial adapters.
    pub epochs: usize,
    /// Peak learning rate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub lr: f64,
    /// Examples in a batch; a step has one, or as many as `accumulate` says.
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Batches whose gradients make one step, as transformers' `gradient_accumulation_steps`: an epoch's last step has
    /// what is left. The step follows the mean of the batches' mean losses, of a language model that of all target
    /// tokens.
    #[serde(skip_serializing_if = "is_one")] // a cell's id is that of before there was this setting
    #[schemars(range(min = 1))]
    pub accumulate: usize,
    /// Longest gradient of a step, all trained parameters together; a longer one is shortened to it. `null`: none is.
    /// transformers' Trainer has 1 unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_grad_norm: Option<f64>,
    /// `adamw` (decoupled weight decay) or `sgd`.
    pub optimizer: Optimizer,
    /// AdamW's weight decay, of everything that is trained: adapters and the classifier with its bias, as in the
    /// paper's code, which hands all parameters to `torch.optim.AdamW` and leaves its default.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    /// Dropout of the frozen base and of the classifier while fine-tuning: `checkpoint` for what the checkpoint's
    /// config.json says (`hidden_dropout_prob`, `attention_probs_dropout_prob`, `classifier_dropout`; none for models
    /// that have no config.json), or one probability in place of all three.
    pub base_dropout: BaseDropout,
    /// Shape of the learning rate over the steps.
    pub schedule: Schedule,
    /// Share of the steps over which the rate rises linearly from 0 (not for schedule `constant`).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub warmup: f64,
    /// States of adapters and classifier that are kept for methods that go along the fine-tune (`tracin`):
    /// so many epochs, evenly spaced, the last one among them. Nothing is kept when no method asks.
    #[schemars(range(min = 1))]
    pub checkpoints: usize,
    /// How often the queries are evaluated for the history: after so many epochs, evenly spaced, the last one among them.
    /// Default: after every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub evaluations: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            lr: 3e-4,
            batch_size: 32,
            accumulate: 1,
            max_grad_norm: None,
            optimizer: Optimizer::Adamw,
            weight_decay: 0.01,
            base_dropout: BaseDropout::default(),
            schedule: Schedule::Linear,
            warmup: 0.06,
            checkpoints: 5,
            evaluations: None,
        }
    }
}

/// Decay rates of AdamW's first and second moment, PyTorch's defaults.
pub const ADAM_BETAS: [f64; 2] = [0.9, 0.999];
/// What AdamW adds to the root of the second moment, PyTorch's default.
pub const ADAM_EPSILON: f64 = 1e-8;

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// AdamW, β = (0.9, 0.999), ε = 1e-8.
    Adamw,
    /// Plain stochastic gradient descent.
    Sgd,
}

/// Dropout of the base while fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BaseDropout {
    /// `checkpoint`
    Checkpoint(CheckpointDropout),
    /// One probability everywhere.
    Everywhere(#[schemars(range(min = 0.0, max = 0.99))] f64),
}

/// The word `checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointDropout {
    /// The probabilities of config.json.
    Checkpoint,
}

impl Default for BaseDropout {
    fn default() -> Self {
        Self::Checkpoint(CheckpointDropout::Checkpoint)
    }
}

impl BaseDropout {
    /// The probabilities while fine-tuning a model whose config.json says `own`.
    pub fn of(self, own: DropoutProbabilities) -> DropoutProbabilities {
        match self {
            Self::Checkpoint(_) => own,
            Self::Everywhere(p) => DropoutProbabilities::all(p),
        }
    }
}

/// The learning rate over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Linear warm-up to `lr`, then linear decay to 0.
    Linear,
    /// Linear warm-up to `lr`, then half a cosine to 0.
    Cosine,
    /// `lr` throughout.
    Constant,
}

impl TrainConfig {
    /// Learning rate at `step` (from 0) of `total` steps.
    ///
    /// With w = warmup · total, not rounded: lr · step/max(1, w) below w, then lr · (total − step)/max(1, total − w), as
    /// the paper's code calls transformers' `get_linear_schedule_with_warmup`; for `cosine`
    /// lr · ½(1 + cos(π (step − w)/max(1, total − w))), as `get_cosine_schedule_with_warmup`.
    pub fn lr_at(&self, step: usize, total: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => self.lr,
            Schedule::Linear | Schedule::Cosine => {
                let warm = self.warmup * total as f64;
                let decay = (total as f64 - warm).max(1.0);
                if (step as f64) < warm {
                    self.lr * step as f64 / warm.max(1.0)
                } else if self.schedule == Schedule::Linear {
                    self.lr * total.saturating_sub(step) as f64 / decay
                } else {
                    let turn = std::f64::consts::PI * (step as f64 - warm) / decay;
                    self.lr * (0.5 * (1.0 + turn.cos())).max(0.0)
                }
            }
        }
    }
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl TrainConfig {
    /// Steps of an epoch over n examples, ⌈⌈n/batch_size⌉/accumulate⌉.
    pub fn steps_an_epoch(&self, n: usize) -> usize {
        n.div_ceil(self.batch_size).div_ceil(self.accumulate)
    }

    /// The epochs after which a checkpoint is kept, from 1: k of E, ⌊jE/k⌋ for j = 1..k, all when k is more
    /// than E.
    pub fn checkpoint_epochs(&self) -> Vec<usize> {
        self.spaced(self.checkpoints)
    }

    /// The epochs after which the queries are evaluated, spaced alike.
    pub fn evaluated_epochs(&self) -> Vec<usize> {
        self.spaced(self.evaluations.unwrap_or(self.epochs))
    }

    fn spaced(&self, count: usize) -> Vec<usize> {
        let count = count.min(self.epochs);
        (1..=count).map(|j| j * self.epochs / count).collect()
    }
}

impl TrainConfig {
    /// The settings that decide the fine-tuned model: how many states are kept on the way does not.
    pub(super) fn deciding(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("settings are plain JSON");
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("checkpoints");
        }
        value
    }

    /// Dropout while fine-tuning `model`, whose adapters have the probability `adapter`.
    pub fn dropout(&self, adapter: f64, model: &Model) -> Dropout {
        Dropout {
            adapter,
            base: self.base_dropout.of(model.dropout()),
        }
    }
}

impl Optimizer {
    /// Name and constants, for readers.
    pub fn title(self) -> String {
        match self {
            Self::Adamw => {
                let [first, second] = ADAM_BETAS;
                format!("AdamW with β = {first} and {second}, ε = {ADAM_EPSILON:e}")
            }
            Self::Sgd => "sgd".to_owned(),
        }
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
        let evaluated = |evaluations| {
            let train = TrainConfig {
                epochs: 4,
                evaluations,
                ..TrainConfig::default()
            };
            train.evaluated_epochs()
        };
        assert_eq!(evaluated(None), [1, 2, 3, 4]);
        assert_eq!(evaluated(Some(2)), [2, 4]);
    }

    #[test]
    fn base_dropout_is_a_word_or_a_number() {
        let read = |text: &str| serde_yaml::from_str::<TrainConfig>(text).map(|t| t.base_dropout);
        assert_eq!(read("epochs: 1").unwrap(), BaseDropout::default());
        assert_eq!(
            read("base_dropout: checkpoint").unwrap(),
            BaseDropout::default()
        );
        assert_eq!(
            read("base_dropout: 0").unwrap(),
            BaseDropout::Everywhere(0.0)
        );
        assert!(read("base_dropout: model").is_err());
        let own = DropoutProbabilities {
            hidden: 0.1,
            attention: 0.2,
            classifier: 0.3,
        };
        assert_eq!(BaseDropout::default().of(own), own);
        assert_eq!(
            BaseDropout::Everywhere(0.4).of(own),
            DropoutProbabilities::all(0.4)
        );
    }

    #[test]
    fn cosine_schedule_is_that_of_transformers() {
        let train = TrainConfig {
            lr: 1.0,
            warmup: 0.2,
            schedule: Schedule::Cosine,
            ..TrainConfig::default()
        };
        // get_cosine_schedule_with_warmup(optimizer, 2, 10).lr_lambdas[0](step) of transformers 4.57
        let found = [0, 1, 2, 4, 6, 9, 10].map(|step| train.lr_at(step, 10));
        let expected = [
            0.0,
            0.5,
            1.0,
            0.853_553_390_593_273_7,
            0.5,
            0.038_060_233_744_356_63,
            0.0,
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-15,
                "{found} against {expected}"
            );
        }
    }

    #[test]
    fn accumulated_batches_leave_a_last_step_with_the_rest() {
        let steps = |n, batch_size, accumulate| {
            let train = TrainConfig {
                batch_size,
                accumulate,
                ..TrainConfig::default()
            };
            train.steps_an_epoch(n)
        };
        // 15 batches of 64 are less than 16: the paper's ten epochs are ten steps
        assert_eq!([steps(900, 64, 16), steps(900, 64, 1)], [1, 15]);
        assert_eq!(
            [steps(21, 2, 3), steps(24, 2, 3), steps(25, 2, 3)],
            [4, 4, 5]
        );
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
        // w = 2.5: no rounding
        assert_eq!(
            [1, 2, 3, 10].map(|step| train.lr_at(step, 25)),
            [1.0 / 2.5, 2.0 / 2.5, 22.0 / 22.5, 15.0 / 22.5]
        );
        // w = 0.5: below one step there is no warm-up but a first step of rate 0
        assert_eq!([0, 1].map(|step| train.lr_at(step, 5)), [0.0, 4.0 / 4.5]);
    }
}
