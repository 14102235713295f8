//! How our experiment differs from the paper's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::items::Item;
use crate::config::words;
use crate::report::data::{ResultSet, distinct, task_name, value_text};
use crate::report::number;
use crate::results::record::Record;

/// A setting that decides what is fine-tuned and measured: its name in the paper's setups, the fields of an experiment that
/// it stands for, and what they are here. Every field of `lora`, `train` and `model` is among them or in `IDLE` (tests
/// only): a test holds this list against the schema.
struct Compared(&'static str, &'static [&'static str], Here);

/// What a setting is in our records.
enum Here {
    /// The first field as it is, of every cell.
    Plain,
    /// In words, of every cell.
    Cell(fn(&Record) -> Option<String>),
    /// Of all cells together.
    Results(fn(&ResultSet) -> String),
}

use Here::{Cell, Plain};

/// All that is compared, in the order of the page.
const COMPARED: &[Compared] = &[
    Compared("model", MODEL, Here::Results(models)),
    Compared("examples", &["task"], Here::Results(examples)),
    Compared("runs", &["seeds"], Here::Results(|r| r.seeds().to_string())),
    Compared("epochs", &["train.epochs"], Plain),
    Compared(
        "learning rate",
        &["train.lr"],
        Cell(|r| Some(format!("{:e}", real(r, "train.lr")?))),
    ),
    Compared(
        "batch",
        &["train.batch_size", "train.accumulate"],
        Cell(batch),
    ),
    Compared(
        "optimiser",
        &["train.optimizer", "train.max_grad_norm"],
        Cell(optimizer),
    ),
    Compared("weight decay", &["train.weight_decay"], Plain),
    Compared(
        "learning-rate schedule",
        &["train.schedule", "train.warmup"],
        Cell(schedule),
    ),
    Compared(
        "dropout of the base",
        &["train.base_dropout"],
        Cell(base_dropout),
    ),
    Compared(
        "adapted matrices",
        &["lora.targets", "lora.layers"],
        Cell(matrices),
    ),
    Compared("rank", &["lora.rank"], Here::Results(ranks)),
    Compared("α", &["lora.alpha"], Cell(alpha)),
    Compared("initialisation of the adapters", &["lora.init"], Plain),
    Compared("dropout of the adapters", &["lora.dropout"], Plain),
    Compared(
        "longest text",
        &["task.max_length"],
        Cell(|r| Some(plain(r, "task.max_length")? + " tokens")),
    ),
    Compared("flipped labels", &["task.flip"], Cell(flipped)),
    Compared("damping c", &["influence.damping"], Plain),
];

const MODEL: &[&str] = &[
    "model.name",
    "model.path",
    "model.revision",
    "model.compute",
    "model.hidden",
    "model.heads",
    "model.key_value_heads",
    "model.layers",
    "model.ffn",
    "model.sliding_window",
    "model.tie_word_embeddings",
    "model.tokenizer",
    "model.pretrain",
];

/// Fields of `lora`, `train` and `model` that decide nothing of a fine-tune.
#[cfg(test)]
const IDLE: [&str; 3] = [
    // where the weights are meanwhile
    "model.stream",
    // which states are kept for methods that go along the fine-tune
    "train.checkpoints",
    // how often the history looks at the queries
    "train.evaluations",
];

/// What a record without a setting has: it may have been made before there was such a setting.
const NOT_RECORDED: &str = "not recorded";

/// One setting: what, in the paper, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub what: &'static str,
    /// The fields of an experiment that set it.
    pub fields: &'static [&'static str],
    /// In the paper; `None` where neither text nor code say it.
    pub paper: Option<String>,
    /// Here.
    pub here: String,
}

impl Setting {
    /// Whether both are the same; `None` where the paper's is not known.
    pub fn same(&self) -> Option<bool> {
        self.paper.as_ref().map(|paper| self.here == *paper)
    }
}

/// The paper's settings beside ours; none of an item that has no fine-tune.
pub fn settings(item: &Item, results: &ResultSet) -> Vec<Setting> {
    let mut tasks = results
        .records
        .iter()
        .filter_map(|record| record.task.as_ref());
    let setup = item.setup_on(tasks.next().map_or("", |task| &task.name));
    let compared = COMPARED.iter().filter(|_| !setup.is_empty());
    let setting = |Compared(what, fields, here): &Compared| Setting {
        what,
        fields,
        paper: setup.get(*what).cloned(),
        here: match here {
            Plain => all(results, |record| plain(record, fields[0])),
            Cell(of) => all(results, of),
            Here::Results(of) => of(results),
        },
    };
    compared.map(setting).collect()
}

