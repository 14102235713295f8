//! What tasks, swept settings and their values are called.

use serde_json::Value;

use crate::metrics::find;
use crate::report::number;
use crate::results::record::Record;

/// The setting that is counted in layers.
pub const LAYERS: &str = "lora.layers";
/// The setting whose values are types of numbers, in the order of [`DTYPES`].
pub const DTYPE: &str = "store.dtype";
/// Types of stored gradients with their bits of precision, ascending.
pub(super) const DTYPES: [(&str, usize); 3] = [("bf16", 8), ("f16", 11), ("f32", 24)];

/// The cell's task, also of a failed cell; one of GLUE by its own name.
pub fn task_name(record: &Record) -> String {
    if let Some(task) = glue_task(record) {
        return task;
    }
    let name = |task: &Value| {
        let name = task.as_str().or_else(|| task.get("name")?.as_str());
        name.map(str::to_owned)
    };
    let axes = &record.cell.axes;
    let told = record.task.as_ref().map(|task| task.name.clone());
    told.or_else(|| axes.get("task.name").or(axes.get("task")).and_then(name))
        .or_else(|| record.config.get("task").and_then(name))
        .unwrap_or_else(|| "task".to_owned())
}

/// A task of GLUE as its authors write it.
fn glue_task(record: &Record) -> Option<String> {
    let task = record.config.get("task")?;
    if task.get("name")?.as_str()? != "glue" {
        return None;
    }
    Some(match task.get("task")?.as_str()? {
        "sst2" => "SST-2".to_owned(),
        "cola" => "CoLA".to_owned(),
        other => other.to_uppercase(),
    })
}

/// Settings that are often swept: path, title of their axis, name in a sentence.
const SETTINGS: [(&str, &str, &str); 14] = [
    ("lora.rank", "LoRA rank r", "rank r"),
    ("lora.alpha", "LoRA α", "alpha"),
    (LAYERS, "Adapted layers", "layers"),
    ("task.train", "Training examples n", "n"),
    ("task.query", "Queries m", "m"),
    ("task.dim", "Block size d", "d"),
    ("task.blocks", "Blocks L", "blocks L"),
    ("task.flip", "Share of flipped labels", "flip"),
    ("task.spectrum_decay", "Spectrum decay p", "spectrum decay"),
    (
        "task.norm_tail",
        "Spread of log gradient norms",
        "norm tail",
    ),
    (
        "influence.damping",
        "Damping c (λ = c · mean eigenvalue)",
        "damping c",
    ),
    ("train.epochs", "Epochs", "epochs"),
    ("train.lr", "Learning rate", "lr"),
    (DTYPE, "Stored gradients (bits of precision)", "dtype"),
];

/// Title of a metric.
pub fn metric_title(name: &str) -> &str {
    find(name).map_or(name, |metric| metric.title)
}

/// Axis label of a swept setting.
pub fn axis_title(key: &str) -> String {
    let known = SETTINGS.iter().find(|(path, ..)| *path == key);
    known.map_or(key, |(_, title, _)| title).to_owned()
}

/// Short name of a swept setting, for `name = value`.
pub fn axis_short(key: &str) -> String {
    let known = SETTINGS.iter().find(|(path, ..)| *path == key);
    let last = || key.rsplit('.').next().unwrap_or(key).replace('_', " ");
    known.map_or_else(last, |(.., name)| (*name).to_owned())
}

/// What a number on the axis of a swept setting stands for, where that is a name.
pub fn tick_text(key: &str, number: f64) -> Option<String> {
    let place = (key == DTYPE && number >= 0.0).then_some(number as usize)?;
    let (name, bits) = DTYPES.get(place)?;
    Some(format!("{name} ({bits})"))
}

/// A setting's value for readers.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(x) => x.as_f64().map_or_else(|| x.to_string(), number::plain),
        Value::Object(map) if map.get("name").is_some_and(Value::is_string) => {
            value_text(&map["name"])
        }
        // layers from 1 to 3
        Value::Object(map)
            if map.len() == 2 && map.contains_key("from") && map.contains_key("to") =>
        {
            format!(
                "from {} to {}",
                value_text(&map["from"]),
                value_text(&map["to"])
            )
        }
        Value::Object(map) => {
            number::list(map.iter().map(|(k, v)| format!("{k} {}", value_text(v))))
        }
        Value::Array(list) => number::list(list.iter().map(value_text)),
        other => other.to_string(),
    }
}
