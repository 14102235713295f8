//! The experiment: YAML as written → checked [`Experiment`](experiment) → grid of cells.

pub mod influence;
pub mod lora;
pub mod method;
pub mod model;
pub mod store;
pub mod task;
pub mod train;

pub use influence::{Blocks, InfluenceConfig, Precision};
pub use lora::{LayerSelection, LoraConfig, LoraTarget};
pub use method::MethodSpec;
pub use model::{MlpConfig, ModelConfig, PretrainConfig, TransformerConfig};
pub use store::StoreConfig;
pub use task::TaskConfig;
pub use train::TrainConfig;
