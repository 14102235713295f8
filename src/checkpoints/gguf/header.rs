//! What stands before the numbers in a GGUF file: its metadata, and where each tensor lies.
//!
//! Layout (`docs/gguf.md` of ggml): `GGUF`, version, number of tensors, number of metadata entries; then the entries
//! (key, type, value), then for every tensor its name, its dimensions (innermost first), type and offset; then, from
//! the next multiple of `general.alignment` (32) on, the numbers. Integers are little-endian.

use std::path::{Path, PathBuf};

use super::error::GgufError;
use super::kind::Kind;
use super::metadata::{Metadata, Value};
use crate::input::{explain, quote_name};

const MAGIC: &[u8] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const ALIGNMENT: u64 = 32;
/// Most dimensions of a tensor.
const DIMENSIONS: u32 = 4;
/// How deeply lists in the metadata may be nested.
const DEPTH: usize = 4;

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Name in the file.
    pub name: String,
    pub kind: &'static Kind,
    /// Outermost first.
    pub shape: Vec<usize>,
    pub start: usize,
    pub end: usize,
}

/// Reads the header of the file `path` with the given bytes.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Metadata, Vec<Place>), GgufError> {
    let mut reader = Reader { path, bytes, at: 0 };
    if !bytes.starts_with(MAGIC) {
        return Err(explain(path, bytes, "a GGUF file").map_or_else(
            || reader.damaged("it does not begin with GGUF; it is damaged, or no GGUF file"),
            GgufError::from,
        ));
    }
    reader.at = MAGIC.len();
    let version = reader.number::<4>("the version").map(u32::from_le_bytes)?;
    if !(2..=3).contains(&version) {
        let path = path.to_owned();
        return Err(if (2..=3).contains(&version.swap_bytes()) {
            GgufError::BigEndian { path }
        } else {
            GgufError::Version {
                path,
                found: version,
            }
        });
    }
    let tensors = reader.u64("the number of tensors")?;
    let entries = reader.u64("the number of metadata entries")?;
    let mut metadata = Metadata::new(path);
    for _ in 0..entries {
        let key = reader.text("the metadata")?;
        let kind = reader.u32(&key)?;
        let value = reader.value(&key, kind, DEPTH)?;
        metadata.insert(key, value);
    }
    let mut heads = Vec::new();
    for _ in 0..tensors {
        heads.push(reader.head()?);
    }
    let alignment = match metadata.get(ALIGNMENT_KEY) {
        None => ALIGNMENT,
        Some(value) => value
            .as_u64()
            .filter(|&alignment| alignment > 0 && alignment <= 1 << 20)
            .ok_or_else(|| metadata.unsupported(ALIGNMENT_KEY, "a size in bytes"))?,
    };
    let base = (reader.at as u64).next_multiple_of(alignment);
    let places = heads
        .into_iter()
        .map(|head| reader.place(head, base))
        .collect::<Result<_, _>>()?;
    Ok((metadata, places))
}

/// What the file says of a tensor.
struct Head {
    name: String,
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

/// The bytes of a file from some place on.
struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    fn damaged(&self, reason: impl Into<String>) -> GgufError {
        GgufError::Damaged {
            path: self.path(),
            reason: reason.into(),
        }
    }

    /// The next bytes, of which `what` is made.
    fn take(&mut self, count: u64, what: &str) -> Result<&[u8], GgufError> {
        let end = (self.at as u64).saturating_add(count);
        if end > self.bytes.len() as u64 {
            return Err(GgufError::CutShort {
                path: self.path(),
                what: quote_name(what),
                end,
                length: self.bytes.len() as u64,
            });
        }
        let taken = &self.bytes[self.at..end as usize];
        self.at = end as usize;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("as many bytes as were asked for"))
    }

    fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.number(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.number(what).map(u64::from_le_bytes)
    }

    fn text(&mut self, what: &str) -> Result<String, GgufError> {
        let length = self.u64(what)?;
        let bytes = self.take(length, what)?.to_vec();
        String::from_utf8(bytes)
            .map_err(|_| self.damaged(format!("{} holds text that is no UTF-8", quote_name(what))))
    }

    /// A value of the metadata.
    fn value(&mut self, key: &str, kind: u32, depth: usize) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Unsigned(u8::from_le_bytes(self.number(key)?).into()),
            1 => Value::Signed(i8::from_le_bytes(self.number(key)?).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.number(key)?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.number(key)?).into()),
            4 => Value::Unsigned(self.u32(key)?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.number(key)?).into()),
            6 => Value::Single(f32::from_le_bytes(self.number(key)?)),
            7 => Value::Flag(self.number::<1>(key)? != [0]),
            8 => Value::Text(self.text(key)?),
            9 if depth > 0 => {
                let kind = self.u32(key)?;
                let count = self.u64(key)?;
                // grows with what is there, not with what is said
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(key, kind, depth - 1)?);
                }
                Value::List(values)
            }
            10 => Value::Unsigned(self.u64(key)?),
            11 => Value::Signed(i64::from_le_bytes(self.number(key)?)),
            12 => Value::Double(f64::from_le_bytes(self.number(key)?)),
            _ => {
                return Err(self.damaged(format!(
                    "`{}` has a value of type {kind}, which GGUF does not have; the file is damaged",
                    quote_name(key)
                )));
            }
        })
    }

    fn head(&mut self) -> Result<Head, GgufError> {
        let name = self.text("the list of tensors")?;
        let dimensions = self.u32(&name)?;
        if dimensions > DIMENSIONS {
            return Err(self.damaged(format!(
                "tensor `{}` has {dimensions} dimensions; allowed: up to {DIMENSIONS}",
                quote_name(&name)
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64(&name)?;
            shape.push(usize::try_from(size).unwrap_or(usize::MAX));
        }
        shape.reverse();
        Ok(Head {
            kind: self.u32(&name)?,
            offset: self.u64(&name)?,
            name,
            shape,
        })
    }

    fn place(&self, head: Head, base: u64) -> Result<Place, GgufError> {
        let kind = Kind::find(head.kind).ok_or_else(|| GgufError::Kind {
            path: self.path(),
            name: head.name.clone(),
            kind: head.kind,
        })?;
        let size = || {
            // blocks do not reach over the end of a row
            kind.bytes_of(*head.shape.last().unwrap_or(&1))?;
            let count = head
                .shape
                .iter()
                .try_fold(1, |n: usize, &d| n.checked_mul(d));
            kind.bytes_of(count?)
        };
        let size = size().ok_or_else(|| {
            self.damaged(format!(
                "tensor `{}` has shape {:?}, which {} cannot store: a row is a multiple of {}",
                quote_name(&head.name),
                head.shape,
                kind.name,
                kind.block
            ))
        })?;
        let start = base.saturating_add(head.offset);
        let end = start.saturating_add(size as u64);
        let length = self.bytes.len() as u64;
        if end > length {
            return Err(GgufError::CutShort {
                path: self.path(),
                what: format!("tensor `{}`", quote_name(&head.name)),
                end,
                length,
            });
        }
        Ok(Place {
            name: head.name,
            kind,
            shape: head.shape,
            start: start as usize,
            end: end as usize,
        })
    }
}
