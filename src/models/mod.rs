//! Models with LoRA sites: an architecture is one file that implements [`network::Network`], and one line in
//! [`Model::blank`].
//!
//! Nothing here knows a task, a loss, a method or a metric.

mod batch;
pub mod checkpoint;
pub mod diffusion;
pub mod dropout;
mod error;
pub mod files;
pub mod head;
pub mod huggingface;
mod layer_norm;
pub mod llama;
pub mod lora;
pub mod mlp;
pub mod network;
pub mod ops;
pub mod parameter;
pub mod peft;
pub mod pretrain;
pub mod settings;
pub mod transformer;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Device, Tensor};

pub use batch::{Batch, InputShape, ModelInput, repeated};
pub use dropout::{Dropout, DropoutProbabilities};
pub use error::ModelError;
pub use lora::settings::LoraConfig;
pub use lora::{Adapter, AdapterShape, Pass, Site};
pub use parameter::{Array, Role, WeightError, Weights};
pub use settings::ModelConfig;

use crate::device::DeviceChoice;
use checkpoint::{Checkpoint, CheckpointError};
use diffusion::{PipelineConfig, Unet};
use head::Head;
use huggingface::{Architecture, Family, HuggingFaceConfig};
use llama::Llama;
use lora::{LoraLinear, targets};
use mlp::Mlp;
use network::Network;
use parameter::Parameter;
use transformer::{EncoderShape, Transformer};

/// A [network](Network) on a device, with what is known of where its parameters came from.
///
/// Adapters and head are trained; the head's bias too, although its gradient is not among the blocks
/// of the Fisher (as in the paper's code).
#[derive(Clone, Debug)]
pub struct Model {
    network: Box<dyn Network>,
    /// Whether the head came from a checkpoint or an adapter.
    pretrained_head: bool,
    /// What a checkpoint's config.json says; none for a network of our own.
    dropout: DropoutProbabilities,
    /// What an adapter brought along in place of the base's.
    replaced: Replaced,
    family: Option<Family>,
    device: Device,
}

