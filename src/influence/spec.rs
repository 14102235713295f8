//! A method with its options, as written: `NAME[:key=value,...]`, or `{name: NAME, key: value, ...}`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

mod error;
mod yaml;

pub use error::MethodError;

use super::method::InfluenceMethod;
use super::methods::exact::Exact;
use super::registry::{Listed, MethodInfo, OptionInfo, Value, Values};
use super::table::METHODS;
use crate::input::nearest;

/// A method and its options.
#[derive(Clone, Debug)]
pub struct MethodSpec {
    /// The very string given; names the method in results and files. A mapping gives the string with its
    /// options in the order written.
    pub label: String,
    info: &'static MethodInfo,
    values: Values,
    method: Arc<dyn InfluenceMethod>,
}

impl PartialEq for MethodSpec {
    fn eq(&self, other: &Self) -> bool {
        self.label == other.label && self.is_same(other)
    }
}

/// The nearest of `words`, when it is near enough to be meant.
fn closest(found: &str, words: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    nearest(found, &words.into_iter().collect::<Vec<_>>())
}

impl MethodSpec {
    /// A method by its name and options in the order written; `label` is what it is called.
    fn new(label: String, name: &str, given: &[(&str, &str)]) -> Result<Self, MethodError> {
        let names = || METHODS.iter().map(|(info, _)| info.name);
        let (info, build) = METHODS
            .iter()
            .find(|(info, _)| info.name == name)
            .ok_or_else(|| MethodError::Name {
                found: name.to_owned(),
                closest: closest(name, names()),
                allowed: names().collect(),
            })?;
        let mut values: Vec<(&str, Value)> = Vec::with_capacity(given.len());
        for (key, text) in given {
            let option = find_option(info, key)?;
            if values.iter().any(|(other, _)| *other == option.key) {
                return Err(MethodError::Repeated {
                    method: info.name,
                    key: option.key,
                });
            }
            let value = option
                .allowed
                .parse(text)
                .ok_or_else(|| MethodError::Value {
                    method: info.name,
                    key: option.key,
                    found: (*text).to_owned(),
                    expected: option.allowed.to_string(),
                    closest: closest(text, option.allowed.words().iter().copied()),
                })?;
            values.push((option.key, value));
        }
        let values = Values::new(info, &values);
        Ok(Self {
            label,
            info,
            method: build(&values),
            values,
        })
    }

    /// Whether this is exact influence, the reference of the others.
    pub fn is_exact(&self) -> bool {
        self.info.name == Exact::INFO.name
    }

    /// Whether both are the same method with the same options, whatever they are called.
    pub fn is_same(&self, other: &Self) -> bool {
        self.info.name == other.info.name && self.values == other.values
    }

    /// What is said of the method.
    pub fn info(&self) -> &'static MethodInfo {
        self.info
    }

    /// The method, every option filled in.
    pub fn method(&self) -> &dyn InfluenceMethod {
        &*self.method
    }

    /// The method's name without options, e.g. `datainf`.
    pub fn name(&self) -> &'static str {
        self.info.name
    }
}

fn find_option(info: &'static MethodInfo, key: &str) -> Result<&'static OptionInfo, MethodError> {
    let keys = || info.options.iter().map(|option| option.key);
    info.options
        .iter()
        .find(|option| option.key == key)
        .ok_or_else(|| MethodError::Option {
            method: info.name,
            found: key.to_owned(),
            closest: closest(key, keys()),
            allowed: keys().collect(),
        })
}

impl FromStr for MethodSpec {
    type Err = MethodError;

    /// `NAME` or `NAME:key=value,key=value`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rest) = text
            .split_once(':')
            .map_or((text, None), |(name, rest)| (name, Some(rest)));
        // the name first, so that the error about an option can speak of its method
        let info = Self::new(text.to_owned(), name, &[])?.info;
        let given = rest.map_or_else(Vec::new, |rest| {
            rest.split(',')
                .map(|part| (part, part.split_once('=')))
                .collect()
        });
        let given: Vec<(&str, &str)> = given
            .into_iter()
            .map(|(part, pair)| {
                pair.ok_or_else(|| MethodError::Form {
                    method: info.name,
                    found: part.to_owned(),
                    example: info.options.first().map_or_else(
                        || "key=value".to_owned(),
                        |o| format!("{}={}", o.key, o.default),
                    ),
                })
            })
            .collect::<Result<_, _>>()?;
        Self::new(text.to_owned(), name, &given)
    }
}

impl fmt::Display for MethodSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

#[cfg(test)]
mod tests;
