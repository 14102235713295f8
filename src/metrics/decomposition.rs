//! The gap between a method and retraining in parts, as records hold it.
//!
//! A ladder of scores leads from the retraining truth to the method; every rung differs from the one above it by
//! one switch. The gap is 1 − agreement at the lower end, a part is what the agreement loses from one rung to the
//! next, so that the parts of a method add up to its gap. See docs/decomposition.md.

use serde::{Deserialize, Serialize};

use super::value::MetricValue;

/// What is switched from one rung to the next, in the order of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// A finite number of retrainings in place of the expected loss: what no method can reach.
    Noise,
    /// Influence with the Hessian of all parameters in place of retraining.
    Influence,
    /// The empirical Fisher in place of the Hessian.
    Fisher,
    /// Its diagonal blocks in place of the whole.
    Blocks,
    /// A λ for each block in place of one for all, each the same share of its mean eigenvalue.
    BlockDamping,
    /// The chosen size of the damping in place of the ladder's.
    Damping,
    /// The mean of inverses in place of the inverse of the mean.
    Swap,
    /// The method's own approximation in place of the inverse.
    Approximation,
    /// The iterations that were made in place of converged ones.
    Convergence,
    /// The number formats of the cell in place of gradients as they were computed and products in f64.
    Precision,
}

/// All of them, in order.
pub const SWITCHES: [Switch; 10] = [
    Switch::Noise,
    Switch::Influence,
    Switch::Fisher,
    Switch::Blocks,
    Switch::BlockDamping,
    Switch::Damping,
    Switch::Swap,
    Switch::Approximation,
    Switch::Convergence,
    Switch::Precision,
];

impl Switch {
    /// Name in files.
    pub fn key(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Influence => "influence",
            Self::Fisher => "fisher",
            Self::Blocks => "blocks",
            Self::BlockDamping => "block_damping",
            Self::Damping => "damping",
            Self::Swap => "swap",
            Self::Approximation => "approximation",
            Self::Convergence => "convergence",
            Self::Precision => "precision",
        }
    }

    /// Name for readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Noise => "noise of retraining",
            Self::Influence => "influence for retraining",
            Self::Fisher => "Fisher for Hessian",
            Self::Blocks => "blocks for whole",
            Self::BlockDamping => "λ by block",
            Self::Damping => "size of damping",
            Self::Swap => "swap of inverse and mean",
            Self::Approximation => "the method's approximation",
            Self::Convergence => "not converged",
            Self::Precision => "number format",
        }
    }
}

/// The decomposition of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DecompositionInfo {
    /// Wall time, without the Hessian and without the cell's own scores.
    pub seconds: f64,
    /// One entry a metric.
    pub ladders: Vec<LadderInfo>,
}

/// The decomposition by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderInfo {
    /// Name of the metric, e.g. `lds_50`.
    pub metric: String,
    /// c of the rungs above [`Switch::Damping`].
    pub damping: f64,
    /// Agreement of the ladder's upper end at every candidate for c, and at the cell's own c.
    pub candidates: Vec<Candidate>,
    /// One entry a method.
    pub methods: Vec<MethodParts>,
}

/// A candidate for c of the upper rungs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// c.
    pub damping: f64,
    /// Agreement of influence by the Hessian (or what stands for it) with retraining; `null` when undefined.
    pub agreement: Option<f64>,
}

/// The gap of one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodParts {
    /// The method, as in the settings.
    pub method: String,
    /// Why it has no parts: it failed, or no query is defined on all rungs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// 1 − agreement; over the queries that are defined on all rungs.
    pub gap: MetricValue,
    /// From the truth to the method; the values add up to the gap.
    pub parts: Vec<PartInfo>,
}

/// One part of a gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartInfo {
    /// What was switched: one thing, or several where a rung between them could not be measured.
    pub switches: Vec<Switch>,
    /// Agreement that was lost, negative where it was won, with its paired interval.
    pub loss: MetricValue,
    /// Agreement of the rung below the switch.
    pub agreement: MetricValue,
    /// 1 − Pearson's r between the scores above and below the switch, mean over queries: how far it moves
    /// them, whether nearer to retraining or away. `null` where the rung above has no scores.
    pub size: Option<MetricValue>,
    /// Why several things were switched at once, or that there was nothing to switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl PartInfo {
    /// Name in files: `fisher`, `influence+fisher`.
    pub fn key(&self) -> String {
        joined(&self.switches, Switch::key, "+")
    }

    /// Name for readers.
    pub fn title(&self) -> String {
        joined(&self.switches, Switch::title, " and ")
    }
}

fn joined(switches: &[Switch], name: fn(Switch) -> &'static str, between: &str) -> String {
    let names: Vec<&str> = switches.iter().map(|switch| name(*switch)).collect();
    names.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_files_and_stand_in_order() {
        for (switch, next) in SWITCHES.iter().zip(&SWITCHES[1..]) {
            assert!(switch < next);
        }
        for switch in SWITCHES {
            let written = serde_json::to_value(switch).expect("plain JSON");
            assert_eq!(written, switch.key());
        }
    }
}
