//! Detection of flipped labels and runtime, side by side: the content of the paper's Figure 2.

use super::{Outcome, dots, has_values};
use crate::report::study::Study;

const TITLE: &str = "Detection of flipped labels, and runtime";

/// One row of two panels a task.
pub fn draw(study: &Study) -> Outcome {
    if !has_values(study, "detection_auc") {
        return Outcome::omitted(
            TITLE,
            "no cell has flipped labels and the metric `detection_auc`",
        );
    }
    let text = "Left: AUC of the influence on the mean query loss against flipped labels (dashed: chance). \
                Right: seconds for all scores, gradients not included (logarithmic).";
    let chance = |metric: &str| (metric == "detection_auc").then_some(0.5);
    match dots::draw(study, &["detection_auc", "total_seconds"], chance, text) {
        Some((scene, text, seen)) => Outcome::drawn("detection", TITLE, text, scene).finding(seen),
        None => Outcome::omitted(TITLE, "`detection_auc` is missing at the reference setting"),
    }
}
