//! How our experiment differs from the paper's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::items::Item;
use crate::config::train::{ADAM_BETAS, ADAM_EPSILON};
use crate::report::number;
use crate::report::study::{Study, task_name, value_text};
use crate::results::record::Record;

/// A setting that decides what is fine-tuned and measured.
struct Compared {
    what: &'static str,
    /// The fields that it stands for, by their paths in an experiment. Every field of `lora`, `train` and `model` is
    /// among them or in `IDLE` (tests only): a test holds this list against the schema.
    fields: &'static [&'static str],
    here: fn(&Study) -> String,
}

const fn compared(
    what: &'static str,
    fields: &'static [&'static str],
    here: fn(&Study) -> String,
) -> Compared {
    Compared { what, fields, here }
}

/// Fields of `lora`, `train` and `model` that decide nothing of a fine-tune.
#[cfg(test)]
const IDLE: [&str; 1] = [
    // which states are kept for methods that go along the fine-tune
    "train.checkpoints",
];

/// All that is compared, in the order of the page.
const COMPARED: &[Compared] = &[
    compared(
        "model",
        &[
            "model.name",
            "model.path",
            "model.revision",
            "model.hidden",
            "model.heads",
            "model.layers",
            "model.ffn",
            "model.pretrain",
        ],
        models,
    ),
    compared("examples", &["task"], examples),
    compared("runs", &["seeds"], |study| {
        let seeds: BTreeSet<u64> = study.records.iter().map(|r| r.cell.seed).collect();
        seeds.len().to_string()
    }),
    compared("epochs", &["train.epochs"], |study| {
        all(study, |r| plain(r, "/train/epochs"))
    }),
    compared("learning rate", &["train.lr"], |study| {
        all(study, |r| {
            let lr = r.config.pointer("/train/lr")?.as_f64()?;
            Some(format!("{lr:e}"))
        })
    }),
    compared("batch", &["train.batch_size"], |study| {
        all(study, |r| plain(r, "/train/batch_size"))
    }),
    compared("optimiser", &["train.optimizer"], |study| {
        all(study, |r| {
            let name = r.config.pointer("/train/optimizer")?.as_str()?;
            let [first, second] = ADAM_BETAS;
            Some(match name {
                "adamw" => format!("AdamW with β = {first} and {second}, ε = {ADAM_EPSILON:e}"),
                name => name.to_owned(),
            })
        })
    }),
    compared("weight decay", &["train.weight_decay"], |study| {
        all(study, |r| plain(r, "/train/weight_decay"))
    }),
    compared(
        "learning-rate schedule",
        &["train.schedule", "train.warmup"],
        |study| {
            all(study, |r| {
                let shape = r.config.pointer("/train/schedule")?.as_str()?;
                let warmup = r.config.pointer("/train/warmup")?.as_f64()?;
                Some(match shape {
                    "constant" => shape.to_owned(),
                    _ => format!("{shape} with {} % warm-up", number::plain(100.0 * warmup)),
                })
            })
        },
    ),
    compared("dropout of the base", &["train.base_dropout"], |study| {
        all(study, |r| {
            let text = plain(r, "/train/base_dropout")?;
            Some(match text.as_str() {
                "checkpoint" => "the checkpoint's".to_owned(),
                _ => text,
            })
        })
    }),
    compared(
        "adapted matrices",
        &["lora.targets", "lora.layers"],
        |study| {
            all(study, |r| {
                let targets = r.config.pointer("/lora/targets")?;
                let layers = match value_text(r.config.pointer("/lora/layers")?) {
                    all if all == "all" => "all layers".to_owned(),
                    some => format!("layers {some}"),
                };
                Some(format!("{} of {layers}", value_text(targets)))
            })
        },
    ),
    compared("rank", &["lora.rank"], |study| {
        let rank = |record: &&Record| record.config.pointer("/lora/rank")?.as_u64();
        let ranks: BTreeSet<u64> = study.records.iter().filter_map(rank).collect();
        let ranks: Vec<String> = ranks.iter().map(u64::to_string).collect();
        match ranks.is_empty() {
            true => NOT_RECORDED.to_owned(),
            false => ranks.join(", "),
        }
    }),
    compared("α", &["lora.alpha"], |study| {
        all(study, |r| {
            let rank = r.config.pointer("/lora/rank")?.as_f64()?;
            let alpha = r.config.pointer("/lora/alpha")?.as_f64().unwrap_or(rank);
            Some(match alpha == rank {
                true => "the rank".to_owned(),
                false => number::plain(alpha),
            })
        })
    }),
    compared("initialisation of the adapters", &["lora.init"], |study| {
        all(study, |r| plain(r, "/lora/init"))
    }),
    compared("dropout of the adapters", &["lora.dropout"], |study| {
        all(study, |r| plain(r, "/lora/dropout"))
    }),
    compared("longest text", &["task.max_length"], |study| {
        all(study, |r| {
            Some(format!("{} tokens", plain(r, "/task/max_length")?))
        })
    }),
    compared("flipped labels", &["task.flip"], |study| {
        all(study, |r| {
            // a task that can flip none has no such field
            let share = r.config.pointer("/task/flip").and_then(Value::as_f64);
            Some(format!("{} %", number::plain(100.0 * share.unwrap_or(0.0))))
        })
    }),
    compared("damping c", &["influence.damping"], |study| {
        all(study, |r| plain(r, "/influence/damping"))
    }),
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
    pub paper: Option<&'static str>,
    /// Here.
    pub here: String,
}

