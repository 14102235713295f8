//! The check of a document against the JSON schema, with errors for people.

use serde_json::{Map, Value, json};

use super::document::{Path, describe};
use super::name;
use super::schema::resolve;
use crate::input::Problem;

mod types;
mod unions;

use types::{is_of_type, range, type_name, types_of};
use unions::{any_of, one_of};

/// A value that does not fit the schema.
#[derive(Debug)]
pub struct Misfit {
    /// Where.
    pub path: Path,
    /// Whether the field itself, not its value, is wrong.
    pub at_key: bool,
    /// What is wrong.
    pub problem: Problem,
}

/// A wrong value at `path`.
fn misfit(path: &Path, problem: Problem) -> Result<(), Misfit> {
    Err(Misfit {
        path: path.clone(),
        at_key: false,
        problem,
    })
}

/// The first misfit of `value` against the root schema, in the order of the document.
pub fn check(root: &Value, value: &Value) -> Result<(), Misfit> {
    walk(root, root, value, &mut Vec::new())
}

fn walk(root: &Value, schema: &Value, value: &Value, path: &mut Path) -> Result<(), Misfit> {
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
            Value::String(found) => misfit(path, Problem::unknown("value", found, names)),
            _ => misfit(
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
        return misfit(
            path,
            Problem::new(format!(
                "expected {}, found {}",
                expected.join(" or "),
                describe(value)
            )),
        );
    }
    match value {
        Value::Number(number) => range(schema, number).or_else(|problem| misfit(path, problem)),
        Value::String(text) if schema.get("pattern").is_some_and(|p| p == name::PATTERN) => {
            match name::problem(text) {
                Some(problem) => misfit(path, problem),
                None => Ok(()),
            }
        }
        Value::Array(list) => {
            if let Some(least) = schema.get("minItems").and_then(Value::as_u64)
                && (list.len() as u64) < least
            {
                return misfit(
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
) -> Result<(), Misfit> {
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
                    return Err(Misfit {
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
            return misfit(path, problem);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
