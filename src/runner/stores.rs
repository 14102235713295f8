//! Where the gradients of a cell go: to memory, or when they are above the size of the settings to a file.

use std::path::{Path, PathBuf};

use super::sentence;
use crate::config::{Cell, Settings};
use crate::gradients::settings::{GradientType, Reference};
use crate::gradients::store::{GradientStore, StoreWriter, Target, TensorInfo};

/// Names of the stores that are rounded.
pub(super) const SPLITS: [&str; 2] = ["train", "query"];

/// Name of a split's gradients before they are rounded.
pub(super) fn unrounded(split: &str) -> String {
    format!("{split}.f32")
}

/// Whether the gradients of a cell are kept as they come, too, before they are rounded to `store.dtype`.
pub(super) fn keeps_unrounded(settings: &Settings) -> bool {
    let (store, truth) = (&settings.store, &settings.ground_truth);
    let split = truth.as_ref().is_some_and(|t| t.decomposition.is_some());
    store.dtype != GradientType::F32 && (store.reference == Reference::F32 || split)
}

/// The stores of a cell.
pub(super) struct Stores<'a> {
    /// The folder of the results.
    pub root: &'a Path,
    /// Whose gradients they hold.
    pub cell: &'a Cell,
}

impl Stores<'_> {
    /// The file of a store, if it has one.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root
            .join("gradients")
            .join(format!("{}.{name}.safetensors", self.cell.id))
    }

    /// A writer of `rows` examples, one of `alike` stores of this size that are held at a time.
    pub fn writer(
        &self,
        name: &str,
        tensors: Vec<TensorInfo>,
        rows: usize,
        alike: usize,
    ) -> Result<StoreWriter, String> {
        let target = self.target(name, &tensors, rows, alike)?;
        StoreWriter::new(tensors, rows, target).map_err(sentence)
    }

    /// Where a store of `rows` examples, one of `alike`, goes.
    pub fn target(
        &self,
        name: &str,
        tensors: &[TensorInfo],
        rows: usize,
        alike: usize,
    ) -> Result<Target, String> {
        let numbers = tensors.iter().map(|t| t.dim() as u64).sum::<u64>() * rows as u64;
        let settings = &self.cell.settings;
        // what is rounded later comes in f32, under another name
        let (dtype, file) = if keeps_unrounded(settings) && SPLITS.contains(&name) {
            (GradientType::F32, unrounded(name))
        } else {
            (settings.store.dtype, name.to_owned())
        };
        self.target_of(&file, dtype, numbers, alike)
    }

    fn target_of(
        &self,
        file: &str,
        dtype: GradientType,
        numbers: u64,
        alike: usize,
    ) -> Result<Target, String> {
        let bytes = dtype.bytes() as u64 * numbers;
        if bytes * alike as u64 <= self.cell.settings.store.in_memory_mib << 20 {
            return Ok(Target::new(None, dtype));
        }
        let folder = self.root.join("gradients");
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        Ok(Target::new(Some(self.path(file)), dtype))
    }

    /// A copy of `store`, of f32, rounded to the type of the settings.
    pub fn rounded(&self, name: &str, store: &GradientStore) -> Result<GradientStore, String> {
        let dtype = self.cell.settings.store.dtype;
        let numbers = store.bytes() / GradientType::F32.bytes() as u64;
        let target = self.target_of(name, dtype, numbers, 1)?;
        store.copy(target).map_err(sentence)
    }
}
