//! Models in llama.cpp's format GGUF: one file (or several parts) with settings, tokenizer and weights.
//!
//! In: a path. Out: what a folder of Hugging Face would hold, from which everything else is built as from such a folder:
//! the fields of config.json, tokenizer.json and tokenizer_config.json, and tensors by Hugging Face's names in Hugging
//! Face's order of rows, as f32. The files stay mapped; numbers are widened when they are asked for, all of a tensor or
//! some rows.
//!
//! Architectures: llama (Mistral, too), qwen2, qwen3. Types: see [`Kind`]. Source of the format: `docs/gguf.md` of
//! ggml and llama.cpp's `convert_hf_to_gguf.py`.

mod architecture;
mod config;
mod error;
mod folder;
mod header;
mod kind;
mod metadata;
mod names;
mod pre_tokenizer;
mod rope;
mod tokenizer;

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

pub use crate::checkpoints::layout::is_gguf;
pub use error::GgufError;
pub use folder::{FolderError, NumberType};
pub use kind::Kind;
pub use tokenizer::TokenizerFiles;

use crate::checkpoints::layout::{CONFIG_FILE, GGUF};
use crate::input::InputError;
use architecture::Heads;
use header::Place;
use metadata::Metadata;
use names::{ROPE_FACTORS, Rows};

/// Numbers that one thread widens at a time, about.
const PIECE: usize = 1 << 16;

/// A tensor, and the part that it lies in.
#[derive(Clone, Debug)]
struct Stored {
    part: usize,
    place: Place,
    /// Rows of a head, where they are stored interleaved.
    interleaved: Option<usize>,
}

/// An opened file; nothing of its weights has been copied.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    metadata: Metadata,
    architecture: &'static str,
    parts: Vec<(PathBuf, Mmap)>,
    /// By the names in the file.
    stored: BTreeMap<String, Stored>,
    /// Names in the file by Hugging Face's.
    names: BTreeMap<String, String>,
}

/// The GGUF file in a folder without config.json, when there is one only (or one in several parts).
pub fn inside(folder: &Path) -> Option<PathBuf> {
    if folder.join(CONFIG_FILE).exists() {
        return None;
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| is_gguf(path))
        .collect();
    files.sort();
    let later_part = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str());
        let part = name.and_then(|name| name.rsplit_once("-of-")?.0.rsplit_once('-'));
        part.is_some_and(|(_, part)| part.parse().is_ok_and(|part: u32| part > 1))
    };
    files.retain(|path| !later_part(path));
    match files.len() {
        1 => files.pop(),
        _ => None,
    }
}

