//! `ground_truth:` what retraining says, to hold influence against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decomposition::{self, DecompositionConfig};
use super::shares::{FRACTIONS, count, percent};

/// Retraining on parts of the training split. Nothing is retrained without it. Every retraining takes the
/// time of a fine-tune: for tasks where that is about a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroundTruthConfig {
    /// Retraining without one example (`loo_pearson`, `loo_spearman`).
    pub leave_one_out: Option<LeaveOneOutConfig>,
    /// Retraining on random subsets: the linear datamodeling score (`lds_50`, `lds_90`, `lds_99`).
    pub subset_retraining: Option<SubsetRetrainingConfig>,
    /// Retraining on what each method calls most helpful, beside a random choice and all: accuracy by epoch.
    pub selection: Option<SelectionConfig>,
    /// Retraining without what each method calls most helpful, beside a random choice: query loss.
    pub removal: Option<RemovalConfig>,
    /// The gap between each method and retraining, split into parts. Retrains nothing of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decomposition: Option<DecompositionConfig>,
}

/// Retraining without one example, for each of some.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeaveOneOutConfig {
    /// Examples that are left out, one at a time, drawn by the seed. Default: all.
    #[schemars(range(min = 3))]
    pub examples: Option<usize>,
    /// Retrainings without each example; the full split is trained with the same seeds.
    #[schemars(range(min = 2))]
    pub seeds: usize,
    /// A query whose ratio of signal to noise (variances) is below this is undefined.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub min_snr: f64,
}

impl Default for LeaveOneOutConfig {
    fn default() -> Self {
        Self {
            examples: None,
            seeds: 5,
            min_snr: 1.0,
        }
    }
}

/// Retraining on random subsets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubsetRetrainingConfig {
    /// Shares of the training examples that a subset keeps: of 0.5, 0.9, 0.99.
    #[schemars(length(min = 1))]
    pub fractions: Vec<f64>,
    /// Subsets of each share.
    #[schemars(range(min = 3))]
    pub subsets: usize,
    /// Retrainings on each subset, with the same seeds on all.
    #[schemars(range(min = 2))]
    pub seeds: usize,
}

impl Default for SubsetRetrainingConfig {
    fn default() -> Self {
        Self {
            fractions: FRACTIONS.to_vec(),
            subsets: 100,
            seeds: 5,
        }
    }
}

/// Retraining on the most helpful examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionConfig {
    /// Share of the training examples that is kept. The paper: 0.7.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub keep: f64,
    /// Retrainings of each choice.
    #[schemars(range(min = 1))]
    pub seeds: usize,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            keep: 0.7,
            seeds: 3,
        }
    }
}

/// Retraining without the most helpful examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemovalConfig {
    /// Shares of the training examples that are taken away, ascending.
    #[schemars(length(min = 1))]
    pub shares: Vec<f64>,
    /// Retrainings of each choice.
    #[schemars(range(min = 1))]
    pub seeds: usize,
}

impl Default for RemovalConfig {
    fn default() -> Self {
        Self {
            shares: vec![0.05, 0.1, 0.2, 0.4],
            seeds: 3,
        }
    }
}

impl GroundTruthConfig {
    /// Whether a fraction in percent is among those of the subsets.
    pub fn has_fraction(&self, wanted: u32) -> bool {
        let subsets = self.subset_retraining.as_ref();
        subsets.is_some_and(|s| s.fractions.iter().any(|f| self::percent(*f) == wanted))
    }

