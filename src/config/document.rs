//! A YAML document as a tree of plain values in which every value knows its place in the file.

use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};
use serde_json::Value;

use super::error::{ConfigError, Problem};

/// Place of a value in the tree: field names, and list indices as decimal numbers.
pub type Path = Vec<String>;

/// Byte offset and length in the file.
type Place = (usize, usize);

/// A parsed YAML file.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    text: String,
    /// The values.
    pub value: Value,
    /// For every path, the place of its key (of the value itself for list items) and of its value.
    places: HashMap<Path, (Place, Place)>,
    /// Settings given on the command line, with their own text.
    overrides: Vec<(Path, String)>,
}

impl Document {
    /// Parses `text`; `file` is how errors name it.
    ///
    /// # Errors
    /// Broken YAML, repeated keys, keys that are not text, an empty document.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<ConfigError>> {
        let syntax = |location: Option<serde_yaml::Location>, message: String| {
            let offset = location.map_or(0, |l| l.index());
            ConfigError::at(
                file,
                text,
                (offset, 1),
                "",
                Problem::new(format!("not valid YAML: {message}")),
            )
        };
        let mut yaml: serde_yaml::Value =
            serde_yaml::from_str(text).map_err(|e| syntax(e.location(), e.to_string()))?;
        yaml.apply_merge()
            .map_err(|e| syntax(e.location(), e.to_string()))?;
        let value = serde_json::to_value(&yaml)
            .map_err(|e| syntax(None, format!("{e} (keys must be text)")))?;
        if !value.is_object() {
            let problem = Problem::new(format!(
                "expected a mapping of settings, found {}",
                describe(&value)
            ));
            return Err(ConfigError::at(file, text, (0, 1), "", problem));
        }
        let mut places = HashMap::new();
        if let Ok(nodes) = MarkedYaml::load_from_str(text)
            && let Some(root) = nodes.first()
        {
            // saphyr counts characters, miette bytes
            let bytes: Vec<usize> = text
                .char_indices()
                .map(|(byte, _)| byte)
                .chain([text.len()])
                .collect();
            collect(root, &bytes, &mut Vec::new(), (0, 1), &mut places);
        }
        Ok(Self {
            file: file.to_owned(),
            text: text.to_owned(),
            value,
            places,
            overrides: Vec::new(),
        })
    }

    /// The value at `path`.
    pub fn get(&self, path: &[String]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.value, |value, segment| match value {
                Value::Object(map) => map.get(segment),
                Value::Array(list) => list.get(segment.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// Puts `value` at `path`, making mappings on the way; what lay below is gone. Errors about it
    /// will point to `source`, the path of the setting that it came from.
    ///
    /// # Errors
    /// The first segment under which there is a plain value instead of a mapping.
    pub fn set(&mut self, path: &[String], value: Value, source: &[String]) -> Result<(), String> {
        let place = self.places(source);
        let mut target = &mut self.value;
        for (depth, segment) in path.iter().enumerate() {
            if target.is_null() {
                *target = Value::Object(serde_json::Map::new());
            }
            let is_name_shorthand = depth == 1 && target.is_string();
            if is_name_shorthand {
                // `task: digits` is short for `task: {name: digits}`
                let name = target.take();
                *target = serde_json::json!({ "name": name });
            }
            target = match target {
                Value::Object(map) => map.entry(segment.clone()).or_insert(Value::Null),
                _ => return Err(path[..depth].join(".")),
            };
        }
        *target = value;
        self.places.retain(|known, _| !known.starts_with(path));
        self.places.insert(path.to_vec(), place);
        Ok(())
    }

    /// Applies a command-line override `path=value`; the value is read as YAML.
    ///
    /// # Errors
    /// No `=`, an empty path, a value that is no YAML, a path through a plain value.
    pub fn set_from_command_line(&mut self, text: &str) -> Result<(), Box<ConfigError>> {
        let error = |message: String| {
            ConfigError::at("--set", text, (0, text.len()), "", Problem::new(message))
        };
        let Some((path, value)) = text.split_once('=') else {
            return Err(error(format!("expected path=value, found `{text}`")));
        };
        let path: Path = path.trim().split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(error(format!(
                "expected a dotted path such as lora.rank before `=`, found `{text}`"
            )));
        }
        let value: Value = serde_yaml::from_str(value)
            .map_err(|e| error(format!("the value is not YAML: {e}")))?;
        self.set(&path, value, &path.clone())
            .map_err(|at| error(format!("`{at}` is a plain value and has no fields")))?;
        self.overrides.push((path, text.to_owned()));
        Ok(())
    }

    /// An error about the value at `path`, or about the field itself (`at_key`), with its place.
    pub fn error(&self, path: &[String], at_key: bool, problem: Problem) -> Box<ConfigError> {
        if let Some((_, text)) = self
            .overrides
            .iter()
            .rev()
            .find(|(set, _)| path.starts_with(set))
        {
            return ConfigError::at("--set", text, (0, text.len()), &display(path), problem);
        }
        let (key, value) = self.places(path);
        ConfigError::at(
            &self.file,
            &self.text,
            if at_key { key } else { value },
            &display(path),
            problem,
        )
    }

    /// Places of the nearest known ancestor of `path`.
    fn places(&self, path: &[String]) -> (Place, Place) {
        (0..=path.len())
            .rev()
            .find_map(|n| self.places.get(&path[..n]))
            .copied()
            .unwrap_or(((0, 1), (0, 1)))
    }
}

/// `["influence", "methods", "2"]` → `influence.methods[2]`.
pub fn display(path: &[String]) -> String {
    let mut text = String::new();
    for segment in path {
        if segment.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{segment}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(segment);
        }
    }
    text
}

