//! Prompts and answers from JSON lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::seq::SliceRandom;
use serde_json::{Map, Value};

use super::example::{Completion, Examples};
use super::settings::CompletionSettings;
use crate::input::{self, expand_home, quote};
use crate::random;
use crate::tasks::error::TaskError;
use crate::tasks::glue::TextError;
use crate::tasks::json_lines;

/// Names of a split's file, the first that is there counts.
const TRAIN: [&str; 1] = ["train.jsonl"];
const QUERY: [&str; 3] = ["test.jsonl", "validation.jsonl", "dev.jsonl"];

/// What authors write for the token that ends a text.
const END: &str = "</s>";

/// The files of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Training examples; the queries, too, when `query` is none.
    pub train: PathBuf,
    /// Queries.
    pub query: Option<PathBuf>,
}

impl Files {
    /// Looks for the files of `path`.
    ///
    /// # Errors
    /// Neither a .jsonl file nor a folder with one for each split.
    pub fn find(path: &Path) -> Result<Self, TaskError> {
        let path = expand_home(path);
        let missing = |found: String| {
            let allowed = format!(
                "allowed: a .jsonl file, or a folder with {} and {}",
                TRAIN[0],
                QUERY.join(" or ")
            );
            TaskError::NoData {
                path: path.clone(),
                problem: format!("{found}; {allowed}"),
            }
        };
        if path.is_file() {
            return match path.extension() {
                Some(kind) if kind == "jsonl" => Ok(Self {
                    train: path.clone(),
                    query: None,
                }),
                _ => Err(missing("is not a .jsonl file".to_owned())),
            };
        }
        if !path.is_dir() {
            return Err(missing("is not there".to_owned()));
        }
        let find = |names: &[&str]| {
            let paths = names.iter().map(|name| path.join(name));
            let found = paths.into_iter().find(|path| path.is_file());
            found.ok_or_else(|| missing(format!("has no {}", names.join(" and no "))))
        };
        Ok(Self {
            train: find(&TRAIN)?,
            query: Some(find(&QUERY)?),
        })
    }
}

/// The examples of the files at `path`; of more than the settings ask for, as many are drawn from `seed`, as evenly over
/// the classes as there are examples, and keep their order.
///
/// # Errors
/// Files or lines that are not as they should be, fewer examples than asked for.
pub fn read(path: &Path, settings: &CompletionSettings, seed: u64) -> Result<Examples, TaskError> {
    let files = Files::find(path)?;
    let train = read_file(&files.train)?;
    let draw = |from: Vec<Completion>, asked: Option<usize>, setting: &'static str| {
        let count = asked.unwrap_or(from.len());
        if count > from.len() {
            return Err(TaskError::TooMany {
                setting,
                asked: count,
                available: from.len(),
            });
        }
        Ok(divide(from, count, seed, setting))
    };
    let (train, query) = match &files.query {
        Some(path) => (
            train,
            draw(read_file(path)?, settings.query, "task.query")?.0,
        ),
        None => {
            let queries = settings.query.unwrap_or(train.len() / 5);
            let (query, train) = draw(train, Some(queries), "task.query")?;
            (train, query)
        }
    };
    let train = draw(train, settings.train, "task.train")?.0;
    Ok(Examples { train, query })
}

/// `count` examples, as evenly over the classes as there are examples, and the others.
fn divide(
    from: Vec<Completion>,
    count: usize,
    seed: u64,
    purpose: &str,
) -> (Vec<Completion>, Vec<Completion>) {
    if count == from.len() {
        return (from, Vec::new());
    }
    let mut rng = random::rng(seed, "completion", purpose);
    let mut classes: BTreeMap<&Option<String>, Vec<usize>> = BTreeMap::new();
    for (index, example) in from.iter().enumerate() {
        classes.entry(&example.class).or_default().push(index);
    }
    let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
    for class in &mut classes {
        class.shuffle(&mut rng);
    }
    // the first of every class, then the second, …
    let most = classes.iter().map(Vec::len).max().unwrap_or(0);
    let order =
        (0..most).flat_map(|place| classes.iter().filter_map(move |class| class.get(place)));
    let mut chosen = vec![false; from.len()];
    order.take(count).for_each(|&index| chosen[index] = true);
    let (yes, no): (Vec<_>, Vec<_>) = from
        .into_iter()
        .zip(chosen)
        .partition(|(_, chosen)| *chosen);
    let examples = |list: Vec<(Completion, bool)>| list.into_iter().map(|(e, _)| e).collect();
    (examples(yes), examples(no))
}

/// The examples of a file, in order.
///
/// # Errors
/// A file that cannot be read, or a line that is not as it should be.
pub fn read_file(path: &Path) -> Result<Vec<Completion>, TaskError> {
    let text = input::text(path).map_err(TextError::from)?;
    let place: Arc<Path> = path.into();
    let wrong = |line: usize, problem: String| TextError::Line {
        path: path.to_owned(),
        line,
        problem,
    };
    json_lines::objects(path, &text)
        .map(|(line, object)| {
            let object = object.map_err(|problem| wrong(line, problem))?;
            let fields = Fields { object: &object };
            let made = fields
                .completion()
                .map_err(|problem| wrong(line, problem))?;
            Ok(Completion {
                place: Some((place.clone(), line)),
                ..made
            })
        })
        .collect()
}

/// The fields of a line.
struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn completion(&self) -> Result<Completion, String> {
        let prompt = self
            .words("prompt")?
            .ok_or_else(|| self.missing("prompt"))?;
        let text = match (self.words("text")?, self.answer()?) {
            (Some(text), _) => text,
            (None, Some(answer)) => format!("{prompt}{answer}"),
            (None, None) => return Err(self.missing("text")),
        };
        if !text.starts_with(&prompt) {
            return Err(format!(
                "`text` does not begin with `prompt`: \"{}\", where the prompt is \"{}\"",
                quote(&text),
                quote(&prompt)
            ));
        }
        let text = match text.strip_suffix(END) {
            Some(own) if own.len() >= prompt.len() => own.to_owned(),
            _ => text,
        };
        Ok(Completion {
            prompt,
            text,
            class: self.class()?,
            place: None,
        })
    }

    fn missing(&self, name: &str) -> String {
        let or = if name == "text" {
            "`text` and `answer` are"
        } else {
            "`prompt` is"
        };
        let found = self.object.iter().filter(|(_, value)| !value.is_null());
        let found: Vec<&str> = found.map(|(key, _)| key.as_str()).collect();
        format!("{or} missing; the line has {}", input::listed(&found))
    }

    /// A text.
    fn words(&self, name: &str) -> Result<Option<String>, String> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(format!(
                "`{name}` is {}, not a text",
                quote(&other.to_string())
            )),
        }
    }

    /// A text or a number.
    fn answer(&self) -> Result<Option<String>, String> {
        match self.object.get("answer") {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => self.words("answer"),
        }
    }

    /// A text or a whole number.
    fn class(&self) -> Result<Option<String>, String> {
        let named = ["class", "variation"].into_iter();
        let Some((name, value)) = named
            .filter_map(|name| Some((name, self.object.get(name)?)))
            .next()
        else {
            return Ok(None);
        };
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                Ok(Some(number.to_string()))
            }
            other => Err(format!(
                "`{name}` is {}; allowed: a text or a whole number",
                quote(&other.to_string())
            )),
        }
    }
}
