//! Models with LoRA sites: an architecture is one file that implements [`network::Network`] and, for its settings in the
//! YAML, [`Architecture`], and an entry in the table below; a family of pretrained checkpoints is one file in
//! [`huggingface`] and an entry in the table there.
//!
//! In: settings `model:` and `lora:`, the form of the inputs, weights. Out: a [`Model`], which leads batches through its
//! network and names what is trained of it. Nothing here knows a task, a loss, a method or a metric.

mod architecture;
mod batch;
pub mod checkpoint;
pub mod compute;
pub mod decoder;
pub mod diffusion;
pub mod dropout;
mod error;
mod family;
pub mod files;
pub mod generate;
mod head;
pub mod huggingface;
mod layer_norm;
mod layered;
pub mod linear;
pub mod llama;
mod load;
pub mod loading;
pub mod lora;
pub mod mlp;
mod model;
pub mod network;
pub mod ops;
pub mod parameter;
pub mod pass;
pub mod peft;
pub mod pretrain;
mod table;
pub mod transformer;
mod weight_bytes;

pub use architecture::Architecture;
pub use batch::{Batch, InputShape, ModelInput, repeated};
pub use checkpoint::CheckpointConfig;
pub use compute::Compute;
pub use dropout::{Dropout, DropoutProbabilities};
pub use error::{CheckpointError, ModelError};
pub use family::Family;
pub use layered::{Layered, Stage};
pub use llama::LlamaConfig;
pub use loading::{Loading, Stream};
pub use lora::settings::LoraConfig;
pub use lora::{Adapter, AdapterShape, LoraLinear};
pub use mlp::MlpConfig;
pub use model::{Brought, GradientTensor, Model};
pub use network::RowCost;
pub use parameter::{Array, Role, WeightError, Weights};
pub use pass::{Pass, Site};
pub use pretrain::PretrainConfig;
pub use transformer::TransformerConfig;
pub use weight_bytes::WeightBytes;

table::models! {
    /// Post-layer-norm transformer encoder (BERT's block), mean-pooled, linear head.
    transformer: Transformer(TransformerConfig),
    /// Multilayer perceptron on flat features; its hidden layers are LoRA target `ffn`.
    mlp: Mlp(MlpConfig),
    /// Small causal language model of the Llama family.
    llama: Llama(LlamaConfig),
    /// Pretrained BERT or RoBERTa with its own head, or a causal language model (Llama, Mistral, Qwen2, Qwen3): a folder in
    /// Hugging Face's layout or an id of the hub.
    checkpoint: Checkpoint(CheckpointConfig),
}
