//! A Hugging Face checkpoint: settings and weights.
//!
//! Names are PyTorch's, with or without the family's prefix (`bert.`, `roberta.`, `model.`), and with the older
//! `gamma` and `beta` of layer normalisations.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::batch::InputShape;
use super::compute::Compute;
use super::diffusion::{PipelineConfig, is_pipeline};
use super::error::{CheckpointError, ModelError};
use super::huggingface::HuggingFaceConfig;
use super::load::Narrow;
use super::loading::{Loading, Residence, Stream};
use super::model::Model;
use super::parameter::{Parameter, Role};
use super::pretrain::PretrainConfig;
use crate::checkpoints::hub::{Checkpoints, HubError, Located};
use crate::checkpoints::peft::modules::split_layer;
use crate::checkpoints::shards::{Naming, Shards};
use crate::data::Reads;
use crate::input::Problem;

/// A pretrained checkpoint, frozen as it is: `model: {path: FOLDER}`, with or without its
/// `name: checkpoint`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Folder with config.json, model.safetensors (or its shards and their index) and a tokenizer,
    /// relative to the folder that infbench is started in; or, where there is no such folder, the id of
    /// a model on the Hugging Face hub, taken from the local cache or downloaded into it.
    pub path: PathBuf,
    /// Branch, tag or commit of a model on the hub; `main` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Of a diffusion pipeline: settings of `infbench pretrain`, by which `infbench run` trains it where there is no folder
    /// `path` yet; relative to the folder that infbench is started in.
    #[serde(default, skip_serializing)]
    pub pretrain: Option<PathBuf>,
    /// Of a causal language model: whether its layers are in memory one at a time, read again for every pass; `auto`: where
    /// the weights in f32 would take more than half of the machine's memory (on a GPU: more than `INFBENCH_GPU_MEMORY`).
    /// The results are the same to rounding.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stream: Stream,
    /// Of a causal language model: the precision of the products with its frozen matrices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compute: Compute,
    /// Where it lies, once it has been looked up.
    #[serde(skip)]
    located: Option<Located>,
}

impl CheckpointConfig {
    /// A folder, or the id of a model on the hub at its main branch.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            revision: None,
            pretrain: None,
            stream: Stream::default(),
            compute: Compute::default(),
            located: None,
        }
    }

    /// Looks up where it lies.
    ///
    /// # Errors
    /// See [`Checkpoints::locate`].
    pub fn locate(&mut self, checkpoints: &mut Checkpoints) -> Result<(), HubError> {
        let (revision, commit) = (self.revision.as_deref(), self.commit());
        self.located = Some(checkpoints.locate(&self.path, revision, commit)?);
        Ok(())
    }

    /// Takes its files from `folder`, whatever `path` says.
    pub fn lie_in(&mut self, folder: PathBuf) {
        self.located = Some(Located {
            folder,
            commit: None,
        });
    }

    /// Where the files are: `path` itself, or a folder of the cache.
    pub fn folder(&self) -> &Path {
        let located = self.located.as_ref();
        located.map_or(&self.path, |located| &located.folder)
    }

    /// The commit of a model of the hub, once it has been looked up.
    pub fn commit(&self) -> Option<&str> {
        self.located.as_ref()?.commit.as_deref()
    }
}

