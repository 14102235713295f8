//! What a file is when it is not what its name says.

use std::path::Path;

use super::{InputError, quote};

/// What a file turns out to be.
pub(super) struct Foreign {
    found: String,
    /// What to do.
    advice: &'static str,
}

impl Foreign {
    fn new(found: impl Into<String>, advice: &'static str) -> Self {
        Self {
            found: found.into(),
            advice,
        }
    }

    pub(super) fn error(self, path: &Path, needed: &str) -> InputError {
        let Self { found, advice } = self;
        let mark = if advice.is_empty() { "" } else { "; " };
        InputError::Foreign {
            path: path.to_owned(),
            found: format!("{found}, not {needed}{mark}{advice}"),
        }
    }
}

/// What a binary file is that its parser refused, from its first bytes: empty, another format, a text. `None` when it
/// may well be what is `needed` (such as `a safetensors file`), but damaged.
pub fn explain(path: &Path, start: &[u8], needed: &str) -> Option<InputError> {
    if start.is_empty() {
        return Some(InputError::Empty {
            path: path.to_owned(),
        });
    }
    let start = &start[..start.len().min(512)];
    let found = placeholder(start)
        .or_else(|| encoding(start))
        .or_else(|| format(start))
        .or_else(|| words(start))?;
    Some(found.error(path, needed))
}

/// A text that stands where a file should be.
pub(super) fn placeholder(start: &[u8]) -> Option<Foreign> {
    if ["version https://git-lfs", "version https://hawser"]
        .iter()
        .any(|text| start.starts_with(text.as_bytes()))
    {
        return Some(Foreign::new(
            "a Git LFS pointer",
            "fetch what it points to with `git lfs pull` in its repository, or download the file again",
        ));
    }
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let text = text.trim_ascii_start();
    let begins = |tag: &str| {
        let head = text.get(..tag.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
    };
    ["<!doctype", "<html", "<head", "<body", "<?xml"]
        .into_iter()
        .any(begins)
        .then(|| {
            Foreign::new(
                "a web page (HTML or XML)",
                "the download got a login, error or preview page; download the file itself (on the Hugging Face hub the address with /resolve/, not /blob/)",
            )
        })
}

/// Text of 16 or 32 bits a character.
pub(super) fn encoding(start: &[u8]) -> Option<Foreign> {
    const WIDE: &str = "`iconv -f UTF-16 -t UTF-8` converts it (in Notepad: save as UTF-8; in pandas: encoding=\"utf-8\")";
    if start.starts_with(b"\xFF\xFE\0\0") || start.starts_with(b"\0\0\xFE\xFF") {
        return Some(Foreign::new(
            "UTF-32 text",
            "`iconv -f UTF-32 -t UTF-8` converts it",
        ));
    }
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        return Some(Foreign::new("UTF-16 text", WIDE));
    }
    // without its mark: Latin letters have a zero in every other byte
    let start = &start[..start.len().min(64)];
    let zeros = |odd: usize| {
        start
            .iter()
            .skip(odd)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let [even, odd] = [zeros(0), zeros(1)];
    let half = start.len() / 2;
    let wide = half >= 4 && even.min(odd) == 0 && 4 * even.max(odd) >= 3 * half;
    wide.then(|| Foreign::new("UTF-16 text without a byte order mark", WIDE))
}

/// A known format, by its first bytes.
pub(super) fn format(start: &[u8]) -> Option<Foreign> {
    const TENSORS: &str = "`safetensors.torch.save_file(tensors, PATH)` writes what is needed";
    const UNPACK: &str = "unpack it first";
    let known: [(&[u8], &str, &str); 15] = [
        (
            b"PK\x03\x04",
            "a zip archive, as torch.save (.bin, .pt) and numpy.savez write it",
            TENSORS,
        ),
        (
            b"\x80\x02",
            "a pickle, as older torch.save writes it",
            TENSORS,
        ),
        (b"\x80\x04", "a pickle", TENSORS),
        (b"\x80\x05", "a pickle", TENSORS),
        (b"\x93NUMPY", "an array of NumPy", TENSORS),
        (
            b"\x89HDF",
            "HDF5, as TensorFlow and Keras write it",
            TENSORS,
        ),
        (b"GGUF", "GGUF", TENSORS),
        (b"PAR1", "Parquet", "its name has to end in .parquet"),
        (
            b"ARROW1",
            "Arrow IPC",
            "`pandas.read_feather(PATH).to_parquet(NEW)` converts it",
        ),
        (b"\x1F\x8B", "compressed with gzip", UNPACK),
        (b"\x28\xB5\x2F\xFD", "compressed with zstd", UNPACK),
        (b"\xFD7zXZ", "compressed with xz", UNPACK),
        (b"BZh91AY", "compressed with bzip2", UNPACK),
        (
            b"\xD0\xCF\x11\xE0",
            "a document of Microsoft Office",
            "export it as text",
        ),
        (b"%PDF", "a PDF", ""),
    ];
    let found = known.iter().find(|(magic, ..)| start.starts_with(magic))?;
    Some(Foreign::new(found.1, found.2))
}

/// A text, where bytes are needed.
fn words(start: &[u8]) -> Option<Foreign> {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // a character may be cut at the end
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    let is_words = !text.is_empty() && text.chars().all(is_text);
    is_words.then(|| {
        let line = text.trim().lines().next().unwrap_or_default();
        Foreign::new(format!("a text that begins with \"{}\"", quote(line)), "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(start: &[u8]) -> Option<String> {
        explain(Path::new("x"), start, "a safetensors file").map(|error| error.to_string())
    }

    #[test]
    fn what_stands_in_for_a_file_is_named() {
        for (start, expected) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"[..],
                "a Git LFS pointer, not a safetensors file; fetch",
            ),
            (b"\n <!DOCTYPE html>", "a web page"),
            (b"\xEF\xBB\xBF<HTML lang", "a web page"),
            (b"<?xml version=\"1.0\"?><Error>", "a web page"),
            (b"PK\x03\x04\x14\0", "a zip archive, as torch.save"),
            (b"\x80\x02\x8a\n", "a pickle"),
            (b"\x1F\x8B\x08\0", "compressed with gzip"),
            (
                b"Entry not found",
                "a text that begins with \"Entry not found\", not a safetensors file",
            ),
            (
                b"{\"error\":\"Repository not found\"}",
                "a text that begins with",
            ),
            (b"\xFF\xFEa\0", "UTF-16 text"),
            (b"i\0n\0d\0e\0x\0", "UTF-16 text without"),
            (b"\0i\0n\0d\0e\0x", "UTF-16 text without"),
        ] {
            let text = found(start).unwrap();
            assert!(text.contains(expected), "{text}");
            assert!(text.starts_with("x is "), "{text}");
        }
        assert!(found(b"").unwrap().contains("x is empty (0 bytes)"));
    }

    #[test]
    fn a_damaged_file_of_the_right_kind_is_left_to_its_parser() {
        let header = b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        assert_eq!(found(&file), None);
        assert_eq!(found(&file[..6]), None);
        assert_eq!(found(&[0; 16]), None);
        // Latin-1 is no text of ours
        assert_eq!(found(b"caf\xE9 au lait"), None);
    }
}
