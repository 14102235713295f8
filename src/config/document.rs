//! A YAML document as a tree of plain values in which every value knows its place in the file.

use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};
use serde_json::Value;

use super::error::ConfigError;
use super::yaml;
use crate::input::{Problem, quote};

/// Place of a value in the tree: field names, and list indices as decimal numbers.
pub type Path = Vec<String>;

/// A stretch of one of the document's sources.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Which source: 0 is the file, the others are settings from the command line.
    source: usize,
    /// Byte offset.
    offset: usize,
    /// Length in bytes.
    length: usize,
}

/// A parsed YAML file, with the settings from the command line.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where values come from, as (name, text): the file, then every setting from the command line.
    sources: Vec<(String, String)>,
    /// The values.
    pub value: Value,
    /// For every path, the place of its key (of the value itself for list items) and of its value.
    places: HashMap<Path, (Place, Place)>,
}

impl Document {
    /// Parses `text`; `file` is how errors name it.
    ///
    /// # Errors
    /// Broken YAML, repeated keys, keys that are not text, tags, numbers that are not finite, more values than any
    /// experiment has, an empty document.
    pub fn parse(file: &str, text: &str) -> Result<Self, Box<ConfigError>> {
        let value = yaml::parse(text)
            .map_err(|(offset, problem)| ConfigError::at(file, text, (offset, 1), "", problem))?;
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
            collect(root, &bytes, &mut Vec::new(), Place::default(), &mut places);
        }
        Ok(Self {
            sources: vec![(file.to_owned(), text.to_owned())],
            value,
            places,
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
    /// will point to `origin`, the path of the setting that it came from, and below.
    ///
    /// # Errors
    /// The first segment under which there is a plain value instead of a mapping.
    pub fn set(&mut self, path: &[String], value: Value, origin: &[String]) -> Result<(), String> {
        let place = self.places(origin);
        let mut target = &mut self.value;
        for (depth, segment) in path.iter().enumerate() {
            if target.is_null() {
                *target = Value::Object(serde_json::Map::new());
            }
            let is_name_shorthand =
                depth == 1 && target.is_string() && matches!(path[0].as_str(), "task" | "model");
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
        let below: Vec<(Path, (Place, Place))> = self
            .places
            .iter()
            .filter(|(known, _)| known.len() > origin.len() && known.starts_with(origin))
            .map(|(known, place)| ([path, &known[origin.len()..]].concat(), *place))
            .collect();
        self.places.retain(|known, _| !known.starts_with(path));
        self.places.extend(below);
        self.places.insert(path.to_vec(), place);
        Ok(())
    }

    /// Applies a command-line override `path=value`; the value is read as YAML.
    ///
    /// # Errors
    /// No `=`, a path that is none (see [`setting_path`]), a value that is no YAML, a path through a
    /// plain value.
    pub fn set_from_command_line(&mut self, text: &str) -> Result<(), Box<ConfigError>> {
        let error = |problem| ConfigError::at("--set", text, (0, text.len()), "", problem);
        let Some((path, value)) = text.split_once('=') else {
            let message = format!("expected path=value, found `{}`", quote(text));
            return Err(error(Problem::new(message)));
        };
        let path = setting_path(path.trim()).map_err(error)?;
        let value = yaml::parse(value).map_err(|(_, problem)| error(problem))?;
        let place = Place {
            source: self.sources.len(),
            offset: 0,
            length: text.len(),
        };
        self.sources.push(("--set".to_owned(), text.to_owned()));
        self.places.retain(|known, _| !known.starts_with(&path));
        self.places.insert(path.clone(), (place, place));
        self.set(&path, value, &path.clone()).map_err(|at| {
            error(Problem::new(format!(
                "`{at}` is a plain value and has no fields"
            )))
        })
    }

    /// An error about the value at `path`, or about the field itself (`at_key`), with its place.
    pub fn error(&self, path: &[String], at_key: bool, problem: Problem) -> Box<ConfigError> {
        let (key, value) = self.places(path);
        let place = if at_key { key } else { value };
        let (name, text) = &self.sources[place.source];
        let span = (place.offset, place.length);
        ConfigError::at(name, text, span, &display(path), problem)
    }

    /// Places of the nearest known ancestor of `path`.
    fn places(&self, path: &[String]) -> (Place, Place) {
        let file = Place {
            length: 1,
            ..Place::default()
        };
        (0..=path.len())
            .rev()
            .find_map(|n| self.places.get(&path[..n]))
            .copied()
            .unwrap_or((file, file))
    }
}

/// A dotted path of a setting in its segments. What follows `sweep.` or `sweep.zip.` is one segment:
/// the axis, a dotted path itself.
///
/// # Errors
/// An empty segment; a path into `profiles`, which are settings to be chosen and not set.
pub fn setting_path(text: &str) -> Result<Path, Problem> {
    let (mut path, axis) = match text.strip_prefix("sweep.") {
        Some("zip") | None => (Path::new(), text),
        Some(axis) => match axis.strip_prefix("zip.") {
            Some(axis) => (vec!["sweep".to_owned(), "zip".to_owned()], axis),
            None => (vec!["sweep".to_owned()], axis),
        },
    };
    if axis.split('.').any(str::is_empty) {
        return Err(Problem::new(format!(
            "expected a dotted path such as lora.rank, found `{}`",
            quote(text)
        )));
    }
    if path.is_empty() {
        path.extend(axis.split('.').map(str::to_owned));
    } else {
        path.push(axis.to_owned());
    }
    if path[0] == "profiles" {
        let problem = Problem::new("a profile cannot be changed, only chosen");
        return Err(
            problem.with_help("choose one with --profile, and change settings by their own paths")
        );
    }
    Ok(path)
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
            text.push_str(&quote(segment));
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
        Value::String(s) => format!("the text \"{}\"", quote(s)),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// The key whose value is merged into the mapping that has it.
const MERGE: &str = "<<";

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
                if let Some(text) = name.data.as_str().filter(|text| *text != MERGE) {
                    path.push(text.to_owned());
                    collect(child, bytes, path, place_of(name, bytes), places);
                    path.pop();
                }
            }
            let merged = map
                .iter()
                .filter(|(name, _)| name.data.as_str() == Some(MERGE));
            for (_, child) in merged {
                merge(child, bytes, path, places);
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

/// The places of what a merge key adds to the mapping at `path`.
fn merge(
    node: &MarkedYaml<'_>,
    bytes: &[usize],
    path: &mut Path,
    places: &mut HashMap<Path, (Place, Place)>,
) {
    match &node.data {
        YamlData::Sequence(list) => list
            .iter()
            .for_each(|node| merge(node, bytes, path, places)),
        YamlData::Mapping(map) => {
            for (name, child) in map {
                let Some(text) = name.data.as_str() else {
                    continue;
                };
                path.push(text.to_owned());
                if !places.contains_key(path) {
                    collect(child, bytes, path, place_of(name, bytes), places);
                }
                path.pop();
            }
        }
        _ => {}
    }
}

fn place_of(node: &MarkedYaml<'_>, bytes: &[usize]) -> Place {
    let byte = |index: usize| bytes[index.min(bytes.len() - 1)];
    let (start, end) = (byte(node.span.start.index()), byte(node.span.end.index()));
    Place {
        source: 0,
        offset: start,
        // mark the first line of what spans many
        length: end.saturating_sub(start).clamp(1, 60),
    }
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
    fn paths_of_sweeps_keep_their_axis_whole() {
        let segments = |text: &str| setting_path(text).map(|path| path.join("|"));
        assert_eq!(segments("lora.rank").as_deref(), Ok("lora|rank"));
        assert_eq!(segments("sweep").as_deref(), Ok("sweep"));
        assert_eq!(
            segments("sweep.lora.rank").as_deref(),
            Ok("sweep|lora.rank")
        );
        assert_eq!(segments("sweep.zip").as_deref(), Ok("sweep|zip"));
        let zipped = segments("sweep.zip.task.train");
        assert_eq!(zipped.as_deref(), Ok("sweep|zip|task.train"));
        for wrong in ["", "lora..rank", "sweep.", "sweep.zip.", "profiles.paper"] {
            assert!(segments(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_of_the_command_line_are_never_placed_in_the_file() {
        let text = "task: digits\nsweep: {lora.rank: [1, 2]}\n";
        let mut document = Document::parse("x.yaml", text).unwrap();
        document
            .set_from_command_line("sweep.lora.rank=[0]")
            .unwrap();
        let origin: Path = vec!["sweep".into(), "lora.rank".into(), "0".into()];
        document
            .set(&path("lora.rank"), serde_json::json!(0), &origin)
            .unwrap();
        let error = document.error(&path("lora.rank"), false, Problem::new("bad"));
        assert_eq!(error.to_string(), "--set:1:1: lora.rank: bad");
    }

    #[test]
    fn broken_yaml_and_repeated_keys_have_a_place() {
        let error = Document::parse("x.yaml", "a: 1\nb: [1, 2\n").unwrap_err();
        assert!(error.line >= 2, "{error}");
        let error = Document::parse("x.yaml", "a: 1\na: 2\n").unwrap_err();
        assert!(error.message.contains("duplicate"), "{error}");
        assert!(Document::parse("x.yaml", "").is_err());
    }

    #[test]
    fn merged_settings_point_to_where_they_are_written() {
        let text = "base: &base {rank: 0, alpha: 1}\nlora: {<<: *base, alpha: 2}\n";
        let document = Document::parse("x.yaml", text).unwrap();
        assert_eq!(
            document.value["lora"],
            serde_json::json!({"alpha": 2, "rank": 0})
        );
        let at = |field: &str| {
            let error = document.error(&path(field), false, Problem::new("bad"));
            (error.line, error.column)
        };
        assert_eq!((at("lora.rank"), at("lora.alpha")), ((1, 20), (2, 26)));
    }

    #[test]
    fn values_that_are_not_finite_are_refused_with_their_place_here_and_on_the_command_line() {
        let error = Document::parse("x.yaml", "# é\nlora: {alpha: .inf}\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.yaml:2:15: lora.alpha: `.inf` is not allowed; numbers must be finite"
        );
        let mut document = Document::parse("x.yaml", "a: 1\n").unwrap();
        for value in ["a=.nan", "a=[1, -.inf]", "a={b: -.Inf}"] {
            let error = document.set_from_command_line(value).unwrap_err();
            assert!(
                error.to_string().contains("numbers must be finite"),
                "{error}"
            );
        }
    }
}
