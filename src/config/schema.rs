//! The JSON schema of an experiment, and the listings made from it.
//!
//! One description serves all: what editors complete from `infbench schema` is what
//! the check of a file enforces and `infbench list` prints, with the same ranges and names.

use serde_json::{Value, json};

use super::experiment::Experiment;

/// JSON schema (draft 2020-12) of an experiment file.
pub fn schema() -> Value {
    let mut schema =
        serde_json::to_value(schemars::schema_for!(Experiment)).expect("a schema is plain JSON");
    // `task: digits` is short for `task: {name: digits}`
    for field in ["task", "model"] {
        let full = schema["properties"][field].take();
        let mut definition = resolve(&schema, &full).clone();
        if let Some(some) = definition.get("anyOf").and_then(|any| any.get(0)) {
            definition = resolve(&schema, some).clone();
        }
        // … where the name is all that is needed
        let short = |variant: &Value| {
            let required = variant.get("required").and_then(Value::as_array);
            required.is_none_or(|fields| fields.iter().all(|field| field == "name"))
        };
        let names: Vec<Value> = tags(&schema, &definition)
            .filter(|(_, variant)| short(variant))
            .map(|(tag, _)| json!(tag))
            .collect();
        let mut any_of = vec![json!({ "enum": names })];
        match full.get("anyOf").and_then(Value::as_array) {
            Some(alternatives) => any_of.extend(alternatives.iter().cloned()),
            None => any_of.push(json!({ "$ref": full["$ref"] })),
        }
        let description = full.get("description").cloned();
        schema["properties"][field] = json!({ "anyOf": any_of });
        if let Some(description) = description {
            schema["properties"][field]["description"] = description;
        }
    }
    // a model of which a path is given is a checkpoint
    for variant in schema["$defs"]["ModelConfig"]["oneOf"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if variant["properties"]["name"]["const"] == "checkpoint" {
            let required = variant["required"].as_array_mut();
            required.into_iter().for_each(|r| r.retain(|f| f != "name"));
        }
    }
    schema
}

pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix("#"))
    {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

/// The variants of a tagged union, as (tag, schema).
pub(super) fn tags<'a>(
    root: &'a Value,
    schema: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let variants = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    variants.iter().filter_map(|variant| {
        let variant = resolve(root, variant);
        Some((variant["properties"]["name"]["const"].as_str()?, variant))
    })
}

/// A task or a model as `infbench list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Name in the settings.
    pub name: String,
    /// What it is.
    pub summary: String,
    /// Its options.
    pub fields: Vec<Field>,
}

/// An option of a task or a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name in the settings.
    pub name: String,
    /// Default, as JSON.
    pub default: String,
    /// What it is.
    pub summary: String,
}

/// The tasks with their options.
pub fn tasks() -> Vec<Listing> {
    listing(
        &serde_json::to_value(schemars::schema_for!(super::TaskConfig))
            .expect("a schema is plain JSON"),
    )
}

/// The models with their options.
pub fn models() -> Vec<Listing> {
    listing(
        &serde_json::to_value(schemars::schema_for!(super::ModelConfig))
            .expect("a schema is plain JSON"),
    )
}

fn listing(root: &Value) -> Vec<Listing> {
    let text = |schema: &Value| {
        schema["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ")
    };
    let entries = tags(root, root).map(|(name, variant)| {
        let properties = variant.get("properties").and_then(Value::as_object);
        let required = variant.get("required").and_then(Value::as_array);
        let unless_given = |field: &str| {
            let required = required.is_some_and(|fields| fields.iter().any(|f| f == field));
            if required { "required" } else { "null" }
        };
        let fields = properties
            .into_iter()
            .flatten()
            .filter(|(field, _)| *field != "name")
            .map(|(field, schema)| Field {
                name: field.clone(),
                default: schema
                    .get("default")
                    .map_or_else(|| unless_given(field).to_owned(), Value::to_string),
                summary: text(schema),
            });
        Listing {
            name: name.to_owned(),
            summary: text(variant),
            fields: fields.collect(),
        }
    });
    entries.collect()
}
