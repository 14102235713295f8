//! The settings `lora:`: where the adapters sit and how large they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// LoRA adapters: W x + (α/r) B A x on each target matrix of each chosen layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank r, between 1 and the smaller side of every target matrix. The paper: 1, 2, 4, 8.
    #[schemars(range(min = 1))]
    pub rank: usize,
    /// α; the adapter's output is scaled by α/r. Default: α = r, as in the paper.
    #[schemars(range(min = 0.0))]
    pub alpha: Option<f64>,
    /// Target modules, as PEFT's `target_modules`. The paper adapts `value` (RoBERTa) or `query` and `value` (Llama).
    pub targets: TargetModules,
    /// Adapted layers, counted from 0 at the input: `all`, a list, `{last: k}`, `{first: k}`, or
    /// `{from: a, to: b}`, both included.
    pub layers: LayerSelection,
    /// Dropout on the adapter's input while fine-tuning; gradients are taken without it.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f64,
    /// Distribution that A is drawn from; B starts at zero. The paper's code takes PEFT's default, `kaiming`.
    pub init: LoraInit,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 4,
            alpha: None,
            targets: TargetModules::names(["value"]),
            layers: LayerSelection::default(),
            dropout: 0.05,
            init: LoraInit::Kaiming,
        }
    }
}

impl LoraConfig {
    /// The factor α/r on an adapter's output (1 unless `alpha` is given).
    pub fn scale(&self) -> f64 {
        self.alpha.map_or(1.0, |alpha| alpha / self.rank as f64)
    }
}

/// Initial distribution of A `[r, in]`, as PEFT's `init_lora_weights`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoraInit {
    /// `kaiming_uniform_(a=√5)`, i.e. U(−1/√in, 1/√in), of standard deviation 1/√(3·in); PEFT's `true`, its default.
    #[default]
    Kaiming,
    /// N(0, 1/r²); PEFT's `"gaussian"`.
    Gaussian,
}

/// The linear layers that carry an adapter, as PEFT's `target_modules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetModules {
    /// Names: of a module, in full or its end from a dot on (`attention.self.query`), or one of the short names `query`,
    /// `key`, `value`, `output` (of an attention), `ffn_in`, `ffn_out` (feed-forward) and `ffn` (all of the
    /// feed-forward), which mean the same in every model that has such modules.
    Names(#[schemars(length(min = 1))] Vec<String>),
    /// `all-linear`: every linear layer but the head; or a regular expression that the whole name of a module matches.
    Pattern(String),
}

impl TargetModules {
    /// [`Self::Names`].
    pub fn names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Names(names.into_iter().map(Into::into).collect())
    }
}

/// Which layers are adapted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LayerSelection {
    /// `all`
    Every(AllLayers),
    /// `[0, 2]`
    List(#[schemars(length(min = 1))] Vec<usize>),
    /// `{last: 2}`
    Last(LastLayers),
    /// `{first: 2}`
    First(FirstLayers),
    /// `{from: 2, to: 4}`
    Range(LayerRange),
}

/// The word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AllLayers {
    /// Every layer.
    All,
}

impl Default for LayerSelection {
    fn default() -> Self {
        Self::Every(AllLayers::All)
    }
}

/// The top `last` layers, those nearest the head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastLayers {
    /// How many.
    #[schemars(range(min = 1))]
    pub last: usize,
}

/// The bottom `first` layers, those nearest the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstLayers {
    /// How many.
    #[schemars(range(min = 1))]
    pub first: usize,
}

/// The layers `from` to `to`, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerRange {
    /// The lowest.
    pub from: usize,
    /// The highest.
    pub to: usize,
}

impl LayerSelection {
    /// The chosen layers of a network of `total` layers, ascending, without repetition; indices at
    /// or above `total` are kept out (the checker reports them first).
    pub fn indices(&self, total: usize) -> Vec<usize> {
        match self {
            Self::Every(_) => (0..total).collect(),
            Self::List(list) => {
                let mut list: Vec<usize> = list
                    .iter()
                    .copied()
                    .filter(|&layer| layer < total)
                    .collect();
                list.sort_unstable();
                list.dedup();
                list
            }
            Self::Last(l) => (total.saturating_sub(l.last)..total).collect(),
            Self::First(l) => (0..l.first.min(total)).collect(),
            Self::Range(l) => (l.from..total.min(l.to.saturating_add(1))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_read_and_resolved() {
        for (text, expected) in [
            ("all", vec![0, 1, 2, 3]),
            ("[2, 0, 2]", vec![0, 2]),
            ("{last: 1}", vec![3]),
            ("{first: 2}", vec![0, 1]),
            ("{from: 1, to: 2}", vec![1, 2]),
            ("{from: 3, to: 3}", vec![3]),
        ] {
            let selection: LayerSelection = serde_yaml::from_str(text).unwrap();
            assert_eq!(selection.indices(4), expected, "{text}");
        }
        assert!(serde_yaml::from_str::<LayerSelection>("{from: 1}").is_err());
    }

    #[test]
    fn targets_are_written_as_in_peft() {
        for text in [
            "[query, attention.self.value]",
            "all-linear",
            "'.*\\.[01]\\..*'",
        ] {
            let targets: TargetModules = serde_yaml::from_str(text).unwrap();
            let again = serde_json::to_value(&targets).unwrap();
            assert_eq!(
                serde_yaml::from_str::<serde_json::Value>(text).unwrap(),
                again
            );
        }
        assert!(serde_yaml::from_str::<TargetModules>("3").is_err());
    }
}
