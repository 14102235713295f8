//! Parameters from files.

use std::sync::Arc;

use burn::tensor::{DType, Device};
use safetensors::Dtype;

use super::compute::Compute;
use super::parameter::Parameter;
use crate::checkpoints::peft::modules::split_layer;
use crate::checkpoints::shards::{Shards, ShardsError};

/// Fills `parameters` from files, one at a time.
///
/// # Errors
/// See [`Shards::values`].
pub fn load(
    shards: &Shards,
    parameters: Vec<Parameter>,
    device: &Device,
) -> Result<(), ShardsError> {
    fill(shards, Compute::F32, parameters, device)
}

/// Mapped files, and the precision in which what is read of them is used.
#[derive(Clone, Debug)]
pub struct Narrow {
    /// The files.
    pub shards: Arc<Shards>,
    /// The precision of products.
    pub compute: Compute,
}

impl Narrow {
    /// The type that holds a parameter's numbers as they are read, without rounding: the file's own where it is a narrow
    /// one and nothing rounds them besides.
    pub fn dtype(&self, name: &str) -> DType {
        match self.shards.dtype(name) {
            Some(Dtype::BF16) if self.compute == Compute::F32 => DType::BF16,
            Some(Dtype::F16) if self.compute == Compute::F32 => DType::F16,
            _ => DType::F32,
        }
    }

    /// [`load`], the matrices of layers rounded.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self, parameters: Vec<Parameter>, device: &Device) -> Result<(), ShardsError> {
        fill(&self.shards, self.compute, parameters, device)
    }
}

fn fill(
    shards: &Shards,
    compute: Compute,
    parameters: Vec<Parameter>,
    device: &Device,
) -> Result<(), ShardsError> {
    for mut parameter in parameters {
        let name = &parameter.name;
        let read = |shape: &[usize]| -> Result<_, ShardsError> {
            let mut values = shards.values(name, shape)?;
            if let (&[_, width], Some(_)) = (shape, split_layer(name)) {
                compute.round_weight(&mut values, width);
            }
            Ok(values)
        };
        parameter.slot.replace(device, read)?;
    }
    Ok(())
}
