//! The tasks of GLUE that have two classes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::quote;

/// A task of GLUE with two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GlueName {
    /// Microsoft Research paraphrase corpus: do two sentences say the same?
    Mrpc,
    /// Quora question pairs: do two questions ask the same?
    Qqp,
    /// Stanford sentiment treebank: is a phrase positive?
    Sst2,
    /// Winograd schemas: does the sentence with the pronoun replaced follow?
    Wnli,
    /// Recognising textual entailment.
    Rte,
    /// Corpus of linguistic acceptability: is a sentence grammatical?
    Cola,
    /// Question answering: does the sentence answer the question?
    Qnli,
}

impl GlueName {
    /// Every task.
    pub const ALL: [Self; 7] = [
        Self::Mrpc,
        Self::Qqp,
        Self::Sst2,
        Self::Wnli,
        Self::Rte,
        Self::Cola,
        Self::Qnli,
    ];

    /// The name in the YAML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mrpc => "mrpc",
            Self::Qqp => "qqp",
            Self::Sst2 => "sst2",
            Self::Wnli => "wnli",
            Self::Rte => "rte",
            Self::Cola => "cola",
            Self::Qnli => "qnli",
        }
    }
}

impl std::str::FromStr for GlueName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|task| task.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown task `{}`; allowed: {names}", quote(text))
        })
    }
}
