//! Settings that the config.json files of a pipeline have in common.

use serde_json::Value;

use crate::checkpoints::{Fields, HuggingFaceError};

/// A whole number for every level, given once for all or as a list of `levels`; `default` where there is none.
///
/// # Errors
/// When it is something else.
pub fn per_level(
    fields: &Fields,
    field: &'static str,
    levels: usize,
    default: usize,
) -> Result<Vec<usize>, HuggingFaceError> {
    match fields.get(field) {
        Some(value @ Value::Array(list)) => {
            let sizes: Option<Vec<usize>> = list.iter().map(whole).collect();
            sizes.filter(|sizes| sizes.len() == levels).ok_or_else(|| {
                let allowed =
                    format!("a whole number from 1 on, or a list of {levels}, one a block");
                fields.unsupported(field, value, allowed)
            })
        }
        _ => Ok(vec![fields.size(field, 1, Some(default))?; levels]),
    }
}

/// A list of whole numbers from 1 on.
///
/// # Errors
/// When it is missing, empty or something else.
pub fn sizes(fields: &Fields, field: &'static str) -> Result<Vec<usize>, HuggingFaceError> {
    let value = fields.required(field)?;
    let list = value.as_array().into_iter().flatten();
    let sizes: Option<Vec<usize>> = list.map(whole).collect();
    sizes
        .filter(|sizes| !sizes.is_empty())
        .ok_or_else(|| fields.unsupported(field, value, "a list of whole numbers from 1 on"))
}

/// A list of words out of `allowed`, `count` of them.
///
/// # Errors
/// When it is missing or something else.
pub fn words<'a>(
    fields: &'a Fields,
    field: &'static str,
    allowed: &[&str],
    count: usize,
) -> Result<Vec<&'a str>, HuggingFaceError> {
    let value = fields.required(field)?;
    let list = value.as_array().into_iter().flatten();
    let words: Option<Vec<&str>> = list
        .map(|word| word.as_str().filter(|word| allowed.contains(word)))
        .collect();
    words.filter(|words| words.len() == count).ok_or_else(|| {
        let allowed: Vec<String> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
        let allowed = allowed.join(", ");
        fields.unsupported(field, value, format!("a list of {count} of {allowed}"))
    })
}

/// A positive number, or `default`.
///
/// # Errors
/// When it is something else.
pub fn positive(
    fields: &Fields,
    field: &'static str,
    default: f64,
) -> Result<f64, HuggingFaceError> {
    let Some(value) = fields.get(field) else {
        return Ok(default);
    };
    value
        .as_f64()
        .filter(|number| *number > 0.0 && number.is_finite())
        .ok_or_else(|| fields.unsupported(field, value, "a positive number"))
}

/// Checks that a number, where there is one, is the only one that is supported.
///
/// # Errors
/// When it is another, or no number.
pub fn only_number(
    fields: &Fields,
    field: &'static str,
    allowed: f64,
) -> Result<(), HuggingFaceError> {
    match fields.get(field) {
        Some(value) if value.as_f64() != Some(allowed) => {
            Err(fields.unsupported(field, value, allowed.to_string()))
        }
        _ => Ok(()),
    }
}

/// Checks that a number divides every one of `channels`.
///
/// # Errors
/// When it does not.
pub fn divides(
    fields: &Fields,
    field: &'static str,
    divisor: usize,
    channels: &[usize],
) -> Result<(), HuggingFaceError> {
    match channels.iter().find(|channels| **channels % divisor != 0) {
        None => Ok(()),
        Some(channels) => {
            let allowed =
                format!("a divisor of the {channels} channels of every block that it is for");
            Err(fields.unsupported(field, &Value::from(divisor), allowed))
        }
    }
}

fn whole(value: &Value) -> Option<usize> {
    let size = value.as_u64().filter(|size| (1..1 << 32).contains(size));
    size.map(|size| size as usize)
}
