//! How our experiment differs from the paper's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::items::Item;
use crate::config::words;
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
const IDLE: [&str; 3] = [
    // where the weights are meanwhile
    "model.stream",
    // which states are kept for methods that go along the fine-tune
    "train.checkpoints",
    // how often the history looks at the queries
    "train.evaluations",
];

/// All that is compared, in the order of the page.
const COMPARED: &[Compared] = &[
    compared(
        "model",
        &[
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
    compared(
        "batch",
        &["train.batch_size", "train.accumulate"],
        |study| {
            all(study, |r| {
                let batch = plain(r, "/train/batch_size")?;
                // not in records from before there was accumulation
                let accumulate = plain(r, "/train/accumulate").filter(|batches| batches != "1");
                Some(match accumulate {
                    Some(batches) => format!("{batch} × {batches} accumulated"),
                    None => batch,
                })
            })
        },
    ),
    compared(
        "optimiser",
        &["train.optimizer", "train.max_grad_norm"],
        |study| {
            all(study, |r| {
                let optimizer = words::optimizer(r.config.pointer("/train/optimizer")?)?;
                Some(match plain(r, "/train/max_grad_norm") {
                    Some(norm) => format!("{optimizer}, gradients no longer than {norm}"),
                    None => optimizer,
                })
            })
        },
    ),
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
    let task = study.records.iter().find_map(|record| record.task.as_ref());
    let setup = item.setup_on(task.map_or("", |task| task.name.as_str()));
    if setup.is_empty() {
        return Vec::new();
    }
    let setting = |compared: &Compared| {
        let mut stated = setup.iter();
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

/// A checkpoint by its folder's name, others by kind, shape, pretraining and size.
fn models(study: &Study) -> String {
    let mut models: Vec<(String, Vec<usize>)> = Vec::new();
    for record in &study.records {
        let named = checkpoint(record);
        let sized = named.is_none();
        let Some(text) = named.or_else(|| network(record)) else {
            continue;
        };
        let size = record.model.as_ref().map(|model| model.parameters);
        let size = size.filter(|_| sized);
        match models.iter_mut().find(|(known, _)| *known == text) {
            Some((_, sizes)) => sizes.extend(size),
            None => models.push((text, size.into_iter().collect())),
        }
    }
    let texts: Vec<String> = models
        .into_iter()
        .map(|(text, sizes)| {
            let plain = |size: usize| number::plain(size as f64);
            match (sizes.iter().min(), sizes.iter().max()) {
                (Some(low), Some(high)) if low < high => {
                    format!("{text} of {} to {} parameters", plain(*low), plain(*high))
                }
                (Some(size), _) => format!("{text} of {} parameters", plain(*size)),
                _ => text,
            }
        })
        .collect();
    match texts.is_empty() {
        true => "–".to_owned(),
        false => texts.join(", "),
    }
}

/// The kind of a model by its settings; that of a checkpoint may be left out.
fn kind(record: &Record) -> Option<&str> {
    record.config.pointer("/model/name")?.as_str()
}

fn checkpoint(record: &Record) -> Option<String> {
    if kind(record).is_some_and(|kind| kind != "checkpoint") {
        return None;
    }
    let path = record.config.pointer("/model/path")?.as_str()?;
    let name = match path.trim_end_matches('/').rsplit('/').next()? {
        "roberta-large" => "RoBERTa-large",
        name => name,
    };
    let mut text = name.to_owned();
    for (field, word) in [("revision", "at"), ("compute", "in")] {
        if let Some(value) = plain(record, &format!("/model/{field}")) {
            text = format!("{text} {word} {value}");
        }
    }
    Some(text)
}

/// `transformer (4 layers, hidden 48, 4 heads, ffn 96, pretrained for 8 epochs with learning rate 2e-3 and batch 32)`
fn network(record: &Record) -> Option<String> {
    let kind = kind(record).or(record.model.as_ref().map(|model| model.name.as_str()))?;
    let of = |field: &str| plain(record, &format!("/model/{field}"));
    let mut facts: Vec<String> = Vec::new();
    facts.extend(of("layers").map(|layers| format!("{layers} layers")));
    facts.extend(of("hidden").map(|hidden| format!("hidden {hidden}")));
    facts.extend(of("heads").map(|heads| format!("{heads} heads")));
    facts.extend(of("key_value_heads").map(|heads| format!("{heads} key and value heads")));
    facts.extend(of("ffn").map(|ffn| format!("ffn {ffn}")));
    facts.extend(of("sliding_window").map(|window| format!("window {window}")));
    facts.extend(of("tie_word_embeddings").map(|tied| format!("tied embeddings {tied}")));
    facts.extend(of("tokenizer").map(|path| format!("tokenizer {path}")));
    match record.config.pointer("/model/pretrain") {
        Some(Value::Null) => facts.push("not pretrained".to_owned()),
        Some(pretrain) => {
            let text = |field: &str| {
                pretrain
                    .get(field)
                    .map_or_else(|| NOT_RECORDED.to_owned(), value_text)
            };
            let lr = pretrain.get("lr").and_then(Value::as_f64);
            let lr = lr.map_or_else(|| NOT_RECORDED.to_owned(), |lr| format!("{lr:e}"));
            facts.push(format!(
                "pretrained for {} epochs with learning rate {lr} and batch {}",
                text("epochs"),
                text("batch_size")
            ));
        }
        None => {}
    }
    Some(match facts.is_empty() {
        true => kind.to_owned(),
        false => format!("{kind} ({})", facts.join(", ")),
    })
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
    use crate::models::{CheckpointConfig, MlpConfig, ModelConfig, TransformerConfig};
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

    /// Changes the field at a JSON pointer to something else.
    fn change(config: &mut Value, pointer: &str) {
        let (parent, own) = pointer.rsplit_once('/').expect("a path");
        let value = config.pointer(pointer).cloned();
        let other = match value.unwrap_or(Value::Null) {
            _ if own == "rank" => json!(16),
            _ if own == "revision" => json!("main"),
            Value::Number(x) => json!(x.as_f64().expect("a number") + 1.0),
            Value::Array(_) => json!(["query"]),
            Value::String(text) if text == "linear" => json!("constant"),
            Value::String(text) => json!(format!("{text}x")),
            Value::Object(_) => Value::Null,
            _ => json!(17),
        };
        config.pointer_mut(parent).expect("a mapping")[own] = other;
    }

    #[test]
    fn whatever_field_is_changed_is_said() {
        let base = text(&paper_s());
        let fields = COMPARED.iter().flat_map(|compared| compared.fields);
        let own = |field: &&&str| ["lora.", "train."].iter().any(|at| field.starts_with(at));
        for field in fields.filter(own) {
            let mut records = paper_s();
            let pointer = format!("/{}", field.replace('.', "/"));
            let configs = records.iter_mut().map(|record| &mut record.config);
            configs.for_each(|config| change(config, &pointer));
            assert_ne!(text(&records), base, "{field}");
        }
    }

    #[test]
    fn whatever_field_of_a_model_is_changed_is_said() {
        let checkpoint = ModelConfig::Checkpoint(CheckpointConfig::at("roberta-large"));
        for model in [
            ModelConfig::Transformer(TransformerConfig::default()),
            ModelConfig::Mlp(MlpConfig::default()),
            checkpoint,
        ] {
            let model = serde_json::to_value(model).expect("settings");
            let said = |change: &dyn Fn(&mut Value)| {
                let mut records = paper_s();
                for record in &mut records {
                    record.config["model"] = model.clone();
                    change(&mut record.config);
                }
                text(&records)
            };
            let base = said(&|_| {});
            let name = model["name"].as_str().expect("a kind").to_owned();
            let schema = crate::config::schema::schema();
            let kinds = schema["$defs"]["ModelConfig"]["oneOf"].as_array();
            let own = |kind: &&Value| kind.to_string().contains(&format!("\"{name}\""));
            let kind = kinds
                .and_then(|kinds| kinds.iter().find(own))
                .expect("listed");
            let mut fields: Vec<String> = kind["properties"]
                .as_object()
                .expect("fields")
                .keys()
                .cloned()
                .collect();
            assert!(fields.len() > 2, "{name}: {fields:?}");
            let pretrain = model.get("pretrain").and_then(Value::as_object);
            let pretrain = pretrain.into_iter().flat_map(|fields| fields.keys());
            fields.extend(pretrain.map(|field| format!("pretrain/{field}")));
            let decides = |field: &String| !IDLE.contains(&format!("model.{field}").as_str());
            for field in fields.into_iter().filter(decides) {
                let found = said(&|config| change(config, &format!("/model/{field}")));
                assert_ne!(found, base, "{name}: {field}");
            }
        }
        let mut records = paper_s();
        for record in &mut records {
            let model = ModelConfig::Transformer(TransformerConfig::default());
            record.config["model"] = serde_json::to_value(model).expect("settings");
        }
        let found = text(&records);
        let part = "model transformer (4 layers, hidden 48, 4 heads, ffn 96, pretrained for ";
        assert!(found.contains(part), "{found}");
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
            let of_images = ["styles", "subjects"].map(|task| item.setup_on(task));
            for (what, _) in item.setup.iter().chain(of_images.concat().iter()) {
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