impl Gguf {
    /// Maps a file, and the parts that follow it when it is the first of several.
    ///
    /// # Errors
    /// Files that are missing, damaged, cut short or of another format; a version, byte order, architecture, tensor or
    /// type of numbers that is not read.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let (map, metadata, places) = open_part(path)?;
        let architecture = architecture::architecture(&metadata)?;
        let heads = architecture::heads(&metadata, architecture)?;
        let mut file = Self {
            path: path.to_owned(),
            architecture,
            parts: vec![(path.to_owned(), map)],
            stored: BTreeMap::new(),
            names: BTreeMap::new(),
            metadata,
        };
        file.add(places, heads)?;
        for path in other_parts(path, &file.metadata)? {
            let (map, _, places) = open_part(&path)?;
            file.parts.push((path, map));
            file.add(places, heads)?;
        }
        Ok(file)
    }

    /// Adds the tensors of the last part.
    fn add(&mut self, places: Vec<Place>, heads: Heads) -> Result<(), GgufError> {
        let part = self.parts.len() - 1;
        for place in places {
            let name = place.name.clone();
            let path = || self.parts[part].0.clone();
            let mut interleaved = None;
            if name != ROPE_FACTORS {
                let Some((known, rows)) = names::hugging_face(&name) else {
                    return Err(GgufError::Tensor {
                        path: path(),
                        name,
                        architecture: self.architecture.to_owned(),
                    });
                };
                let count = match (self.architecture, rows) {
                    ("llama", Rows::Query) => Some(heads.query),
                    ("llama", Rows::Key) => Some(heads.key),
                    _ => None,
                };
                if let Some(count) = count {
                    let expected = count * heads.size;
                    let whole =
                        place.shape.iter().skip(1).product::<usize>() % place.kind.block == 0;
                    if place.shape.first() != Some(&expected) || !whole {
                        return Err(GgufError::Damaged {
                            path: path(),
                            reason: format!(
                                "tensor `{name}` ({}) has shape {:?}; {count} heads of {} make {expected} rows",
                                place.kind.name, place.shape, heads.size
                            ),
                        });
                    }
                    interleaved = Some(heads.size);
                }
                self.names.insert(known, name.clone());
            }
            let stored = Stored {
                part,
                place,
                interleaved,
            };
            if self.stored.insert(name.clone(), stored).is_some() {
                return Err(GgufError::Damaged {
                    path: path(),
                    reason: format!("tensor `{name}` is there twice"),
                });
            }
        }
        Ok(())
    }

    /// The file, or the first of its parts.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the files of the model's tokenizer would hold; nothing where the file has none.
    ///
    /// # Errors
    /// A tokenizer that is incomplete or of another kind.
    pub fn tokenizer(&self) -> Result<Option<TokenizerFiles>, GgufError> {
        tokenizer::files(&self.metadata)
    }

    /// Hugging Face's names of all tensors, sorted, with their shapes and types.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], &'static Kind)> {
        self.names.iter().map(|(known, name)| {
            let place = &self.stored[name].place;
            (known.as_str(), place.shape.as_slice(), place.kind)
        })
    }

    /// The bytes of all parts, for a hash of them.
    pub fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|(_, map)| map.as_ref())
    }

    /// All numbers of a tensor by its name for Hugging Face, row by row; nothing when there is no such tensor.
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        let stored = &self.stored[self.names.get(name)?];
        Some(self.widen(stored, 0..stored.rows()))
    }

    /// The numbers of some rows (of the first dimension) of a tensor; nothing when there is no such tensor.
    ///
    /// # Panics
    /// When the tensor has fewer rows.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Option<Vec<f32>> {
        Some(self.widen(&self.stored[self.names.get(name)?], rows))
    }

    fn widen(&self, stored: &Stored, rows: Range<usize>) -> Vec<f32> {
        let place = &stored.place;
        let bytes = &self.parts[stored.part].1[place.start..place.end];
        let width = place.shape.iter().skip(1).product::<usize>();
        if width == 0 || rows.is_empty() {
            return Vec::new();
        }
        let kind = place.kind;
        if width % kind.block != 0 {
            // a vector whose blocks hold several of its rows
            let mut all = vec![0.0; stored.rows() * width];
            kind.widen(bytes, &mut all);
            return all[rows.start * width..rows.end * width].to_vec();
        }
        let row_bytes = width / kind.block * kind.bytes;
        let mut values = vec![0.0; rows.len() * width];
        let together = PIECE.div_ceil(width);
        values
            .par_chunks_mut(together * width)
            .enumerate()
            .for_each(|(piece, values)| {
                let first = rows.start + piece * together;
                match stored.interleaved {
                    None => {
                        let count = values.len() / width;
                        kind.widen(
                            &bytes[first * row_bytes..(first + count) * row_bytes],
                            values,
                        );
                    }
                    Some(size) => {
                        for (row, values) in values.chunks_exact_mut(width).enumerate() {
                            let row = names::interleaved(first + row, size);
                            kind.widen(&bytes[row * row_bytes..(row + 1) * row_bytes], values);
                        }
                    }
                }
            });
        values
    }

    /// Where a tensor lies, by its name in the file.
    fn place(&self, name: &str) -> Option<&Place> {
        self.stored.get(name).map(|stored| &stored.place)
    }

    /// All numbers of a tensor by its name in the file.
    fn raw(&self, name: &str) -> Option<Vec<f32>> {
        let stored = self.stored.get(name)?;
        Some(self.widen(stored, 0..stored.rows()))
    }
}

impl Stored {
    fn rows(&self) -> usize {
        self.place.shape.first().copied().unwrap_or(1)
    }
}

/// Maps one file and reads its header.
fn open_part(path: &Path) -> Result<(Mmap, Metadata, Vec<Place>), GgufError> {
    let refused = |error: std::io::Error| InputError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = File::open(path).map_err(refused)?;
    if file.metadata().map_err(refused)?.len() == 0 {
        return Err(InputError::Empty {
            path: path.to_owned(),
        }
        .into());
    }
    // SAFETY: the file is only read; like every program that maps its weights, this one relies on nobody truncating
    // it meanwhile.
    let map = unsafe { Mmap::map(&file) }.map_err(refused)?;
    let (metadata, places) = header::read(path, &map)?;
    Ok((map, metadata, places))
}

/// The parts that follow the first, `NAME-00001-of-00003.gguf`.
fn other_parts(path: &Path, metadata: &Metadata) -> Result<Vec<PathBuf>, GgufError> {
    const COUNT: &str = "split.count";
    const NUMBER: &str = "split.no";
    let count = metadata.size(COUNT)?.unwrap_or(1);
    if count <= 1 {
        return Ok(Vec::new());
    }
    let ending = |part: u64| format!("-{part:05}-of-{count:05}.{GGUF}");
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let first = metadata.size(NUMBER)?.unwrap_or(0) == 0;
    match name.strip_suffix(&ending(1)) {
        Some(name) if first => Ok((2..=count)
            .map(|part| path.with_file_name(format!("{name}{}", ending(part))))
            .collect()),
        _ => Err(metadata.damaged(format!(
            "it is one of {count} parts of a model; give the first, whose name ends in {}, with the others beside it",
            ending(1)
        ))),
    }
}
