//! Metadata of a GGUF file, one field at a time, with errors that name it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::GgufError;
use crate::input::{listed, quote};

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Single(f32),
    Double(f64),
    Flag(bool),
    Text(String),
    List(Vec<Self>),
}

impl Value {
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// A number; one of 32 bits as the shortest decimal that means it, so that 1e-5 is 1e-5.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Single(value) => value.to_string().parse().ok(),
            Self::Double(value) => Some(value),
            Self::Unsigned(value) => Some(value as f64),
            Self::Signed(value) => Some(value as f64),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// As a message repeats it.
    fn shown(&self) -> String {
        match self {
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Single(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Flag(value) => value.to_string(),
            Self::Text(text) => format!("\"{}\"", quote(text)),
            Self::List(values) => {
                let some: Vec<String> = values.iter().take(32).map(Self::shown).collect();
                format!("[{}] ({} values)", listed(&some), values.len())
            }
        }
    }
}

/// The metadata of a file.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    path: PathBuf,
    values: BTreeMap<String, Value>,
}

impl Metadata {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            values: BTreeMap::new(),
        }
    }

    pub fn insert(&mut self, key: String, value: Value) {
        self.values.insert(key, value);
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub fn missing(&self, key: &str) -> GgufError {
        GgufError::Missing {
            path: self.path.clone(),
            key: key.to_owned(),
        }
    }

    /// An error about a field's value.
    pub fn unsupported(&self, key: &str, allowed: impl Into<String>) -> GgufError {
        GgufError::Unsupported {
            path: self.path.clone(),
            key: key.to_owned(),
            found: self
                .get(key)
                .map_or_else(|| "missing".to_owned(), Value::shown),
            allowed: allowed.into(),
        }
    }

    pub fn damaged(&self, reason: impl Into<String>) -> GgufError {
        GgufError::Damaged {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// A field read by `read`, when it is there.
    fn optional<'a, T>(
        &'a self,
        key: &str,
        allowed: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.unsupported(key, allowed)),
        }
    }

    /// A whole number that fits into 32 bits, when it is there.
    pub fn size(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.optional(key, "a whole number", |value| {
            value.as_u64().filter(|&size| size <= u64::from(u32::MAX))
        })
    }

    /// [`Self::size`], which may also be a list of the same number for every layer.
    pub fn same_size(&self, key: &str) -> Result<Option<u64>, GgufError> {
        let Some(Value::List(values)) = self.get(key) else {
            return self.size(key);
        };
        let first = values.first().and_then(Value::as_u64);
        let same = first.filter(|_| values.iter().all(|value| value.as_u64() == first));
        same.map(Some)
            .ok_or_else(|| self.unsupported(key, "the same whole number for every layer"))
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.optional(key, "a number", |value| {
            value.as_f64().filter(|value| value.is_finite())
        })
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.optional(key, "true, false", |value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.optional(key, "a text", Value::as_text)
    }

    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, GgufError> {
        self.optional(key, "a list of texts", |value| {
            value.as_list()?.iter().map(Value::as_text).collect()
        })
    }

    pub fn sizes(&self, key: &str) -> Result<Option<Vec<u64>>, GgufError> {
        self.optional(key, "a list of whole numbers", |value| {
            value.as_list()?.iter().map(Value::as_u64).collect()
        })
    }

    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, GgufError> {
        self.optional(key, "a list of numbers", |value| {
            value.as_list()?.iter().map(Value::as_f64).collect()
        })
    }
}
