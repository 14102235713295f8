//! `ground_truth:` what retraining says, to hold influence against.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decomposition::DecompositionConfig;

/// Shares of the training examples that subsets may keep: one metric each (`lds_50`, `lds_90`, `lds_99`).
pub const FRACTIONS: [f64; 3] = [0.5, 0.9, 0.99];

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
    pub fn has_fraction(&self, percent: u32) -> bool {
        let subsets = self.subset_retraining.as_ref();
        subsets.is_some_and(|s| s.fractions.iter().any(|f| self::percent(*f) == percent))
    }

    /// What retraining costs with so many training examples and methods: fine-tunes, those on a part counted as
    /// that part, and looks at all queries.
    pub fn retrainings(&self, n: usize, methods: usize, epochs: usize) -> (f64, f64) {
        let (mut fits, mut looks) = (0.0, 0.0);
        let choices = (methods + 1) as f64;
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

/// A share in whole percent.
pub fn percent(share: f64) -> u32 {
    (100.0 * share).round() as u32
}

/// Whole examples nearest to a share of n.
pub fn count(n: usize, share: f64) -> usize {
    (n as f64 * share).round() as usize
}

#[cfg(test)]
mod tests {

    use crate::config::grid::parse;

    const BASE: &str = "name: t\ntask: {name: digits, train: 100, query: 20}\n";

    fn error(extra: &str) -> String {
        let text = format!("{BASE}{extra}");
        parse("t.yaml", &text, None, &[]).unwrap_err().to_string()
    }

    #[test]
    fn wrong_settings_are_refused_with_their_place() {
        let case = |settings: &str, place: &str, text: &str| {
            let found = error(&format!("ground_truth: {settings}\n"));
            assert!(
                found.starts_with(&format!("t.yaml:3:{place}")) && found.contains(text),
                "{found}"
            );
        };
        case("{}", "15: ground_truth: ", "nothing to retrain for");
        case("{leave_one: {}}", "16: ", "unknown field `leave_one`");
        case("{leave_one_out: {seeds: 1}}", "39: ", "1 is out of range");
        case(
            "{leave_one_out: {examples: 101}}",
            "42: ground_truth.leave_one_out.examples: ",
            "101 is more than the 100 training examples",
        );
        let fractions = |list: &str| format!("{{subset_retraining: {{fractions: {list}}}}}");
        case(
            &fractions("[0.5, 0.6]"),
            "53: ",
            "0.6 is not a share that has a metric; allowed: 0.5, 0.9, 0.99",
        );
        case(&fractions("[0.5, 0.5]"), "53: ", "given twice");
        case(
            "{selection: {keep: 1}}",
            "34: ",
            "allowed: above 0 and below 1",
        );
        case("{removal: {shares: [0.2, 0.1]}}", "40: ", "ascend");
        case(
            "{removal: {shares: [0.2, 0.201]}}",
            "40: ",
            "as many whole examples as 0.2",
        );
        let none = error("train: {epochs: 0}\nground_truth: {removal: {}}\n");
        assert!(
            none.contains("nothing to retrain with train.epochs = 0"),
            "{none}"
        );
        let text = "name: t\ntask: gradients\nground_truth: {removal: {}}\n";
        let none = parse("t.yaml", text, None, &[]).unwrap_err().to_string();
        assert!(
            none.contains("3:1: ground_truth: the task `gradients` has no model"),
            "{none}"
        );
        let metric =
            error("metrics: [lds_90]\nground_truth: {subset_retraining: {fractions: [0.5]}}\n");
        assert!(
            metric.contains("add 0.9 to ground_truth.subset_retraining.fractions"),
            "{metric}"
        );
    }

    #[test]
    fn cells_without_it_keep_their_ids_and_metrics_follow_it() {
        let cell = |extra: &str| {
            let plan = parse("t.yaml", &format!("{BASE}{extra}"), None, &[]).unwrap();
            plan.cells[0].clone()
        };
        let plain = serde_json::to_value(&cell("").settings).unwrap();
        assert!(plain.get("ground_truth").is_none());
        assert!(
            cell("")
                .settings
                .metrics
                .iter()
                .all(|name| !name.starts_with("l"))
        );
        let with =
            cell("ground_truth: {leave_one_out: {}, subset_retraining: {fractions: [0.9]}}\n");
        let new: Vec<&String> = with
            .settings
            .metrics
            .iter()
            .filter(|name| name.starts_with("l"))
            .collect();
        assert_eq!(new, ["loo_pearson", "loo_spearman", "lds_90"]);
        assert_ne!(with.id, cell("").id);
        let truth = with.settings.ground_truth.unwrap();
        // (100 + 1)·5, and 100·5 subsets of 0.9
        assert_eq!(
            truth.retrainings(100, 3, 10),
            (505.0 + 450.0, 505.0 + 500.0)
        );
    }
}
