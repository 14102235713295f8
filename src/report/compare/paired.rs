//! Metrics and times of the cells that two sides share: differences paired by task and seed.
//!
//! Cells of one task and seed share a fine-tune's data and are no independent draws: their differences are averaged
//! first. Several tasks are held fixed ([`Contrast::of_fixed_tasks`]): the interval holds for these tasks.

use crate::metrics::METRICS;
use crate::metrics::contrast::Contrast;
use crate::metrics::interval::mean;
use crate::progress::count;
use crate::report::data::{by_task, distinct, task_name, value};
use crate::report::number::{self, MISSING};
use crate::report::tables::Columns;
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
    let differences = by_task(differences);
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
    let methods = pairs.iter().flat_map(|(a, _)| &a.methods);
    let labels = distinct(methods.map(|method| method.label.as_str()));
    metrics(pairs, &labels) + &times(pairs, &labels)
}

/// `[0.010, 0.020]`
fn interval(found: &Paired, show: impl Fn(f64) -> String) -> String {
    match number::ends(found.contrast.interval(), show).trim_start() {
        "" => MISSING.to_owned(),
        ends => ends.to_owned(),
    }
}

fn metrics(pairs: &[Pair], labels: &[&str]) -> String {
    let mut found: Vec<(&str, &str, Paired)> = Vec::new();
    for label in labels {
        for metric in METRICS.iter().filter(|metric| metric.is_computed()) {
            let of = |record: &Record| value(record, label, metric.name);
            found.extend(paired(pairs, of).map(|paired| (*label, metric.name, paired)));
        }
    }
    let all = found.len();
    found.retain(|(.., paired)| !paired.same);
    if all == 0 {
        return String::new();
    }
    let same = all - found.len();
    let mut text = format!("Metrics: {same} of {all} (method × metric) are the same in all cells");
    let most = |of: fn(&Paired) -> usize| found.iter().map(|(.., paired)| of(paired)).max();
    let over = match (most(|paired| paired.blocks), most(|paired| paired.tasks)) {
        (Some(1), _) => ", no interval".to_owned(),
        (_, Some(tasks)) if tasks > 1 => format!(", the {tasks} tasks held fixed"),
        _ => String::new(),
    };
    let blocks = most(|paired| paired.blocks).unwrap_or(0);
    let four = |x| number::significant(x, 4);
    let three = |x| number::significant(x, 3);
    let table = Columns::new()
        .text("method", |(label, ..): &&(&str, &str, Paired)| *label)
        .text("metric", |(_, metric, _)| *metric)
        .number("A", four, |(.., found)| Some(found.a))
        .number("B", four, |(.., found)| Some(found.b))
        .number("B − A", three, |(.., found)| {
            Some(found.contrast.difference)
        })
        .text("95 % interval", |(.., found)| interval(found, three))
        .count("cells", |(.., found)| found.cells)
        .table("", "", &found);
    text += &table.map_or("\n".to_owned(), |table| {
        let (blocks, table) = (count(blocks, "pair"), table.text("  "));
        format!("; the others, paired by task and seed ({blocks}{over}):\n{table}")
    });
    for (label, metric, paired) in found.iter().filter(|(.., paired)| paired.one_sided > 0) {
        let cells = count(paired.one_sided, "cell");
        text += &format!("  {label} {metric}: only one side has a value in {cells}\n");
    }
    text
}

/// Wall time of B over that of A: geometric means.
fn times(pairs: &[Pair], labels: &[&str]) -> String {
    type Seconds = fn(&Record) -> Option<f64>;
    let of_cells: [(&str, Seconds); 4] = [
        ("the whole cell", |r| Some(r.provenance.seconds)),
        // a fine-tune from the cache keeps the time of the run that made it
        ("fine-tune", |r| {
            let training = r.training.as_ref().filter(|training| !training.cached);
            Some(training?.seconds)
        }),
        ("gradients", |r| Some(r.gradients.as_ref()?.seconds)),
        ("retraining", |r| Some(r.ground_truth.as_ref()?.seconds)),
    ];
    let ln = |seconds: Option<f64>| seconds.filter(|s| *s > 0.0).map(f64::ln);
    let cells = of_cells.map(|(name, of)| (name, paired(pairs, |r| ln(of(r)))));
    let methods = labels.iter().map(|label| {
        let seconds = |record: &Record| ln(value(record, label, "total_seconds"));
        (*label, paired(pairs, seconds))
    });
    let rows = cells.into_iter().chain(methods);
    let rows = rows.filter_map(|(name, found)| Some((name, found?)));
    let seconds = |x: f64| number::seconds(x.exp());
    let factor = |x: f64| number::significant(x.exp(), 3);
    let table = Columns::new()
        .text("time of", |(name, _): &(&str, Paired)| *name)
        .number("A", seconds, |(_, found)| Some(found.a))
        .number("B", seconds, |(_, found)| Some(found.b))
        .number("B / A", factor, |(_, found)| {
            Some(found.contrast.difference)
        })
        .text("95 % interval", |(_, found)| interval(found, factor))
        .count("cells", |(_, found)| found.cells)
        .table("", "", rows);
    table.map_or(String::new(), |table| {
        format!("Times, geometric means over cells:\n{}", table.text("  "))
    })
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
        for part in [
            "datainf",
            "pearson",
            "(6 pairs, the 2 tasks held fixed)",
            "the whole cell",
            "1.00",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let same: Vec<Pair> = before.iter().zip(&before).collect();
        assert!(!tables(&same).contains("the others"));
        assert_eq!(tables(&[]), "");
    }
}
