//! How our experiment differs from the paper's.

use serde_json::Value;

use super::items::Item;
use crate::report::number;
use crate::report::study::{Study, task_name};
use crate::results::record::Record;

/// One setting: what, in the paper, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub what: &'static str,
    /// In the paper.
    pub paper: &'static str,
    /// Here.
    pub here: String,
}

impl Setting {
    /// Whether both are the same.
    pub fn same(&self) -> bool {
        self.here == self.paper
    }
}

/// The paper's settings beside ours.
pub fn settings(item: &Item, study: &Study) -> Vec<Setting> {
    let setting = |&(what, paper): &(&'static str, &'static str)| Setting {
        what,
        paper,
        here: here(what, study),
    };
    item.setup.iter().map(setting).collect()
}

/// What differs, as a sentence, and what does not.
pub fn sentence(settings: &[Setting]) -> String {
    let differs: Vec<String> = settings
        .iter()
        .filter(|setting| !setting.same())
        .map(|setting| {
            format!(
                "{} {} instead of {}",
                setting.what, setting.here, setting.paper
            )
        })
        .collect();
    let same: Vec<&str> = settings
        .iter()
        .filter(|setting| setting.same())
        .map(|setting| setting.what)
        .collect();
    let mut text = if differs.is_empty() {
        "Nothing of the paper's settings differs here.".to_owned()
    } else {
        format!("What differs here: {}.", differs.join("; "))
    };
    if !same.is_empty() && !differs.is_empty() {
        text.push_str(&format!(" The same: {}.", same.join(", ")));
    }
    text
}

fn here(what: &str, study: &Study) -> String {
    match what {
        "model" => models(study),
        "examples" => examples(study),
        "runs" => {
            let mut seeds: Vec<u64> = study.records.iter().map(|r| r.cell.seed).collect();
            seeds.sort_unstable();
            seeds.dedup();
            seeds.len().to_string()
        }
        "epochs" => all(study, |r| plain(r, "/train/epochs")),
        "learning rate" => all(study, |r| {
            r.config
                .pointer("/train/lr")?
                .as_f64()
                .map(|lr| format!("{lr:e}"))
        }),
        "batch" => all(study, |r| plain(r, "/train/batch_size")),
        "LoRA" => all(study, lora),
        "longest text" => all(study, |r| {
            Some(format!("{} tokens", plain(r, "/task/max_length")?))
        }),
        "flipped labels" => all(study, |r| {
            let share = r.config.pointer("/task/flip")?.as_f64()?;
            Some(format!("{} %", number::plain(100.0 * share)))
        }),
        "damping c" => all(study, |r| plain(r, "/influence/damping")),
        _ => "–".to_owned(),
    }
}

/// The distinct texts of all cells; `–` where no cell has one.
fn all(study: &Study, of: impl Fn(&Record) -> Option<String>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in study.records.iter().filter_map(|record| of(record)) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        "–".to_owned()
    } else {
        texts.join(", ")
    }
}

fn plain(record: &Record, pointer: &str) -> Option<String> {
    match record.config.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        value => Some(
            value
                .as_f64()
                .map_or_else(|| value.to_string(), number::plain),
        ),
    }
}

/// A checkpoint by its folder's name, others by kind and sizes.
fn models(study: &Study) -> String {
    let checkpoint = |record: &Record| {
        let path = record.config.pointer("/model/path")?.as_str()?;
        let name = path.trim_end_matches('/').rsplit('/').next()?;
        Some(match name {
            "roberta-large" => "RoBERTa-large".to_owned(),
            name => name.to_owned(),
        })
    };
    let mut names: Vec<String> = Vec::new();
    let mut sizes: Vec<(&str, usize, usize)> = Vec::new();
    for record in &study.records {
        if let Some(name) = checkpoint(record) {
            if !names.contains(&name) {
                names.push(name);
            }
        } else if let Some(model) = &record.model {
            let size = model.parameters;
            match sizes.iter_mut().find(|(kind, ..)| *kind == model.name) {
                Some((_, low, high)) => (*low, *high) = ((*low).min(size), (*high).max(size)),
                None => sizes.push((&model.name, size, size)),
            }
        }
    }
    let plain = |size: usize| number::plain(size as f64);
    names.extend(sizes.into_iter().map(|(kind, low, high)| {
        let to = if low < high {
            format!(" to {}", plain(high))
        } else {
            String::new()
        };
        format!("{kind} of {}{to} parameters", plain(low))
    }));
    if names.is_empty() {
        "–".to_owned()
    } else {
        names.join(", ")
    }
}

fn examples(study: &Study) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut records: Vec<&&Record> = study.records.iter().collect();
    records.sort_by_key(|record| task_name(record));
    for record in records {
        let Some(task) = &record.task else { continue };
        let text = if task.name == "glue" {
            format!("{} {} and {}", task_name(record), task.train, task.query)
        } else {
            format!("{} for training and {} queries", task.train, task.query)
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        "–".to_owned()
    } else {
        texts.join(", ")
    }
}

/// `value; α = rank`, or with rank and α where they are set apart.
fn lora(record: &Record) -> Option<String> {
    let lora = record.config.get("lora").filter(|lora| lora.is_object())?;
    let targets = lora.get("targets")?.as_array()?;
    let targets: Vec<&str> = targets.iter().filter_map(Value::as_str).collect();
    let rank = lora.get("rank")?.as_f64()?;
    Some(match lora.get("alpha").and_then(Value::as_f64) {
        Some(alpha) if alpha != rank => format!(
            "{}; rank {}; α = {}",
            targets.join(", "),
            number::plain(rank),
            number::plain(alpha)
        ),
        _ => format!("{}; α = rank", targets.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::items;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn what_differs_and_what_does_not_is_told_apart() {
        let mut records = synthetic::glue();
        for record in &mut records {
            record.config["model"] = json!({"path": "models/all-MiniLM-L6-v2"});
            record.config["train"] = json!({"epochs": 3, "lr": 0.0003, "batch_size": 32});
            record.config["lora"] = json!({"targets": ["value"], "rank": 2, "alpha": null});
            record.config["task"]["flip"] = json!(0.2);
            record.config["task"]["max_length"] = json!(64);
        }
        let study = Study::new(&records);
        let found = settings(items::find("figure-1").expect("listed"), &study);
        let text = sentence(&found);
        for part in [
            "model all-MiniLM-L6-v2 instead of RoBERTa-large",
            "examples MRPC 400 and 100, QQP 400 and 100",
            "runs 3 instead of 20",
            "epochs 3 instead of 10",
            "longest text 64 tokens instead of 128 tokens",
            "The same: learning rate, batch, LoRA, flipped labels, damping c.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(
            sentence(&[Setting {
                what: "runs",
                paper: "20",
                here: "20".to_owned()
            }]),
            "Nothing of the paper's settings differs here."
        );
    }
}
