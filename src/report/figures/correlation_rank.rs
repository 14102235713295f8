//! Correlation with exact against LoRA rank: the layout of the paper's Figure 1.

use super::draft::Draft;
use super::{Outcome, compared};
use crate::report::data::ResultSet;

const TITLE: &str = "Correlation with exact influence against LoRA rank";
const RANK: &str = "lora.rank";

/// One panel per task and measure: the mean query's correlation, as in the paper, and the mean over queries.
pub fn draw(results: &ResultSet) -> Outcome {
    if !results.sweeps().iter().any(|axis| axis.key == RANK) {
        return Outcome::omitted(TITLE, "no sweep over `lora.rank` with two values or more");
    }
    let slices = results.slices(Some(RANK));
    // rows of one measure, where that is possible
    let columns = match slices.len() {
        1 | 2 | 4 => 2,
        _ => 3,
    };
    let mut draft = Draft::new(columns, 240.0);
    for (metric, kind) in [
        ("pearson_mean_query", "mean query"),
        ("pearson", "per query"),
    ] {
        for slice in &slices {
            let lead = format!("{}, {kind}: closest to exact", slice.title);
            if let Some(panel) = draft.along(results, slice, RANK, metric, &lead, None) {
                panel.title = format!("{} – {kind}", slice.title);
                panel.y.title = "Pearson r with exact".to_owned();
            }
        }
    }
    draft.legend(results, compared(results, "pearson"));
    slices.iter().for_each(|slice| draft.covers(slice));
    let text = [
        "Pearson's r between each method's scores and exact influence; 1 is perfect.",
        "\"Mean query\" is influence on the mean query loss, as in the paper's Figure 1; \"per query\" is the mean of r over the queries.",
        &draft.intervals(),
        "Intervals longer than half of the axis are cut. Methods are set slightly apart along x.",
    ];
    let empty = "no cell has a defined correlation with exact (`pearson_mean_query` or `pearson`)";
    draft.outcome("correlation_rank", TITLE, &text, empty)
}
