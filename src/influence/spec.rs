//! A method with its options, as written: `NAME[:key=value,...]`, or `{name: NAME, key: value, ...}`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::method::InfluenceMethod;
use super::methods::exact::Exact;
use super::registry::{Allowed, Listed, MethodInfo, OptionInfo, Value, Values};
use super::table::METHODS;
use crate::input::{nearest, quote};

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

/// What is wrong with a method as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MethodError {
    /// No such method.
    #[error("unknown method `{}`{}; the methods are {}", quote(found), suggest(.closest), .allowed.join(", "))]
    Name {
        /// What was written.
        found: String,
        /// The nearest name, when one is near.
        closest: Option<&'static str>,
        /// All names.
        allowed: Vec<&'static str>,
    },
    /// The method has no such option.
    #[error("`{method}` has no option `{}`{}; {}", quote(found), suggest(.closest), options(.allowed))]
    Option {
        /// The method.
        method: &'static str,
        /// What was written.
        found: String,
        /// The nearest option, when one is near.
        closest: Option<&'static str>,
        /// The method's options.
        allowed: Vec<&'static str>,
    },
    /// The option does not take this value.
    #[error("`{method}`: {key} is `{}`, expected {expected}{}", quote(found), suggest(.closest))]
    Value {
        /// The method.
        method: &'static str,
        /// The option.
        key: &'static str,
        /// What was written.
        found: String,
        /// What is allowed.
        expected: String,
        /// The nearest word, when one is near.
        closest: Option<&'static str>,
    },
    /// An option given twice.
    #[error("`{method}`: {key} is given twice")]
    Repeated {
        /// The method.
        method: &'static str,
        /// The option.
        key: &'static str,
    },
    /// Not `key=value`.
    #[error(
        "`{method}`: found `{}` where key=value is expected, as in {method}:{example}",
        quote(found)
    )]
    Form {
        /// The method.
        method: &'static str,
        /// What was written.
        found: String,
        /// An option of the method as it would be written.
        example: String,
    },
}

fn suggest(closest: &Option<&str>) -> String {
    closest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn options(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it has {}", allowed.join(", "))
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

impl Serialize for MethodSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.label)
    }
}

