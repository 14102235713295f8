//! Which linear layers of a network carry adapters: `lora.targets` and `lora.layers` against the names and shapes of
//! its modules.
//!
//! The rules are PEFT's (`target_modules`, `layers_to_transform`): a name means the module of that name and all whose
//! names end with a dot and it; a regular expression matches whole names; `all-linear` is every linear layer but the
//! head. Names may be those of this crate or PEFT's, with the prefix of the model's family (`bert.`). A layer's number
//! is the last number within a module's name; a module that is named in full is adapted whatever its layer. Unlike
//! PEFT, which refuses it, `layers` narrows regular expressions and `all-linear`, too. A module that is meant twice is
//! adapted once.

use std::collections::BTreeSet;

use super::LoraLinear;
use super::settings::{
    FirstLayers, LastLayers, LayerRange, LayerSelection, LoraConfig, TargetModules,
};
use crate::checkpoints::peft::Modules;
use crate::checkpoints::peft::modules::{PATTERN, split_layer};
use crate::input::{Problem, listed, nearest, quote, quote_name};
use crate::models::network::Network;

/// What is wrong with an empty list.
const EMPTY: &str = "at least one is needed";

/// What is wrong with a setting below `lora`: its dotted path, e.g. `targets.0`, and the problem.
pub type Wrong = (String, Problem);

/// The linear layers of `network` that carry adapters by `lora`, in the order of a forward pass. `prefix` is what PEFT
/// puts before their names, without its dot; it may be empty.
///
/// # Errors
/// A target that means no module, an expression that is none, a layer that is not there, nothing to adapt, a rank
/// outside 1..=the smaller side of every matrix.
pub fn select<'a>(
    network: &'a dyn Network,
    prefix: &str,
    lora: &LoraConfig,
) -> Result<Vec<&'a LoraLinear>, Wrong> {
    let linears = network.adaptable();
    let layers = layers(&lora.layers, network.layers())?;
    let targets = targets(network, &lora.targets)?;
    if targets.is_empty() {
        return Err(("targets".to_owned(), Problem::new(EMPTY)));
    }
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    for (at, text, modules) in targets {
        let mut found = false;
        for (index, linear) in linears.iter().enumerate() {
            let names = [
                linear.name().to_owned(),
                format!("{prefix}.{}", linear.name()),
            ];
            if !names.iter().any(|name| modules.contain(name)) {
                continue;
            }
            found = true;
            let in_full = names.iter().any(|name| modules.name_in_full(name));
            let in_layer = |layers: &Vec<usize>| {
                let layer = network.layer_of(linear.name());
                layer.is_some_and(|layer| layers.contains(&layer))
            };
            if in_full || layers.as_ref().is_none_or(in_layer) {
                chosen.insert(index);
            }
        }
        if !found {
            return Err((at, no_such_module(network, &lora.targets, text)));
        }
    }
    if chosen.is_empty() {
        let problem = "none of the target modules is in one of these layers";
        return Err(("layers".to_owned(), Problem::new(problem)));
    }
    let chosen: Vec<&LoraLinear> = chosen.into_iter().map(|index| linears[index]).collect();
    let tightest = chosen
        .iter()
        .min_by_key(|linear| linear.inputs().min(linear.outputs()));
    if let Some(linear) = tightest {
        let (outputs, inputs) = (linear.outputs(), linear.inputs());
        let side = outputs.min(inputs);
        if !(1..=side).contains(&lora.rank) {
            let message = format!(
                "{} does not fit `{}`, which is {outputs}×{inputs}; allowed: 1 to {side}",
                lora.rank,
                quote_name(linear.name())
            );
            return Err(("rank".to_owned(), Problem::new(message)));
        }
    }
    Ok(chosen)
}

