//! The types of JSON schema, as people call them, and ranges of numbers.

use serde_json::Value;

use crate::input::Problem;

pub(super) fn types_of(types: &Value) -> impl Iterator<Item = &str> {
    let list = match types {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    list.iter().filter_map(Value::as_str)
}

pub(super) fn is_of_type(value: &Value, name: &str) -> bool {
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

pub(super) fn type_name(name: &str) -> &str {
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

pub(super) fn range(schema: &Value, number: &serde_json::Number) -> Result<(), Problem> {
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
