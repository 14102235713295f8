//! `ground_truth.decomposition:` the gap between each method and retraining, split into parts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::shares::{FRACTIONS, percent};
use crate::influence::MethodSpec;
use crate::input::Problem;

/// Metrics whose gap can be split: those that have a noise ceiling.
pub const METRICS: [&str; 4] = ["loo_pearson", "lds_50", "lds_90", "lds_99"];

/// Which gaps are split, and what the upper rungs of the ladder are. Each part is measured by switching one
/// thing; docs/decomposition.md has the formulas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecompositionConfig {
    /// The methods, of those in `influence.methods`. Default: all of them but `true_hessian`, which is the
    /// ladder's upper end.
    #[schemars(length(min = 1))]
    pub methods: Option<Vec<MethodSpec>>,
    /// The metrics whose gap is split: of `loo_pearson`, `lds_50`, `lds_90`, `lds_99`. Default: all that
    /// something was retrained for.
    #[schemars(length(min = 1))]
    pub metrics: Option<Vec<MetricName>>,
    /// Candidates for c of the upper rungs, from the true Hessian down to the switch to `influence.damping`: for
    /// every metric the one at which the upper end agrees best with retraining. A single value is taken as it is.
    #[schemars(length(min = 1), inner(range(min = 1e-12, max = 1e12)))]
    pub damping: Vec<f64>,
    /// What becomes of negative eigenvalues of the Hessian (option `negative` of `true_hessian`).
    pub negative: Indefinite,
    /// Most parameters that a Hessian is computed of; above it the ladder begins at the Fisher, and says so.
    /// 0: never.
    pub hessian_limit: usize,
}

impl Default for DecompositionConfig {
    fn default() -> Self {
        Self {
            methods: None,
            metrics: None,
            damping: vec![0.001, 0.01, 0.1, 1.0, 10.0, 100.0],
            negative: Indefinite::Absolute,
            hessian_limit: 4096,
        }
    }
}

/// What becomes of the negative eigenvalues of a Hessian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Indefinite {
    /// They stay.
    Keep,
    /// Their absolute value.
    #[default]
    Absolute,
    /// Zero.
    Clip,
}

/// The name of one of [`METRICS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricName(pub String);

impl JsonSchema for MetricName {
    fn schema_name() -> Cow<'static, str> {
        "DecomposedMetric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A metric against retraining that has a noise ceiling.",
            "type": "string",
            "enum": METRICS,
        })
    }
}

impl DecompositionConfig {
    /// The metrics that are split, of those that something is retrained for.
    pub fn metrics(&self, retrained: &[&str]) -> Vec<String> {
        match &self.metrics {
            Some(names) => names.iter().map(|name| name.0.clone()).collect(),
            None => retrained.iter().copied().map(str::to_owned).collect(),
        }
    }

    /// The methods that are split, of those of the cell.
    pub fn methods<'m>(&self, all: &'m [MethodSpec]) -> Vec<&'m MethodSpec> {
        all.iter()
            .filter(|spec| match &self.methods {
                Some(chosen) => chosen.iter().any(|other| other.is_same(spec)),
                None => spec.name() != HESSIAN,
            })
            .collect()
    }

    /// The first contradiction, as (dotted path below `ground_truth.decomposition`, what is wrong); `retrained` are the
    /// metrics that something is retrained for, `all` the methods of the cell.
    pub fn problem(&self, retrained: &[&str], all: &[MethodSpec]) -> Option<(String, Problem)> {
        if retrained.is_empty() {
            let text = "there is no retraining to split the gap to; add leave_one_out or subset_retraining";
            return Some((String::new(), Problem::new(text)));
        }
        for (index, spec) in self.methods.iter().flatten().enumerate() {
            let at = format!("methods.{index}");
            if spec.name() == HESSIAN {
                let text =
                    "`true_hessian` is the upper end of the ladder and has no parts of its own";
                return Some((at, Problem::new(text)));
            }
            if all.iter().all(|other| !other.is_same(spec)) {
                let labels = all.iter().map(|other| other.label.as_str());
                let kind = "method of influence.methods";
                return Some((at, Problem::unknown(kind, &spec.label, labels)));
            }
        }
        if self.methods(all).is_empty() {
            let text = "`true_hessian` alone has no parts; add a method to influence.methods";
            return Some((String::new(), Problem::new(text)));
        }
        for (index, name) in self.metrics.iter().flatten().enumerate() {
            let at = format!("metrics.{index}");
            if self
                .metrics
                .iter()
                .flatten()
                .take(index)
                .any(|other| other == name)
            {
                let text = format!("the metric `{}` is given twice", name.0);
                return Some((at, Problem::new(text)));
            }
            if !retrained.contains(&name.0.as_str()) {
                let text = format!(
                    "nothing is retrained for `{}`; add {}",
                    name.0,
                    needs(&name.0)
                );
                return Some((at, Problem::new(text)));
            }
        }
        for (index, c) in self.damping.iter().enumerate() {
            if self.damping[..index].contains(c) {
                let text = format!("{c} is given twice");
                return Some((format!("damping.{index}"), Problem::new(text)));
            }
        }
        None
    }
}

/// Name of the method that is the ladder's upper end.
const HESSIAN: &str = "true_hessian";

/// What would have to be retrained for it.
fn needs(metric: &str) -> String {
    match metric.strip_prefix("lds_").map(str::parse::<u32>) {
        Some(Ok(of)) => {
            let mut shares = FRACTIONS.into_iter();
            let share = shares.find(|share| percent(*share) == of).unwrap_or(0.0);
            format!("{share} to ground_truth.subset_retraining.fractions")
        }
        _ => "ground_truth.leave_one_out".to_owned(),
    }
}
