//! What became of a cell, for a progress line.

use crate::results::record::{Record, Status};

/// One cell's outcome in a few words.
pub fn outcome(record: &Record) -> String {
    if record.status == Status::Failed {
        return format!(
            "FAILED: {}",
            record.error.as_deref().unwrap_or("no reason recorded")
        );
    }
    let failed: Vec<&str> = record
        .methods
        .iter()
        .filter(|m| m.status == Status::Failed)
        .map(|m| m.label.as_str())
        .collect();
    if !failed.is_empty() {
        return format!("FAILED in {}", failed.join(", "));
    }
    let headline = |metric: &str, label: &str| {
        let method = record.methods.iter().find(|m| m.label == label)?;
        let value = method.metrics.iter().find(|m| m.metric == metric)?.value?;
        Some(format!("{label} {value:.3}"))
    };
    let pairs: Vec<String> = ["datainf", "hessian_free"]
        .iter()
        .filter_map(|label| headline("pearson", label))
        .collect();
    if pairs.is_empty() {
        "done".to_owned()
    } else {
        format!("Pearson with exact: {}", pairs.join(", "))
    }
}