    /// The metrics with a noise ceiling, of [`decomposition::METRICS`], that something is retrained for.
    pub fn retrained(&self) -> Vec<&'static str> {
        let retrained = |metric: &str| match metric.strip_prefix("lds_").map(str::parse) {
            Some(Ok(percent)) => self.has_fraction(percent),
            _ => self.leave_one_out.is_some(),
        };
        let all = decomposition::METRICS.into_iter();
        all.filter(|metric| retrained(metric)).collect()
    }

    /// What retraining costs with so many training examples and methods: fine-tunes, those on a part counted as
    /// that part, and looks at all queries.
    pub fn retrainings(&self, n: usize, methods: usize, epochs: usize) -> (f64, f64) {
        let (mut fits, mut looks) = self.independent_retrainings(n);
        let choices = (methods + 1) as f64;
        if let Some(selection) = &self.selection {
            let runs = selection.seeds as f64;
            fits += runs * (1.0 + choices * selection.keep);
            looks += runs * (1.0 + choices) * epochs as f64;
        }
        if let Some(removal) = &self.removal {
            let runs = removal.seeds as f64;
            fits += runs * (1.0 + choices * removal.shares.iter().map(|s| 1.0 - s).sum::<f64>());
            looks += runs * (1.0 + choices * removal.shares.len() as f64);
        }
        (fits, looks)
    }

    /// The part of [`Self::retrainings`] that needs no method's scores: without one example, and on random subsets.
    pub fn independent_retrainings(&self, n: usize) -> (f64, f64) {
        let (mut fits, mut looks) = (0.0, 0.0);
        if let Some(loo) = &self.leave_one_out {
            let runs = (loo.examples.unwrap_or(n) + 1) as f64 * loo.seeds as f64;
            fits += runs;
            looks += runs;
        }
        if let Some(subsets) = &self.subset_retraining {
            let runs = (subsets.subsets * subsets.seeds) as f64;
            fits += runs * subsets.fractions.iter().sum::<f64>();
            looks += runs * subsets.fractions.len() as f64;
        }
        (fits, looks)
    }

    /// The first contradiction, as (dotted path below `ground_truth`, what is wrong). `train` is the number
    /// of training examples, where it is known before the data are read.
    pub fn problem(&self, train: Option<usize>) -> Option<(String, String)> {
        let of_all = |share: f64| train.map(|n| count(n, share));
        if *self == Self::default() {
            let what = "nothing to retrain for; allowed: leave_one_out, subset_retraining, selection, removal";
            return Some((String::new(), what.to_owned()));
        }
        if let Some(loo) = &self.leave_one_out
            && let (Some(examples), Some(n)) = (loo.examples, train)
            && examples > n
        {
            let text = format!("{examples} is more than the {n} training examples");
            return Some(("leave_one_out.examples".to_owned(), text));
        }
        for (index, &fraction) in self
            .subset_retraining
            .iter()
            .flat_map(|s| &s.fractions)
            .enumerate()
        {
            let at = format!("subset_retraining.fractions.{index}");
            let fractions = &self.subset_retraining.as_ref()?.fractions;
            if !FRACTIONS.contains(&fraction) {
                return Some((
                    at,
                    format!("{fraction} is not a share that has a metric; allowed: 0.5, 0.9, 0.99"),
                ));
            }
            if fractions[..index].contains(&fraction) {
                return Some((at, format!("{fraction} is given twice")));
            }
            if let Some(n) = train.filter(|&n| count(n, fraction) == n) {
                return Some((
                    at,
                    format!("{fraction} of {n} training examples leaves none out"),
                ));
            }
        }
        if let Some(selection) = &self.selection {
            let keep = selection.keep;
            let at = "selection.keep".to_owned();
            if keep <= 0.0
                || keep >= 1.0
                || of_all(keep).is_some_and(|k| k == 0 || Some(k) == train)
            {
                return Some((
                    at,
                    format!("{keep} keeps all or nothing; allowed: above 0 and below 1"),
                ));
            }
        }
        let shares = self.removal.iter().flat_map(|removal| &removal.shares);
        let mut before = 0.0;
        for (index, &share) in shares.enumerate() {
            let at = format!("removal.shares.{index}");
            if !(share > before && share < 1.0) {
                return Some((
                    at,
                    format!(
                        "{share} is not between {before} and 1; shares are above 0, below 1 and ascend"
                    ),
                ));
            }
            if of_all(share).is_some_and(|k| Some(k) == of_all(before) || Some(k) == train) {
                return Some((
                    at,
                    format!("{share} takes away as many whole examples as {before}, or all"),
                ));
            }
            before = share;
        }
        None
    }
}
