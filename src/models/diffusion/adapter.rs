//! The LoRA of a UNet: from a file of diffusers in any of its layouts, or a folder of PEFT; and back to a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::checkpoints::diffusers_lora::{self, Layout, LoraFile, LoraFileError, LoraMatrices};
use crate::input::{or_meant, quote_name};
use crate::models::lora::settings::LoraInit;
use crate::models::peft::{self, PeftError};
use crate::models::{AdapterShape, Array, Model, ModelError, Role, Weights};

/// Ends of the names of the two factors.
const FACTORS: [&str; 2] = ["lora_A.weight", "lora_B.weight"];

/// Why a UNet cannot be given a LoRA.
#[derive(Debug, Error)]
pub enum UnetAdapterError {
    /// The file.
    #[error(transparent)]
    File(#[from] LoraFileError),
    /// A folder in PEFT's layout.
    #[error(transparent)]
    Peft(#[from] PeftError),
    /// A module that the UNet lacks.
    #[error(
        "{path}: the UNet has no linear layer `{}`{did_you_mean}",
        quote_name(module)
    )]
    Module {
        /// The file.
        path: PathBuf,
        /// The module.
        module: String,
        /// The nearest name there is, with its own punctuation; may be empty.
        did_you_mean: String,
    },
    /// Factors of other sizes than the matrix.
    #[error(
        "{path}: the adapter of `{}` is for a matrix of {found:?} (outputs, inputs); the UNet's is {expected:?}",
        quote_name(module)
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The module.
        module: String,
        /// Sizes of the adapter.
        found: [usize; 2],
        /// Sizes of the matrix.
        expected: [usize; 2],
    },
    /// The weights.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Hangs the LoRA in `path` on the UNet, in place of any that there is: a safetensors file of diffusers, a folder with
/// `pytorch_lora_weights.safetensors`, or a folder of PEFT.
///
/// # Errors
/// A file that cannot be used, modules that the UNet lacks, factors of other sizes than its matrices.
pub fn load(path: &Path, model: &mut Model) -> Result<(), UnetAdapterError> {
    if path.join(peft::CONFIG_FILE).is_file() {
        return Ok(peft::load(path, model)?);
    }
    let file = diffusers_lora::read(path)?;
    let known: BTreeMap<String, [usize; 2]> = (model.linears().into_iter())
        .map(|linear| {
            (
                linear.name().to_owned(),
                [linear.outputs(), linear.inputs()],
            )
        })
        .collect();
    let mut sites = BTreeMap::new();
    let mut weights = Weights::new();
    for (module, adapter) in file {
        let found = [adapter.outputs, adapter.inputs];
        let Some(&expected) = known.get(&module) else {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(UnetAdapterError::Module {
                path: path.to_owned(),
                did_you_mean: or_meant(&module, &names),
                module,
            });
        };
        if found != expected {
            return Err(UnetAdapterError::Shape {
                path: path.to_owned(),
                module,
                found,
                expected,
            });
        }
        let LoraMatrices {
            rank,
            inputs,
            outputs,
            scale,
            a,
            b,
        } = adapter;
        let factors = [([rank, inputs], a), ([outputs, rank], b)];
        for (end, (shape, values)) in FACTORS.iter().zip(factors) {
            let array = Array {
                shape: shape.to_vec(),
                values,
            };
            weights.insert(format!("{module}.{end}"), array);
        }
        let init = LoraInit::Gaussian;
        sites.insert(module, AdapterShape { rank, scale, init });
    }
    let hung = model.adapt_matrices(&sites);
    debug_assert!(hung.is_ok(), "every site was looked up");
    Ok(model.import(&[Role::Adapter], &weights)?)
}

/// Writes the UNet's LoRA as diffusers does today.
///
/// # Errors
/// The file system's refusal.
pub fn save(path: &Path, model: &mut Model) -> Result<(), UnetAdapterError> {
    let mut weights = model.export(&[Role::Adapter]);
    let mut file = LoraFile::new();
    for linear in model.adapted() {
        let Some(adapter) = linear.adapter() else {
            continue;
        };
        let [a, b] = FACTORS.map(|end| weights.remove(&format!("{}.{end}", linear.name())));
        let values = |array: Option<Array>| array.map_or(Vec::new(), |array| array.values);
        let matrices = LoraMatrices {
            rank: adapter.a.dims()[0],
            inputs: linear.inputs(),
            outputs: linear.outputs(),
            scale: adapter.scale,
            a: values(a),
            b: values(b),
        };
        file.insert(linear.name().to_owned(), matrices);
    }
    Ok(diffusers_lora::write(path, &file, Layout::Peft)?)
}
