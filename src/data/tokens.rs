//! Targets of a language model: which tokens are predicted, from where, and how their losses become one number.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One predicted token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextToken {
    /// The position, from 0, whose output predicts the token: the one before the token itself.
    pub position: u32,
    /// Id of the token.
    pub token: u32,
}

impl NextToken {
    /// The tokens of a text at these places, from 1 on, each predicted at the place before.
    ///
    /// # Panics
    /// At place 0 or beyond the text.
    pub fn at(ids: &[u32], places: impl IntoIterator<Item = usize>) -> Vec<Self> {
        let at = |place: usize| Self {
            position: u32::try_from(place - 1).expect("texts are shorter than 2³² tokens"),
            token: ids[place],
        };
        places.into_iter().map(at).collect()
    }
}

/// How the losses of an example's target tokens become the loss of the example.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their mean, as in transformers.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// What a query asks of a language model. Influence is taken on this number; like a loss it is smaller for a better
/// prediction, so that positive scores are harmful in both cases.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Measurement {
    /// The loss of the query, with its reduction.
    #[default]
    Loss,
    /// −log p(targets | what comes before them), in nats: the sum of the losses of the target tokens whatever the
    /// reduction.
    LogProbability,
}

/// Next-token targets of every example of a split. Masks (prompt or answer), drawn tokens and counted padding are all
/// lists of positions and ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTargets {
    /// The target tokens of every example; a position may occur once. An example without targets has loss 0.
    pub examples: Vec<Vec<NextToken>>,
    /// From the losses of the tokens to that of the example.
    pub reduction: Reduction,
    /// What gradients of queries are taken of.
    pub measurement: Measurement,
}

impl TokenTargets {
    /// The targets of the examples `indices`, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            examples: indices.iter().map(|&i| self.examples[i].clone()).collect(),
            reduction: self.reduction,
            measurement: self.measurement,
        }
    }
}
