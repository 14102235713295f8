//! `config.json` of an encoder. Fields that transformers lets a file leave out have transformers' defaults: `hidden_act`
//! gelu, `layer_norm_eps` 1e-12, `type_vocab_size` 2, `pad_token_id` 0 for BERT and 1 for RoBERTa, `hidden_dropout_prob`
//! and `attention_probs_dropout_prob` 0.1, `classifier_dropout` that of `hidden_dropout_prob`.

use std::sync::Arc;

use burn::tensor::Device;

use super::config::{Described, HuggingFaceConfig};
use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::batch::InputShape;
use crate::models::dropout::DropoutProbabilities;
use crate::models::family::Family;
use crate::models::head::{Head, HeadKind};
use crate::models::network::Network;
use crate::models::transformer::{Activation, EncoderShape, Pooling, Transformer};

/// What the families of encoders have in common; `model_type` is also the prefix.
pub(super) const fn family(model_type: &'static str) -> Family {
    Family {
        model_type,
        prefix: model_type,
        head: "classifier",
        trains_head: true,
        tasks: &["SEQ_CLS", "FEATURE_EXTRACTION"],
    }
}

/// What a family decides by itself, or reads in its own way.
pub(super) struct Own {
    /// How the last layer's tokens become one vector.
    pub pooling: Pooling,
    /// The padding's id, where positions count from it on.
    pub padding: Option<usize>,
    /// The classifier.
    pub head: HeadKind,
}

/// An encoder with a classifier.
#[derive(Debug)]
struct Classifier {
    shape: EncoderShape,
    vocabulary: usize,
    /// Rows of the table of positions.
    positions: usize,
    head: HeadKind,
}

impl Described for Classifier {
    fn network(&self, classes: usize, device: &Device) -> Box<dyn Network> {
        let tables = InputShape::Tokens {
            vocabulary: self.vocabulary,
            max_length: self.positions,
        };
        let head = Head::new(self.head, self.shape.hidden, classes, device);
        Box::new(Transformer::new(&self.shape, &tables, head, device))
    }
}

/// The settings of an encoder from its config.json.
pub(super) fn config(
    family: &'static Family,
    fields: &Fields,
    own: Own,
) -> Result<HuggingFaceConfig, HuggingFaceError> {
    fields.only("position_embedding_type", "absolute".into())?;
    fields.only("is_decoder", false.into())?;
    fields.only("add_cross_attention", false.into())?;
    let activation = match fields.get("hidden_act").map(|v| (v, v.as_str())) {
        None | Some((_, Some("gelu"))) => Activation::Gelu,
        Some((_, Some("gelu_new" | "gelu_pytorch_tanh"))) => Activation::GeluTanh,
        Some((_, Some("relu"))) => Activation::Relu,
        Some((other, _)) => {
            let allowed = "\"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\", \"relu\"";
            return Err(fields.unsupported("hidden_act", other, allowed));
        }
    };
    let layer_norm_eps = fields.epsilon("layer_norm_eps", 1e-12)?;
    let hidden = fields.size("hidden_size", 1, None)?;
    let heads = fields.size("num_attention_heads", 1, None)?;
    if hidden % heads != 0 {
        return Err(fields.unsupported(
            "num_attention_heads",
            &heads.into(),
            format!("a divisor of `hidden_size`, {hidden}"),
        ));
    }
    let positions = fields.size("max_position_embeddings", 1, None)?;
    let before = own.padding.map_or(0, |id| id + 1);
    if positions <= before {
        return Err(fields.unsupported(
            "max_position_embeddings",
            &positions.into(),
            format!("more than the {before} rows before the first token's"),
        ));
    }
    let hidden_dropout = fields.probability("hidden_dropout_prob", 0.1)?;
    let dropout = DropoutProbabilities {
        hidden: hidden_dropout,
        attention: fields.probability("attention_probs_dropout_prob", 0.1)?,
        classifier: fields.probability("classifier_dropout", hidden_dropout)?,
    };
    let shape = EncoderShape {
        hidden,
        heads,
        layers: fields.size("num_hidden_layers", 1, None)?,
        ffn: fields.size("intermediate_size", 1, None)?,
        layer_norm_eps,
        activation,
        types: fields.size("type_vocab_size", 1, Some(2))?,
        padding: own.padding,
        pooling: own.pooling,
    };
    let vocabulary = fields.size("vocab_size", 1, None)?;
    Ok(HuggingFaceConfig {
        family,
        vocabulary,
        longest: Some(positions - before),
        dropout,
        network: Arc::new(Classifier {
            shape,
            vocabulary,
            positions,
            head: own.head,
        }),
    })
}
