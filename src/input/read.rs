//! Whole files as text and as JSON.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::{InputError, foreign, shorten};

/// Most characters of a parser's message, which may quote its input.
const LONGEST: usize = 160;
/// What [`text`] needs.
const TEXT: &str = "UTF-8 text";

/// The bytes of a file.
///
/// # Errors
/// The file system's refusal.
pub fn bytes(path: &Path) -> Result<Vec<u8>, InputError> {
    std::fs::read(path).map_err(|error| InputError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// The text of a file, without its byte order mark.
///
/// # Errors
/// A file that cannot be read, is empty, is something else than UTF-8 text, or a placeholder for the real file.
pub fn text(path: &Path) -> Result<String, InputError> {
    decode(path, bytes(path)?)
}

/// The text in the bytes of `path`.
///
/// # Errors
/// As [`text`], but for the file system's refusal.
pub fn decode(path: &Path, mut bytes: Vec<u8>) -> Result<String, InputError> {
    if bytes.is_empty() {
        return Err(InputError::Empty {
            path: path.to_owned(),
        });
    }
    let start = &bytes[..bytes.len().min(512)];
    let foreign = foreign::placeholder(start).or_else(|| foreign::encoding(start));
    if let Some(foreign) = foreign {
        return Err(foreign.error(path, TEXT));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        if let Some(foreign) = foreign::format(bytes) {
            return foreign.error(path, TEXT);
        }
        let before = &bytes[..at];
        let start = before
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |i| i + 1);
        InputError::Encoding {
            path: path.to_owned(),
            line: before.iter().filter(|&&b| b == b'\n').count() + 1,
            column: at - start + 1,
            byte: bytes[at],
        }
    })
}

/// A value from a file of JSON.
///
/// # Errors
/// As [`text`]; no JSON, or not the JSON of a `T`.
pub fn json<T: DeserializeOwned>(path: &Path) -> Result<T, InputError> {
    parse_json(path, &text(path)?)
}

/// [`json`] on the text of `path`.
///
/// # Errors
/// No JSON, or not the JSON of a `T`.
pub fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, InputError> {
    serde_json::from_str(text).map_err(|error| InputError::Json {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        problem: json_problem(&error),
    })
}

/// What is wrong with a JSON text, without the place, which the error's `line()` and `column()` tell.
pub fn json_problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    if error.is_eof() {
        return format!("the JSON ends too early ({text})");
    }
    if error.is_syntax() {
        return format!("not JSON: {}", shorten(text, LONGEST));
    }
    shorten(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        decode(Path::new("x.tsv"), bytes.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn marks_are_taken_off_and_other_encodings_are_named_with_their_place() {
        assert_eq!(
            read("\u{feff}a\u{feff}é".as_bytes()).as_deref(),
            Ok("a\u{feff}é")
        );
        let latin = read(b"first\ncaf\xE9\n").unwrap_err();
        assert!(
            latin.starts_with("x.tsv:2: byte 0xE9, number 4 of the line, is not UTF-8"),
            "{latin}"
        );
        assert!(latin.contains("iconv -f LATIN1 -t UTF-8 x.tsv"), "{latin}");
        for (bytes, expected) in [
            (
                &b"\xFF\xFEi\0d\0"[..],
                "x.tsv is UTF-16 text, not UTF-8 text; `iconv -f UTF-16",
            ),
            (
                b"\x1F\x8B\x08\0\xE9",
                "x.tsv is compressed with gzip, not UTF-8 text; unpack",
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "a Git LFS pointer",
            ),
            (b"", "x.tsv is empty (0 bytes)"),
        ] {
            let text = read(bytes).unwrap_err();
            assert!(text.contains(expected), "{text}");
        }
        // text that only happens to begin like a format
        assert_eq!(read(b"GGUF is a format").as_deref(), Ok("GGUF is a format"));
    }

    #[test]
    fn json_errors_have_a_place_and_quote_little() {
        let error = |text: &str| {
            let parsed = parse_json::<Map<String, Value>>(Path::new("c.json"), text);
            parsed.unwrap_err().to_string()
        };
        assert_eq!(
            error("{\"a\": 1,\n\"b\": }"),
            "c.json:2:6: not JSON: expected value"
        );
        assert!(error("{\"a\": [1").starts_with("c.json:1:8: the JSON ends too early (EOF"));
        let long = error(&format!("\"{}\"", "x".repeat(5000)));
        assert!(
            long.starts_with("c.json:1:5002: invalid type: string \"xxx"),
            "{long}"
        );
        assert!(long.chars().count() < 200, "{long}");
    }
}