/// Parameters of the base that an adapter replaced, because it trains them in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Their names.
    pub parameters: BTreeSet<String>,
    /// The modules that the adapter names, by the ends of their names (PEFT's `modules_to_save`).
    pub modules: Vec<String>,
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
    /// The network without adapters. A checkpoint's parameters come from its files, its head too when
    /// it has one for as many classes; all others are drawn from `seed`.
    ///
    /// # Errors
    /// When the settings contradict themselves or the input, or a checkpoint cannot be loaded.
    pub fn new(
        config: &ModelConfig,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if let ModelConfig::Checkpoint(config) = config {
            if diffusion::is_pipeline(config.folder()) {
                let pipeline = PipelineConfig::read(config.folder())?;
                return Self::of_pipeline(&pipeline, input, device);
            }
            let checkpoint = Checkpoint::open(config.folder())?;
            return Self::from_checkpoint(&checkpoint, input, classes, seed, device);
        }
        let mut model = Self::blank(config, input, classes, device)?;
        model.initialise(&[Role::Base, Role::Head], seed);
        Ok(model)
    }

    /// The UNet of a diffusion pipeline.
    ///
    /// # Errors
    /// When the input is none for it, or its weights cannot be loaded.
    pub fn of_pipeline(
        pipeline: &PipelineConfig,
        input: &InputShape,
        device: &Device,
    ) -> Result<Self, ModelError> {
        pipeline.admits(input)?;
        let unet = pipeline.load_unet(device)?;
        Ok(Self::of_network(Box::new(unet), device))
    }

    /// A network of our own, as it is.
    pub fn of_network(network: Box<dyn Network>, device: &Device) -> Self {
        Self {
            network,
            pretrained_head: false,
            dropout: DropoutProbabilities::default(),
            replaced: Replaced::default(),
            family: None,
            device: device.clone(),
        }
    }

    /// The network of an opened checkpoint; see [`Self::new`].
    ///
    /// # Errors
    /// When the input does not fit it, or a parameter is missing or of another shape.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut model = Self::of_checkpoint(&checkpoint.config, input, classes, device)?;
        let (base, head): (Vec<_>, Vec<_>) = model
            .parameters()
            .into_iter()
            .partition(|parameter| parameter.role == Role::Base);
        checkpoint.load(base, device)?;
        if checkpoint.has(&head) {
            checkpoint.load(head, device)?;
            model.pretrained_head = true;
        } else {
            model.initialise(&[Role::Head], seed);
        }
        Ok(model)
    }

    /// The network with zeros for parameters: its shape, at little cost.
    ///
    /// # Errors
    /// As [`Self::new`], but for a checkpoint's weights, which are not looked at.
    pub fn blank(
        config: &ModelConfig,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if let Some((field, problem)) = config.problem() {
            let at = format!("model.{field}");
            return Err(ModelError::Setting { at, problem });
        }
        let linear_head = |hidden| Head::linear(hidden, classes, device);
        let network: Box<dyn Network> = match config {
            ModelConfig::Checkpoint(config) if diffusion::is_pipeline(config.folder()) => {
                let pipeline = PipelineConfig::read(config.folder())?;
                pipeline.admits(input)?;
                Box::new(Unet::new(&pipeline.unet, device))
            }
            _ if matches!(input, InputShape::Latents { .. }) => {
                return Err(ModelError::LatentsElsewhere);
            }
            ModelConfig::Checkpoint(config) => {
                let config =
                    HuggingFaceConfig::read(config.folder()).map_err(CheckpointError::from)?;
                return Self::of_checkpoint(&config, input, classes, device);
            }
            ModelConfig::Transformer(config) => {
                let (shape, head) = (EncoderShape::from(config), linear_head(config.hidden));
                Box::new(Transformer::new(&shape, input, head, device))
            }
            ModelConfig::Mlp(config) => match *input {
                InputShape::Features { tokens, features } => Box::new(Mlp::new(
                    config.hidden,
                    config.layers,
                    tokens * features,
                    linear_head(config.hidden),
                    device,
                )),
                InputShape::Tokens { .. } | InputShape::Latents { .. } => {
                    return Err(ModelError::TokensForMlp);
                }
            },
            ModelConfig::Llama(config) => match *input {
                InputShape::Tokens {
                    vocabulary,
                    max_length,
                } => Box::new(Llama::new(&config.shape(vocabulary, max_length), device)),
                InputShape::Features { .. } | InputShape::Latents { .. } => {
                    return Err(ModelError::FeaturesForLlama);
                }
            },
        };
        Ok(Self::of_network(network, device))
    }

    /// The network of a checkpoint, zeros; an encoder has a head for `classes`.
    fn of_checkpoint(
        config: &HuggingFaceConfig,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        match *input {
            InputShape::Features { .. } => return Err(ModelError::FeaturesForCheckpoint),
            InputShape::Latents { .. } => return Err(ModelError::LatentsElsewhere),
            InputShape::Tokens { vocabulary, .. } if vocabulary > config.vocabulary => {
                return Err(ModelError::Vocabulary {
                    found: vocabulary,
                    most: config.vocabulary,
                });
            }
            InputShape::Tokens { max_length, .. } if max_length > config.longest() => {
                return Err(ModelError::TooLong {
                    found: max_length,
                    most: config.longest(),
                });
            }
            InputShape::Tokens { .. } => {}
        }
        let network: Box<dyn Network> = match &config.architecture {
            Architecture::Encoder(encoder) => {
                let tables = InputShape::Tokens {
                    vocabulary: encoder.vocabulary,
                    max_length: encoder.positions,
                };
                let head = config.family.head(config.hidden, classes, device);
                Box::new(Transformer::new(&encoder.shape, &tables, head, device))
            }
            Architecture::Decoder(shape) => Box::new(Llama::new(shape, device)),
        };
        Ok(Self {
            network,
            pretrained_head: false,
            dropout: config.dropout,
            replaced: Replaced::default(),
            family: Some(config.family),
            device: device.clone(),
        })
    }

    /// The network with blank parameters for inputs of the smallest size: what there is to know before anything is
    /// computed, the names and shapes of its linear layers.
    ///
    /// # Errors
    /// As [`Self::blank`].
    pub fn outline(config: &ModelConfig) -> Result<Self, ModelError> {
        let input = match config {
            ModelConfig::Checkpoint(config) if diffusion::is_pipeline(config.folder()) => {
                PipelineConfig::read(config.folder())?.input([1, 1])
            }
            ModelConfig::Checkpoint(_) | ModelConfig::Llama(_) => InputShape::Tokens {
                vocabulary: 1,
                max_length: 1,
            },
            _ => InputShape::Features {
                tokens: 1,
                features: 1,
            },
        };
        Self::blank(config, &input, 2, &DeviceChoice::Flex.inner())
    }

    /// The linear layers that carry adapters by `lora`, in the order of a forward pass.
    ///
    /// # Errors
    /// When `lora` does not fit the network, see [`targets::select`].
    pub fn targets(&self, lora: &LoraConfig) -> Result<Vec<&LoraLinear>, targets::Wrong> {
        let prefix = self.family.map_or("", Family::name);
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
        self.initialise(&[Role::Adapter], seed);
        Ok(())
    }

    /// How many layers have an adapter.
    pub fn adapted_layers(&self) -> usize {
        let adapted = self.adapted().into_iter();
        let layers = adapted.filter_map(|linear| self.network.layer_of(linear.name()));
        layers.collect::<BTreeSet<usize>>().len()
    }

    /// Replaces the head by a fresh one with `classes` outputs, from `seed`.
    pub fn replace_head(&mut self, classes: usize, seed: u64) {
        if let Some(head) = self.network.head_mut() {
            head.replace(classes, &self.device);
        }
        self.pretrained_head = false;
        self.initialise(&[Role::Head], seed);
    }

    /// Whether the head came from a checkpoint or an adapter, not from a seed.
    pub fn has_pretrained_head(&self) -> bool {
        self.pretrained_head
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

    /// Replaces parameters of the base by those that an adapter trains in full; `modules` is what it calls them.
    ///
    /// # Errors
    /// When a shape differs.
    pub fn replace_base(
        &mut self,
        weights: &Weights,
        modules: Vec<String>,
    ) -> Result<(), ModelError> {
        let device = self.device.clone();
        let parameters = self.parameters().into_iter();
        let parameters = parameters.filter(|parameter| weights.contains_key(&parameter.name));
        parameter::import(parameters.collect(), &[Role::Base], weights, &device)?;
        self.replaced = Replaced {
            parameters: weights.keys().cloned().collect(),
            modules,
        };
        Ok(())
    }

    /// What an adapter brought along in place of the base's.
    pub fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// Plain copies of [`Self::replaced`].
    pub fn export_replaced(&mut self) -> Weights {
        let names = self.replaced.parameters.clone();
        let parameters = self.parameters().into_iter();
        let parameters = parameters.filter(|parameter| names.contains(&parameter.name));
        parameter::export(parameters.collect(), &[Role::Base])
    }

    /// Has per-example gradients taken of every weight matrix of a linear layer that is trained in full, not of the
    /// head's last alone: those that an adapter replaced, and RoBERTa's `classifier.dense`.
    pub fn probe_every_trained_matrix(&mut self) {
        let replaced = self.replaced.parameters.clone();
        for linear in self.linears_mut() {
            let trained = replaced.contains(&format!("{}.weight", linear.name()));
            linear.probe_weight(trained);
        }
        if let Some(head) = self.network.head_mut() {
            head.probe_dense(true);
        }
    }

    /// Replaces the head by that of `weights`, with as many classes as it has.
    ///
    /// # Errors
    /// When a parameter of it is missing or has another shape.
    pub fn set_head(&mut self, weights: &Weights) -> Result<(), ModelError> {
        let Some(head) = self.network.head_mut() else {
            return Ok(());
        };
        let name = format!("{}.weight", head.last().name());
        let classes = weights
            .get(&name)
            .and_then(|array| array.shape.first().copied())
            .ok_or(WeightError::Missing { name })?;
        head.replace(classes, &self.device);
        self.import(&[Role::Head], weights)?;
        self.pretrained_head = true;
        Ok(())
    }

    fn initialise(&mut self, roles: &[Role], seed: u64) {
        let device = self.device.clone();
        parameter::initialise(self.parameters(), roles, seed, &device);
    }

    /// What the network makes of a batch, `[n, positions, outputs]`.
    pub fn output(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        self.network.forward(batch, pass)
    }

    /// Logits `[n, classes]`.
    pub fn logits(&self, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        self.output(batch, pass).squeeze_dim(1)
    }

    /// Logits over the vocabulary, `[k, vocabulary]`, of hidden states `[k, width]` of a language model.
    pub fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.network.unembed(hidden)
    }

    /// Makes passes that train nothing faster, until the parameters are asked for to be changed.
    pub fn freeze(&mut self) {
        self.network.freeze();
    }

    /// Turns every parameter into f64, for derivatives that f32 is too coarse for: passes then go through the
    /// framework's own operations, far slower, on batches that are [widened](Batch::widen) too.
    pub fn widen(&mut self) {
        for parameter in &mut self.parameters() {
            parameter.slot.widen();
        }
    }

    /// How many layers lie below the first adapted one, so that their activations do not change while
    /// adapters and head are trained; 0 when there is none.
    pub fn layers_below_adapters(&self) -> usize {
        self.network.layers_below_adapters()
    }

    /// What the embedding and the first `depth` layers make of a batch, `[n, t, h]`.
    ///
    /// # Panics
    /// When the network has no such layers, see [`Self::layers_below_adapters`].
    pub fn activations(&self, batch: &Batch, depth: usize) -> Tensor<3> {
        self.network.activations(batch, depth)
    }

    /// Every parameter in a stable order; the head comes last.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        self.network.parameters()
    }

    /// The linear layers that can carry an adapter, in the order in which a forward pass meets them.
    pub fn linears(&self) -> Vec<&LoraLinear> {
        self.network.adaptable()
    }

    fn linears_mut(&mut self) -> Vec<&mut LoraLinear> {
        self.network.adaptable_mut()
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
        Ok(parameter::import(
            self.parameters(),
            roles,
            weights,
            &device,
        )?)
    }

    /// Number of parameters of `roles`.
    pub fn count(&mut self, roles: &[Role]) -> usize {
        self.parameters()
            .iter()
            .filter(|parameter| roles.contains(&parameter.role))
            .map(|parameter| parameter.slot.count())
            .sum()
    }

    /// The family of a checkpoint; `None` for a network of our own.
    pub fn family(&self) -> Option<Family> {
        self.family
    }

    /// The dropout that a checkpoint's config.json asks for in train mode; none for a network of our own.
    pub fn dropout(&self) -> DropoutProbabilities {
        self.dropout
    }

    /// Classes of the head; 0 for a network without one.
    pub fn classes(&self) -> usize {
        let head = self.network.head();
        head.map_or(0, |head| head.last().weight.dims()[0])
    }

    /// Width of the vectors that layers pass on.
    pub fn width(&self) -> usize {
        self.network.width()
    }

    /// Layers of the network.
    pub fn layers(&self) -> usize {
        self.network.layers()
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::lora::settings::TargetModules;
    use super::settings::TransformerConfig;
    use super::*;
    use crate::data::Targets;
    use crate::device::DeviceChoice;
    use crate::random;

    fn transformer() -> ModelConfig {
        ModelConfig::Transformer(TransformerConfig {
            hidden: 12,
            heads: 3,
            layers: 2,
            ffn: 20,
            pretrain: None,
        })
    }

    fn lora<const N: usize>(targets: [&str; N]) -> LoraConfig {
        LoraConfig {
            rank: 2,
            targets: TargetModules::names(targets),
            ..LoraConfig::default()
        }
    }

    fn tokens() -> InputShape {
        InputShape::Tokens {
            vocabulary: 9,
            max_length: 6,
        }
    }

    fn batch(rows: &[&[i64]]) -> Batch {
        let device = DeviceChoice::Flex.inner();
        let t = rows.iter().map(|row| row.len()).max().expect("rows");
        let ids: Vec<i64> = rows
            .iter()
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat(0)).take(t))
            .collect();
        Batch {
            input: ModelInput::Tokens(Tensor::from_data(
                TensorData::new(ids, [rows.len(), t]),
                &device,
            )),
            types: None,
            lengths: Some(rows.iter().map(|row| row.len()).collect()),
            attended: None,
            timesteps: None,
            targets: Targets::Classes(vec![0; rows.len()]),
            device,
        }
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        parameter::to_f32(tensor.inner().into_data())
    }

    /// A model whose adapters and head do something.
    fn adapted<const N: usize>(targets: [&str; N]) -> Model {
        let mut model =
            Model::new(&transformer(), &tokens(), 3, 1, &DeviceChoice::Flex.inner()).unwrap();
        model.adapt(&lora(targets), 1).unwrap();
        let mut weights = model.export(&[Role::Adapter, Role::Head]);
        let mut rng = random::rng(1, "test", "weights");
        weights
            .values_mut()
            .flat_map(|array| &mut array.values)
            .for_each(|value| *value = rng.random::<f32>() - 0.5);
        model
            .import(&[Role::Adapter, Role::Head], &weights)
            .unwrap();
        model
    }

    #[test]
    fn gradient_tensors_are_named_and_shaped_as_in_peft() {
        let found = adapted(["ffn", "query"]).gradient_tensors();
        let expected = [
            ("attention.self.query.lora_A.weight", [2, 12]),
            ("attention.self.query.lora_B.weight", [12, 2]),
            ("intermediate.dense.lora_A.weight", [2, 12]),
            ("intermediate.dense.lora_B.weight", [20, 2]),
            ("output.dense.lora_A.weight", [2, 20]),
            ("output.dense.lora_B.weight", [12, 2]),
        ];
        let expected = (0..2)
            .flat_map(|layer| {
                expected.map(|(name, shape)| GradientTensor {
                    name: format!("encoder.layer.{layer}.{name}"),
                    shape,
                })
            })
            .chain([GradientTensor {
                name: "classifier.weight".into(),
                shape: [3, 12],
            }]);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn fresh_adapters_change_nothing() {
        let model =
            Model::new(&transformer(), &tokens(), 3, 1, &DeviceChoice::Flex.inner()).unwrap();
        let mut with = model.clone();
        with.adapt(&lora(["value", "ffn"]), 1).unwrap();
        let batch = batch(&[&[1, 2, 3], &[4]]);
        let found = values(with.logits(&batch, &mut Pass::Plain));
        assert_eq!(found, values(model.logits(&batch, &mut Pass::Plain)));
        let a =
            &with.export(&[Role::Adapter])["encoder.layer.0.attention.self.value.lora_A.weight"];
        let deviation = (a.values.iter().map(|value| value * value).sum::<f32>()
            / a.values.len() as f32)
            .sqrt();
        // 24 draws with standard deviation 1/√(3·12) = 1/6
        assert!((0.1..0.25).contains(&deviation), "{deviation}");
    }

    #[test]
    fn padding_does_not_reach_the_logits() {
        let model = adapted(["key", "value"]);
        let together = values(model.logits(
            &batch(&[&[1, 2], &[5, 4, 3, 2, 1, 6], &[8]]),
            &mut Pass::Plain,
        ));
        for (index, row) in [&[1i64, 2][..], &[5, 4, 3, 2, 1, 6], &[8]]
            .into_iter()
            .enumerate()
        {
            let alone = values(model.logits(&batch(&[row]), &mut Pass::Plain));
            for (a, b) in alone.iter().zip(&together[index * 3..]) {
                assert!((a - b).abs() < 2e-6 * a.abs().max(1.0), "{a} against {b}");
            }
        }
    }

    #[test]
    fn passes_agree_but_for_dropout() {
        let model = adapted(["query", "value", "output", "ffn"]);
        let batch = batch(&[&[1, 2, 3], &[4, 7, 7]]);
        let plain = values(model.logits(&batch, &mut Pass::Plain));
        let training = |dropout: Dropout, purpose: &str| {
            let mut pass = Pass::Training {
                dropout,
                rng: Box::new(random::rng(1, "test", purpose)),
            };
            values(model.logits(&batch, &mut pass))
        };
        let mut probed = Pass::Probed(Vec::new());
        for (a, b) in values(model.logits(&batch, &mut probed)).iter().zip(&plain) {
            assert!((a - b).abs() < 1e-5, "{a} against {b}");
        }
        assert_eq!(training(Dropout::default(), "a"), plain);
        let base = |base| Dropout { adapter: 0.0, base };
        for dropout in [
            Dropout {
                adapter: 0.5,
                ..Dropout::default()
            },
            base(DropoutProbabilities {
                hidden: 0.5,
                ..DropoutProbabilities::default()
            }),
            base(DropoutProbabilities {
                attention: 0.5,
                ..DropoutProbabilities::default()
            }),
            base(DropoutProbabilities {
                classifier: 0.5,
                ..DropoutProbabilities::default()
            }),
        ] {
            assert_ne!(training(dropout, "a"), plain, "{dropout:?}");
            assert_ne!(training(dropout, "a"), training(dropout, "b"));
            assert_eq!(training(dropout, "a"), training(dropout, "a"));
        }
    }

    #[test]
    fn weights_are_checked_by_name_and_shape() {
        let mut model = adapted(["value"]);
        let weights = model.export(&[Role::Head]);
        let missing = Weights::from([(
            "classifier.weight".to_owned(),
            weights["classifier.weight"].clone(),
        )]);
        assert_eq!(
            model.import(&[Role::Head], &missing),
            Err(WeightError::Missing {
                name: "classifier.bias".into()
            }
            .into())
        );
        let mut other = weights.clone();
        other.get_mut("classifier.weight").unwrap().shape = vec![12, 3];
        let expected = WeightError::Shape {
            name: "classifier.weight".into(),
            found: vec![12, 3],
            expected: vec![3, 12],
        };
        assert_eq!(model.import(&[Role::Head], &other), Err(expected.into()));
    }
}
