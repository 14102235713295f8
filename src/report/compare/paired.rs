//! Metrics and times of the cells that two sides share: differences paired by task and seed.
//!
//! Cells of one task and seed share a fine-tune's data and are no independent draws: their differences are averaged
//! first. Several tasks are held fixed ([`Contrast::of_fixed_tasks`]): the interval holds for these tasks.

use super::text::plural;
use crate::metrics::METRICS;
use crate::metrics::contrast::Contrast;
use crate::metrics::interval::mean;
use crate::report::aggregate::value;
use crate::report::comparison::seeds_by_task;
use crate::report::number::{self, MISSING};
use crate::report::study::task_name;
use crate::report::tables::Table;
use crate::results::record::Record;

/// Two records of the same cell.
type Pair<'r> = (&'r Record, &'r Record);

/// A number of both records of every pair.
struct Paired {
    /// Mean of A over the cells that have both.
    a: f64,
    /// Mean of B.
    b: f64,
    /// B less A, over the seeds of every task.
    contrast: Contrast,
    cells: usize,
    /// Pairs of task and seed.
    blocks: usize,
    tasks: usize,
    /// Cells in which only one side has a value.
    one_sided: usize,
    /// Whether A and B are the same in all cells.
    same: bool,
}

fn paired(pairs: &[Pair], of: impl Fn(&Record) -> Option<f64>) -> Option<Paired> {
    let mut differences = Vec::new();
    let (mut a, mut b, mut one_sided) = (Vec::new(), Vec::new(), 0);
    for (x, y) in pairs {
        match (of(x), of(y)) {
            (Some(first), Some(second)) => {
                differences.push((task_name(x), x.cell.seed, second - first));
                a.push(first);
                b.push(second);
            }
            (None, None) => {}
            _ => one_sided += 1,
        }
    }
    let differences = seeds_by_task(differences);
    Some(Paired {
        contrast: Contrast::of_fixed_tasks(&differences)?,
        same: a == b && one_sided == 0,
        cells: a.len(),
        blocks: differences.iter().map(Vec::len).sum(),
        tasks: differences.len(),
        a: mean(&a)?,
        b: mean(&b)?,
        one_sided,
    })
}

/// The tables that have something to say; empty without pairs.
pub fn tables(pairs: &[Pair]) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for method in pairs.iter().flat_map(|(a, _)| &a.methods) {
        if !labels.contains(&method.label.as_str()) {
            labels.push(&method.label);
        }
    }
    metrics(pairs, &labels) + &times(pairs, &labels)
}

fn metrics(pairs: &[Pair], labels: &[&str]) -> String {
    let mut found = Vec::new();
    for label in labels {
        for metric in METRICS.iter().filter(|metric| metric.is_computed()) {
            if let Some(paired) = paired(pairs, |record| value(record, label, metric.name)) {
                found.push((*label, metric.name, paired));
            }
        }
    }
    let all = found.len();
    found.retain(|(.., paired)| !paired.same);
    if all == 0 {
        return String::new();
    }
    let same = format!(
        "Metrics: {} of {all} (method × metric) are the same in all cells",
        all - found.len()
    );
    let most = |of: fn(&Paired) -> usize| found.iter().map(|(.., paired)| of(paired)).max();
    let Some((blocks, tasks)) = most(|paired| paired.blocks).zip(most(|paired| paired.tasks))
    else {
        return format!("{same}\n");
    };
    let over = match (blocks, tasks) {
        (1, _) => ", no interval".to_owned(),
        (_, 1) => String::new(),
        (_, tasks) => format!(", the {tasks} tasks held fixed"),
    };
    let header = [
        "method",
        "metric",
        "A",
        "B",
        "B − A",
        "95 % interval",
        "cells",
    ];
    let rows = found
        .iter()
        .map(|(label, metric, paired)| metric_row(label, metric, paired));
    let table = Table::of_texts("", "", header, rows);
    let one_sided = found.iter().filter(|(.., paired)| paired.one_sided > 0);
    let one_sided: String = one_sided
        .map(|(label, metric, paired)| {
            let count = paired.one_sided;
            format!(
                "  {label} {metric}: only one side has a value in {count} cell{}\n",
                plural(count)
            )
        })
        .collect();
    format!(
        "{same}; the others, paired by task and seed ({blocks} pair{}{over}):\n{}{one_sided}",
        plural(blocks),
        table.text("  ")
    )
}

