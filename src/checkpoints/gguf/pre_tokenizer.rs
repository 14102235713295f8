//! How byte-level BPE cuts a text before it merges bytes, by `tokenizer.ggml.pre`.
//!
//! A GGUF file has the name of the rule alone. The rules are those of the models' own tokenizer.json; llama.cpp has
//! the same in `llama-vocab.cpp`.

use serde_json::{Value, json};

use super::error::GgufError;
use super::metadata::Metadata;

/// One cut after another.
enum Cut {
    /// Every digit by itself.
    Digits,
    /// Each match of a regular expression by itself.
    Matches(&'static str),
}

/// A rule.
pub(super) struct Rule {
    names: &'static [&'static str],
    cuts: &'static [Cut],
    /// Whether GPT-2's expression cuts what is left.
    gpt2: bool,
    /// Whether texts are put into Unicode's normal form C first.
    nfc: bool,
    /// Whether a piece that is a token is not put together by merges.
    pub ignore_merges: bool,
    /// Whether a text begins with BOS where the file does not say.
    pub begins: bool,
}

const PLAIN: Rule = Rule {
    names: &[],
    cuts: &[],
    gpt2: true,
    nfc: false,
    ignore_merges: false,
    begins: false,
};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const RULES: [Rule; 7] = [
    Rule {
        names: &["gpt-2", "phi-2"],
        ..PLAIN
    },
    Rule {
        names: &["smollm", "starcoder", "refact", "codeshell"],
        cuts: &[Cut::Digits],
        ..PLAIN
    },
    Rule {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3"],
        cuts: &[Cut::Matches(LLAMA3)],
        gpt2: false,
        ignore_merges: true,
        begins: true,
        ..PLAIN
    },
    Rule {
        names: &["qwen2"],
        cuts: &[Cut::Matches(QWEN2)],
        gpt2: false,
        nfc: true,
        ..PLAIN
    },
    Rule {
        names: &["deepseek-r1-qwen"],
        cuts: &[Cut::Matches(QWEN2)],
        gpt2: false,
        ..PLAIN
    },
    Rule {
        names: &["tekken"],
        cuts: &[Cut::Matches(TEKKEN)],
        gpt2: false,
        ignore_merges: true,
        begins: true,
        ..PLAIN
    },
    Rule {
        names: &["deepseek-coder"],
        cuts: &[
            Cut::Matches(r"[\r\n]"),
            Cut::Matches(r"\s?\p{L}+"),
            Cut::Matches(r"\s?\p{P}+"),
            Cut::Matches("[一-龥ࠀ-一가-퟿]+"),
            Cut::Digits,
        ],
        gpt2: false,
        ..PLAIN
    },
];

/// The rule that a file names.
pub(super) fn rule(metadata: &Metadata) -> Result<&'static Rule, GgufError> {
    const KEY: &str = "tokenizer.ggml.pre";
    let found = metadata.text(KEY)?.unwrap_or_default();
    let named = |rule: &&Rule| rule.names.contains(&found);
    RULES.iter().find(named).ok_or_else(|| {
        let names = RULES.iter().flat_map(|rule| rule.names);
        let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        metadata.unsupported(
            KEY,
            format!(
                "{}; a folder with the model's tokenizer.json and config.json beside its safetensors is another way",
                names.join(", ")
            ),
        )
    })
}

impl Rule {
    /// `normalizer` of tokenizer.json.
    pub fn normalizer(&self) -> Value {
        if self.nfc {
            json!({"type": "NFC"})
        } else {
            Value::Null
        }
    }

    /// `pre_tokenizer` of tokenizer.json.
    pub fn pre_tokenizer(&self) -> Value {
        let cut = |cut: &Cut| match cut {
            Cut::Digits => json!({"type": "Digits", "individual_digits": true}),
            Cut::Matches(expression) => json!({
                "type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false,
            }),
        };
        let mut all: Vec<Value> = self.cuts.iter().map(cut).collect();
        all.push(json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": self.gpt2,
        }));
        json!({"type": "Sequence", "pretokenizers": all})
    }
}
