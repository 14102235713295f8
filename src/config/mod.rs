//! The experiment: YAML as written → checked [`Experiment`] → grid of cells.
//!
//! In: the text of a file, a profile and changes from the command line. Out: a [`Plan`] with one [`Cell`] per setting
//! and seed, every default filled in, each with a content hash; or one error with its line, what was found and what is
//! allowed. The cells go to [`crate::runner`].

mod check;
mod conform;
pub mod document;
pub mod error;
pub mod experiment;
pub mod grid;
pub mod influence;
mod metrics;
mod name;
pub mod pretraining;
mod profile;
pub mod resolve;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod theory;
pub mod words;
mod yaml;

pub use error::ConfigError;
pub use experiment::{Cell, Experiment, Outputs, SampleOutputs, Settings};
pub use grid::Plan;
pub use influence::InfluenceConfig;

pub use crate::finetune::TrainConfig;
pub use crate::gradients::settings::StoreConfig;
pub use crate::ground_truth::GroundTruthConfig;
pub use crate::influence::{Blocks, MethodSpec, Precision};
pub use crate::models::{LoraConfig, ModelConfig};
pub use crate::tasks::TaskConfig;