fn metric_row(label: &str, metric: &str, found: &Paired) -> [String; 7] {
    let show = |x: f64| number::significant(x, 4);
    let difference = |x: f64| number::significant(x, 3);
    let interval = found.contrast.interval();
    let interval = interval.map_or(MISSING.to_owned(), |i| {
        format!("[{}, {}]", difference(i.low), difference(i.high))
    });
    [
        label.to_owned(),
        metric.to_owned(),
        show(found.a),
        show(found.b),
        difference(found.contrast.difference),
        interval,
        found.cells.to_string(),
    ]
}

/// Wall time of B over that of A: geometric means.
fn times(pairs: &[Pair], labels: &[&str]) -> String {
    let header = ["time of", "A", "B", "B / A", "95 % interval", "cells"];
    let mut rows = Vec::new();
    let mut add = |name: &str, seconds: &dyn Fn(&Record) -> Option<f64>| {
        let logarithm = |record: &Record| seconds(record).filter(|s| *s > 0.0).map(f64::ln);
        let Some(found) = paired(pairs, logarithm) else {
            return;
        };
        let factor = |x: f64| number::significant(x.exp(), 3);
        let interval = found.contrast.interval();
        rows.push([
            name.to_owned(),
            number::seconds(found.a.exp()),
            number::seconds(found.b.exp()),
            factor(found.contrast.difference),
            interval.map_or(MISSING.to_owned(), |i| {
                format!("[{}, {}]", factor(i.low), factor(i.high))
            }),
            found.cells.to_string(),
        ]);
    };
    add("the whole cell", &|record| Some(record.provenance.seconds));
    // a fine-tune from the cache keeps the time of the run that made it
    add("fine-tune", &|record| {
        let training = record
            .training
            .as_ref()
            .filter(|training| !training.cached)?;
        Some(training.seconds)
    });
    add("gradients", &|record| {
        Some(record.gradients.as_ref()?.seconds)
    });
    add("retraining", &|record| {
        Some(record.ground_truth.as_ref()?.seconds)
    });
    for label in labels {
        add(label, &|record| value(record, label, "total_seconds"));
    }
    if rows.is_empty() {
        return String::new();
    }
    let table = Table::of_texts("", "", header, rows);
    format!("Times, geometric means over cells:\n{}", table.text("  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn differences_are_paired_by_task_and_seed() {
        let before = synthetic::rank();
        let mut after = before.clone();
        // seeds 0, 1, 2 gain 0.01, 0.02, 0.03 at every rank
        for record in &mut after {
            for method in record.methods.iter_mut().filter(|m| m.label == "datainf") {
                for metric in method.metrics.iter_mut().filter(|m| m.metric == "pearson") {
                    let gain = 0.01 * (record.cell.seed + 1) as f64;
                    metric.value = metric.value.map(|x| x + gain);
                }
            }
        }
        let pairs: Vec<Pair> = before.iter().zip(&after).collect();
        let found = paired(&pairs, |record| value(record, "datainf", "pearson")).expect("values");
        // two tasks, held fixed: differences .01, .02, .03 in each, s² = 10⁻⁴
        assert!((found.contrast.difference - 0.02).abs() < 1e-12);
        let error = (2.0 * 1e-4 / 3.0f64).sqrt() / 2.0;
        assert!((found.contrast.error.expect("three seeds") - error).abs() < 1e-12);
        assert!((found.contrast.freedom.expect("few") - 4.0).abs() < 1e-9);
        assert_eq!((found.tasks, found.blocks), (2, 6));
        let text = tables(&pairs);
        assert!(
            text.contains("datainf") && text.contains("pearson"),
            "{text}"
        );
        assert!(text.contains("(6 pairs, the 2 tasks held fixed)"), "{text}");
        assert!(
            text.contains("the whole cell") && text.contains("1.00"),
            "{text}"
        );
        let same: Vec<Pair> = before.iter().zip(&before).collect();
        assert!(!tables(&same).contains("the others"));
        assert_eq!(tables(&[]), "");
    }
}
