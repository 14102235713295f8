//! `metrics:` by name; without it, every metric that the task and the methods allow.

use super::experiment::Settings;
use crate::data::Reads;
use crate::input::Problem;
use crate::metrics::{Metric, Need, computed};

/// The metrics of a cell.
///
/// # Errors
/// The position in `wanted` and the problem: an unknown or repeated name, or one whose needs the
/// task or the methods do not meet.
pub(super) fn settle(
    settings: &Settings,
    wanted: Option<Vec<String>>,
) -> Result<Vec<String>, (usize, Problem)> {
    let Some(wanted) = wanted else {
        let possible = computed().filter(|metric| {
            // one that costs a solution of its own is for who asks for it
            missing(settings, metric).is_none() && !metric.needs.contains(&Need::ExactAtDefault)
        });
        return Ok(possible.map(|metric| metric.name.to_owned()).collect());
    };
    for (index, name) in wanted.iter().enumerate() {
        let Some(metric) = computed().find(|metric| metric.name == name) else {
            return Err((
                index,
                Problem::unknown("metric", name, computed().map(|m| m.name)),
            ));
        };
        if wanted[..index].contains(name) {
            return Err((
                index,
                Problem::new(format!("the metric `{name}` is given twice")),
            ));
        }
        if let Some(reason) = missing(settings, metric) {
            return Err((
                index,
                Problem::new(format!("`{name}` cannot be computed here: {reason}")),
            ));
        }
    }
    Ok(wanted)
}

/// Why a metric cannot be computed in a cell.
fn missing(settings: &Settings, metric: &Metric) -> Option<String> {
    metric.needs.iter().find_map(|need| match need {
        Need::Exact if !settings.influence.has_exact() => {
            Some("it needs the exact scores; add `exact` to influence.methods".to_owned())
        }
        Need::Flipped if settings.task.flip() == 0.0 => {
            Some("the task flips no labels (task.flip is 0)".to_owned())
        }
        Need::LeaveOneOut
            if settings
                .ground_truth
                .as_ref()
                .is_none_or(|truth| truth.leave_one_out.is_none()) =>
        {
            Some("it needs retraining; add ground_truth.leave_one_out".to_owned())
        }
        Need::Subsets(percent)
            if settings
                .ground_truth
                .as_ref()
                .is_none_or(|truth| !truth.has_fraction(*percent)) =>
        {
            Some(format!(
                "it needs retraining; add {} to ground_truth.subset_retraining.fractions",
                f64::from(*percent) / 100.0
            ))
        }
        Need::Images if settings.task.reads() != Reads::Images => {
            Some("the task has no images".to_owned())
        }
        Need::Classes if !settings.task.has_classes() => Some("the task has no classes".to_owned()),
        _ => None,
    })
}
