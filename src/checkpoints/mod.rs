//! Checkpoints as files: where they lie, on this machine or on the Hugging Face hub, what is called what in their
//! folders, and their JSON settings field by field.
//!
//! Nothing here knows a model. In: a path or an id. Out: a folder and the fields of its files, from which
//! [`models`](crate::models) builds a network and [`tasks`](crate::tasks) opens a tokenizer.

pub mod diffusers_lora;
mod fields;
pub mod finite;
pub mod gguf;
pub mod hub;
pub mod layout;
pub mod peft;

mod post_processor;
pub mod shards;
pub mod tensor_file;

pub use fields::{Fields, HuggingFaceError};
pub use post_processor::begin_and_end;
pub use tensor_file::TensorFileError;
