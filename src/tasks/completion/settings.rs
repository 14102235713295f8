//! Settings that all tasks of prompts and answers have.

use std::path::PathBuf;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{Measurement, Reduction};

/// Examples, tokens and targets of a task of prompts and answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompletionSettings {
    /// Training examples, spread evenly over the classes. Default: 900 of a generator, all of a file.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub train: Option<usize>,
    /// Query examples, spread evenly over the classes. Default: 100 of a generator, all of a file.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub query: Option<usize>,
    /// Folder with `train.jsonl` and `test.jsonl` (or `validation.jsonl`), or one .jsonl file, of which a fifth are the
    /// queries: an object a line with `prompt`, `text` (prompt and answer; a literal `</s>` at its end stands for the
    /// token that ends a text) or `answer` (what follows the prompt), and `class` or `variation` (a text or a whole
    /// number), which may be missing. Relative to the folder that infbench is started in. Default of `grammars`,
    /// `math` and `math_reasoning`: their generator.
    pub path: Option<PathBuf>,
    /// Longest text in tokens, those that begin and end it included.
    #[schemars(range(min = 8))]
    pub max_length: usize,
    /// What becomes of longer texts.
    pub truncate: Truncate,
    /// Whether prompt and answer stand in the turns of a conversation.
    pub template: Template,
    /// Which tokens are predicted when gradients are taken, of training examples and queries, and when losses are
    /// evaluated.
    pub tokens: TargetTokens,
    /// Which tokens are predicted in fine-tuning. Default: the same; `all` where these are `published`, as in the
    /// paper's code.
    pub train_tokens: Option<TrainTokens>,
    /// From the losses of the tokens to that of an example.
    pub reduction: Reduction,
    /// What gradients of queries are taken of.
    pub measurement: Measurement,
    /// The token that ends a text.
    pub eos: EndOfText,
}

impl Default for CompletionSettings {
    fn default() -> Self {
        Self {
            train: None,
            query: None,
            path: None,
            max_length: 128,
            truncate: Truncate::default(),
            template: Template::default(),
            tokens: TargetTokens::default(),
            train_tokens: None,
            reduction: Reduction::default(),
            measurement: Measurement::default(),
            eos: EndOfText::default(),
        }
    }
}

impl CompletionSettings {
    /// Training and query examples of a generator.
    pub fn generated(&self) -> (usize, usize) {
        (self.train.unwrap_or(900), self.query.unwrap_or(100))
    }

    /// Training examples, where the settings alone tell.
    pub fn train(&self) -> Option<usize> {
        match self.path {
            Some(_) => self.train,
            None => Some(self.generated().0),
        }
    }

    /// Which tokens are predicted in fine-tuning.
    pub fn tokens_of_training(&self) -> TargetTokens {
        match (self.train_tokens, self.tokens) {
            (Some(TrainTokens::Answer), _) => TargetTokens::Answer,
            (Some(TrainTokens::All), _) | (None, TargetTokens::Published) => TargetTokens::All,
            (None, own) => own,
        }
    }
}

/// Which tokens of a text are predicted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum TargetTokens {
    /// Those of the answer: all that end behind the prompt's last character.
    #[default]
    Answer,
    /// All but the first.
    All,
    /// What the gradients in the paper's code are of: the prompt alone, padded with the token that ends a text to the
    /// longest prompt of the split. Padding is predicted, too, but not attended to.
    Published,
}

/// Which tokens of a text are predicted in fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainTokens {
    /// Those of the answer.
    Answer,
    /// All but the first.
    All,
}

/// The text around prompt and answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// None: prompt and answer as they are, as in the paper.
    #[default]
    Raw,
    /// The checkpoint's chat template: the prompt is what the user says, the answer (without spaces around it) what the
    /// assistant does.
    Chat,
}

/// What becomes of the token that ends a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndOfText {
    /// It is appended and predicted.
    #[default]
    Counted,
    /// It is appended and not predicted, as in the paper's code, whose padding is the same token.
    Masked,
    /// It is not appended.
    None,
}

/// What becomes of a text that is longer than `max_length`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Truncate {
    /// It is an error.
    #[default]
    Error,
    /// Its first tokens are cut off, so that the answer stays. A token that begins a text stays, too.
    Left,
    /// Its last tokens are cut off. A text without a token left to predict is passed over and counted.
    Right,
}
