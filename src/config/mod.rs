//! The experiment: YAML as written → checked [`Experiment`] → grid of cells.
//!
//! In: the text of a file, a profile and changes from the command line. Out: a [`Plan`] with one [`Cell`] per setting
//! and seed, every default filled in, each with a content hash; or one error with its line, what was found and what is
//! allowed. The cells go to [`crate::runner`].

mod check;
mod conform;
pub mod decomposition;
pub mod document;
pub mod error;
pub mod experiment;
pub mod grid;
pub mod ground_truth;
pub mod influence;
pub mod lora;
mod metrics;
pub mod model;
mod name;
mod profile;
pub mod schema;
pub mod store;
pub mod theory;
pub mod train;
mod yaml;

pub use error::ConfigError;
pub use experiment::{Cell, Experiment, Outputs, Settings};
pub use grid::{Plan, load};
pub use ground_truth::GroundTruthConfig;
pub use influence::InfluenceConfig;
pub use lora::{LayerSelection, LoraConfig, LoraInit, LoraTarget};
pub use model::{CheckpointConfig, MlpConfig, ModelConfig, PretrainConfig, TransformerConfig};
pub use store::StoreConfig;
pub use train::TrainConfig;

pub use crate::influence::{Blocks, MethodSpec, Precision};
pub use crate::tasks::TaskConfig;
