//! Files that appear whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::StoreError;

/// A temporary file beside its final name; nothing half-written ever stands under that name. Dropped
/// without [`commit`](Self::commit), it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: tempfile::NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `path`.
    ///
    /// # Errors
    /// The folder does not exist or cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".tmp");
        // a temporary file is private by default; results are as readable as any other file
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder
            .tempfile_in(folder(path))
            .map_err(StoreError::io(path, "create a file beside"))?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
        })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Where it will stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// fsync, rename to the final name, fsync of the folder.
    ///
    /// # Errors
    /// Any of these fails; the final name is then untouched.
    pub fn commit(self) -> Result<(), StoreError> {
        let Self { temporary, path } = self;
        temporary
            .as_file()
            .sync_all()
            .map_err(StoreError::io(&path, "write"))?;
        temporary
            .persist(&path)
            .map_err(|e| StoreError::io(&path, "rename to")(e.error))?;
        #[cfg(unix)]
        File::open(folder(&path))
            .and_then(|folder| folder.sync_all())
            .map_err(StoreError::io(&path, "write the folder of"))?;
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