/// Whether a setting is what it is without being written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A setting that an architecture cannot honour.
fn wrong((field, problem): (&'static str, Problem)) -> ModelError {
    let at = format!("model.{field}");
    ModelError::Setting { at, problem }
}

impl Architecture for CheckpointConfig {
    fn reads() -> &'static [Reads] {
        &[Reads::Texts, Reads::Prompts, Reads::Images]
    }

    fn blank(
        &self,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError> {
        if is_pipeline(self.folder()) {
            return PipelineConfig::read(self.folder())?.blank(input, device);
        }
        let config = HuggingFaceConfig::read(self.folder()).map_err(CheckpointError::from)?;
        config.admits(self.loading()).map_err(wrong)?;
        config.blank(input, classes, device)
    }

    fn build(
        &self,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Model, ModelError> {
        if is_pipeline(self.folder()) {
            let refused = self
                .loading()
                .only_for_language_models("a diffusion pipeline");
            if let Some(found) = refused {
                return Err(wrong(found));
            }
            let pipeline = PipelineConfig::read(self.folder())?;
            return Model::of_pipeline(&pipeline, input, device);
        }
        let checkpoint = Checkpoint::open(self.folder())?.loaded(self.loading());
        Model::from_checkpoint(&checkpoint, input, classes, seed, device)
    }

    fn smallest_input(&self) -> Result<InputShape, ModelError> {
        if is_pipeline(self.folder()) {
            return Ok(PipelineConfig::read(self.folder())?.input([1, 1]));
        }
        Ok(InputShape::Tokens {
            vocabulary: 1,
            max_length: 1,
        })
    }

    fn pretrain(&self) -> Option<&PretrainConfig> {
        None
    }

    fn tokenizer(&self) -> Option<&Path> {
        Some(self.folder())
    }

    fn checkpoint(&self) -> Option<&Path> {
        Some(self.folder())
    }

    fn commit(&self) -> Option<&str> {
        self.commit()
    }

    fn loading(&self) -> Loading {
        Loading {
            stream: self.stream,
            compute: self.compute,
        }
    }
}

/// An opened checkpoint; nothing of it has been copied yet.
#[derive(Debug)]
pub struct Checkpoint {
    /// What config.json says.
    pub config: HuggingFaceConfig,
    /// How its weights are held and multiplied with.
    pub loading: Loading,
    shards: Arc<Shards>,
}

impl Checkpoint {
    /// Maps the files of the checkpoint in `folder`.
    ///
    /// # Errors
    /// Settings that are not supported, missing or damaged files.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let config = HuggingFaceConfig::read(folder)?;
        let naming = Naming {
            stem: "model",
            prefix: config.family.prefix,
            today,
        };
        let shards = Arc::new(Shards::open(folder, naming)?);
        Ok(Self {
            config,
            loading: Loading::default(),
            shards,
        })
    }

    /// The same with its weights held and multiplied with in another way.
    #[must_use]
    pub fn loaded(self, loading: Loading) -> Self {
        Self { loading, ..self }
    }

    /// Whether every one of `parameters` is here with its shape.
    pub fn has(&self, parameters: &[Parameter]) -> bool {
        let has = |p: &Parameter| self.shards.has(&p.name, &p.slot.shape());
        parameters.iter().all(has)
    }

    /// Hash of everything in the files that a model is made of.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", self.config).as_bytes());
        self.shards.feed(&mut hasher);
        if self.loading.compute != Compute::default() {
            hasher.update(self.loading.compute.to_string().as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl Model {
    /// The network of an opened checkpoint with its parameters, its head too when it has one for as many classes; else
    /// the head is drawn from `seed`.
    ///
    /// # Errors
    /// When the input does not fit it, a parameter is missing, of another shape or not finite, or the model does not fit the
    /// machine's memory.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let Checkpoint {
            config,
            loading,
            shards,
        } = checkpoint;
        config.admits(*loading).map_err(wrong)?;
        let mut model = config.blank(input, classes, device)?;
        let failed = |error| ModelError::from(CheckpointError::from(error));
        let weights = Narrow {
            shards: shards.clone(),
            compute: loading.compute,
        };
        let bytes = model.weight_bytes(Some(&weights));
        let residence = Residence::of(&model, bytes, *loading).map_err(wrong)?;
        let (base, head): (Vec<_>, Vec<_>) = model
            .parameters()
            .into_iter()
            .partition(|parameter| parameter.role == Role::Base);
        let mut now = Vec::new();
        for parameter in base {
            if residence == Residence::Whole || split_layer(&parameter.name).is_none() {
                now.push(parameter);
            } else {
                // so that nothing can be wrong later
                let shape = parameter.slot.shape();
                shards.check(&parameter.name, &shape).map_err(failed)?;
            }
        }
        weights.load(now, device).map_err(failed)?;
        if checkpoint.has(&head) {
            weights.load(head, device).map_err(failed)?;
            model.with_pretrained_head();
        } else {
            model.initialise(&[Role::Head], seed);
        }
        model.compute_in(loading.compute);
        if let Residence::Streamed { resident } = residence {
            model.stream(weights, resident).map_err(failed)?;
        }
        shards.release();
        Ok(model)
    }
}

/// The name of today of a layer normalisation's parameters.
fn today(name: &str) -> String {
    for (old, new) in [
        ("LayerNorm.gamma", "LayerNorm.weight"),
        ("LayerNorm.beta", "LayerNorm.bias"),
    ] {
        if let Some(start) = name.strip_suffix(old) {
            return format!("{start}{new}");
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    /// As on a GPU: as narrow as the file, and with the same bits once a layer is widened.
    #[test]
    fn layers_kept_on_the_device_are_those_of_the_files() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama");
        let device = DeviceChoice::Flex.inner();
        let input = InputShape::Tokens {
            vocabulary: 40,
            max_length: 8,
        };
        let loading = Loading {
            stream: Stream::Chosen(true),
            ..Loading::default()
        };
        for (case, bytes) in [("mha", 4), ("gqa_2_tied_linear", 2), ("qwen2", 2)] {
            let folder = fixtures.join(case).join("model");
            let checkpoint = Checkpoint::open(&folder).unwrap().loaded(loading);
            let mut streamed = Model::from_checkpoint(&checkpoint, &input, 0, 1, &device).unwrap();
            let weights = Narrow {
                shards: checkpoint.shards.clone(),
                compute: Compute::F32,
            };
            let sizes = streamed.weight_bytes(Some(&weights));
            assert_eq!(4 * sizes.narrow, bytes * sizes.layers, "{case}");
            let mut kept = streamed.clone();
            kept.stream(weights, true).unwrap();
            let [streamed, kept] = [&streamed, &kept].map(|model| model.layered().unwrap());
            assert_eq!((streamed.resident(), kept.resident()), (0, sizes.narrow));
            for layer in [1, 0] {
                let [mut found, mut expected] = [kept, streamed].map(|m| m.fetch(layer, None));
                for (a, b) in found.parameters().iter().zip(expected.parameters()) {
                    assert_eq!(a.slot.values(), b.slot.values(), "{case}: {}", b.name);
                }
            }
        }
    }
}
