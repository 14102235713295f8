//! What was found about claims, as records.

use crate::results::theory::{
    ClaimRecord, FindingRecord, GrowthRecord, Quantities, Verdict, Worst,
};
use crate::theory::complexity::{self, Growth};
use crate::theory::{Finding, Info, Measured, Outcome, Tally};

/// A claim over all cases.
pub fn claim_record(info: &Info, tally: Tally, witness: Option<&String>) -> ClaimRecord {
    ClaimRecord {
        name: info.name.to_owned(),
        title: info.title.to_owned(),
        statement: info.statement.to_owned(),
        measures: info.measures.to_owned(),
        source: info.source.to_owned(),
        verdict: match (tally.held, tally.violated) {
            (0, 0) => Verdict::NotTestable,
            (_, 0) => Verdict::Holds,
            _ => Verdict::Violated,
        },
        held: tally.held,
        violated: tally.violated,
        untested: tally.untested,
        reason: tally.reason,
        worst: tally.worst.map(|(place, finding)| Worst {
            place,
            measured: finding.measured,
            bound: finding.bound,
            margin: finding.margin,
            tolerance: finding.tolerance,
        }),
        witness: witness.cloned(),
    }
}

/// A claim on one case.
pub fn finding_record(claim: &str, finding: &Finding) -> FindingRecord {
    let (verdict, reason) = match &finding.outcome {
        Outcome::Holds => (Verdict::Holds, None),
        Outcome::Violated => (Verdict::Violated, None),
        Outcome::NotTestable(why) => (Verdict::NotTestable, Some(why.clone())),
    };
    FindingRecord {
        claim: claim.to_owned(),
        measured: finding.measured,
        bound: finding.bound,
        margin: finding.margin,
        tolerance: finding.tolerance,
        verdict,
        reason,
    }
}

/// An exponent of Table 1.
pub fn growth_record(growth: &Growth) -> GrowthRecord {
    let finding = finding_record(complexity::INFO.name, &growth.finding);
    GrowthRecord {
        method: growth.method.to_owned(),
        axis: growth.axis.to_owned(),
        cost: growth.cost.to_owned(),
        points: growth.points.clone(),
        slope: growth.slope.map(|slope| slope.value),
        interval: growth
            .slope
            .and_then(|slope| slope.interval)
            .map(|interval| (interval.low, interval.high)),
        exponent: growth.exponent,
        verdict: finding.verdict,
        reason: finding.reason,
    }
}

/// The measured error beside its bounds.
pub fn quantities(measured: &Measured) -> Quantities {
    Quantities {
        error: measured.error,
        ceiling: measured.ceiling,
        second_order: measured.second_order,
        second_order_inner: measured.second_order_inner,
        second_order_lower: measured.second_order_lower,
        theorem: measured.theorem,
        score: measured.score,
        taken: measured.taken,
        condition: measured.condition,
    }
}
