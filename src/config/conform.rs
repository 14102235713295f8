//! The check of a document against the JSON schema, with errors for people.

use serde_json::{Map, Value, json};

use super::document::{Path, describe};
use super::name;
use super::schema::{resolve, tags};
use crate::input::Problem;

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

/// The first misfit of `value` against the root schema, in the order of the document.
pub fn check(root: &Value, value: &Value) -> Result<(), Misfit> {
    walk(root, root, value, &mut Vec::new())
}

fn walk(root: &Value, schema: &Value, value: &Value, path: &mut Path) -> Result<(), Misfit> {
    let here = |path: &Path, problem: Problem| {
        Err(Misfit {
            path: path.clone(),
            at_key: false,
            problem,
        })
    };
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
            Value::String(found) => here(path, Problem::unknown("value", found, names)),
            _ => here(
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
        return here(
            path,
            Problem::new(format!(
                "expected {}, found {}",
                expected.join(" or "),
                describe(value)
            )),
        );
    }
    match value {
        Value::Number(number) => range(schema, number).or_else(|problem| here(path, problem)),
        Value::String(text) if schema.get("pattern").is_some_and(|p| p == name::PATTERN) => {
            match name::problem(text) {
                Some(problem) => here(path, problem),
                None => Ok(()),
            }
        }
        Value::Array(list) => {
            if let Some(least) = schema.get("minItems").and_then(Value::as_u64)
                && (list.len() as u64) < least
            {
                return here(
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
            return Err(Misfit {
                path: path.clone(),
                at_key: false,
                problem,
            });
        }
    }
    Ok(())
}

/// Tagged unions are decided by their `name`; other unions by the first variant that fits.
fn one_of(root: &Value, schema: &Value, value: &Value, path: &mut Path) -> Result<(), Misfit> {
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
        return Err(Misfit {
            path: path.clone(),
            at_key: false,
            problem,
        });
    };
    let names = variants.iter().map(|v| v.0);
    match map.get("name") {
        Some(Value::String(name)) => match variants.iter().find(|(tag, _)| tag == name) {
            Some((_, variant)) => walk(root, variant, value, path),
            None => {
                path.push("name".to_owned());
                Err(Misfit {
                    path: path.clone(),
                    at_key: false,
                    problem: Problem::unknown("name", name, names),
                })
            }
        },
        Some(other) => {
            let problem = Problem::new(format!("`name` must be text, found {}", describe(other)));
            Err(Misfit {
                path: path.clone(),
                at_key: false,
                problem,
            })
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
            Err(Misfit {
                path: path.clone(),
                at_key: false,
                problem,
            })
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
        return Err(Misfit {
            path: path.clone(),
            at_key: false,
            problem: Problem::unknown("value", found, allowed),
        });
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
            Err(Misfit {
                path: path.clone(),
                at_key: false,
                problem,
            })
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

fn types_of(types: &Value) -> impl Iterator<Item = &str> {
    let list = match types {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    list.iter().filter_map(Value::as_str)
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn type_name(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "string" => "text",
        "array" => "a list",
        "object" => "a mapping",
        "integer" => "a whole number",
        "number" => "a number",
        other => other,
    }
}

fn range(schema: &Value, number: &serde_json::Number) -> Result<(), Problem> {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let allowed = || match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) => format!("between {low} and {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => "a finite number".to_owned(),
    };
    let fits = value.is_finite()
        && bound("minimum").is_none_or(|low| value >= low)
        && bound("maximum").is_none_or(|high| value <= high);
    if fits {
        Ok(())
    } else {
        Err(Problem::new(format!(
            "{number} is out of range; allowed: {}",
            allowed()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::schema;
    use super::*;

    fn misfit(value: Value) -> (String, Problem) {
        let misfit = check(&schema(), &value).unwrap_err();
        (
            super::super::document::display(&misfit.path),
            misfit.problem,
        )
    }

    #[test]
    fn a_small_experiment_fits() {
        let value = json!({"name": "x", "task": "digits", "lora": {"rank": 2, "layers": {"last": 1}}, "influence": {"methods": ["exact", {"name": "lissa", "iterations": 5}]}});
        if let Err(misfit) = check(&schema(), &value) {
            panic!("{misfit:?}");
        }
    }

    #[test]
    fn misfits_name_place_found_and_allowed() {
        let base = |extra: Value| {
            let mut value = json!({"name": "x", "task": "digits"});
            value
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            value
        };
        for (value, path, text) in [
            (
                base(json!({"lora": {"rnk": 2}})),
                "lora.rnk",
                "unknown field `rnk`",
            ),
            (
                base(json!({"lora": {"rank": 0}})),
                "lora.rank",
                "0 is out of range; allowed: at least 1",
            ),
            (
                base(json!({"lora": {"rank": "two"}})),
                "lora.rank",
                "expected a whole number, found the text \"two\"",
            ),
            (
                base(json!({"lora": {"rank": 1.5}})),
                "lora.rank",
                "expected a whole number, found the number 1.5",
            ),
            (
                base(json!({"lora": {"targets": [3]}})),
                "lora.targets[0]",
                "expected text, found the number 3",
            ),
            (
                base(json!({"lora": {"targets": 3}})),
                "lora.targets",
                "expected a list or text, found the number 3",
            ),
            (
                base(json!({"lora": {"targets": []}})),
                "lora.targets",
                "needs at least 1 item",
            ),
            (
                base(json!({"lora": {"layers": "al"}})),
                "lora.layers",
                "unknown value `al`; allowed: all, a list, a mapping",
            ),
            (
                base(json!({"train": {"base_dropout": "chekpoint"}})),
                "train.base_dropout",
                "unknown value `chekpoint`; allowed: checkpoint, a number",
            ),
            (
                base(json!({"train": {"base_dropout": 1.5}})),
                "train.base_dropout",
                "1.5 is out of range; allowed: between 0 and 0.99",
            ),
            (
                base(json!({"lora": {"layers": {"lst": 1}}})),
                "lora.layers.lst",
                "unknown field `lst`",
            ),
            (
                base(json!({"lora": {"layers": {"from": 1}}})),
                "lora.layers",
                "the field `to` is missing",
            ),
            (
                base(json!({"lora": {"layers": {"from": 1, "upto": 2}}})),
                "lora.layers.upto",
                "unknown field `upto`; allowed: from, to",
            ),
            (
                base(json!({"task": "digit"})),
                "task",
                "unknown value `digit`; allowed: gradients, clusters, digits, sentences",
            ),
            (
                base(json!({"task": {"name": "digits", "flp": 1}})),
                "task.flp",
                "unknown field `flp`",
            ),
            (
                base(json!({"task": {"name": "digits", "flip": 1.5}})),
                "task.flip",
                "1.5 is out of range; allowed: between 0 and 1",
            ),
            (
                base(json!({"influence": {"methods": []}})),
                "influence.methods",
                "needs at least 1 item",
            ),
            (
                base(json!({"train": []})),
                "train",
                "expected a mapping, found a list of 0",
            ),
        ] {
            let (found, problem) = misfit(value);
            assert_eq!(found, path);
            assert!(
                problem.message.contains(text),
                "{path}: {}",
                problem.message
            );
        }
        assert_eq!(
            misfit(base(json!({"lora": {"rnk": 2}}))).1.help.as_deref(),
            Some("did you mean `rank`?")
        );
        assert!(
            misfit(json!({"task": "digits"}))
                .1
                .message
                .contains("`name` is missing")
        );
    }
}
