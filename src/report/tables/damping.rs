//! The best damping of a sweep, and the default beside it.

use super::cells::{metric_cell, value_cell};
use super::{Cell, Columns, Table};
use crate::config::influence::DEFAULT_DAMPING;
use crate::metrics::{Metric, find};
use crate::report::data::{Aggregate, Group, ResultSet, Slice, aggregate, change, value};
use crate::report::figures::sweeps::{DAMPING, TUNED};
use crate::report::number::{self, MISSING};

/// A method by a metric over the values of c.
struct Tuned<'s, 'a> {
    slice: &'s Slice<'a, 's>,
    metric: &'static Metric,
    label: &'s str,
    tried: Vec<(&'s Group<'a>, Aggregate)>,
}

impl<'s, 'a> Tuned<'s, 'a> {
    fn default(&self) -> Option<&(&'s Group<'a>, Aggregate)> {
        let mut tried = self.tried.iter();
        tried.find(|(group, _)| factor(group) == DEFAULT_DAMPING)
    }

    /// Of equals the one nearer to the default, so that a method without damping stays there.
    fn best(&self) -> Option<&(&'s Group<'a>, Aggregate)> {
        let near = |group: &Group| -(factor(group) / DEFAULT_DAMPING).ln().abs();
        // λ that scales all scores moves them by rounding alone
        let rounded = |result: &Aggregate| Some((1e9 * result.value?).round());
        let defined = self.tried.iter().filter(|(_, r)| r.value.is_some());
        defined.max_by(|(a, x), (b, y)| {
            let values = rounded(x).partial_cmp(&rounded(y));
            let order = values.unwrap_or(std::cmp::Ordering::Equal);
            order.then(near(a).total_cmp(&near(b)))
        })
    }

    fn shown(&self, entry: Option<&(&Group, Aggregate)>) -> Cell {
        entry.map_or(Cell::text(MISSING), |e| metric_cell(self.metric, &e.1))
    }

    /// The difference of the metric between the default and the best, by seeds.
    fn gain(&self) -> Aggregate {
        let found = self.default().zip(self.best()).and_then(|(a, b)| {
            let of = |record: &_| value(record, self.label, self.metric.name);
            change(a.0, b.0, &of)
        });
        let interval = found.and_then(|found| found.interval());
        Aggregate {
            value: found.map(|found| found.difference),
            interval: interval.map(Into::into),
            over_seeds: true,
            ..Aggregate::default()
        }
    }
}

/// One row a task, metric and method; `None` where the damping was not swept.
pub fn table(results: &ResultSet) -> Option<Table> {
    if !results.sweeps().iter().any(|axis| axis.key == DAMPING) {
        return None;
    }
    let slices = results.slices(Some(DAMPING));
    let mut rows = Vec::new();
    for slice in &slices {
        for metric in TUNED.iter().filter_map(|name| find(name)) {
            rows.extend(results.methods.iter().map(|label| {
                let groups = slice.groups.iter();
                let tried = groups.map(|group| (*group, aggregate(group, label, metric.name)));
                Tuned {
                    slice,
                    metric,
                    label,
                    tried: tried.filter(|(_, result)| result.applies()).collect(),
                }
            }));
        }
    }
    rows.retain(|row| !row.tried.is_empty());
    Columns::new()
        .text("Task", |row: &Tuned| row.slice.title.clone())
        .text("Metric", |row| row.metric.title)
        .text("Method", |row| results.palette.name(row.label))
        .add("At the default c = 0.1", |row| row.shown(row.default()))
        .number("Best c", number::plain, |row| Some(factor(row.best()?.0)))
        .add("At the best c", |row| row.shown(row.best()))
        .add("Gain over the default", |row| value_cell(&row.gain()))
        .count("Values of c", |row| row.tried.len())
        .table(
            "Damping: the default and the best of the sweep",
            "λ = c · mean eigenvalue of each block's Fisher. The best c is chosen on the mean over seeds of the very numbers that stand beside it, so that its gain is an upper estimate of what tuning would bring. Mean over seeds ± half of the 95 % t-interval; the gain's interval is paired by seeds. With one seed, the value and its interval within the cell in brackets, and no interval of the gain.",
            rows,
        )
}

fn factor(group: &Group) -> f64 {
    group.number(DAMPING).unwrap_or(f64::NAN)
}
