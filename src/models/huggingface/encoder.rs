//! `config.json` of an encoder. Fields that transformers lets a file leave out have transformers' defaults: `hidden_act`
//! gelu, `layer_norm_eps` 1e-12, `type_vocab_size` 2, `pad_token_id` 0 for BERT and 1 for RoBERTa, `hidden_dropout_prob`
//! and `attention_probs_dropout_prob` 0.1, `classifier_dropout` that of `hidden_dropout_prob`.

use crate::checkpoints::{Fields, HuggingFaceError};
use crate::models::dropout::DropoutProbabilities;
use crate::models::transformer::{Activation, EncoderShape, Pooling};

/// An encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Sizes and settings.
    pub shape: EncoderShape,
    /// Token ids.
    pub vocabulary: usize,
    /// Rows of the table of positions.
    pub positions: usize,
}

/// The settings of an encoder from its config.json; `padding` is the padding's id where positions count from it on.
pub(super) fn config(
    fields: &Fields,
    pooling: Pooling,
    padding: Option<usize>,
) -> Result<(Encoder, DropoutProbabilities), HuggingFaceError> {
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
    let before = padding.map_or(0, |id| id + 1);
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
        padding,
        pooling,
    };
    let encoder = Encoder {
        shape,
        vocabulary: fields.size("vocab_size", 1, None)?,
        positions,
    };
    Ok((encoder, dropout))
}
