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
use super::layers::{EMPTY, Wrong, layers};
use super::settings::{LoraConfig, TargetModules};
use crate::checkpoints::peft::Modules;
use crate::checkpoints::peft::modules::{PATTERN, split_layer};
use crate::input::{Problem, did_you_mean, listed, nearest, quote, quote_name};
use crate::models::network::Network;

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
    Problem {
        message: format!(
            "the model has no linear layer `{}` that can carry an adapter; it has: {has}",
            quote(found)
        ),
        help: did_you_mean(found, &known),
    }
}

#[cfg(test)]
mod tests;
