//! Detection of flipped labels and runtime, side by side: the content of the paper's Figure 2.

use super::dots::{self, Dots};
use super::{Outcome, has_values};
use crate::report::data::ResultSet;

const TITLE: &str = "Detection of flipped labels, and runtime";

/// One row of two panels a task.
pub fn draw(results: &ResultSet) -> Outcome {
    if !has_values(results, "detection_auc") {
        return Outcome::omitted(
            TITLE,
            "no cell has flipped labels and the metric `detection_auc`",
        );
    }
    dots::draw(
        results,
        &Dots {
            id: "detection",
            title: TITLE,
            text: "Left: AUC of the influence on the mean query loss against flipped labels (dashed: chance). \
                   Right: seconds for all scores, gradients not included (logarithmic).",
            metrics: &["detection_auc", "total_seconds"],
            chance: |metric| (metric == "detection_auc").then_some(0.5),
            ceiling: |_, _| None,
            empty: "`detection_auc` is missing at the reference setting",
        },
    )
}
