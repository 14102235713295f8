//! The files that are the truth of a run, as written or compressed with gzip, as `results/` in the repository keeps them.

use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::input::{self, InputError};

/// The text of the file `name` in `folder`, or of `name.gz`, and where it was read; `None` when neither is there.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub(super) fn text(folder: &Path, name: &str) -> Result<Option<(PathBuf, String)>, InputError> {
    let plain = folder.join(name);
    if plain.is_file() {
        let text = input::text(&plain)?;
        return Ok(Some((plain, text)));
    }
    let packed = folder.join(format!("{name}.gz"));
    if !packed.is_file() {
        return Ok(None);
    }
    let bytes = input::bytes(&packed)?;
    let mut text = Vec::new();
    let unpacked = MultiGzDecoder::new(Cursor::new(bytes)).read_to_end(&mut text);
    unpacked.map_err(|error| InputError::Read {
        path: packed.clone(),
        reason: format!("{error} (a file compressed with gzip is expected)"),
    })?;
    let text = input::decode(&packed, text)?;
    Ok(Some((packed, text)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_compressed_file_reads_as_the_plain_one_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = || text(folder.path(), "a.json");
        assert_eq!(read().unwrap(), None);
        let packed = folder.path().join("a.json.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all("{\"λ\": 1}\n".as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        fs::write(&packed, &bytes).unwrap();
        let found = read().unwrap().unwrap();
        assert_eq!(found, (packed.clone(), "{\"λ\": 1}\n".to_owned()));
        for broken in [&bytes[..bytes.len() - 3], b"{}"] {
            fs::write(&packed, broken).unwrap();
            let message = read().unwrap_err().to_string();
            assert!(
                message.contains("a.json.gz") && message.contains("gzip"),
                "{message}"
            );
        }
        let plain = folder.path().join("a.json");
        fs::write(&plain, "{}").unwrap();
        assert_eq!(read().unwrap(), Some((plain, "{}".to_owned())));
    }
}
