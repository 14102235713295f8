//! What transformers adds to Jinja, as Python does it: how values are printed, `tojson`, `strftime_now`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, escape_formatter};

use crate::input::quote;

/// `strftime_now(format)`: the date of today, in UTC, or that of `SOURCE_DATE_EPOCH`, seconds since 1970.
pub(super) fn strftime_now(format: &str) -> Result<String, Error> {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok();
    let fixed = fixed.and_then(|seconds| Timestamp::from_second(seconds.parse().ok()?).ok());
    let now = fixed.unwrap_or_else(Timestamp::now).to_zoned(TimeZone::UTC);
    jiff::fmt::strtime::format(format, &now).map_err(|_| {
        let reason = format!("\"{}\" is no format of a date", quote(format));
        Error::new(ErrorKind::InvalidOperation, reason)
    })
}

/// Values as Python prints them.
pub(super) fn as_python(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if value.is_none() {
        return Ok(out.write_str("None")?);
    }
    match value.kind() {
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
        _ => escape_formatter(out, state, value),
    }
}

/// `json.dumps`, of which `indent`, `ensure_ascii`, `separators` and `sort_keys` can be given.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Value> = options.get("separators")?;
    let separators = separators.map(|pair| pair.try_iter()).transpose()?;
    let separators: Option<Vec<String>> =
        separators.map(|pair| pair.map(|text| text.to_string()).collect());
    let default = [if indent.is_some() { "," } else { ", " }, ": "].map(str::to_owned);
    let [item, key] = match separators {
        None => default,
        Some(pair) => pair
            .try_into()
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "separators are two texts"))?,
    };
    let style = Json {
        indent,
        ascii: options
            .get::<Option<bool>>("ensure_ascii")?
            .unwrap_or(false),
        sorted: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        separators: (item, key),
    };
    options.assert_all_used()?;
    let value = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    let mut out = String::new();
    style.write(&value, 0, &mut out);
    Ok(out)
}

/// How JSON is written.
struct Json {
    indent: Option<usize>,
    ascii: bool,
    sorted: bool,
    separators: (String, String),
}

impl Json {
    fn write(&self, value: &serde_json::Value, depth: usize, out: &mut String) {
        use serde_json::Value as Any;
        match value {
            Any::Array(values) => {
                let items: Vec<_> = values.iter().map(|value| (None, value)).collect();
                self.write_items('[', &items, ']', depth, out);
            }
            Any::Object(map) => {
                let mut items: Vec<_> = map.iter().map(|(key, value)| (Some(key), value)).collect();
                if self.sorted {
                    items.sort_by_key(|(key, _)| *key);
                }
                self.write_items('{', &items, '}', depth, out);
            }
            Any::String(text) => self.write_text(text, out),
            other => out.push_str(&other.to_string()),
        }
    }

    fn write_items(
        &self,
        open: char,
        items: &[(Option<&String>, &serde_json::Value)],
        close: char,
        depth: usize,
        out: &mut String,
    ) {
        let line = |depth: usize, out: &mut String| {
            if let Some(indent) = self.indent {
                out.push('\n');
                out.push_str(&" ".repeat(indent * depth));
            }
        };
        out.push(open);
        for (index, (key, value)) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.separators.0);
            }
            line(depth + 1, out);
            if let Some(key) = key {
                self.write_text(key, out);
                out.push_str(&self.separators.1);
            }
            self.write(value, depth + 1, out);
        }
        if !items.is_empty() {
            line(depth, out);
        }
        out.push(close);
    }

    fn write_text(&self, text: &str, out: &mut String) {
        let plain = serde_json::Value::from(text).to_string();
        if !self.ascii {
            return out.push_str(&plain);
        }
        for character in plain.chars() {
            if character.is_ascii() {
                out.push(character);
            } else {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}
