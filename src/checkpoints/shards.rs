//! Weights in safetensors files, one or several shards, or in a GGUF file; memory-mapped.
//!
//! Numbers may be of any type that [`tensor_file::reader`] or [`gguf`] reads, and become f32. A tensor of safetensors is copied
//! piece by piece and the pages it came from are given back, so that loading takes the size of the model and little more.
//! Whether its numbers are finite is looked at when it is read for the first time.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use thiserror::Error;

use super::gguf::{self, Gguf};
use super::{Fields, HuggingFaceError, finite, tensor_file};
use crate::input::{self, InputError, quote};

/// Bytes that are copied before their pages are given back; a multiple of the page size.
const PIECE: usize = 8 << 20;

/// Why weights cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShardsError {
    /// The list of the shards.
    #[error(transparent)]
    Index(#[from] HuggingFaceError),
    /// There are no weights.
    #[error("{folder} holds neither {stem}.safetensors nor {stem}.safetensors.index.json{others}")]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// Start of the names looked for.
        stem: &'static str,
        /// Weights of another format and how to convert them, with their own punctuation; may be empty.
        others: String,
    },
    /// A file that is not what its name says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A parameter is not in the files.
    #[error("{folder}: the weights lack `{name}`{also}")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The parameter.
        name: String,
        /// Under which other name it was looked for, with its own punctuation; may be empty.
        also: String,
    },
    /// A parameter that no model can compute with.
    #[error("{path}: tensor `{name}` {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type or a number, and what is allowed.
        problem: String,
    },
    /// A parameter of another shape than the settings say.
    #[error("{path}: tensor `{name}` has shape {found:?}; config.json makes it {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Shape found.
        found: Vec<usize>,
        /// Shape expected.
        expected: Vec<usize>,
    },
}

/// How the weights of a model are called in files.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// Start of the names of the files, such as `model`.
    pub stem: &'static str,
    /// What may stand before the name of every tensor, with a dot; nothing where it is empty.
    pub prefix: &'static str,
    /// A tensor's name without prefix, as it is called today.
    pub today: fn(&str) -> String,
}

/// Where a tensor lies.
#[derive(Debug)]
struct Place {
    /// Name in the file.
    name: String,
    shape: Vec<usize>,
    stored: Stored,
    /// Whether its numbers are known to be finite.
    checked: AtomicBool,
}

/// How a tensor is stored.
#[derive(Clone, Copy, Debug)]
enum Stored {
    Safetensors {
        shard: usize,
        dtype: Dtype,
        start: usize,
        end: usize,
    },
    Gguf,
}

/// Opened files of weights; nothing of them has been copied yet.
#[derive(Debug)]
pub struct Shards {
    folder: PathBuf,
    naming: Naming,
    files: Vec<(PathBuf, Mmap)>,
    gguf: Option<Gguf>,
    places: BTreeMap<String, Place>,
}

impl Shards {
    /// Maps the files in `folder`, which may also be a GGUF file.
    ///
    /// # Errors
    /// Missing or damaged files.
    pub fn open(folder: &Path, naming: Naming) -> Result<Self, ShardsError> {
        let mut shards = Self {
            folder: folder.to_owned(),
            naming,
            files: Vec::new(),
            gguf: None,
            places: BTreeMap::new(),
        };
        if gguf::is_gguf(folder) {
            let file = Gguf::open(folder).map_err(HuggingFaceError::from)?;
            for (name, shape, _) in file.tensors() {
                let place = Place {
                    name: name.to_owned(),
                    shape: shape.to_vec(),
                    stored: Stored::Gguf,
                    checked: AtomicBool::new(false),
                };
                shards.places.insert(shards.known_as(name), place);
            }
            shards.gguf = Some(file);
            return Ok(shards);
        }
        for path in list(folder, naming.stem)? {
            shards.add(path)?;
        }
        Ok(shards)
    }

