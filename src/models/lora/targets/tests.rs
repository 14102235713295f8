use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::checkpoints::layout::CONFIG_FILE;
use crate::models::Model;
use crate::models::lora::settings::{
    AllLayers, FirstLayers, LastLayers, LayerRange, LayerSelection,
};
use crate::models::{CheckpointConfig, MlpConfig, ModelConfig, TransformerConfig};

#[derive(Deserialize)]
struct Recorded {
    families: Vec<Family>,
}

#[derive(Deserialize)]
struct Family {
    config: Value,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    target_modules: TargetModules,
    layers_to_transform: Option<Vec<usize>>,
    modules: Option<BTreeSet<String>>,
}

fn lora(targets: TargetModules, layers: LayerSelection) -> LoraConfig {
    LoraConfig {
        rank: 1,
        targets,
        layers,
        ..LoraConfig::default()
    }
}

fn encoder() -> ModelConfig {
    ModelConfig::Transformer(TransformerConfig {
        hidden: 12,
        heads: 3,
        layers: 3,
        ffn: 20,
        pretrain: None,
    })
}

fn names(config: &ModelConfig, lora: &LoraConfig) -> Result<Vec<String>, (String, String)> {
    let outline = Model::outline(config).unwrap();
    match outline.targets(lora) {
        Ok(linears) => Ok(linears.iter().map(|l| l.name().to_owned()).collect()),
        Err((at, problem)) => Err((
            at,
            format!("{} {}", problem.message, problem.help.unwrap_or_default()),
        )),
    }
}

/// Recorded by scripts/parity/targets.py.
#[test]
fn targets_and_layers_mean_what_they_mean_in_peft() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/targets.json");
    let recorded: Recorded = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(recorded.families.len(), 2);
    for family in recorded.families {
        let folder = tempfile::tempdir().unwrap();
        let text = family.config.to_string();
        fs::write(folder.path().join(CONFIG_FILE), text).unwrap();
        let config = ModelConfig::Checkpoint(CheckpointConfig::at(folder.path()));
        assert!(family.choices.len() > 40);
        for choice in family.choices {
            let layers = match choice.layers_to_transform {
                Some(list) => LayerSelection::List(list),
                None => LayerSelection::Every(AllLayers::All),
            };
            let about = format!("{:?} {layers:?}", choice.target_modules);
            let found = names(&config, &lora(choice.target_modules, layers));
            match choice.modules {
                Some(expected) => {
                    let found = found.unwrap();
                    assert_eq!(found.len(), expected.len(), "{about}");
                    assert_eq!(BTreeSet::from_iter(found), expected, "{about}");
                }
                None => assert!(found.is_err(), "{about}: {found:?}"),
            }
        }
    }
}

