//! JSON settings of a checkpoint, a tokenizer or an adapter: one field at a time, with errors that name file, field,
//! what was found and what is allowed.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use super::gguf::{self, Gguf, GgufError};
use super::layout::{CONFIG_FILE, TOKENIZER_CONFIG_FILE};
use crate::input::{self, InputError, quote};

/// Why a checkpoint's settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HuggingFaceError {
    /// No such folder.
    #[error(
        "there is no folder {path}. A checkpoint is a folder with config.json, model.safetensors and tokenizer.json"
    )]
    NoFolder {
        /// The path given.
        path: PathBuf,
    },
    /// No file of a tokenizer.
    #[error(
        "{path} has no tokenizer: expected tokenizer.json, or vocab.txt (BERT), or vocab.json and merges.txt (RoBERTa)"
    )]
    NoTokenizer {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A GGUF file that stands for the folder.
    #[error(transparent)]
    Gguf(Box<GgufError>),
    /// A field is missing.
    #[error("{path}: the field `{field}` is missing")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// A field that has no meaning here.
    #[error("{path}: `{field}` is not known here; allowed: {allowed}")]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// The fields that would be known.
        allowed: String,
    },
    /// A field has a value that is not supported.
    #[error("{path}: `{field}` is {found}; allowed: {allowed}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The value found, as JSON, cut when it is long.
        found: String,
        /// What would be allowed.
        allowed: String,
    },
}

impl From<GgufError> for HuggingFaceError {
    fn from(error: GgufError) -> Self {
        Self::Gguf(Box::new(error))
    }
}

impl HuggingFaceError {
    /// There is no tokenizer in a folder.
    pub fn no_tokenizer(folder: &Path) -> Self {
        Self::NoTokenizer {
            path: folder.to_owned(),
        }
    }
}

/// The fields of a JSON file, for errors that name it.
pub struct Fields {
    path: PathBuf,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads a file that holds one JSON object.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, HuggingFaceError> {
        Ok(Self {
            path: path.to_owned(),
            map: input::json(path)?,
        })
    }