impl Setting {
    /// Whether both are the same; `None` where the paper's is not known.
    pub fn same(&self) -> Option<bool> {
        self.paper.map(|paper| self.here == paper)
    }
}

/// The paper's settings beside ours; none of an item that has no fine-tune.
pub fn settings(item: &Item, study: &Study) -> Vec<Setting> {
    if item.setup.is_empty() {
        return Vec::new();
    }
    let setting = |compared: &Compared| {
        let mut stated = item.setup.iter();
        Setting {
            what: compared.what,
            fields: compared.fields,
            paper: stated
                .find(|(what, paper)| *what == compared.what && !paper.is_empty())
                .map(|(_, paper)| *paper),
            here: (compared.here)(study),
        }
    };
    COMPARED.iter().map(setting).collect()
}

/// What differs, as a sentence, what does not, and what is not known of the paper.
pub fn sentence(settings: &[Setting]) -> String {
    let names = |same: Option<bool>| -> Vec<&str> {
        let those = settings.iter().filter(|setting| setting.same() == same);
        those.map(|setting| setting.what).collect()
    };
    let differs: Vec<String> = settings
        .iter()
        .filter(|setting| setting.same() == Some(false))
        .filter_map(|setting| {
            let (what, paper) = (setting.what, setting.paper?);
            Some(format!("{what} {} instead of {paper}", setting.here))
        })
        .collect();
    let (same, unknown) = (names(Some(true)), names(None));
    let mut text = match (differs.is_empty(), unknown.is_empty()) {
        (true, true) => "Nothing of the paper's settings differs here.".to_owned(),
        (true, false) => "Nothing that is known of the paper's settings differs here.".to_owned(),
        (false, _) => format!("What differs here: {}.", differs.join("; ")),
    };
    if !same.is_empty() && !differs.is_empty() {
        text.push_str(&format!(" The same: {}.", same.join(", ")));
    }
    if !unknown.is_empty() {
        text.push_str(&format!(" Not known of the paper: {}.", unknown.join(", ")));
    }
    text
}

