//! Methods in YAML and JSON: read from a text or a mapping, written as the label; and the schema of both forms.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::MethodSpec;
use crate::influence::registry::Allowed;
use crate::influence::table::METHODS;
use crate::input::quote;

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
