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
    /// Byte-level BPE of GPT-2 without token types: whatever pre-tokenizer its file has.
    Gpt2,
    /// SentencePiece BPE of Llama and Mistral; the settings say whether a text begins with BOS and ends with EOS.
    Llama,
    /// Byte-level BPE of Qwen2 and Qwen3.
    Qwen2,
    /// CLIP's BPE of lower-case words, without token types.
    Clip,
    /// `tokenizer.json` as it is.
    Generic,
}

/// Names of the classes, without the `Fast` at their end.
const CLASSES: [(&str, Class); 11] = [
    ("BertTokenizer", Class::Bert),
    ("ElectraTokenizer", Class::Bert),
    ("DistilBertTokenizer", Class::DistilBert),
    ("RobertaTokenizer", Class::Roberta),
    ("XLMRobertaTokenizer", Class::XlmRoberta),
    ("GPT2Tokenizer", Class::Gpt2),
    ("LlamaTokenizer", Class::Llama),
    ("Qwen2Tokenizer", Class::Qwen2),
    ("CLIPTokenizer", Class::Clip),
    ("PreTrainedTokenizer", Class::Generic),
    // the name that transformers 5 writes
    ("TokenizersBackend", Class::Generic),
];

/// Classes of the model families, where no class is named.
const FAMILIES: [(&str, Class); 8] = [
    ("bert", Class::Bert),
    ("roberta", Class::Roberta),
    ("llama", Class::Llama),
    ("mistral", Class::Llama),
    ("qwen2", Class::Qwen2),
    ("qwen3", Class::Qwen2),
    ("gpt2", Class::Gpt2),
    ("clip_text_model", Class::Clip),
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
            let known = FAMILIES.iter().find(|(known, _)| family == known);
            return known.map(|&(_, class)| class).ok_or_else(|| {
                let allowed = FAMILIES.map(|(name, _)| format!("\"{name}\""));
                model.unsupported("model_type", family, allowed.join(", "))
            });
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
            Self::Gpt2 => json!({
                "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>",
            }),
            Self::Llama => json!({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
            Self::Qwen2 => json!({
                "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
            }),
            Self::Clip => json!({
                "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
                "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
            }),
            Self::Generic => json!({}),
        };
        match named {
            Value::Object(map) => map,
            _ => unreachable!("the literals above are objects"),
        }
    }
}
