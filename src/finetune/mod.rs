//! From a task to a fine-tuned model: pretrain the base, freeze it, train adapters and head.
//!
//! In: [`TaskData`](crate::data::TaskData), the model's settings, [`TrainConfig`]. Out: [`FineTuned`], whose gradients
//! [`crate::gradients`] takes, with the info for the record; and a [`Retrainer`], which repeats the fine-tune on parts
//! of the training examples for [`crate::ground_truth`]. What is finished is kept in a cache by the hash of what decides
//! it.

mod by_layer;
pub mod cache;
pub mod checkpoints;
mod context;
mod error;
mod fine_tune;
pub mod optimizer;
mod pretrain;
pub mod retrain;
pub mod reuse;
mod run;
pub mod settings;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trainer_tests;
mod training;
#[cfg(test)]
mod training_tests;

pub use context::{Progress, Settings, Stage};
pub use error::FinetuneError;
pub use fine_tune::{
    FineTuned, fine_tune, fine_tune_key, fine_tune_with_checkpoints, lacks_fine_tune,
};
pub use pretrain::{Base, BaseInfo, base_key, lacks_base, pretrained_base};
pub use retrain::{Outcome, Retrainer, retraining_key};
pub use settings::TrainConfig;
