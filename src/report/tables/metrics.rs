//! Metrics of every method at every setting, and what the methods cost.

use super::cells::{arrow, metric_cell};
use super::{Cell, Columns, Table, damping_text};
use crate::metrics::{METRICS, Metric};
use crate::report::data::{Aggregate, Group, ResultSet, aggregate, has_values, method};
use crate::report::number;
use crate::results::record::MethodRecord;

/// How the entries with ± and brackets are to be read.
const READING: &str = "Mean over seeds ± half of the 95 % t-interval (×÷: geometric mean and the factor of the interval of the logarithms); with one seed, the value and its interval within the cell in brackets. \
                       \"Undefined\" counts cases (queries, or one a cell) that have no value and are not in the mean.";

/// A row: a method at a setting.
pub struct Entry<'s, 'a> {
    group: &'s Group<'a>,
    label: &'s str,
    results: Vec<Aggregate>,
}

impl<'s, 'a> Entry<'s, 'a> {
    /// By these metrics.
    pub fn new(group: &'s Group<'a>, label: &'s str, metrics: &[&Metric]) -> Self {
        let results = metrics.iter().map(|m| aggregate(group, label, m.name));
        Self {
            group,
            label,
            results: results.collect(),
        }
    }

    /// The result by the i-th metric.
    pub fn result(&self, i: usize) -> &Aggregate {
        &self.results[i]
    }

    /// Cells without scores.
    pub fn failed(&self) -> usize {
        let failed = self.results.iter().map(|result| result.failed);
        failed.max().unwrap_or(0)
    }

    /// Undefined cases, and all.
    pub fn undefined(&self) -> (usize, usize) {
        let counts = self.results.iter().map(|r| (r.undefined, r.cases));
        counts.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1))
    }

    fn seeds(&self) -> usize {
        let seeds = self.results.iter().map(|result| result.seeds);
        seeds.max().unwrap_or(0)
    }

    /// The method in every cell that has it.
    fn methods(&self) -> impl Iterator<Item = &'a MethodRecord> {
        let records = self.group.records.iter();
        records.filter_map(|record| method(record, self.label))
    }
}

/// Setting, method and a column per metric.
fn columns<'c, 'a: 'c>(
    results: &'c ResultSet<'a>,
    metrics: &[&'static Metric],
    header: fn(&Metric) -> String,
) -> Columns<'c, Entry<'c, 'a>> {
    let columns = Columns::new()
        .of_setting(results, |row: &Entry<'c, 'a>| Some(row.group))
        .text("Method", |row| results.palette.name(row.label));
    columns.each(metrics.iter().enumerate(), |columns, (i, &metric)| {
        columns.add(header(metric), move |row| {
            metric_cell(metric, row.result(i))
        })
    })
}

/// One row a setting and method; `None` when none of the metrics was taken.
pub fn table(results: &ResultSet, title: &str, metrics: &[&'static Metric]) -> Option<Table> {
    let mut used = metrics.to_vec();
    used.retain(|metric| has_values(results, metric.name));
    let compared: Vec<Vec<&str>> = used.iter().map(|metric| results.compared(metric)).collect();
    let mut labels: Vec<&str> = results.labels().collect();
    labels.retain(|label| compared.iter().any(|known| known.contains(label)));
    let groups = results.groups.iter();
    let rows = groups.flat_map(|group| labels.iter().map(|l| Entry::new(group, l, &used)));
    let what = used.iter().map(|m| format!("{}: {}.", m.title, m.summary));
    let what: Vec<String> = what.collect();
    columns(results, &used, |metric| {
        format!("{} {}", metric.label(), arrow(metric))
    })
    .count("Seeds", Entry::seeds)
    .add("Undefined", |row| {
        let (undefined, cases) = row.undefined();
        Cell::share(undefined, cases)
    })
    .count("Failed", Entry::failed)
    .table(
        title,
        format!("{} {READING} {}", damping_text(results), what.join(" ")),
        rows.filter(|row| row.failed() > 0 || row.results.iter().any(Aggregate::applies)),
    )
}

/// Time, memory and what the solvers say of their own answers: one row a setting and method.
pub fn cost(results: &ResultSet) -> Option<Table> {
    let metrics: Vec<&Metric> = METRICS.iter().filter(|m| !m.is_computed()).collect();
    let entries = |group| results.methods.iter().map(move |l| (group, l));
    let rows = results.groups.iter().flat_map(entries);
    let rows = rows.map(|(group, label)| Entry::new(group, label, &metrics));
    let note = format!(
        "Wall time by stage for all scores (gradients not included), peak memory above what was resident before, and what each solver says of its own answer: the largest ‖(F+λI)x − v‖/‖v‖ over blocks, queries and seeds. Geometric mean over seeds ×÷ the factor of its 95 % t-interval. {}",
        damping_text(results)
    );
    // the cells carry their own units
    columns(results, &metrics, |metric| metric.title.to_owned())
        .add("Largest residual", |row| {
            let residuals = row.methods().filter_map(|m| m.evidence.residual);
            let not_finite = row.methods().any(|m| m.evidence.not_finite());
            let shown = |r| match not_finite {
                true => "not finite".to_owned(),
                false => number::significant(r, 2),
            };
            Cell::maybe(residuals.max_by(f64::total_cmp), shown)
        })
        .number("Iterations", number::plain, |row| {
            let iterations = row.methods().filter_map(|m| m.evidence.iterations);
            iterations.max().map(|most| most as f64)
        })
        .text("Solver", solvers)
        .count("Blocks not converged", |row| {
            row.methods().map(|m| m.evidence.not_converged).sum()
        })
        .count("Scores not finite", |row| {
            row.methods().map(|m| m.non_finite).sum()
        })
        .count("Seeds", Entry::seeds)
        .count("Failed", Entry::failed)
        .table(
            "Cost and residuals",
            note,
            rows.filter(|row| row.failed() > 0 || row.methods().next().is_some()),
        )
}

/// The solvers used; of what may be indefinite, how far it is so.
fn solvers(row: &Entry) -> String {
    let of = |method: &MethodRecord| {
        let solver = method.evidence.solver.clone()?;
        Some(match method.evidence.negative {
            Some([less, all]) => format!("{solver}, {less} of {all} negative"),
            None => solver,
        })
    };
    let mut solvers: Vec<String> = row.methods().filter_map(of).collect();
    solvers.sort_unstable();
    solvers.dedup();
    number::or_missing(solvers.join(", "))
}
