//! Pictures in the folder of the results, by the hash of their content, so that each is written once.

use std::path::Path;

use crate::data::Picture;

/// Folder of the pictures in that of the results.
pub(super) const FOLDER: &str = "images";

/// Writes a picture, unless it is there. Its path in `root`.
///
/// # Errors
/// The file system's refusal, as a sentence.
pub(super) fn write(picture: &Picture, root: &Path) -> Result<String, String> {
    let bytes = picture.png();
    let name = format!("{FOLDER}/{}.png", &blake3::hash(&bytes).to_hex()[..16]);
    let path = root.join(&name);
    if !path.is_file() {
        crate::atomic::write(&path, &bytes)
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(name)
}