/// Where each target is written, its text, and the modules that it means.
fn targets<'a>(
    network: &dyn Network,
    targets: &'a TargetModules,
) -> Result<Vec<(String, &'a str, Modules)>, Wrong> {
    let pattern = |at: &str, text: &str| {
        Modules::pattern(text).map_err(|_| {
            let message = format!("`{}` is not {PATTERN}", quote(text));
            (at.to_owned(), Problem::new(message))
        })
    };
    match targets {
        TargetModules::Pattern(text) => Ok(vec![(
            "targets".to_owned(),
            text,
            pattern("targets", text)?,
        )]),
        TargetModules::Names(names) => {
            let short = network.short_names();
            let one = |(index, name): (usize, &'a String)| {
                let at = format!("targets.{index}");
                let modules = match short.iter().find(|(short, _)| short == name) {
                    Some((_, modules)) => pattern(&at, modules)?,
                    None => Modules::Ending(vec![name.clone()]),
                };
                Ok((at, name.as_str(), modules))
            };
            names.iter().enumerate().map(one).collect()
        }
    }
}

/// Says that `found` means no module, what there is, and what may have been meant.
fn no_such_module(network: &dyn Network, targets: &TargetModules, found: &str) -> Problem {
    let linears = network.adaptable();
    let mut known: Vec<&str> = network
        .short_names()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let mut add = |name| {
        if !known.contains(&name) {
            known.push(name);
        }
    };
    for linear in &linears {
        add(split_layer(linear.name()).map_or(linear.name(), |(_, module)| module));
    }
    let has = listed(&known);
    let is_pattern = matches!(targets, TargetModules::Pattern(_));
    let ends: BTreeSet<&str> = linears
        .iter()
        .flat_map(|linear| {
            let name = linear.name();
            let dots = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
            dots.chain([name])
        })
        .collect();
    known.extend(ends);
    if is_pattern {
        let problem = Problem::new(format!(
            "the regular expression `{}` matches no module as a whole; the model has: {has}",
            quote(found)
        ));
        return match nearest(found, &known) {
            Some(name) => problem.with_help(format!("a name is written in a list: `[{name}]`")),
            None => problem,
        };
    }
    let problem = Problem::new(format!(
        "the model has no linear layer `{}` that can carry an adapter; it has: {has}",
        quote(found)
    ));
    match nearest(found, &known) {
        Some(name) => problem.with_help(format!("did you mean `{name}`?")),
        None => problem,
    }
}

/// The chosen ones of `count` layers; `None` for all modules, those in no layer included.
fn layers(selection: &LayerSelection, count: usize) -> Result<Option<Vec<usize>>, Wrong> {
    let wrong = |at: &str, message: String| Err((at.to_owned(), Problem::new(message)));
    let missing = |layer: usize| format!("there is no layer {layer}; allowed: 0 to {}", count - 1);
    if matches!(selection, LayerSelection::Every(_)) {
        return Ok(None);
    }
    if count == 0 {
        let message = "this model has no layers to choose from; allowed: all";
        return wrong("layers", message.to_owned());
    }
    match selection {
        LayerSelection::List(list) => {
            if list.is_empty() {
                return wrong("layers", EMPTY.to_owned());
            }
            let beyond = list.iter().position(|&layer| layer >= count);
            if let Some(index) = beyond {
                return wrong(&format!("layers.{index}"), missing(list[index]));
            }
        }
        LayerSelection::Last(LastLayers { last: asked })
        | LayerSelection::First(FirstLayers { first: asked }) => {
            if *asked == 0 {
                return wrong("layers", EMPTY.to_owned());
            }
            if *asked > count {
                let message = format!("{asked} layers are more than the model's {count}");
                return wrong("layers", message);
            }
        }
        LayerSelection::Range(LayerRange { from, to }) => {
            if *to >= count {
                return wrong("layers.to", missing(*to));
            }
            if from > to {
                let message = format!("{from} is above `to`; allowed: 0 to {to}");
                return wrong("layers.from", message);
            }
        }
        LayerSelection::Every(_) => {}
    }
    Ok(Some(selection.indices(count)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde::Deserialize;
    use serde_json::Value;

    use super::super::settings::AllLayers;
    use super::*;
    use crate::checkpoints::layout::CONFIG_FILE;
    use crate::models::Model;
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
}