    /// Fields that `path` holds in another form than JSON.
    pub fn new(path: &Path, map: Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            map,
        }
    }

    /// config.json of the checkpoint in `folder`, which may also be a GGUF file.
    ///
    /// # Errors
    /// No such folder or file, no JSON object, or a GGUF file that cannot be honoured.
    pub fn of_model(folder: &Path) -> Result<Self, HuggingFaceError> {
        if gguf::is_gguf(folder) {
            return Ok(Self::new(folder, Gguf::open(folder)?.config()?));
        }
        if !folder.is_dir() {
            return Err(HuggingFaceError::NoFolder {
                path: folder.to_owned(),
            });
        }
        Self::read(&folder.join(CONFIG_FILE))
    }

    /// tokenizer_config.json of the checkpoint in `folder`, which may also be a GGUF file; no fields where there is none.
    ///
    /// # Errors
    /// As [`Self::of_model`].
    pub fn of_tokenizer(folder: &Path) -> Result<Self, HuggingFaceError> {
        if gguf::is_gguf(folder) {
            let files = Gguf::open(folder)?.tokenizer()?;
            let settings = files.map(|files| files.settings).unwrap_or_default();
            return Ok(Self::new(folder, settings));
        }
        Self::read_if_there(&folder.join(TOKENIZER_CONFIG_FILE))
    }

    /// [`Self::read`], or no fields where there is no file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_if_there(path: &Path) -> Result<Self, HuggingFaceError> {
        if path.exists() {
            return Self::read(path);
        }
        Ok(Self {
            path: path.to_owned(),
            map: Map::new(),
        })
    }

    /// All fields.
    pub fn map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// Whether a field is there and null.
    pub fn is_null(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(Value::is_null)
    }

    /// True or false, or `default` where the field is missing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, field: &'static str, default: bool) -> Result<bool, HuggingFaceError> {
        match self.map.get(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.unsupported(field, other, "true, false")),
        }
    }

    /// One of some words; nothing where the field is missing.
    ///
    /// # Errors
    /// When it is something else.
    pub fn one_of(
        &self,
        field: &'static str,
        allowed: &[&str],
    ) -> Result<Option<&str>, HuggingFaceError> {
        match self.map.get(field) {
            None => Ok(None),
            Some(Value::String(word)) if allowed.contains(&word.as_str()) => Ok(Some(word)),
            Some(other) => {
                let meant = other.as_str().map(|word| input::or_meant(word, allowed));
                let allowed = allowed.iter().map(|word| format!("\"{word}\""));
                let allowed = allowed.collect::<Vec<_>>().join(", ");
                Err(self.unsupported(field, other, allowed + &meant.unwrap_or_default()))
            }
        }
    }

    /// The value of a field; a null is no value.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// The value of a field that has to be there.
    ///
    /// # Errors
    /// When it is missing or null.
    pub fn required(&self, field: &'static str) -> Result<&Value, HuggingFaceError> {
        self.get(field).ok_or_else(|| HuggingFaceError::Missing {
            path: self.path.clone(),
            field,
        })
    }

    /// An error about a field's value.
    pub fn unsupported(
        &self,
        field: &'static str,
        found: &Value,
        allowed: impl Into<String>,
    ) -> HuggingFaceError {
        HuggingFaceError::Unsupported {
            path: self.path.clone(),
            field,
            found: quote(&found.to_string()),
            allowed: allowed.into(),
        }
    }

    /// The fields of an object within this one, whose errors name it; none where the field is missing or null.
    ///
    /// # Errors
    /// When it is something else.
    pub fn nested(&self, field: &'static str) -> Result<Option<Self>, HuggingFaceError> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self {
                path: format!("{}: {field}", self.path.display()).into(),
                map: map.clone(),
            })),
            Some(other) => Err(self.unsupported(field, other, "an object")),
        }
    }

    /// An error about a field that has no meaning here; `allowed` are those that have one.
    pub fn unknown(&self, field: &str, allowed: &[&str]) -> HuggingFaceError {
        HuggingFaceError::Unknown {
            path: self.path.clone(),
            field: quote(field),
            allowed: allowed.join(", "),
        }
    }

    /// A number of at least `least`, or `default` where there is none.
    ///
    /// # Errors
    /// When it is missing without a default, or something else.
    pub fn number(
        &self,
        field: &'static str,
        default: Option<f64>,
        least: f64,
    ) -> Result<f64, HuggingFaceError> {
        match (self.get(field), default) {
            (Some(value), _) => value
                .as_f64()
                .filter(|&number| number >= least)
                .ok_or_else(|| self.unsupported(field, value, format!("a number from {least} on"))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(HuggingFaceError::Missing {
                path: self.path.clone(),
                field,
            }),
        }
    }

    /// The ε of a normalisation, or `default` where there is none.
    ///
    /// # Errors
    /// When it is something else.
    pub fn epsilon(&self, field: &'static str, default: f64) -> Result<f64, HuggingFaceError> {
        let Some(value) = self.get(field) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|epsilon| (0.0..1.0).contains(epsilon))
            .ok_or_else(|| self.unsupported(field, value, "a number from 0 to 1"))
    }

    /// A whole number of at least `least`, or `default` where there is none.
    ///
    /// # Errors
    /// When it is missing without a default, or something else.
    pub fn size(
        &self,
        field: &'static str,
        least: u64,
        default: Option<usize>,
    ) -> Result<usize, HuggingFaceError> {
        match (self.get(field), default) {
            (Some(value), _) => value
                .as_u64()
                .filter(|&size| size >= least && size <= u64::from(u32::MAX))
                .map(|size| size as usize)
                .ok_or_else(|| {
                    self.unsupported(field, value, format!("a whole number from {least} on"))
                }),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(HuggingFaceError::Missing {
                path: self.path.clone(),
                field,
            }),
        }
    }

    /// Checks that a field, when it is there, has the one value that is supported.
    ///
    /// # Errors
    /// When it has another.
    pub fn only(&self, field: &'static str, allowed: Value) -> Result<(), HuggingFaceError> {
        match self.get(field) {
            Some(value) if *value != allowed => {
                Err(self.unsupported(field, value, allowed.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// A probability below 1, or `default` where there is none.
    ///
    /// # Errors
    /// When it is something else.
    pub fn probability(&self, field: &'static str, default: f64) -> Result<f64, HuggingFaceError> {
        let Some(value) = self.get(field) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|p| (0.0..1.0).contains(p))
            .ok_or_else(|| self.unsupported(field, value, "a number from 0 to below 1"))
    }
}
