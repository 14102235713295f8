//! Where the gradients of a cell go: to memory, or when they are above the size of the settings to a file.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::error::sentence;
use crate::config::{Cell, Settings};
use crate::gradients::settings::{GradientType, Reference};
use crate::gradients::store::{GradientStore, StoreWriter, Target, TensorInfo};
use crate::results::environment;

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

/// What files of this process that are not kept are called after their store, so that another process may do the same
/// cell at the same time: removing or replacing a file that another host has mapped would end the work there.
static OWN: LazyLock<String> = LazyLock::new(|| {
    let now = std::time::SystemTime::now();
    let about = format!("{} {} {now:?}", environment::host(), std::process::id());
    format!("part-{}", &blake3::hash(about.as_bytes()).to_hex()[..12])
});

/// The files of gradients that this process has not given their last names.
fn parts(folder: &Path) -> Vec<PathBuf> {
    let ending = format!(".{}.safetensors", *OWN);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.ends_with(&ending))
        })
        .collect()
}

/// Removes the files of gradients in the folder `root` of results that this process made and has not kept, and the
/// folder when it is empty.
pub fn remove_parts(root: &Path) {
    let folder = root.join("gradients");
    for path in parts(&folder) {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir(folder);
}

/// [`remove_parts`] when a cell is done, however it ends.
pub(super) struct RemoveParts<'a>(pub &'a Path);

impl Drop for RemoveParts<'_> {
    fn drop(&mut self) {
        remove_parts(self.0);
    }
}

impl Stores<'_> {
    /// The file of a store that is kept.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root
            .join("gradients")
            .join(format!("{}.{name}.safetensors", self.cell.id))
    }

    /// The file of a store while the cell is at work, if it has one.
    pub fn part(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.{}", *OWN))
    }

    /// Gives a store's file its last name, or writes it where there was none.
    pub fn keep(&self, name: &str, store: &GradientStore) -> Result<(), String> {
        let path = self.path(name);
        if store.storage() == "mapped" {
            let moved = std::fs::rename(self.part(name), &path);
            return moved.map_err(|e| format!("cannot make {}: {e}", path.display()));
        }
        let folder = self.root.join("gradients");
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        store.save(&path).map_err(sentence)
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
        Ok(Target::new(Some(self.part(file)), dtype))
    }

    /// A copy of `store`, of f32, rounded to the type of the settings.
    pub fn rounded(&self, name: &str, store: &GradientStore) -> Result<GradientStore, String> {
        let dtype = self.cell.settings.store.dtype;
        let numbers = store.bytes() / GradientType::F32.bytes() as u64;
        let target = self.target_of(name, dtype, numbers, 1)?;
        store.copy(target).map_err(sentence)
    }
}