/// A value as an error names it: its kind and, when short, itself.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(b) => format!("`{b}` (true or false)"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the text \"{s}\""),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn collect(
    node: &MarkedYaml<'_>,
    bytes: &[usize],
    path: &mut Path,
    key: Place,
    places: &mut HashMap<Path, (Place, Place)>,
) {
    let place = place_of(node, bytes);
    places.insert(
        path.clone(),
        (if path.is_empty() { place } else { key }, place),
    );
    match &node.data {
        YamlData::Mapping(map) => {
            for (name, child) in map {
                if let Some(text) = name.data.as_str() {
                    path.push(text.to_owned());
                    collect(child, bytes, path, place_of(name, bytes), places);
                    path.pop();
                }
            }
        }
        YamlData::Sequence(list) => {
            for (index, child) in list.iter().enumerate() {
                path.push(index.to_string());
                collect(child, bytes, path, place_of(child, bytes), places);
                path.pop();
            }
        }
        _ => {}
    }
}

fn place_of(node: &MarkedYaml<'_>, bytes: &[usize]) -> Place {
    let byte = |index: usize| bytes[index.min(bytes.len() - 1)];
    let (start, end) = (byte(node.span.start.index()), byte(node.span.end.index()));
    // mark the first line of what spans many
    (start, end.saturating_sub(start).clamp(1, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn errors_point_at_key_or_value() {
        let text = "name: x\nlora:\n  # é\n  rank: zero\n";
        let document = Document::parse("x.yaml", text).unwrap();
        let value = document.error(&path("lora.rank"), false, Problem::new("bad"));
        assert_eq!((value.line, value.column), (4, 9));
        let key = document.error(&path("lora.rank"), true, Problem::new("bad"));
        assert_eq!((key.line, key.column), (4, 3));
        assert_eq!(key.to_string(), "x.yaml:4:3: lora.rank: bad");
    }

    #[test]
    fn overrides_point_at_their_source() {
        let mut document =
            Document::parse("x.yaml", "task: digits\nsweep:\n  task.flip: [0.1, 2]\n").unwrap();
        let source: Path = vec!["sweep".into(), "task.flip".into(), "1".into()];
        document
            .set(&path("task.flip"), serde_json::json!(2), &source)
            .unwrap();
        assert_eq!(
            document.value["task"],
            serde_json::json!({"name": "digits", "flip": 2})
        );
        let error = document.error(&path("task.flip"), false, Problem::new("bad"));
        assert_eq!((error.line, error.column), (3, 20));
    }

    #[test]
    fn broken_yaml_and_repeated_keys_have_a_place() {
        let error = Document::parse("x.yaml", "a: 1\nb: [1, 2\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
        let error = Document::parse("x.yaml", "a: 1\na: 2\n").unwrap_err();
        assert!(error.message.contains("duplicate"), "{error}");
        assert!(Document::parse("x.yaml", "").is_err());
    }
}
