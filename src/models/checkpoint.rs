//! Weights of a Hugging Face checkpoint: one or several safetensors files, memory-mapped.
//!
//! Names are PyTorch's, with or without the family's prefix (`bert.`, `roberta.`), and with the older
//! `gamma` and `beta` of layer normalisations. Numbers may be f32, f16 or bf16 and become f32. A tensor
//! is copied piece by piece and the pages it came from are given back, so that loading takes the size of
//! the model and little more.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use thiserror::Error;

use super::files;
use super::huggingface::HuggingFaceConfig;
use super::parameter::Parameter;
use crate::checkpoints::layout::{SHARDS_FILE, WEIGHTS_FILE};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::input::{self, InputError, quote};

/// Bytes that are copied before their pages are given back; a multiple of the page size.
const PIECE: usize = 8 << 20;

/// Why a checkpoint's weights cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Its settings.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// There are no weights.
    #[error("{folder} holds neither {WEIGHTS_FILE} nor {SHARDS_FILE}{others}")]
    NoWeights {
        /// The folder.
        folder: PathBuf,
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
    /// A tensor of a type that weights do not have.
    #[error("{path}: tensor `{name}` is {found}; allowed: F32, F16, BF16")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A parameter is not in the files.
    #[error("{folder}: the weights lack `{name}` (also looked for as `{prefix}.{name}`)")]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The parameter.
        name: String,
        /// The family's prefix.
        prefix: &'static str,
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

/// Where a tensor lies.
#[derive(Clone, Debug)]
struct Place {
    shard: usize,
    /// Name in the file.
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

/// An opened checkpoint; nothing of it has been copied yet.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    /// What config.json says.
    pub config: HuggingFaceConfig,
    shards: Vec<(PathBuf, Mmap)>,
    places: BTreeMap<String, Place>,
}

impl Checkpoint {
    /// Maps the files of the checkpoint in `folder`.
    ///
    /// # Errors
    /// Settings that are not supported, missing or damaged files.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let config = HuggingFaceConfig::read(folder)?;
        let mut checkpoint = Self {
            folder: folder.to_owned(),
            config,
            shards: Vec::new(),
            places: BTreeMap::new(),
        };
        for path in list(folder)? {
            checkpoint.add(path)?;
        }
        Ok(checkpoint)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), CheckpointError> {
        let read = |reason: String| CheckpointError::Read {
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
                shard: self.shards.len(),
                name: name.clone(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: base + start,
                end: base + end,
            };
            self.places.insert(self.known_as(&name), place);
        }
        self.shards.push((path, map));
        Ok(())
    }

    /// A tensor's name as this crate has it: no prefix, `weight` and `bias`.
    fn known_as(&self, name: &str) -> String {
        let prefix = self.config.family.name();
        let name = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(name);
        for (old, new) in [
            ("LayerNorm.gamma", "LayerNorm.weight"),
            ("LayerNorm.beta", "LayerNorm.bias"),
        ] {
            if let Some(start) = name.strip_suffix(old) {
                return format!("{start}{new}");
            }
        }
        name.to_owned()
    }

    /// Whether every one of `parameters` is here with its shape.
    pub fn has(&self, parameters: &[Parameter]) -> bool {
        parameters.iter().all(|parameter| {
            self.places
                .get(&parameter.name)
                .is_some_and(|place| place.shape == parameter.slot.shape())
        })
    }

    /// Copies a parameter's numbers.
    ///
    /// # Errors
    /// When it is missing, has another shape, or is of a type that weights do not have.
    pub fn values(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let place = self
            .places
            .get(name)
            .ok_or_else(|| CheckpointError::Missing {
                folder: self.folder.clone(),
                name: name.to_owned(),
                prefix: self.config.family.name(),
            })?;
        let (path, map) = &self.shards[place.shard];
        if place.shape != expected {
            return Err(CheckpointError::Shape {
                path: path.clone(),
                name: place.name.clone(),
                found: place.shape.clone(),
                expected: expected.to_owned(),
            });
        }
        let append = files::reader(place.dtype).ok_or_else(|| CheckpointError::Type {
            path: path.clone(),
            name: place.name.clone(),
            found: format!("{:?}", place.dtype),
        })?;
        let mut values = Vec::with_capacity(expected.iter().product());
        let mut start = place.start;
        while start < place.end {
            let end = (start + PIECE).min(place.end);
            append(&map[start..end], &mut values);
            give_back(map, start, end);
            start = end;
        }
        Ok(values)
    }

    /// Fills `parameters` from the files, one at a time.
    ///
    /// # Errors
    /// See [`Self::values`].
    pub fn load(
        &self,
        parameters: Vec<Parameter>,
        device: &burn::tensor::Device,
    ) -> Result<(), CheckpointError> {
        for mut parameter in parameters {
            let name = &parameter.name;
            parameter
                .slot
                .replace(device, |shape| self.values(name, shape))?;
        }
        Ok(())
    }

    /// Hash of everything in the files that a model is made of.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", self.config).as_bytes());
        for (_, map) in &self.shards {
            hasher.update(&(map.len() as u64).to_le_bytes());
            hasher.update(map);
        }
        hasher.finalize().to_hex()[..32].to_owned()
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
            let endings = [
                ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx",
            ];
            endings.iter().any(|ending| name.ends_with(ending))
                && !name.starts_with("training_args")
        })
        .collect();
    names.sort();
    match names.first() {
        None => "; it is no checkpoint, or its weights were not downloaded".to_owned(),
        Some(name) => format!(
            "; {} is of another format, which is not read: in transformers, `from_pretrained(DIR).save_pretrained(DIR, safe_serialization=True)` writes {WEIGHTS_FILE}",
            quote(name)
        ),
    }
}

/// The safetensors files of a checkpoint, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let single = folder.join(WEIGHTS_FILE);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(SHARDS_FILE);
    if !index.is_file() {
        return Err(CheckpointError::NoWeights {
            folder: folder.to_owned(),
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
    .ok_or_else(|| CheckpointError::Read {
        path: index,
        reason: "`weight_map` is not a mapping of tensors to files".into(),
    })?;
    names.sort();
    names.dedup();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
