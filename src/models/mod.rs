//! Models with LoRA sites, one file an architecture.
//!
//! Nothing here knows a task, a method or a metric.

pub mod files;
pub mod lora;
pub mod mlp;
pub mod ops;
pub mod parameter;
pub mod transformer;

use burn::tensor::{Device, Int, Tensor, activation};
use thiserror::Error;

pub use lora::{Adapter, Pass, Site};
pub use parameter::{Array, Role, Weights};

use crate::config::lora as lora_config;
use crate::config::{LayerSelection, LoraConfig, LoraTarget, ModelConfig};
use lora::{Linear, LoraLinear};
use mlp::Mlp;
use parameter::Parameter;
use transformer::{EncoderShape, Transformer};

/// Why a model cannot be built or loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A size of 0.
    #[error("model.{setting} is 0; at least 1 is needed")]
    Empty {
        /// The setting.
        setting: &'static str,
    },
    /// The heads do not divide the width.
    #[error("model.hidden = {hidden} is not a multiple of model.heads = {heads}")]
    Heads {
        /// Width.
        hidden: usize,
        /// Heads.
        heads: usize,
    },
    /// Rank 0, or more than a target matrix's smaller side.
    #[error("lora.rank = {rank} is outside 1..={largest}, the smaller side of `{target}` ({outputs}×{inputs})")]
    Rank {
        /// The rank given.
        rank: usize,
        /// The largest that fits.
        largest: usize,
        /// The tightest target.
        target: &'static str,
        /// Its outputs.
        outputs: usize,
        /// Its inputs.
        inputs: usize,
    },
    /// A layer that the model lacks.
    #[error("lora.layers names layer {layer}; the model has layers 0..={}", .layers - 1)]
    Layer {
        /// The layer given.
        layer: usize,
        /// Layers that there are.
        layers: usize,
    },
    /// More layers asked for than there are.
    #[error("lora.layers asks for {asked} layers; the model has {layers}")]
    LayerCount {
        /// Layers asked for.
        asked: usize,
        /// Layers that there are.
        layers: usize,
    },
    /// A target that the architecture lacks.
    #[error("lora.targets: a {model} has no `{target}`; it has: {has}")]
    Target {
        /// The architecture.
        model: &'static str,
        /// The target given.
        target: &'static str,
        /// What it has.
        has: &'static str,
    },
    /// Nothing to adapt.
    #[error("lora.{setting} is empty; at least one is needed")]
    NoTargets {
        /// The setting.
        setting: &'static str,
    },
    /// A perceptron was given token ids.
    #[error("an mlp takes features, not tokens; use model transformer for this task")]
    TokensForMlp,
    /// A file lacks a parameter.
    #[error("the weights lack `{name}`")]
    MissingWeight {
        /// Its name.
        name: String,
    },
    /// A parameter of another shape.
    #[error("weight `{name}` has shape {found:?}; {expected:?} was expected")]
    WeightShape {
        /// Its name.
        name: String,
        /// Shape found.
        found: Vec<usize>,
        /// Shape expected.
        expected: Vec<usize>,
    },
}

/// Form of a model's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputShape {
    /// Token ids below `vocabulary`, at most `max_length` an example.
    Tokens {
        /// Number of ids.
        vocabulary: usize,
        /// Longest example.
        max_length: usize,
    },
    /// `tokens` × `features` real numbers an example.
    Features {
        /// Tokens an example.
        tokens: usize,
        /// Features a token.
        features: usize,
    },
}

/// Inputs of a batch.
#[derive(Clone, Debug)]
pub enum ModelInput {
    /// Ids, `[n, t]`, padded at the end.
    Tokens(Tensor<2, Int>),
    /// Features, `[n, t, f]`.
    Features(Tensor<3>),
}

/// Examples on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The inputs.
    pub input: ModelInput,
    /// Real tokens of every example; `None` when all are real.
    pub lengths: Option<Vec<usize>>,
    /// Labels, `[n]`.
    pub labels: Tensor<1, Int>,
    /// Where the tensors are.
    pub device: Device,
}

impl Batch {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Clone, Debug)]
enum Body {
    Transformer(Transformer),
    Mlp(Mlp),
}

