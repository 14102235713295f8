//! The best damping of a sweep, and the default beside it.

use super::decomposition::value_cell;
use super::metrics::metric_cell;
use super::{Cell, Table};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::{Metric, find};
use crate::report::aggregate::{Aggregate, aggregate, value};
use crate::report::comparison::change;
use crate::report::figures::damping::{DAMPING, METRICS};
use crate::report::number::{self, MISSING};
use crate::report::study::{Group, Study};

/// One row a task, metric and method; `None` where the damping was not swept.
pub fn table(study: &Study) -> Option<Table> {
    if !study.sweeps().iter().any(|axis| axis.key == DAMPING) {
        return None;
    }
    let mut rows = Vec::new();
    for slice in study.slices(Some(DAMPING)) {
        for metric in METRICS.iter().filter_map(|name| find(name)) {
            for label in &study.methods {
                let at = |group: &&Group| {
                    let result = aggregate(group, label, metric.name);
                    result.applies().then_some(result)
                };
                let tried: Vec<(&Group, Aggregate)> = slice
                    .groups
                    .iter()
                    .filter_map(|group| Some((*group, at(group)?)))
                    .collect();
                let defined = tried.iter().filter(|(_, result)| result.value.is_some());
                let best = defined.max_by(|a, b| {
                    // λ that scales all scores moves them by rounding alone
                    let value = |entry: &(&Group, Aggregate)| {
                        (1e9 * entry.1.value.unwrap_or(f64::NAN)).round()
                    };
                    // of equals the one nearer to the default, so that a method without damping stays there
                    let near = |entry: &(&Group, Aggregate)| {
                        -(factor(entry.0) / DEFAULT_DAMPING).ln().abs()
                    };
                    value(a)
                        .total_cmp(&value(b))
                        .then(near(a).total_cmp(&near(b)))
                });
                if tried.is_empty() {
                    continue;
                }
                let default = tried
                    .iter()
                    .find(|(group, _)| factor(group) == DEFAULT_DAMPING);
                let shown = |entry: Option<&(&Group, Aggregate)>| {
                    entry.map_or(Cell::text(MISSING), |entry| metric_cell(metric, &entry.1))
                };
                let gain = default
                    .zip(best)
                    .map_or(Cell::text(MISSING), |(default, best)| {
                        value_cell(&gain(default.0, best.0, label, metric))
                    });
                rows.push(vec![
                    Cell::text(slice.title.clone()),
                    Cell::text(metric.title),
                    Cell::text(study.palette.style(label).name),
                    shown(default),
                    Cell::maybe(best.map(|best| factor(best.0)), number::plain),
                    shown(best),
                    gain,
                    Cell::count(tried.len()),
                ]);
            }
        }
    }
    let headers = [
        "Task",
        "Metric",
        "Method",
        "At the default c = 0.1",
        "Best c",
        "At the best c",
        "Gain over the default",
        "Values of c",
    ];
    (!rows.is_empty()).then(|| Table {
        title: "Damping: the default and the best of the sweep".to_owned(),
        note: "λ = c · mean eigenvalue of each block's Fisher. The best c is chosen on the mean over seeds of the very numbers that stand beside it, so that its gain is an upper estimate of what tuning would bring. Mean over seeds ± half of the 95 % t-interval; the gain's interval is paired by seeds. With one seed, the value and its interval within the cell in brackets, and no interval of the gain.".to_owned(),
        headers: headers.map(str::to_owned).into(),
        rows,
    })
}

fn factor(group: &Group) -> f64 {
    group.number(DAMPING).unwrap_or(f64::NAN)
}

/// The difference of a metric between two groups, by seeds.
fn gain(default: &Group, best: &Group, label: &str, metric: &Metric) -> Aggregate {
    let found = change(default, best, &|record| value(record, label, metric.name));
    let interval = found.and_then(|found| found.interval());
    Aggregate {
        value: found.map(|found| found.difference),
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
        over_seeds: true,
        seeds: found
            .and_then(|found| found.freedom)
            .map_or(0, |freedom| freedom as usize + 1),
        ..Aggregate::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn the_default_stands_beside_the_best() {
        let records = synthetic::damping();
        let study = Study::new(&records);
        let table = table(&study).expect("the damping was swept");
        let row = |metric: &str, method: &str| {
            let found = table
                .rows
                .iter()
                .find(|row| row[1].text == metric && row[2].text == method);
            found.expect("a row").clone()
        };
        // synthetic agreement is best at 1
        let exact = row("LDS at 50 %", "Exact");
        assert_eq!(exact[4].sort, Some(1.0));
        let (default, best) = (exact[3].sort.expect("one"), exact[5].sort.expect("one"));
        assert!((exact[6].sort.expect("one") - (best - default)).abs() < 1e-12 && best > default);
        assert!(exact[6].text.contains('±'), "{}", exact[6].text);
        // a method without damping stays at the default
        let free = row("LDS at 50 %", "Hessian-free");
        assert_eq!((free[4].sort, free[6].sort), (Some(0.1), Some(0.0)));
        assert!(super::table(&Study::new(&synthetic::rank())).is_none());
    }
}
