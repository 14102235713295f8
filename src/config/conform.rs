//! The check of a document against the JSON schema, with errors for people.
//!
//! The crate jsonschema (0.61) was tried. Of a misspelt option within a task it says that the task "is not valid under any of
//! the schemas", so the choice of the variant that was meant, most of this file, would stay; and it brings 25 crates and
//! about a minute of processor time to a first build.

use serde_json::{Map, Value, json};

use super::document::{Path, describe};
use super::name;
use super::schema::{resolve, tags};
use crate::input::Problem;

mod types;

use types::{is_of_type, range, type_name, types_of};

/// A value that does not fit the schema.
#[derive(Debug)]
pub struct Violation {
    /// Where.
    pub path: Path,
    /// Whether the field itself, not its value, is wrong.
    pub at_key: bool,
    /// What is wrong.
    pub problem: Problem,
}

/// A wrong value at `path`.
fn violation(path: &Path, problem: Problem) -> Result<(), Violation> {
    Err(Violation {
        path: path.clone(),
        at_key: false,
        problem,
    })
}

/// The first violation of `value` against the root schema, in the order of the document.
pub fn check(root: &Value, value: &Value) -> Result<(), Violation> {
    walk(root, root, value, &mut Vec::new())
}

fn walk(root: &Value, schema: &Value, value: &Value, path: &mut Path) -> Result<(), Violation> {
    if let Some(reference) = schema.get("$ref") {
        walk(
            root,
            resolve(root, &json!({ "$ref": reference })),
            value,
            path,
        )?;
    }
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        any_of(root, alternatives, value, path)?;
    }
    if schema.get("oneOf").is_some() {
        one_of(root, schema, value, path)?;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return match value {
            Value::String(found) => violation(path, Problem::unknown("value", found, names)),
            _ => violation(
                path,
                Problem::new(format!(
                    "expected one of {}, found {}",
                    names.join(", "),
                    describe(value)
                )),
            ),
        };
    }
    if let Some(types) = schema.get("type")
        && !types_of(types).any(|name| is_of_type(value, name))
    {
        let expected: Vec<&str> = types_of(types)
            .filter(|name| *name != "null")
            .map(type_name)
            .collect();
        return violation(
            path,
            Problem::new(format!(
                "expected {}, found {}",
                expected.join(" or "),
                describe(value)
            )),
        );
    }
    match value {
        Value::Number(number) => range(schema, number).or_else(|problem| violation(path, problem)),
        Value::String(text) if schema.get("pattern").is_some_and(|p| p == name::PATTERN) => {
            match name::problem(text) {
                Some(problem) => violation(path, problem),
                None => Ok(()),
            }
        }
        Value::Array(list) => {
            if let Some(least) = schema.get("minItems").and_then(Value::as_u64)
                && (list.len() as u64) < least
            {
                return violation(
                    path,
                    Problem::new(format!(
                        "needs at least {least} item{}",
                        if least == 1 { "" } else { "s" }
                    )),
                );
            }
            if let Some(items) = schema.get("items") {
                for (index, item) in list.iter().enumerate() {
                    path.push(index.to_string());
                    walk(root, items, item, path)?;
                    path.pop();
                }
            }
            Ok(())
        }
        Value::Object(map) => object(root, schema, map, path),
        _ => Ok(()),
    }
}

fn object(
    root: &Value,
    schema: &Value,
    map: &Map<String, Value>,
    path: &mut Path,
) -> Result<(), Violation> {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, value) in map {
        path.push(key.clone());
        if let Some(property) = properties.and_then(|p| p.get(key)) {
            walk(root, property, value, path)?;
        } else {
            // schemars writes the second one where fields of another mapping are flattened in
            let additional = schema.get("additionalProperties");
            match additional.or_else(|| schema.get("unevaluatedProperties")) {
                Some(Value::Bool(false)) => {
                    let names = properties
                        .into_iter()
                        .flat_map(|p| p.keys())
                        .map(String::as_str);
                    let problem = Problem::unknown("field", key, names);
                    path.pop();
                    let mut at = path.clone();
                    at.push(key.clone());
                    return Err(Violation {
                        path: at,
                        at_key: true,
                        problem,
                    });
                }
                Some(additional @ Value::Object(_)) => walk(root, additional, value, path)?,
                _ => {}
            }
        }
        path.pop();
    }
    for required in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !map.contains_key(required) {
            let problem = Problem::new(format!("the field `{required}` is missing"));
            return violation(path, problem);
        }
    }
    Ok(())
}

/// Tagged unions are decided by their `name`; other unions by the first variant that fits.
fn one_of(root: &Value, schema: &Value, value: &Value, path: &mut Path) -> Result<(), Violation> {
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
        return violation(path, problem);
    };
    let names = variants.iter().map(|v| v.0);
    match map.get("name") {
        Some(Value::String(name)) => match variants.iter().find(|(tag, _)| tag == name) {
            Some((_, variant)) => walk(root, variant, value, path),
            None => {
                path.push("name".to_owned());
                violation(path, Problem::unknown("name", name, names))
            }
        },
        Some(other) => {
            let problem = Problem::new(format!("`name` must be text, found {}", describe(other)));
            violation(path, problem)
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
            violation(path, problem)
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
fn any_of(
    root: &Value,
    alternatives: &[Value],
    value: &Value,
    path: &mut Path,
) -> Result<(), Violation> {
    let mut best: Option<(usize, Violation)> = None;
    for alternative in alternatives {
        let depth = path.len();
        let Err(violation) = walk(root, alternative, value, path) else {
            return Ok(());
        };
        path.truncate(depth);
        let kind = usize::from(accepts_kind(root, alternative, value));
        let score =
            kind * 1000 + known_fields(root, alternative, value) * 100 + violation.path.len();
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            best = Some((score, violation));
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
        return violation(path, Problem::unknown("value", found, allowed));
    }
    match best {
        Some((score, violation)) if score >= 1000 => Err(violation),
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
            violation(path, problem)
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

#[cfg(test)]
mod tests;