/// What differs, as a sentence, what does not, and what is not known of the paper.
pub fn sentence(settings: &[Setting]) -> String {
    let those = |same| {
        settings
            .iter()
            .filter(move |setting| setting.same() == same)
    };
    let names = |same| number::list(those(same).map(|setting| setting.what));
    let differs = those(Some(false)).map(|setting| {
        let paper = setting.paper.as_deref().unwrap_or_default();
        format!("{} {} instead of {paper}", setting.what, setting.here)
    });
    let differs = differs.collect::<Vec<_>>().join("; ");
    let (same, unknown) = (names(Some(true)), names(None));
    let mut text = match (differs.is_empty(), unknown.is_empty()) {
        (true, true) => "Nothing of the paper's settings differs here.".to_owned(),
        (true, false) => "Nothing that is known of the paper's settings differs here.".to_owned(),
        (false, _) => format!("What differs here: {differs}."),
    };
    if !same.is_empty() && !differs.is_empty() {
        text.push_str(&format!(" The same: {same}."));
    }
    if !unknown.is_empty() {
        text.push_str(&format!(" Not known of the paper: {unknown}."));
    }
    text
}

/// The distinct texts of all cells, in the order of the cells.
fn all(results: &ResultSet, of: impl Fn(&Record) -> Option<String>) -> String {
    let texts = results.records.iter().map(|record| of(record));
    let texts = texts.map(|text| text.unwrap_or_else(|| NOT_RECORDED.to_owned()));
    distinct(texts).join(", ")
}

/// The setting at a dotted path.
fn field<'r>(record: &'r Record, path: &str) -> Option<&'r Value> {
    let pointer = format!("/{}", path.replace('.', "/"));
    record.config.pointer(&pointer)
}

fn real(record: &Record, path: &str) -> Option<f64> {
    field(record, path)?.as_f64()
}

fn plain(record: &Record, path: &str) -> Option<String> {
    let value = field(record, path)?;
    match value {
        Value::Null => None,
        Value::String(_) | Value::Number(_) => Some(value_text(value)),
        other => Some(other.to_string()),
    }
}

fn batch(record: &Record) -> Option<String> {
    let batch = plain(record, "train.batch_size")?;
    // not in records from before there was accumulation
    let accumulated = plain(record, "train.accumulate").filter(|batches| batches != "1");
    Some(match accumulated {
        Some(batches) => format!("{batch} × {batches} accumulated"),
        None => batch,
    })
}

fn optimizer(record: &Record) -> Option<String> {
    let optimizer = words::optimizer(field(record, "train.optimizer")?)?;
    Some(match plain(record, "train.max_grad_norm") {
        Some(norm) => format!("{optimizer}, gradients no longer than {norm}"),
        None => optimizer,
    })
}

fn schedule(record: &Record) -> Option<String> {
    let shape = field(record, "train.schedule")?.as_str()?;
    let warmup = number::plain(100.0 * real(record, "train.warmup")?);
    Some(match shape {
        "constant" => shape.to_owned(),
        _ => format!("{shape} with {warmup} % warm-up"),
    })
}

fn base_dropout(record: &Record) -> Option<String> {
    let text = plain(record, "train.base_dropout")?;
    Some(match text.as_str() {
        "checkpoint" => "the checkpoint's".to_owned(),
        _ => text,
    })
}

fn matrices(record: &Record) -> Option<String> {
    let targets = value_text(field(record, "lora.targets")?);
    Some(match value_text(field(record, "lora.layers")?).as_str() {
        "all" => format!("{targets} of all layers"),
        some => format!("{targets} of layers {some}"),
    })
}

fn ranks(results: &ResultSet) -> String {
    let rank = |record: &&Record| field(record, "lora.rank")?.as_u64();
    let ranks: BTreeSet<u64> = results.records.iter().filter_map(rank).collect();
    match ranks.is_empty() {
        true => NOT_RECORDED.to_owned(),
        false => number::list(ranks),
    }
}

fn alpha(record: &Record) -> Option<String> {
    let rank = real(record, "lora.rank")?;
    field(record, "lora.alpha")?;
    let alpha = real(record, "lora.alpha").filter(|alpha| *alpha != rank);
    Some(alpha.map_or("the rank".to_owned(), number::plain))
}