    /// Gives back the memory of pages that have been read; they come from the file again when they are read once more.
    pub fn release(&self) {
        #[cfg(unix)]
        for (_, map) in &self.files {
            // SAFETY: the map is read-only and of a file, so that no byte that was written can be lost.
            let advised = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            if let Err(error) = advised {
                tracing::debug!("pages of weights stay in memory: {error}");
            }
        }
    }

    fn add(&mut self, path: PathBuf) -> Result<(), ShardsError> {
        let read = |reason: String| ShardsError::Read {
            path: path.clone(),
            reason,
        };
        let file = File::open(&path).map_err(|e| read(e.to_string()))?;
        // SAFETY: the file is only read; like every program that maps its weights, this one relies on
        // nobody truncating them meanwhile.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| read(e.to_string()))?;
        let (length, metadata) = SafeTensors::read_metadata(&map).map_err(|error| {
            match input::explain(&path, &map, "a safetensors file") {
                Some(found) => found.into(),
                None => read(format!("{error}; the file is damaged or incomplete")),
            }
        })?;
        let base = 8 + length;
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            if base + end > map.len() {
                return Err(read(format!(
                    "tensor `{}` ends behind the file, which is incomplete",
                    quote(&name)
                )));
            }
            let place = Place {
                name: name.clone(),
                shape: info.shape.clone(),
                stored: Stored::Safetensors {
                    shard: self.files.len(),
                    dtype: info.dtype,
                    start: base + start,
                    end: base + end,
                },
                checked: AtomicBool::new(false),
            };
            self.places.insert(self.known_as(&name), place);
        }
        self.files.push((path, map));
        Ok(())
    }

    /// A tensor's name as it is called today, without prefix.
    fn known_as(&self, name: &str) -> String {
        let rest = name
            .strip_prefix(self.naming.prefix)
            .and_then(|rest| rest.strip_prefix('.'));
        (self.naming.today)(rest.unwrap_or(name))
    }

    /// Whether a tensor is here with this shape.
    pub fn has(&self, name: &str, shape: &[usize]) -> bool {
        let place = self.places.get(name);
        place.is_some_and(|place| place.shape == shape)
    }

    /// The type of a tensor's numbers in a file of safetensors.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        match self.places.get(name)?.stored {
            Stored::Safetensors { dtype, .. } => Some(dtype),
            Stored::Gguf => None,
        }
    }

    /// Copies a parameter's numbers.
    ///
    /// # Errors
    /// When it is missing, has another shape, is of a type that weights do not have, or holds NaN or infinite numbers.
    pub fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, ShardsError> {
        self.read(name, expected, true)
    }

    /// Finds what is wrong with a parameter, so that [`Self::values`] can no longer refuse it.
    ///
    /// # Errors
    /// As [`Self::values`].
    pub fn check(&self, name: &str, expected: &[usize]) -> Result<(), ShardsError> {
        self.read(name, expected, false).map(drop)
    }

    /// A parameter's numbers; without `keep` those of the last piece.
    fn read(&self, name: &str, expected: &[usize], keep: bool) -> Result<Vec<f32>, ShardsError> {
        let place = self.places.get(name).ok_or_else(|| self.missing(name))?;
        let path = match place.stored {
            Stored::Safetensors { shard, .. } => &self.files[shard].0,
            Stored::Gguf => &self.folder,
        };
        if place.shape != expected {
            return Err(ShardsError::Shape {
                path: path.clone(),
                name: place.name.clone(),
                found: place.shape.clone(),
                expected: expected.to_owned(),
            });
        }
        let wrong = |problem| ShardsError::Tensor {
            path: path.clone(),
            name: place.name.clone(),
            problem,
        };
        let check = |values: &[f32], before: usize| {
            if place.checked.load(Ordering::Relaxed) {
                return Ok(());
            }
            let index = finite::first(values);
            index.map_or(Ok(()), |index| {
                let problem = finite::refusal(before + index, values[index], expected);
                Err(wrong(problem))
            })
        };
        let mut values = Vec::new();
        match place.stored {
            Stored::Gguf => {
                let file = self.gguf.as_ref();
                let found = file.and_then(|file| file.values(&place.name));
                values = found.ok_or_else(|| self.missing(name))?;
                check(&values, 0)?;
            }
            Stored::Safetensors {
                shard,
                dtype,
                start,
                end: last,
            } => {
                let append = tensor_file::reader(dtype).map_err(wrong)?;
                let map = &self.files[shard].1;
                if keep {
                    values.reserve_exact(expected.iter().product());
                }
                let mut before = 0;
                let mut start = start;
                while start < last {
                    let end = (start + PIECE).min(last);
                    let kept = if keep { values.len() } else { 0 };
                    values.truncate(kept);
                    append(&map[start..end], &mut values);
                    check(&values[kept..], before)?;
                    before += values.len() - kept;
                    give_back(map, start, end);
                    start = end;
                }
            }
        }
        place.checked.store(true, Ordering::Relaxed);
        Ok(values)
    }

    fn missing(&self, name: &str) -> ShardsError {
        let prefix = self.naming.prefix;
        ShardsError::Missing {
            folder: self.folder.clone(),
            name: name.to_owned(),
            also: if prefix.is_empty() {
                String::new()
            } else {
                format!(" (also looked for as `{prefix}.{name}`)")
            },
        }
    }

    /// Adds everything in the files to a hash.
    pub fn feed(&self, hasher: &mut blake3::Hasher) {
        let maps = self.files.iter().map(|(_, map)| map.as_ref());
        for bytes in maps.chain(self.gguf.iter().flat_map(Gguf::bytes)) {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
    }
}

