//! Values that may be one of several things: which one is meant, and what is wrong with it as such.

use serde_json::{Map, Value, json};

use super::types::{is_of_type, type_name, types_of};
use super::{Misfit, misfit, walk};
use crate::config::document::{Path, describe};
use crate::config::schema::{resolve, tags};
use crate::input::Problem;

/// Tagged unions are decided by their `name`; other unions by the first variant that fits.
pub(super) fn one_of(
    root: &Value,
    schema: &Value,
    value: &Value,
    path: &mut Path,
) -> Result<(), Misfit> {
    let variants: Vec<(&str, &Value)> = tags(root, schema).collect();
    if variants.is_empty() {
        if let Some(constants) = constants(schema) {
            return walk(root, &json!({ "enum": constants }), value, path);
        }
        let alternatives = schema["oneOf"].as_array().expect("oneOf is a list");
        return any_of(root, alternatives, value, path);
    }
    let Value::Object(map) = value else {
        let names: Vec<&str> = variants.iter().map(|v| v.0).collect();
        let problem = match value {
            Value::String(found) => Problem::unknown("name", found, names),
            _ => Problem::new(format!(
                "expected a name ({}) or a mapping with one, found {}",
                names.join(", "),
                describe(value)
            )),
        };
        return misfit(path, problem);
    };
    let names = variants.iter().map(|v| v.0);
    match map.get("name") {
        Some(Value::String(name)) => match variants.iter().find(|(tag, _)| tag == name) {
            Some((_, variant)) => walk(root, variant, value, path),
            None => {
                path.push("name".to_owned());
                misfit(path, Problem::unknown("name", name, names))
            }
        },
        Some(other) => {
            let problem = Problem::new(format!("`name` must be text, found {}", describe(other)));
            misfit(path, problem)
        }
        None => {
            // a variant that goes without its name, known by its other fields
            let nameless = variants.iter().find(|(_, variant)| {
                let required = variant.get("required").and_then(Value::as_array);
                required.is_some_and(|fields| {
                    let mut fields = fields.iter().filter_map(Value::as_str);
                    fields.all(|field| field != "name" && map.contains_key(field))
                })
            });
            if let Some((_, variant)) = nameless {
                return walk(root, variant, value, path);
            }
            let names: Vec<&str> = names.collect();
            let problem = Problem::new(format!(
                "the field `name` is missing; allowed: {}",
                names.join(", ")
            ));
            misfit(path, problem)
        }
    }
}

/// The words of a union that has nothing else.
fn constants(schema: &Value) -> Option<Vec<&str>> {
    let alternatives = schema.get("oneOf")?.as_array()?;
    let words = alternatives.iter().map(|a| a.get("const")?.as_str());
    words.collect()
}

/// Fits when any variant fits; otherwise speaks for the variant of the value's own kind.
pub(super) fn any_of(
    root: &Value,
    alternatives: &[Value],
    value: &Value,
    path: &mut Path,
) -> Result<(), Misfit> {
    let mut best: Option<(usize, Misfit)> = None;
    for alternative in alternatives {
        let depth = path.len();
        let Err(misfit) = walk(root, alternative, value, path) else {
            return Ok(());
        };
        path.truncate(depth);
        let kind = usize::from(accepts_kind(root, alternative, value));
        let score = kind * 1000 + known_fields(root, alternative, value) * 100 + misfit.path.len();
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, misfit));
        }
    }
    // a wrong word where something else than words is allowed, too
    if let Value::String(found) = value
        && let Some(words) = alternatives
            .iter()
            .find_map(|a| constants(resolve(root, a)))
    {
        let others = alternatives.iter().flat_map(|a| kinds_of(root, a));
        let mut others: Vec<String> = others.collect();
        others.dedup();
        let allowed = words.into_iter().chain(others.iter().map(String::as_str));
        return misfit(path, Problem::unknown("value", found, allowed));
    }
    match best {
        Some((score, misfit)) if score >= 1000 => Err(misfit),
        _ => {
            let mut kinds: Vec<String> = alternatives
                .iter()
                .flat_map(|a| kinds_of(root, a))
                .collect();
            kinds.dedup();
            let problem = Problem::new(format!(
                "expected {}, found {}",
                kinds.join(" or "),
                describe(value)
            ));
            misfit(path, problem)
        }
    }
}

fn kinds_of(root: &Value, schema: &Value) -> Vec<String> {
    let schema = resolve(root, schema);
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return vec![format!(
            "one of {}",
            allowed
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        )];
    }
    let types = schema
        .get("type")
        .into_iter()
        .flat_map(types_of)
        .filter(|name| *name != "null");
    types.map(|name| type_name(name).to_owned()).collect()
}

/// How many of a mapping's fields an alternative has, up to 9.
fn known_fields(root: &Value, schema: &Value, value: &Value) -> usize {
    let properties = resolve(root, schema).get("properties");
    let known = |key: &&String| properties.is_some_and(|all| all.get(key.as_str()).is_some());
    let fields = value.as_object().into_iter().flat_map(Map::keys);
    fields.filter(known).take(9).count()
}

fn accepts_kind(root: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolve(root, schema);
    if schema.get("oneOf").is_some() {
        return value.is_object();
    }
    if schema.get("enum").is_some() {
        return value.is_string();
    }
    schema
        .get("type")
        .is_some_and(|types| types_of(types).any(|name| is_of_type(value, name)))
}