/// A network with LoRA sites and a linear head.
///
/// Adapters and head are trained; the head's bias too, although its gradient is not among the blocks
/// of the Fisher (as in the paper's code).
#[derive(Clone, Debug)]
pub struct Model {
    body: Body,
    head: Linear,
    layers: usize,
    device: Device,
}

/// Per-example gradient of one trained matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GradientTensor {
    /// Name as in PEFT, e.g. `encoder.layer.0.attention.self.value.lora_A.weight`.
    pub name: String,
    /// Shape of one example's gradient.
    pub shape: [usize; 2],
}

impl Model {
    /// The network without adapters; all parameters from `seed`.
    ///
    /// # Errors
    /// When the settings contradict themselves or the input.
    pub fn new(config: &ModelConfig, input: &InputShape, classes: usize, seed: u64, device: &Device) -> Result<Self, ModelError> {
        validate_model(config)?;
        let (body, hidden, layers) = match config {
            ModelConfig::Transformer(config) => {
                let shape = EncoderShape::from(config);
                (Body::Transformer(Transformer::new(&shape, input, device)), config.hidden, config.layers)
            }
            ModelConfig::Mlp(config) => match *input {
                InputShape::Features { tokens, features } => {
                    (Body::Mlp(Mlp::new(config.hidden, config.layers, tokens * features, device)), config.hidden, config.layers)
                }
                InputShape::Tokens { .. } => return Err(ModelError::TokensForMlp),
            },
        };
        let mut model = Self { body, head: Linear::new("classifier", hidden, classes, device), layers, device: device.clone() };
        model.initialise(&[Role::Base, Role::Head], seed);
        Ok(model)
    }

    /// Hangs fresh adapters on, from `seed`, in place of any that there are.
    ///
    /// # Errors
    /// When `lora` does not fit the architecture.
    pub fn adapt(&mut self, config: &ModelConfig, lora: &LoraConfig, seed: u64) -> Result<(), ModelError> {
        validate(config, lora)?;
        let device = self.device.clone();
        for layer in lora.layers.indices(self.layers) {
            for &target in &lora.targets {
                let matrices = match &mut self.body {
                    Body::Transformer(body) => body.targets(layer, target),
                    Body::Mlp(body) => body.targets(layer, target),
                };
                for matrix in matrices {
                    matrix.adapt(lora.rank, lora.scale(), &device);
                }
            }
        }
        self.initialise(&[Role::Adapter], seed);
        Ok(())
    }

    /// Replaces the head by a fresh one with `classes` outputs, from `seed`.
    pub fn replace_head(&mut self, classes: usize, seed: u64) {
        let hidden = self.head.weight.dims()[1];
        self.head = Linear::new("classifier", hidden, classes, &self.device);
        self.initialise(&[Role::Head], seed);
    }

    fn initialise(&mut self, roles: &[Role], seed: u64) {
        let device = self.device.clone();
        parameter::initialise(self.parameters(), roles, seed, &device);
    }

    /// Logits `[n, classes]`.
    pub fn logits(&self, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let pooled = match &self.body {
            Body::Transformer(body) => body.encode(batch, pass),
            Body::Mlp(body) => body.encode(batch, pass),
        };
        self.head.forward_head(pooled, pass).squeeze_dim(1)
    }

    /// Every parameter in a stable order; the head comes last.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = match &mut self.body {
            Body::Transformer(body) => body.parameters(),
            Body::Mlp(body) => body.parameters(),
        };
        all.extend(self.head.parameters(Role::Head, 0.02));
        all
    }

    /// The adapted matrices in the order in which a forward pass meets them.
    pub fn adapted(&self) -> Vec<&LoraLinear> {
        match &self.body {
            Body::Transformer(body) => body.adapted(),
            Body::Mlp(body) => body.adapted(),
        }
    }

    /// The tensors that per-example gradients consist of: A and B of every adapted matrix in order,
    /// then `classifier.weight`.
    pub fn gradient_tensors(&self) -> Vec<GradientTensor> {
        let mut tensors = Vec::new();
        for linear in self.adapted() {
            if let Some(adapter) = linear.adapter() {
                tensors.push(GradientTensor { name: format!("{}.lora_A.weight", linear.name()), shape: adapter.a.dims() });
                tensors.push(GradientTensor { name: format!("{}.lora_B.weight", linear.name()), shape: adapter.b.dims() });
            }
        }
        tensors.push(GradientTensor { name: "classifier.weight".into(), shape: self.head.weight.dims() });
        tensors
    }

    /// Plain copies of the parameters of `roles`.
    pub fn export(&mut self, roles: &[Role]) -> Weights {
        parameter::export(self.parameters(), roles)
    }

    /// Sets the parameters of `roles`.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub fn import(&mut self, roles: &[Role], weights: &Weights) -> Result<(), ModelError> {
        let device = self.device.clone();
        parameter::import(self.parameters(), roles, weights, &device)
    }

    /// Number of parameters of `roles`.
    pub fn count(&mut self, roles: &[Role]) -> usize {
        self.export(roles).values().map(|array| array.values.len()).sum()
    }

    /// Layers of the network.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Cross-entropy of every example, not reduced, `[n]`.
