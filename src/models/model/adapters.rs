//! What is trained of a model: adapters, head, and parameters of the base that an adapter replaced.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use serde_json::Map;

use super::{Brought, Model};
use crate::models::error::ModelError;
use crate::models::lora::settings::LoraConfig;
use crate::models::lora::{AdapterShape, LoraLinear, targets};
use crate::models::parameter::{self, Role, WeightError, Weights};

/// Per-example gradient of one trained matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradientTensor {
    /// Name as in PEFT, e.g. `encoder.layer.0.attention.self.value.lora_A.weight`.
    pub name: String,
    /// Shape of one example's gradient.
    pub shape: [usize; 2],
}

impl Model {
    /// The linear layers that carry adapters by `lora`, in the order of a forward pass.
    ///
    /// # Errors
    /// When `lora` does not fit the network, see [`targets::select`].
    pub fn targets(
        &self,
        lora: &LoraConfig,
    ) -> Result<Vec<&LoraLinear>, crate::models::lora::layers::Wrong> {
        let prefix = self.family.map_or("", |family| family.prefix);
        targets::select(&*self.network, prefix, lora)
    }

    /// Hangs fresh adapters on, from `seed`, in place of any that there are.
    ///
    /// # Errors
    /// When `lora` does not fit the network.
    pub fn adapt(&mut self, lora: &LoraConfig, seed: u64) -> Result<(), ModelError> {
        let shape = AdapterShape {
            rank: lora.rank,
            scale: lora.scale(),
            init: lora.init,
        };
        let chosen = self.targets(lora).map_err(|(at, problem)| {
            let at = format!("lora.{at}");
            ModelError::Setting { at, problem }
        })?;
        let sites = chosen.into_iter();
        let sites = sites
            .map(|linear| (linear.name().to_owned(), shape))
            .collect();
        self.adapt_matrices(&sites)
            .expect("the names are those of the network");
        self.brought.init = Map::new();
        self.initialise(&[Role::Adapter], seed);
        Ok(())
    }

    /// How many layers have an adapter.
    pub fn adapted_layers(&self) -> usize {
        let adapted = self.adapted().into_iter();
        let layers = adapted.filter_map(|linear| self.network.layer_of(linear.name()));
        layers.collect::<BTreeSet<usize>>().len()
    }

    /// Hangs adapters of zeros on the linear layers named in `sites`, and takes those of others away.
    ///
    /// # Errors
    /// The first name that no such layer has.
    pub fn adapt_matrices(&mut self, sites: &BTreeMap<String, AdapterShape>) -> Result<(), String> {
        let known: BTreeSet<&str> = self.linears().into_iter().map(LoraLinear::name).collect();
        if let Some(name) = sites.keys().find(|name| !known.contains(name.as_str())) {
            return Err(name.clone());
        }
        let device = self.device.clone();
        for linear in self.linears_mut() {
            match sites.get(linear.name()) {
                Some(&shape) => linear.adapt(shape, &device),
                None => linear.strip(),
            }
        }
        Ok(())
    }

    /// Those of [`Self::linears`] that carry one.
    pub fn adapted(&self) -> Vec<&LoraLinear> {
        let linears = self.linears().into_iter();
        linears
            .filter(|linear| linear.adapter().is_some())
            .collect()
    }

    /// Those of [`Self::linears`] that per-example gradients are taken of.
    pub fn probed(&self) -> Vec<&LoraLinear> {
        let linears = self.linears().into_iter();
        linears.filter(|linear| linear.is_probed()).collect()
    }

    /// The tensors that per-example gradients consist of, in the order in which a forward pass meets them: A and B
    /// of every adapted layer, the weights of layers [trained in full](Self::probe_every_trained_matrix) when they
    /// are asked for, and at the end the weight of the head's last layer.
    pub fn gradient_tensors(&self) -> Vec<GradientTensor> {
        let mut tensors = Vec::new();
        let mut add = |name: &str, part: &str, tensor: &Tensor<2>| {
            tensors.push(GradientTensor {
                name: format!("{name}.{part}"),
                shape: tensor.dims(),
            });
        };
        for linear in self.probed() {
            match linear.adapter() {
                Some(adapter) => {
                    add(linear.name(), "lora_A.weight", &adapter.a);
                    add(linear.name(), "lora_B.weight", &adapter.b);
                }
                None => add(linear.name(), "weight", linear.weight()),
            }
        }
        for linear in self.network.trained() {
            add(linear.name(), "weight", &linear.weight);
        }
        tensors
    }

    /// Replaces parameters of the base by those that an adapter trains in full, and keeps what it `brought`.
    ///
    /// # Errors
    /// When a shape differs.
    pub fn replace_base(&mut self, weights: &Weights, brought: Brought) -> Result<(), ModelError> {
        let device = self.device.clone();
        let parameters = self.parameters().into_iter();
        let parameters = parameters.filter(|parameter| weights.contains_key(&parameter.name));
        parameter::import(parameters.collect(), &[Role::Base], weights, &device)?;
        self.network.keep_replaced(&brought.parameters);
        self.brought = brought;
        Ok(())
    }

    /// What an adapter brought along.
    pub fn brought(&self) -> &Brought {
        &self.brought
    }

    /// Plain copies of the parameters of the base that an adapter replaced.
    pub fn export_brought(&mut self) -> Weights {
        let names = self.brought.parameters.clone();
        let parameters = self.parameters().into_iter();
        let parameters = parameters.filter(|parameter| names.contains(&parameter.name));
        parameter::export(parameters.collect(), &[Role::Base])
    }

    /// Has per-example gradients taken of every weight matrix of a linear layer that is trained in full, not of the
    /// head's last alone: those that an adapter replaced, and RoBERTa's `classifier.dense`.
    pub fn probe_every_trained_matrix(&mut self) {
        let replaced = self.brought.parameters.clone();
        for linear in self.linears_mut() {
            let trained = replaced.contains(&format!("{}.weight", linear.name()));
            linear.probe_weight(trained);
        }
        self.network.probe_head();
    }

    /// Replaces the head by a fresh one with `classes` outputs, from `seed`.
    pub fn replace_head(&mut self, classes: usize, seed: u64) {
        self.network.replace_head(classes, &self.device);
        self.pretrained_head = false;
        self.initialise(&[Role::Head], seed);
    }

    /// Whether the head came from a checkpoint or an adapter, not from a seed.
    pub fn has_pretrained_head(&self) -> bool {
        self.pretrained_head
    }

    /// Replaces the head by that of `weights`, with as many classes as it has; nothing for a network without one.
    ///
    /// # Errors
    /// When a parameter of it is missing or has another shape.
    pub fn set_head(&mut self, weights: &Weights) -> Result<(), ModelError> {
        let Some(last) = self.network.classifier() else {
            return Ok(());
        };
        let name = format!("{}.weight", last.name());
        let classes = weights
            .get(&name)
            .and_then(|array| array.shape.first().copied())
            .ok_or(WeightError::Missing { name })?;
        self.network.replace_head(classes, &self.device);
        self.import(&[Role::Head], weights)?;
        self.pretrained_head = true;
        Ok(())
    }

    /// Classes of the head; 0 for a network without one.
    pub fn classes(&self) -> usize {
        let last = self.network.classifier();
        last.map_or(0, |last| last.weight.dims()[0])
    }
}