/// Lets the system take back the memory of pages that have been copied.
#[cfg(unix)]
fn give_back(map: &Mmap, start: usize, end: usize) {
    // SAFETY: the mapping is of a file and never written to, so that pages given back are read from the
    // file again when someone looks at them. A refusal costs memory only.
    let _ = unsafe {
        map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
    };
}

/// Other systems take pages of a mapped file back by themselves.
#[cfg(not(unix))]
fn give_back(_: &Mmap, _: usize, _: usize) {}

/// Weights in a folder that are of another format, as the end of an error.
fn other_weights(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let endings = [".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx"];
            endings.iter().any(|ending| name.ends_with(ending))
                && !name.starts_with("training_args")
        })
        .collect();
    names.sort();
    match names.first() {
        None => "; it is no checkpoint, or its weights were not downloaded".to_owned(),
        Some(name) => format!(
            "; {} is of another format, which is not read: in transformers, `from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)` writes safetensors",
            quote(name)
        ),
    }
}

/// The safetensors files in a folder, sorted; those in half precision (`variant="fp16"`) where there are no others.
fn list(folder: &Path, stem: &'static str) -> Result<Vec<PathBuf>, ShardsError> {
    let single = folder.join(format!("{stem}.safetensors"));
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(format!("{stem}.safetensors.index.json"));
    let half = folder.join(format!("{stem}.fp16.safetensors"));
    if !index.is_file() {
        if half.is_file() {
            return Ok(vec![half]);
        }
        return Err(ShardsError::NoWeights {
            folder: folder.to_owned(),
            stem,
            others: other_weights(folder),
        });
    }
    let fields = Fields::read(&index)?;
    let mut names: Vec<String> = match fields.get("weight_map") {
        Some(Value::Object(map)) => map
            .values()
            .map(|value| value.as_str().map(str::to_owned))
            .collect::<Option<_>>(),
        _ => None,
    }
    .ok_or_else(|| ShardsError::Read {
        path: index.clone(),
        reason: "`weight_map` is not a mapping of tensors to files".into(),
    })?;
    names.sort();
    names.dedup();
    for name in &names {
        let reason = if Path::new(name).file_name() != Some(name.as_ref()) {
            "which is not the name of a file in this folder"
        } else if !folder.join(name).is_file() {
            "which is not there; it was not downloaded, or has another name"
        } else {
            continue;
        };
        return Err(ShardsError::Read {
            path: index,
            reason: format!("`weight_map` names {}, {reason}", quote(name)),
        });
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
