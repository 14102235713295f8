//! Settings that do not fit a model, found before anything is computed.

use thiserror::Error;

use super::checkpoint::CheckpointError;
use super::huggingface::HuggingFaceConfig;
use super::parameter::WeightError;
use crate::config::lora::{FirstLayers, LastLayers, LayerRange};
use crate::config::{LayerSelection, LoraConfig, LoraTarget, ModelConfig};

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
    #[error(
        "lora.rank = {rank} is outside 1..={largest}, the smaller side of `{target}` ({outputs}×{inputs})"
    )]
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
    /// A range that ends below its start.
    #[error("lora.layers goes from {from} to {to}; at least {from} is needed as its end")]
    LayerRange {
        /// First layer.
        from: usize,
        /// Last layer.
        to: usize,
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
    /// Two targets that share a matrix.
    #[error("lora.targets: `{first}` and `{second}` share a matrix")]
    Overlap {
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
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
    /// A checkpoint was given features.
    #[error("a checkpoint takes tokens, not features; use model transformer for this task")]
    FeaturesForCheckpoint,
    /// More token ids than a checkpoint has.
    #[error("the tokenizer has {found} ids; the checkpoint has embeddings for {most}")]
    Vocabulary {
        /// Ids of the tokenizer.
        found: usize,
        /// Rows of the checkpoint's table.
        most: usize,
    },
    /// Longer sequences than a checkpoint has positions for.
    #[error("max_length is {found}; the checkpoint has positions for {most} tokens")]
    TooLong {
        /// Length asked for.
        found: usize,
        /// Longest there is.
        most: usize,
    },
    /// A checkpoint cannot be loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights that do not fit.
    #[error(transparent)]
    Weight(#[from] WeightError),
}

pub(super) fn validate_model(config: &ModelConfig) -> Result<(), ModelError> {
    let sizes: &[(&'static str, usize)] = match config {
        ModelConfig::Transformer(c) => &[
            ("hidden", c.hidden),
            ("heads", c.heads),
            ("layers", c.layers),
            ("ffn", c.ffn),
        ],
        ModelConfig::Mlp(c) => &[("hidden", c.hidden), ("layers", c.layers)],
        // config.json is checked when it is read
        ModelConfig::Checkpoint(_) => &[],
    };
    if let Some(&(setting, _)) = sizes.iter().find(|(_, size)| *size == 0) {
        return Err(ModelError::Empty { setting });
    }
    match config {
        ModelConfig::Transformer(c) if c.hidden % c.heads != 0 => Err(ModelError::Heads {
            hidden: c.hidden,
            heads: c.heads,
        }),
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
    let (layers, hidden, ffn) = match config {
        ModelConfig::Transformer(c) => (c.layers, c.hidden, c.ffn),
        ModelConfig::Mlp(c) => (c.layers, c.hidden, c.hidden),
        ModelConfig::Checkpoint(c) => {
            let c = HuggingFaceConfig::read(c.folder()).map_err(CheckpointError::from)?;
            (c.layers, c.hidden, c.ffn)
        }
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
        LayerSelection::Last(LastLayers { last: asked })
        | LayerSelection::First(FirstLayers { first: asked }) => {
            if *asked == 0 {
                return Err(ModelError::NoTargets { setting: "layers" });
            }
            if *asked > layers {
                return Err(ModelError::LayerCount {
                    asked: *asked,
                    layers,
                });
            }
        }
        LayerSelection::Range(LayerRange { from, to }) => {
            if *to >= layers {
                return Err(ModelError::Layer { layer: *to, layers });
            }
            if from > to {
                return Err(ModelError::LayerRange {
                    from: *from,
                    to: *to,
                });
            }
        }
    }
    if lora.targets.is_empty() {
        return Err(ModelError::NoTargets { setting: "targets" });
    }
    for (index, &target) in lora.targets.iter().enumerate() {
        let name = target.name();
        let before = &lora.targets[..index];
        if let Some(other) = before.iter().find(|other| other.overlaps(target)) {
            return Err(ModelError::Overlap {
                first: other.name(),
                second: name,
            });
        }
        let (outputs, inputs) = match (config, target) {
            (ModelConfig::Mlp(_), LoraTarget::Ffn) => (hidden, hidden),
            (ModelConfig::Mlp(_), _) => {
                return Err(ModelError::Target {
                    model: "mlp",
                    target: name,
                    has: "ffn",
                });
            }
            (_, LoraTarget::Ffn | LoraTarget::FfnIn) => (ffn, hidden),
            (_, LoraTarget::FfnOut) => (hidden, ffn),
            _ => (hidden, hidden),
        };
        let largest = outputs.min(inputs);
        if lora.rank == 0 || lora.rank > largest {
            return Err(ModelError::Rank {
                rank: lora.rank,
                largest,
                target: name,
                outputs,
                inputs,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{InputShape, Model};
    use super::*;
    use crate::config::lora::AllLayers;
    use crate::config::{MlpConfig, TransformerConfig};
    use crate::device::DeviceChoice;

    fn transformer() -> ModelConfig {
        ModelConfig::Transformer(TransformerConfig {
            hidden: 12,
            heads: 3,
            layers: 2,
            ffn: 20,
            pretrain: None,
        })
    }

    fn lora(targets: &[LoraTarget]) -> LoraConfig {
        LoraConfig {
            rank: 2,
            targets: targets.into(),
            layers: LayerSelection::Every(AllLayers::All),
            ..LoraConfig::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        let with = |change: fn(&mut LoraConfig)| {
            let mut config = lora(&[LoraTarget::Value]);
            change(&mut config);
            config
        };
        let check = |config: LoraConfig| validate(&transformer(), &config);
        assert_eq!(check(lora(&[LoraTarget::Value])), Ok(()));
        assert_eq!(check(with(|c| c.rank = 12)), Ok(()));
        assert_eq!(
            check(with(|c| c.rank = 13)),
            Err(ModelError::Rank {
                rank: 13,
                largest: 12,
                target: "value",
                outputs: 12,
                inputs: 12
            })
        );
        assert!(matches!(
            check(with(|c| c.rank = 0)),
            Err(ModelError::Rank { rank: 0, .. })
        ));
        assert_eq!(
            check(with(|c| c.layers = LayerSelection::List(vec![1, 2]))),
            Err(ModelError::Layer {
                layer: 2,
                layers: 2
            })
        );
        assert_eq!(
            check(with(
                |c| c.layers = LayerSelection::Last(LastLayers { last: 3 })
            )),
            Err(ModelError::LayerCount {
                asked: 3,
                layers: 2
            })
        );
        let range = |from, to| {
            check(LoraConfig {
                layers: LayerSelection::Range(LayerRange { from, to }),
                ..lora(&[LoraTarget::Value])
            })
        };
        assert_eq!(range(0, 1), Ok(()));
        let beyond = ModelError::Layer {
            layer: 2,
            layers: 2,
        };
        assert_eq!(range(1, 2), Err(beyond));
        assert_eq!(range(1, 0), Err(ModelError::LayerRange { from: 1, to: 0 }));
        assert_eq!(
            check(lora(&[LoraTarget::FfnIn, LoraTarget::FfnOut])),
            Ok(())
        );
        assert_eq!(
            check(lora(&[LoraTarget::Ffn, LoraTarget::FfnOut])),
            Err(ModelError::Overlap {
                first: "ffn",
                second: "ffn_out"
            })
        );
        assert_eq!(
            check(with(|c| c.targets.clear())),
            Err(ModelError::NoTargets { setting: "targets" })
        );
        let mlp = ModelConfig::Mlp(MlpConfig::default());
        assert_eq!(validate(&mlp, &lora(&[LoraTarget::Ffn])), Ok(()));
        assert_eq!(
            validate(&mlp, &lora(&[LoraTarget::Key])),
            Err(ModelError::Target {
                model: "mlp",
                target: "key",
                has: "ffn"
            })
        );
        assert_eq!(
            Model::new(
                &mlp,
                &InputShape::Tokens {
                    vocabulary: 9,
                    max_length: 6
                },
                2,
                1,
                &DeviceChoice::Flex.inner()
            )
            .map(|_| ()),
            Err(ModelError::TokensForMlp)
        );
        let heads = ModelConfig::Transformer(TransformerConfig {
            hidden: 10,
            heads: 4,
            ..TransformerConfig::default()
        });
        assert_eq!(
            validate(&heads, &lora(&[LoraTarget::Key])),
            Err(ModelError::Heads {
                hidden: 10,
                heads: 4
            })
        );
        assert_eq!(
            ModelError::Layer {
                layer: 2,
                layers: 2
            }
            .to_string(),
            "lora.layers names layer 2; the model has layers 0..=1"
        );
    }
}