pub fn losses(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let n = labels.dims()[0];
    activation::log_softmax(logits, 1).gather(1, labels.reshape([n, 1])).squeeze_dim::<1>(1).neg()
}

fn validate_model(config: &ModelConfig) -> Result<(), ModelError> {
    let sizes: &[(&'static str, usize)] = match config {
        ModelConfig::Transformer(c) => &[("hidden", c.hidden), ("heads", c.heads), ("layers", c.layers), ("ffn", c.ffn)],
        ModelConfig::Mlp(c) => &[("hidden", c.hidden), ("layers", c.layers)],
    };
    if let Some(&(setting, _)) = sizes.iter().find(|(_, size)| *size == 0) {
        return Err(ModelError::Empty { setting });
    }
    match config {
        ModelConfig::Transformer(c) if c.hidden % c.heads != 0 => Err(ModelError::Heads { hidden: c.hidden, heads: c.heads }),
        _ => Ok(()),
    }
}

/// Checks that a model can be built and `lora` fits it, before anything is computed.
///
/// # Errors
/// Width not divisible by the heads, rank outside 1..=smaller side of a target, a layer or a target
/// that the architecture lacks, nothing to adapt.
pub fn validate(config: &ModelConfig, lora: &LoraConfig) -> Result<(), ModelError> {
    validate_model(config)?;
    let layers = match config {
        ModelConfig::Transformer(c) => c.layers,
        ModelConfig::Mlp(c) => c.layers,
    };
    match &lora.layers {
        LayerSelection::Every(_) => {}
        LayerSelection::List(list) => {
            if list.is_empty() {
                return Err(ModelError::NoTargets { setting: "layers" });
            }
            if let Some(&layer) = list.iter().find(|&&layer| layer >= layers) {
                return Err(ModelError::Layer { layer, layers });
            }
        }
        LayerSelection::Last(lora_config::LastLayers { last: asked }) | LayerSelection::First(lora_config::FirstLayers { first: asked }) => {
            if *asked == 0 {
                return Err(ModelError::NoTargets { setting: "layers" });
            }
            if *asked > layers {
                return Err(ModelError::LayerCount { asked: *asked, layers });
            }
        }
    }
    if lora.targets.is_empty() {
        return Err(ModelError::NoTargets { setting: "targets" });
    }
    for &target in &lora.targets {
        let name = target_name(target);
        let (outputs, inputs) = match config {
            ModelConfig::Transformer(c) if target == LoraTarget::Ffn => (c.ffn, c.hidden),
            ModelConfig::Transformer(c) => (c.hidden, c.hidden),
            ModelConfig::Mlp(c) if target == LoraTarget::Ffn => (c.hidden, c.hidden),
            ModelConfig::Mlp(_) => return Err(ModelError::Target { model: "mlp", target: name, has: "ffn" }),
        };
        let largest = outputs.min(inputs);
        if lora.rank == 0 || lora.rank > largest {
            return Err(ModelError::Rank { rank: lora.rank, largest, target: name, outputs, inputs });
        }
    }
    Ok(())
}

fn target_name(target: LoraTarget) -> &'static str {
    match target {
        LoraTarget::Query => "query",
        LoraTarget::Key => "key",
        LoraTarget::Value => "value",
        LoraTarget::Output => "output",
        LoraTarget::Ffn => "ffn",
    }
}