impl<'de> Deserialize<'de> for MethodSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spec;

        impl<'de> Visitor<'de> for Spec {
            type Value = MethodSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a method as `name:key=value,...` or `{name: ..., key: value}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MethodSpec, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MethodSpec, A::Error> {
                let (mut name, mut given) = (None, Vec::new());
                while let Some((key, value)) = map.next_entry::<String, Json>()? {
                    let text = match value {
                        Json::String(text) => text,
                        Json::Bool(_) | Json::Number(_) => value.to_string(),
                        other => {
                            return Err(de::Error::custom(format!(
                                "{} is {}, expected a word, a number, true or false",
                                quote(&key),
                                quote(&other.to_string())
                            )));
                        }
                    };
                    match key.as_str() {
                        "name" => name = Some(text),
                        _ => given.push((key, text)),
                    }
                }
                let name = name.ok_or_else(|| de::Error::missing_field("name"))?;
                let pairs: Vec<String> = given
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                let label = if pairs.is_empty() {
                    name.clone()
                } else {
                    format!("{name}:{}", pairs.join(","))
                };
                let given: Vec<(&str, &str)> = given
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                MethodSpec::new(label, &name, &given).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Spec)
    }
}

impl JsonSchema for MethodSpec {
    fn schema_name() -> Cow<'static, str> {
        "Method".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = METHODS.iter().map(|(info, _)| info.name).collect();
        let pattern = format!(
            "^({})(:[a-z_]+=[^,=]+(,[a-z_]+=[^,=]+)*)?$",
            names.join("|")
        );
        let mut forms = vec![json!({
            "type": "string",
            "pattern": pattern,
            "description": "NAME or NAME:key=value,...",
            "examples": names,
        })];
        forms.extend(METHODS.iter().map(|(info, _)| {
            let mut properties = serde_json::Map::new();
            properties.insert("name".to_owned(), json!({"const": info.name}));
            for option in info.options {
                let mut schema = option_schema(option.allowed);
                schema["description"] = json!(option.help);
                properties.insert(option.key.to_owned(), schema);
            }
            json!({
                "type": "object",
                "description": info.summary,
                "properties": properties,
                "required": ["name"],
                "additionalProperties": false,
            })
        }));
        json_schema!({"description": "A method and its options.", "anyOf": forms})
    }
}

fn option_schema(allowed: Allowed) -> Json {
    match allowed {
        Allowed::Count | Allowed::Size(_) => json!({"type": "integer", "minimum": 1}),
        Allowed::CountOr(words) => {
            json!({"anyOf": [{"type": "integer", "minimum": 1}, {"enum": words}]})
        }
        Allowed::Number => json!({"type": "number", "exclusiveMinimum": 0}),
        Allowed::Switch => json!({"type": "boolean"}),
        Allowed::Word(words) => json!({"enum": words}),
        Allowed::NumberOr(words) => {
            json!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"enum": words}]})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MethodSpec {
        text.parse().unwrap()
    }

    #[test]
    fn strings_are_read() {
        let built = |text: &str| format!("{:?}", parse(text).method());
        assert_eq!(built("datainf"), "DataInf { group_size: 1, shuffle: true }");
        let spec = parse("datainf:shuffle=false,group_size=8");
        assert_eq!(
            built(&spec.label),
            "DataInf { group_size: 8, shuffle: false }"
        );
        assert_eq!(
            (spec.name(), spec.label.as_str()),
            ("datainf", "datainf:shuffle=false,group_size=8")
        );
        for (text, expected) in [
            ("lissa", "variant: Paper, iterations: 10, scale: Fixed(1.0)"),
            (
                "lissa:scale=auto,variant=code,iterations=3",
                "variant: Code, iterations: 3, scale: Auto",
            ),
            (
                "lissa:scale=2.5",
                "variant: Paper, iterations: 10, scale: Fixed(2.5)",
            ),
        ] {
            assert_eq!(built(text), format!("Lissa {{ {expected} }}"));
        }
    }

    #[test]
    fn mappings_are_read_in_their_order() {
        let read = |text: &str| {
            serde_yaml::from_str::<Vec<MethodSpec>>(text)
                .unwrap()
                .remove(0)
        };
        let spec = read("- {name: datainf, shuffle: false, group_size: 8}");
        assert_eq!(spec, parse("datainf:shuffle=false,group_size=8"));
        assert_eq!(
            read("- {iterations: 20, name: lissa}"),
            parse("lissa:iterations=20")
        );
        assert_eq!(read("- exact"), parse("exact"));
        assert_eq!(read("- name: exact"), parse("exact"));
        assert_eq!(
            serde_json::to_string(&spec).unwrap(),
            "\"datainf:shuffle=false,group_size=8\""
        );
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        let names: Vec<&str> = METHODS.iter().map(|(info, _)| info.name).collect();
        let unknown = format!(
            "unknown method `datinf` (did you mean `datainf`?); the methods are {}",
            names.join(", ")
        );
        for (text, message) in [
            ("datinf", unknown.as_str()),
            (
                "datainf:groupsize=3",
                "`datainf` has no option `groupsize` (did you mean `group_size`?); it has group_size, shuffle",
            ),
            (
                "hessian_free:scale=1",
                "`hessian_free` has no option `scale`; it takes none",
            ),
            (
                "datainf:group_size=0",
                "`datainf`: group_size is `0`, expected an integer, at least 1",
            ),
            (
                "lissa:variant=papers",
                "`lissa`: variant is `papers`, expected paper or code (did you mean `paper`?)",
            ),
            (
                "lissa:scale=-1",
                "`lissa`: scale is `-1`, expected a positive number or auto",
            ),
            (
                "lissa:iterations=2,iterations=3",
                "`lissa`: iterations is given twice",
            ),
            (
                "lissa:20",
                "`lissa`: found `20` where key=value is expected, as in lissa:variant=paper",
            ),
            (
                "exact:",
                "`exact`: found `` where key=value is expected, as in exact:solver=auto",
            ),
        ] {
            assert_eq!(
                text.parse::<MethodSpec>().unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
        let error = |text: &str| {
            serde_yaml::from_str::<Vec<MethodSpec>>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(
            error("- {iterations: 20}").contains("missing field `name`"),
            "{}",
            error("- {iterations: 20}")
        );
        assert!(error("- {name: lissa, iterations: [1]}").contains("expected a word, a number"));
        assert!(error("- 7").contains("a method as `name:key=value,...`"));
    }

    #[test]
    fn the_schema_names_every_method_and_option() {
        let schema = schemars::schema_for!(MethodSpec).to_value().to_string();
        for (info, _) in METHODS {
            assert!(schema.contains(info.name));
            assert!(
                info.options
                    .iter()
                    .all(|option| schema.contains(option.key))
            );
        }
    }
}
