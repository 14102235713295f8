//! What `infbench theory` found, as one versioned file.
//!
//! Errors and bounds on ‖D − E‖ are in units of 1/λ. A number that is missing or not finite is `null`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::input;

use super::files::ResultsError;
use super::packed;
use super::record::Provenance;

/// Version of this layout; raised when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// The claim about time and memory: the only one that is measured anew in every run.
pub const TIMED: &str = crate::theory::complexity::INFO.name;

/// A whole experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Varied {
    /// Its name.
    pub axis: String,
    /// Its values.
    pub values: Vec<f64>,
}

/// `holds`, `violated` or `not_testable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Where.
    pub place: String,
    /// What was measured.
    #[serde(deserialize_with = "number")]
    pub measured: f64,
    /// The bound.
    #[serde(deserialize_with = "number")]
    pub bound: f64,
    /// 1 − measured/bound, or bound − measured where the bound is 0.
    #[serde(deserialize_with = "number")]
    pub margin: f64,
    /// What rounding may add.
    #[serde(deserialize_with = "number")]
    pub tolerance: f64,
}

/// One block of one setting and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(deserialize_with = "number")]
    pub lambda: f64,
    /// Why no claim could be checked here.
    pub error: Option<String>,
    /// The measured error and its bounds.
    pub quantities: Option<Quantities>,
    /// (b, λ‖D_b − E‖).
    #[serde(deserialize_with = "numbers")]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantities {
    /// λ‖D − E‖.
    #[serde(deserialize_with = "number")]
    pub error: f64,
    /// ‖F‖/(λ + ‖F‖).
    #[serde(deserialize_with = "number")]
    pub ceiling: f64,
    /// ‖C₂‖/λ².
    #[serde(deserialize_with = "number")]
    pub second_order: f64,
    /// ‖E C₂ E‖.
    #[serde(deserialize_with = "number")]
    pub second_order_inner: f64,
    /// The bound from below.
    #[serde(deserialize_with = "number")]
    pub second_order_lower: f64,
    /// 2M²d²/λ².
    #[serde(deserialize_with = "number")]
    pub theorem: f64,
    /// The largest score error over ‖v‖‖g‖.
    #[serde(deserialize_with = "number")]
    pub score: f64,
    /// tr(I − λD), of d.
    #[serde(deserialize_with = "number")]
    pub taken: f64,
    /// ‖F‖/λ.
    #[serde(deserialize_with = "number")]
    pub condition: f64,
}

/// What checking a claim on a case found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// The claim.
    pub claim: String,
    /// What was measured.
    #[serde(deserialize_with = "number")]
    pub measured: f64,
    /// The bound.
    #[serde(deserialize_with = "number")]
    pub bound: f64,
    /// 1 − measured/bound, or bound − measured where the bound is 0.
    #[serde(deserialize_with = "number")]
    pub margin: f64,
    /// What rounding may add.
    #[serde(deserialize_with = "number")]
    pub tolerance: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it cannot tell.
    pub reason: Option<String>,
}

/// Growth of a cost along a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrowthRecord {
    /// The method.
    pub method: String,
    /// `n`, `d` or `L`.
    pub axis: String,
    /// `time` (seconds) or `memory` (bytes).
    pub cost: String,
    /// (size, cost).
    #[serde(deserialize_with = "numbers")]
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

/// What is not finite was written as `null`.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Pairs whose second number may be `null`.
fn numbers<'de, D, K>(from: D) -> Result<Vec<(K, f64)>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de>,
{
    let pairs = Vec::<(K, Option<f64>)>::deserialize(from)?;
    let number = |(x, y): (K, Option<f64>)| (x, y.unwrap_or(f64::NAN));
    Ok(pairs.into_iter().map(number).collect())
}

/// Reads `theory.json` (or `theory.json.gz`) of a folder; `None` when there is none.
///
/// # Errors
/// A file that cannot be read or is not of this layout.
pub fn load(root: &Path) -> Result<Option<TheoryResults>, ResultsError> {
    Ok(read(root)?.map(|(results, _)| results))
}

/// The same as [`load`], as JSON, fields of other versions included.
///
/// # Errors
/// As of [`load`].
pub fn load_json(root: &Path) -> Result<Option<Value>, ResultsError> {
    Ok(read(root)?.map(|(_, json)| json))
}

fn read(root: &Path) -> Result<Option<(TheoryResults, Value)>, ResultsError> {
    let Some((path, text)) = packed::text(root, "theory.json")? else {
        return Ok(None);
    };
    let broken = |error: serde_json::Error| ResultsError::Broken {
        path: path.clone(),
        message: input::json_problem(&error),
    };
    let json: Value = serde_json::from_str(&text).map_err(broken)?;
    let results = TheoryResults::deserialize(&json).map_err(broken)?;
    if results.schema != SCHEMA {
        return Err(ResultsError::Layout {
            path,
            found: u64::from(results.schema),
        });
    }
    Ok(Some((results, json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_comes_back_as_not_a_number() {
        let quantities = Quantities {
            error: 0.5,
            ceiling: 0.9,
            second_order: f64::INFINITY,
            second_order_inner: 1.0,
            second_order_lower: 0.1,
            theorem: f64::INFINITY,
            score: 0.2,
            taken: 0.3,
            condition: 9.0,
        };
        let text = serde_json::to_string(&quantities).unwrap();
        let read: Quantities = serde_json::from_str(&text).unwrap();
        assert!(read.theorem.is_nan() && read.second_order.is_nan());
        assert_eq!((read.error, read.condition), (0.5, 9.0));
        let pairs: Vec<(usize, f64)> = numbers(&mut serde_json::Deserializer::from_str(
            "[[1, 0.5], [2, null]]",
        ))
        .unwrap();
        assert!(pairs[0] == (1, 0.5) && pairs[1].0 == 2 && pairs[1].1.is_nan());
    }

    #[test]
    fn a_folder_without_theory_has_none_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path()).unwrap().is_none());
        std::fs::write(folder.path().join("theory.json"), "{}").unwrap();
        assert!(matches!(
            load(folder.path()),
            Err(ResultsError::Broken { .. })
        ));
    }
}
