//! LoRA files of diffusers for a UNet, in the three layouts that it has written.
//!
//! | [`Layout`] | A and B of `to_q` of a module M |
//! |---|---|
//! | `Processors` (2023) | `unet.M.processor.to_q_lora.down.weight`, `….up.weight`; `to_out_lora` is `to_out.0` |
//! | `DownUp` (early 2024) | `unet.M.to_q.lora.down.weight`, `unet.M.to_q.lora.up.weight` |
//! | `Peft` (from 0.27 on) | `unet.M.to_q.lora_A.weight`, `unet.M.to_q.lora_B.weight` |
//!
//! The scale of B·A is α/r. α is in the file as `….alpha` beside the two factors, or, since diffusers 0.34, as PEFT's
//! settings in the metadata (`lora_adapter_metadata`); where neither says, α = r. The prefix `unet.` may be missing, as
//! `UNet2DConditionModel.save_attn_procs` leaves it out.

use std::collections::BTreeMap;

mod error;
mod names;
mod peft;
mod read;
mod write;

pub use error::LoraFileError;
pub use names::Layout;
pub use read::read;
pub use write::write;

/// Name of the file in a folder that diffusers wrote.
pub const LORA_FILE: &str = "pytorch_lora_weights.safetensors";
/// An adapter of one matrix W `[outputs, inputs]`: W + scale · B·A.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraMatrices {
    /// r.
    pub rank: usize,
    /// Columns of A.
    pub inputs: usize,
    /// Rows of B.
    pub outputs: usize,
    /// α/r, or α/√r in a file that says `use_rslora`.
    pub scale: f64,
    /// Row-major `[rank, inputs]`.
    pub a: Vec<f32>,
    /// Row-major `[outputs, rank]`.
    pub b: Vec<f32>,
}

/// Adapters by the name of their module, such as `mid_block.attentions.0.transformer_blocks.0.attn1.to_q`.
pub type LoraFile = BTreeMap<String, LoraMatrices>;

#[cfg(test)]
mod tests;
