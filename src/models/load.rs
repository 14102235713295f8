//! Parameters from files.

use burn::tensor::Device;

use super::parameter::Parameter;
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
    for mut parameter in parameters {
        let name = &parameter.name;
        let read = |shape: &[usize]| shards.values(name, shape);
        parameter.slot.replace(device, read)?;
    }
    Ok(())
}