#[test]
fn short_names_are_those_of_one_matrix_or_of_the_feed_forward() {
    let every = || LayerSelection::Every(AllLayers::All);
    let of_layer = |name: &str, modules: &[&str]| {
        let config = encoder();
        let expected: Vec<String> = (0..3)
            .flat_map(|n| {
                modules
                    .iter()
                    .map(move |m| format!("encoder.layer.{n}.{m}"))
            })
            .collect();
        let found = names(&config, &lora(TargetModules::names([name]), every()));
        assert_eq!(found, Ok(expected), "{name}");
    };
    of_layer("query", &["attention.self.query"]);
    of_layer("key", &["attention.self.key"]);
    of_layer("value", &["attention.self.value"]);
    of_layer("output", &["attention.output.dense"]);
    of_layer("ffn", &["intermediate.dense", "output.dense"]);
    of_layer("ffn_in", &["intermediate.dense"]);
    of_layer("ffn_out", &["output.dense"]);
    // PEFT's own name means the attention's, too
    of_layer("output.dense", &["attention.output.dense", "output.dense"]);
    let mlp = ModelConfig::Mlp(MlpConfig::default());
    let last = LayerSelection::Last(LastLayers { last: 2 });
    let found = names(&mlp, &lora(TargetModules::names(["ffn"]), last));
    let expected = ["layer.1.dense", "layer.2.dense"].map(str::to_owned);
    assert_eq!(found, Ok(expected.into()));
    // layers narrow what PEFT does not narrow
    let all = TargetModules::Pattern("all-linear".to_owned());
    let found = names(&encoder(), &lora(all, LayerSelection::List(vec![2])));
    assert_eq!(found.unwrap().len(), 6);
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let list = |names: &[&str]| TargetModules::names(names.iter().copied());
    let pattern = |text: &str| TargetModules::Pattern(text.to_owned());
    let every = LayerSelection::default;
    let refused = |config: &ModelConfig, lora: &LoraConfig, at: &str, texts: &[&str]| {
        let (place, message) = names(config, lora).unwrap_err();
        assert_eq!(place, at, "{message}");
        for text in texts {
            assert!(message.contains(text), "{message}");
        }
    };
    let has = "it has: query, key, value, output, ffn, ffn_in, ffn_out, attention.self.query";
    for (targets, at, texts) in [
        (
            list(&["query", "vlaue"]),
            "targets.1",
            [has, "did you mean `value`?"],
        ),
        (
            list(&["self.valu"]),
            "targets.0",
            ["`self.valu`", "did you mean `self.value`?"],
        ),
        (list(&[]), "targets", ["at least one", ""]),
        (
            pattern("valu"),
            "targets",
            ["matches no module", "in a list: `[value]`"],
        ),
        (
            pattern(".*["),
            "targets",
            ["is not a regular expression", ""],
        ),
        (pattern("(?=a).*"), "targets", ["without look-around", ""]),
    ] {
        refused(&encoder(), &lora(targets, every()), at, &texts);
    }
    let mlp = ModelConfig::Mlp(MlpConfig::default());
    let key = lora(list(&["key"]), every());
    refused(
        &mlp,
        &key,
        "targets.0",
        &["no linear layer `key`", "it has: ffn, dense"],
    );
    let long = lora(list(&["v".repeat(10_000).as_str()]), every());
    let (_, message) = names(&encoder(), &long).unwrap_err();
    assert!(message.chars().count() < 400, "{message}");

    let value = |layers| lora(list(&["value"]), layers);
    let (first, last) = (FirstLayers { first: 0 }, LastLayers { last: 4 });
    let range = |from, to| LayerSelection::Range(LayerRange { from, to });
    for (layers, at, text) in [
        (
            LayerSelection::List(vec![1, 3]),
            "layers.1",
            "no layer 3; allowed: 0 to 2",
        ),
        (LayerSelection::List(vec![]), "layers", "at least one"),
        (LayerSelection::First(first), "layers", "at least one"),
        (
            LayerSelection::Last(last),
            "layers",
            "4 layers are more than the model's 3",
        ),
        (range(1, 3), "layers.to", "no layer 3"),
        (
            range(2, 1),
            "layers.from",
            "2 is above `to`; allowed: 0 to 1",
        ),
    ] {
        refused(&encoder(), &value(layers), at, &[text]);
    }

    let ranked = |rank, targets| LoraConfig {
        rank,
        ..lora(targets, every())
    };
    let ffn_in = || list(&["ffn_in"]);
    assert_eq!(names(&encoder(), &ranked(12, ffn_in())).unwrap().len(), 3);
    let which = "`encoder.layer.0.intermediate.dense`, which is 20×12; allowed: 1 to 12";
    refused(
        &encoder(),
        &ranked(13, ffn_in()),
        "rank",
        &[which, "13 does not fit"],
    );
    refused(
        &encoder(),
        &ranked(0, ffn_in()),
        "rank",
        &["0 does not fit"],
    );
}

/// As many parameters as Llama 2 13B would be 50 GB.
#[test]
fn a_model_too_large_for_memory_has_an_outline() {
    let config = ModelConfig::Transformer(TransformerConfig {
        hidden: 5120,
        heads: 40,
        layers: 40,
        ffn: 20480,
        pretrain: None,
    });
    let mut outline = Model::outline(&config).unwrap();
    let parameters: usize = outline.parameters().iter().map(|p| p.slot.count()).sum();
    assert!(parameters > 12_000_000_000, "{parameters}");
    let all = lora(
        TargetModules::Pattern("all-linear".to_owned()),
        LayerSelection::default(),
    );
    assert_eq!(outline.targets(&all).unwrap().len(), 6 * 40);
}
