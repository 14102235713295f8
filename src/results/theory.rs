//! What `infbench theory` found, as one versioned file.
//!
//! Errors and bounds on ‖D − E‖ are in units of 1/λ. A number that is missing or not finite is `null`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::record::Provenance;

/// Version of this layout; raised when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// A whole experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TheoryResults {
    /// [`SCHEMA`] at the time of writing.
    pub schema: u32,
    /// The experiment's `name`.
    pub experiment: String,
    /// What it asks.
    pub description: String,
    /// Where and with what it was computed.
    pub provenance: Provenance,
    /// The settings that the others vary.
    pub base: Value,
    /// What of them can be varied, and its value in `base`.
    pub base_axes: BTreeMap<String, f64>,
    /// The varied settings and their values.
    pub varied: Vec<Varied>,
    /// A verdict a claim, in the order of `infbench list claims`.
    pub claims: Vec<ClaimRecord>,
    /// Every block of every setting and seed.
    pub cases: Vec<CaseRecord>,
    /// Measured growth of time and memory.
    pub growth: Vec<GrowthRecord>,
}

/// A varied setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Varied {
    /// Its name.
    pub axis: String,
    /// Its values.
    pub values: Vec<f64>,
}

/// `holds`, `violated` or `not_testable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// On every case that could tell.
    Holds,
    /// On at least one case.
    Violated,
    /// No case could tell.
    NotTestable,
}

impl Verdict {
    /// For readers.
    pub fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "VIOLATED",
            Self::NotTestable => "not testable here",
        }
    }
}

/// A claim over the whole grid.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRecord {
    /// Name.
    pub name: String,
    /// Heading.
    pub title: String,
    /// The statement.
    pub statement: String,
    /// What is measured.
    pub measures: String,
    /// Where it comes from.
    pub source: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Cases on which it holds.
    pub held: usize,
    /// Cases on which it does not.
    pub violated: usize,
    /// Cases that cannot tell.
    pub untested: usize,
    /// Why, of the first case that cannot tell.
    pub reason: Option<String>,
    /// The case with the smallest margin.
    pub worst: Option<Worst>,
    /// File of the violating case, cut down, beside this one; its JSON has the same name.
    pub witness: Option<String>,
}

/// Where a claim came nearest to its bound, or broke it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// Where.
    pub place: String,
    /// What was measured.
    pub measured: f64,
    /// The bound.
    pub bound: f64,
    /// 1 − measured/bound, or bound − measured where the bound is 0.
    pub margin: f64,
    /// What rounding may add.
    pub tolerance: f64,
}

/// One block of one setting and seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseRecord {
    /// The block.
    pub block: String,
    /// The seed; `null` for stored gradients.
    pub seed: Option<u64>,
    /// What can be varied, and its value here.
    pub axes: BTreeMap<String, f64>,
    /// Examples n.
    pub n: usize,
    /// Size d.
    pub d: usize,
    /// λ.
    pub lambda: f64,
    /// Why no claim could be checked here.
    pub error: Option<String>,
    /// The measured error and its bounds.
    pub quantities: Option<Quantities>,
    /// (b, λ‖D_b − E‖).
    pub groups: Vec<(usize, f64)>,
    /// What checking the claims found.
    pub findings: Vec<FindingRecord>,
}

impl CaseRecord {
    /// The case in a few words.
    pub fn place(&self) -> String {
        let mut parts = vec![format!("n={} d={} λ={:.3e}", self.n, self.d, self.lambda)];
        for (axis, value) in &self.axes {
            if !matches!(axis.as_str(), "train" | "dim") {
                parts.push(format!("{axis}={value}"));
            }
        }
        parts.push(self.block.clone());
        parts.extend(self.seed.map(|seed| format!("seed={seed}")));
        parts.join(" ")
    }
}

/// The measured error beside its bounds, in units of 1/λ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantities {
    /// λ‖D − E‖.
    pub error: f64,
    /// ‖F‖/(λ + ‖F‖).
    pub ceiling: f64,
    /// ‖C₂‖/λ².
    pub second_order: f64,
    /// ‖E C₂ E‖.
    pub second_order_inner: f64,
    /// The bound from below.
    pub second_order_lower: f64,
    /// 2M²d²/λ².
    pub theorem: f64,
    /// The largest score error over ‖v‖‖g‖.
    pub score: f64,
    /// tr(I − λD), of d.
    pub taken: f64,
    /// ‖F‖/λ.
    pub condition: f64,
}

/// What checking a claim on a case found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingRecord {
    /// The claim.
    pub claim: String,
    /// What was measured.
    pub measured: f64,
    /// The bound.
    pub bound: f64,
    /// 1 − measured/bound, or bound − measured where the bound is 0.
    pub margin: f64,
    /// What rounding may add.
    pub tolerance: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it cannot tell.
    pub reason: Option<String>,
}

/// Growth of a cost along a size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrowthRecord {
    /// The method.
    pub method: String,
    /// `n`, `d` or `L`.
    pub axis: String,
    /// `time` (seconds) or `memory` (bytes).
    pub cost: String,
    /// (size, cost).
    pub points: Vec<(f64, f64)>,
    /// The fitted exponent.
    pub slope: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The exponent of Table 1.
    pub exponent: f64,
    /// Whether the slope keeps to it.
    pub verdict: Verdict,
    /// Why it cannot tell.
    pub reason: Option<String>,
}