/// The distinct texts of all cells, in the order of the cells.
fn all(study: &Study, of: impl Fn(&Record) -> Option<String>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for record in &study.records {
        let text = of(record).unwrap_or_else(|| NOT_RECORDED.to_owned());
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(", ")
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
        let name = match name {
            "roberta-large" => "RoBERTa-large",
            name => name,
        };
        let revision = record
            .config
            .pointer("/model/revision")
            .and_then(Value::as_str);
        Some(match revision {
            Some(revision) => format!("{name} at {revision}"),
            None => name.to_owned(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::items;
    use super::*;
    use crate::report::synthetic;

    /// Records of the item's own settings, but for its sizes.
    fn paper_s() -> Vec<Record> {
        let mut records = synthetic::glue();
        // rank 8 is in Figure 6
        records.retain(|record| record.cell.axes["lora.rank"] != 8);
        for record in &mut records {
            record.config["model"] = json!({"path": "roberta-large"});
            record.config["train"] = json!({"epochs": 10, "lr": 0.0003, "batch_size": 32, "optimizer": "adamw",
                "weight_decay": 0.01, "schedule": "linear", "warmup": 0.06, "checkpoints": 5, "base_dropout": "checkpoint"});
            record.config["lora"] = json!({"targets": ["value"], "layers": "all", "alpha": null, "init": "kaiming",
                "dropout": 0.05, "rank": record.cell.axes["lora.rank"]});
            record.config["task"]["flip"] = json!(0.2);
            record.config["task"]["max_length"] = json!(128);
        }
        records
    }

    fn text(records: &[Record]) -> String {
        let study = Study::new(records);
        sentence(&settings(items::find("figure-1").expect("listed"), &study))
    }

    #[test]
    fn what_differs_and_what_does_not_is_told_apart() {
        let mut records = paper_s();
        let found = text(&records);
        for part in [
            "What differs here: examples MRPC 400 and 100, QQP 400 and 100",
            "runs 3 instead of 20",
            "The same: model, epochs, learning rate, batch, optimiser, weight decay, learning-rate schedule, dropout of the base, \
             adapted matrices, rank, α, initialisation of the adapters, dropout of the adapters, longest text, flipped labels, damping c.",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        // in a single cell, and in a record from before there was such a setting
        records[5].config["lora"]["init"] = json!("gaussian");
        let last = records.len() - 1;
        records[last].config["train"]
            .as_object_mut()
            .expect("a mapping")
            .remove("base_dropout");
        let found = text(&records);
        for part in [
            "initialisation of the adapters kaiming, gaussian instead of kaiming",
            "dropout of the base the checkpoint's, not recorded instead of the checkpoint's",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        let setting = |paper| Setting {
            what: "runs",
            fields: &[],
            paper,
            here: "20".to_owned(),
        };
        assert_eq!(
            sentence(&[setting(Some("20"))]),
            "Nothing of the paper's settings differs here."
        );
        assert_eq!(
            sentence(&[setting(Some("20")), setting(None)]),
            "Nothing that is known of the paper's settings differs here. Not known of the paper: runs."
        );
    }

    #[test]
    fn whatever_field_is_changed_is_said() {
        let base = text(&paper_s());
        let fields = COMPARED.iter().flat_map(|compared| compared.fields);
        // sizes of a model that has no path, and a name that says what the path says
        let known = |field: &&&str| {
            let path = ["model.path", "model.revision"].contains(*field);
            path || ["lora.", "train."].iter().any(|at| field.starts_with(at))
        };
        for field in fields.filter(known) {
            let mut records = paper_s();
            let pointer = format!("/{}", field.replace('.', "/"));
            let (parent, own) = pointer.rsplit_once('/').expect("a path");
            for record in &mut records {
                let value = record.config.pointer(&pointer).cloned();
                let other = match value.unwrap_or(Value::Null) {
                    Value::Number(x) => json!(x.as_f64().expect("a number") + 1.0),
                    Value::Array(_) => json!(["query"]),
                    Value::String(text) if text == "linear" => json!("constant"),
                    Value::String(text) => json!(format!("{text}x")),
                    _ => json!(17),
                };
                let other = if own == "rank" { json!(16) } else { other };
                let other = if own == "revision" {
                    json!("main")
                } else {
                    other
                };
                record.config.pointer_mut(parent).expect("a mapping")[own] = other;
            }
            let found = text(&records);
            assert_ne!(found, base, "{field}");
        }
    }

    #[test]
    fn every_field_of_lora_train_and_model_is_compared_or_decides_nothing() {
        let schema = crate::config::schema::schema();
        let fields_of = |definition: &Value| -> Vec<String> {
            let own = definition["properties"].as_object();
            own.into_iter()
                .flat_map(|own| own.keys().cloned())
                .collect()
        };
        let mut fields: Vec<String> = Vec::new();
        for (at, definition) in [("lora", "LoraConfig"), ("train", "TrainConfig")] {
            let own = fields_of(&schema["$defs"][definition]);
            assert!(own.len() > 4, "{definition}");
            fields.extend(own.into_iter().map(|field| format!("{at}.{field}")));
        }
        let variants = schema["$defs"]["ModelConfig"]["oneOf"].as_array();
        let variants = variants.expect("one a kind of model");
        assert!(variants.len() > 2);
        for variant in variants {
            let own = fields_of(variant).into_iter();
            fields.extend(own.map(|field| format!("model.{field}")));
        }
        fields.sort();
        fields.dedup();
        let listed: Vec<&str> = COMPARED
            .iter()
            .flat_map(|compared| compared.fields.iter().copied())
            .chain(IDLE)
            .collect();
        for field in &fields {
            let times = listed.iter().filter(|known| *known == field).count();
            assert_eq!(
                times, 1,
                "`{field}` is to be compared with the paper's, or listed as deciding nothing"
            );
        }
        let own = |field: &&str| {
            ["lora.", "train.", "model."]
                .iter()
                .any(|at| field.starts_with(at))
        };
        for known in listed.into_iter().filter(own) {
            assert!(
                fields.iter().any(|field| field == known),
                "there is no `{known}`"
            );
        }
    }

    #[test]
    fn the_paper_s_settings_are_all_compared() {
        for item in items::ITEMS {
            for (what, _) in item.setup {
                assert!(COMPARED.iter().any(|known| known.what == *what), "{what}");
            }
            // what the code of the paper's GLUE experiments says, it says of everything
            let glue = item
                .setup
                .iter()
                .any(|(_, paper)| *paper == "RoBERTa-large");
            assert!(!glue || item.setup.len() == COMPARED.len(), "{}", item.name);
        }
    }
}
