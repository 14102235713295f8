//! Retrieval of the query's class.

use super::dots::{self, Dots};
use super::{Outcome, has_values};
use crate::report::data::ResultSet;

const TITLE: &str = "Retrieval of the query's class";

/// Class AUC and class recall, one row of panels a task.
pub fn draw(results: &ResultSet) -> Outcome {
    let metrics: Vec<&str> = ["class_auc", "class_recall", "class_recall_published"]
        .into_iter()
        .filter(|metric| has_values(results, metric))
        .collect();
    if metrics.is_empty() {
        return Outcome::omitted(
            TITLE,
            "no cell has classes and the metrics `class_auc` or `class_recall`",
        );
    }
    dots::draw(
        results,
        &Dots {
            id: "class_retrieval",
            title: TITLE,
            text: "Do the most helpful training examples share the query's class? AUC of the negated influence (dashed: chance), \
                   and the share of same-class examples among as many most helpful ones as the class has.",
            metrics: &metrics,
            chance: |metric| (metric == "class_auc").then_some(0.5),
            ceiling: |_, _| None,
            empty: "class metrics are missing at the reference setting",
        },
    )
}
