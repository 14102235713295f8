//! Writing.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::names::{Layout, METADATA};
use super::peft::settings_of;
use super::{LoraFile, LoraFileError};
use crate::checkpoints::tensor_file;

/// Writes adapters atomically. [`Layout::Peft`] says rank and α in its metadata, too, as diffusers does since 0.34.
///
/// # Errors
/// A scale other than 1 in an older layout, and the file system's refusal.
pub fn write(path: &Path, adapters: &LoraFile, layout: Layout) -> Result<(), LoraFileError> {
    let uneven = adapters.iter().find(|(_, adapter)| adapter.scale != 1.0);
    if let Some((module, adapter)) = uneven.filter(|_| layout != Layout::Peft) {
        return Err(LoraFileError::Scale {
            module: module.clone(),
            scale: adapter.scale,
        });
    }
    let mut views = Vec::new();
    for (module, adapter) in adapters {
        let factors = [
            (false, [adapter.rank, adapter.inputs], &adapter.a),
            (true, [adapter.outputs, adapter.rank], &adapter.b),
        ];
        for (b, shape, values) in factors {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values));
            views.push((layout.name(module, b), view));
        }
    }
    // one entry: the order of several would differ from run to run
    let (key, text) = match layout {
        Layout::Peft => (METADATA, settings_of(adapters).to_string()),
        _ => ("format", "pt".to_owned()),
    };
    let metadata = HashMap::from([(key.to_owned(), text)]);
    Ok(tensor_file::write(path, views, Some(metadata))?)
}
