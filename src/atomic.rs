//! Files that appear whole or not at all.
//!
//! In: a path and bytes, or a file that is written piece by piece. Out: the file under its name, or nothing there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Temporary files that have not got their names yet.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every temporary file of this process: for a process that ends without running its destructors.
pub fn remove_unfinished() {
    for path in unfinished().drain(..) {
        let _ = fs::remove_file(path);
    }
}

/// A temporary file beside its final name; nothing half-written ever stands under that name. Dropped
/// without [`commit`](Self::commit), it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    /// There until it gets its name.
    temporary: Option<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `path`.
    ///
    /// # Errors
    /// The folder does not exist or cannot be written; `path` is a device or a pipe, which a file would replace.
    pub fn create(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            return Err(io::Error::other("it is a device or a pipe, not a file"));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".writing-");
        // a temporary file is private by default; results are as readable as any other file
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(folder(path))?;
        unfinished().push(temporary.path().to_owned());
        Ok(Self {
            temporary: Some(temporary),
            path: path.to_owned(),
        })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        let temporary = self.temporary.as_mut();
        temporary.expect("it has no name yet").as_file_mut()
    }

    /// Where it will stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// fsync, rename to the final name, fsync of the folder.
    ///
    /// # Errors
    /// Any of these fails; the final name is then untouched.
    pub fn commit(mut self) -> io::Result<()> {
        let temporary = self.temporary.take().expect("it has no name yet");
        let name = temporary.path().to_owned();
        let synced = temporary.as_file().sync_all();
        let kept = synced.and_then(|()| temporary.persist(&self.path).map_err(|e| e.error));
        unfinished().retain(|path| *path != name);
        kept?;
        // the rename itself must survive a crash, too
        #[cfg(unix)]
        File::open(folder(&self.path))?.sync_all()?;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let name = temporary.path().to_owned();
            drop(temporary);
            unfinished().retain(|path| *path != name);
        }
    }
}

/// Writes a whole file: a crash leaves the old one or the new one, never half of it. Makes the folder
/// when it is not there.
///
/// # Errors
/// Whatever the file system answers; nothing is left then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder(path))?;
    let mut file = AtomicFile::create(path)?;
    file.file().write_all(bytes)?;
    file.commit()
}

/// [`write()`] of a value as JSON that people can read.
///
/// # Errors
/// Those of [`write()`], and of a value that is no JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write(path, &text)
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_replace_and_leave_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        drop(AtomicFile::create(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn devices_are_not_replaced() {
        let error = write(Path::new("/dev/null"), b"one").unwrap_err();
        assert!(error.to_string().contains("device"), "{error}");
    }
}
