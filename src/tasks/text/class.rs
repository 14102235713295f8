//! Transformers' classes of tokenizers: which settings override `tokenizer.json`, and the defaults.

use serde_json::{Map, Value, json};

use crate::checkpoints::{Fields, HuggingFaceError};

/// Classes of transformers' tokenizers that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// WordPiece with BERT's normalisation.
    Bert,
    /// As [`Self::Bert`], but the model is given no token types.
    DistilBert,
    /// Byte-level BPE without token types.
    Roberta,
    /// SentencePiece without token types.
    XlmRoberta,
    /// `tokenizer.json` as it is.
    Generic,
}

/// Names of the classes, without the `Fast` at their end.
const CLASSES: [(&str, Class); 6] = [
    ("BertTokenizer", Class::Bert),
    ("ElectraTokenizer", Class::Bert),
    ("DistilBertTokenizer", Class::DistilBert),
    ("RobertaTokenizer", Class::Roberta),
    ("XLMRobertaTokenizer", Class::XlmRoberta),
    ("PreTrainedTokenizer", Class::Generic),
];

impl Class {
    /// The class that the tokenizer's settings name, else the model's, else that of the model's family.
    pub(super) fn find(settings: &Fields, model: &Fields) -> Result<Self, HuggingFaceError> {
        const FIELD: &str = "tokenizer_class";
        let named = [settings, model]
            .into_iter()
            .find_map(|fields| Some((fields, fields.get(FIELD)?)));
        let Some((fields, value)) = named else {
            let family = model.required("model_type")?;
            return match family.as_str() {
                Some("bert") => Ok(Self::Bert),
                Some("roberta") => Ok(Self::Roberta),
                _ => Err(model.unsupported("model_type", family, "\"bert\", \"roberta\"")),
            };
        };
        let name = value.as_str().unwrap_or_default();
        let name = name.strip_suffix("Fast").unwrap_or(name);
        let known = CLASSES.iter().find(|(known, _)| *known == name);
        known.map(|&(_, class)| class).ok_or_else(|| {
            let allowed = CLASSES.map(|(name, _)| format!("\"{name}\"")).join(", ");
            fields.unsupported(FIELD, value, format!("{allowed}, each also with Fast"))
        })
    }

    /// Whether the model is given token types when `model_input_names` does not say.
    pub(super) fn gives_types(self) -> bool {
        matches!(self, Self::Bert | Self::Generic)
    }

    /// The special tokens when the settings do not say.
    pub(super) fn special_tokens(self) -> Map<String, Value> {
        let named = match self {
            Self::Bert | Self::DistilBert => json!({
                "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                "cls_token": "[CLS]", "mask_token": "[MASK]",
            }),
            Self::Roberta | Self::XlmRoberta => json!({
                "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>",
                "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>",
            }),
            Self::Generic => json!({}),
        };
        match named {
            Value::Object(map) => map,
            _ => unreachable!("the literals above are objects"),
        }
    }
}