fn flipped(record: &Record) -> Option<String> {
    // a task that can flip none has no such field
    let share = real(record, "task.flip").unwrap_or(0.0);
    Some(format!("{} %", number::plain(100.0 * share)))
}

/// A checkpoint by its folder's name, others by kind, shape, pretraining and size.
fn models(results: &ResultSet) -> String {
    let known = results.records.iter().filter_map(|record| {
        let size = || record.model.as_ref().map(|model| model.parameters);
        let own = checkpoint(record).map(|text| (text, None));
        own.or_else(|| Some((network(record)?, size())))
    });
    let known: Vec<(String, Option<usize>)> = known.collect();
    let texts = distinct(known.iter().map(|(text, _)| text)).into_iter();
    let texts = texts.map(|text| {
        let same = known.iter().filter(|(other, _)| other == text);
        let sizes: BTreeSet<usize> = same.filter_map(|(_, size)| *size).collect();
        let sizes: Vec<String> = sizes.iter().map(|x| number::plain(*x as f64)).collect();
        match &sizes[..] {
            [] => text.clone(),
            [size] => format!("{text} of {size} parameters"),
            [low, .., high] => format!("{text} of {low} to {high} parameters"),
        }
    });
    number::or_missing(number::list(texts))
}

/// The kind of a model by its settings; that of a checkpoint may be left out.
fn kind(record: &Record) -> Option<&str> {
    field(record, "model.name")?.as_str()
}

fn checkpoint(record: &Record) -> Option<String> {
    if kind(record).is_some_and(|kind| kind != "checkpoint") {
        return None;
    }
    let path = field(record, "model.path")?.as_str()?;
    let mut text = match path.trim_end_matches('/').rsplit('/').next()? {
        "roberta-large" => "RoBERTa-large".to_owned(),
        name => name.to_owned(),
    };
    for (path, word) in [
        ("model.revision", "at"),
        ("model.compute", "in"),
        ("model.pretrain", "trained by"),
    ] {
        if let Some(value) = plain(record, path) {
            text = format!("{text} {word} {value}");
        }
    }
    Some(text)
}

/// Fields of a network's shape, and the words before and after their values.
const SHAPE: [(&str, &str, &str); 8] = [
    ("model.layers", "", " layers"),
    ("model.hidden", "hidden ", ""),
    ("model.heads", "", " heads"),
    ("model.key_value_heads", "", " key and value heads"),
    ("model.ffn", "ffn ", ""),
    ("model.sliding_window", "window ", ""),
    ("model.tie_word_embeddings", "tied embeddings ", ""),
    ("model.tokenizer", "tokenizer ", ""),
];

/// `transformer (4 layers, hidden 48, 4 heads, ffn 96, pretrained for 8 epochs with learning rate 2e-3 and batch 32)`
fn network(record: &Record) -> Option<String> {
    let kind = kind(record).or(record.model.as_ref().map(|model| model.name.as_str()))?;
    let shape = SHAPE.iter().filter_map(|(path, before, after)| {
        let value = plain(record, path)?;
        Some(format!("{before}{value}{after}"))
    });
    let pretrained = field(record, "model.pretrain").map(|pretrain| {
        let recorded = |text: Option<String>| text.unwrap_or_else(|| NOT_RECORDED.to_owned());
        let lr = pretrain.get("lr").and_then(Value::as_f64);
        match pretrain {
            Value::Null => "not pretrained".to_owned(),
            _ => format!(
                "pretrained for {} epochs with learning rate {} and batch {}",
                recorded(pretrain.get("epochs").map(value_text)),
                recorded(lr.map(|lr| format!("{lr:e}"))),
                recorded(pretrain.get("batch_size").map(value_text))
            ),
        }
    });
    let facts: Vec<String> = shape.chain(pretrained).collect();
    Some(match facts.is_empty() {
        true => kind.to_owned(),
        false => format!("{kind} ({})", facts.join(", ")),
    })
}

fn examples(results: &ResultSet) -> String {
    let mut records = results.records.clone();
    records.sort_by_key(|record| task_name(record));
    let texts = records.iter().filter_map(|record| {
        let task = record.task.as_ref()?;
        let (train, query) = (task.train, task.query);
        Some(match task.name.as_str() {
            "glue" => format!("{} {train} and {query}", task_name(record)),
            _ => format!("{train} for training and {query} queries"),
        })
    });
    number::or_missing(number::list(distinct(texts)))
}

#[cfg(test)]
mod tests;
