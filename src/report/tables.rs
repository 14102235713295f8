//! Tables, for Markdown and for the page.

use super::aggregate::{Aggregate, aggregate, aggregate_cell};
use super::number::{self, MISSING};
use super::study::{Group, Study, axis_title, method, value_text};
use crate::metrics::{METRICS, Metric, Need};
use crate::results::record::{Record, Status};

/// A cell: what is shown and what it sorts by.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// Number to sort by; the text when there is none.
    pub sort: Option<f64>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            sort: None,
        }
    }

    fn count(count: usize) -> Self {
        Self {
            text: number::plain(count as f64),
            sort: Some(count as f64),
        }
    }

    fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|x| x.is_finite());
        Self {
            text: value.map_or(MISSING.to_owned(), show),
            sort: value,
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// What the columns say.
    pub note: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Rows, each as long as `headers`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// As Markdown, heading included.
    pub fn markdown(&self) -> String {
        let clean = |text: &str| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('|', "\\|")
                .replace(['\n', '\r'], " ")
        };
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("## {}\n\n{}\n\n", clean(&self.title), clean(&self.note));
        text.push_str(&line(
            self.headers.iter().map(|header| clean(header)).collect(),
        ));
        let rule = |column: usize| {
            if self.rows.iter().any(|row| row[column].sort.is_some()) {
                "---:".to_owned()
            } else {
                "---".to_owned()
            }
        };
        text.push_str(&line((0..self.headers.len()).map(rule).collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(|cell| clean(&cell.text)).collect()));
        }
        text
    }
}

/// All tables that have something to say.
pub fn all(study: &Study) -> Vec<Table> {
    let with = |need: Need| {
        METRICS
            .iter()
            .filter(move |metric| metric.needs.contains(&need))
            .collect::<Vec<_>>()
    };
    let tables = [
        metric_table(
            study,
            "Agreement with exact influence",
            &with(Need::Exact),
            true,
        ),
        metric_table(
            study,
            "Detection of flipped labels",
            &with(Need::Flipped),
            false,
        ),
        metric_table(
            study,
            "Retrieval of the query's class",
            &with(Need::Classes),
            false,
        ),
        cost(study),
        setup(study),
        failures(study),
    ];
    tables.into_iter().flatten().collect()
}

/// How the entries with ± and brackets are to be read.
const READING: &str = "Mean over seeds ± half of the 95 % t-interval; with one seed, the value and its interval within the cell in brackets. \
                       \"Undefined\" counts cases (queries, or one a cell) that have no value and are not in the mean.";

/// Damping of all cells in words: the default is always told apart from a tuned one.
pub fn damping_text(study: &Study) -> String {
    let mut factors: Vec<f64> = study
        .records
        .iter()
        .filter_map(|record| damping(record))
        .collect();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    match factors.as_slice() {
        [] => "Damping: not recorded.".to_owned(),
        [0.1] => "Damping: λ = 0.1 · mean eigenvalue of each block's Fisher, the paper's default."
            .to_owned(),
        list => {
            let list: Vec<String> = list
                .iter()
                .map(|c| {
                    if *c == 0.1 {
                        "0.1 (the paper's default)".to_owned()
                    } else {
                        number::plain(*c)
                    }
                })
                .collect();
            format!(
                "Damping: λ = c · mean eigenvalue of each block's Fisher, c = {}.",
                list.join(", ")
            )
        }
    }
}

fn damping(record: &Record) -> Option<f64> {
    record.config.get("influence")?.get("damping")?.as_f64()
}

/// Headers and cells of the setting that a row belongs to.
fn setting_headers(study: &Study) -> Vec<String> {
    let mut headers = vec!["Task".to_owned()];
    headers.extend(shown_axes(study).map(axis_title));
    headers
}

fn shown_axes<'s>(study: &'s Study) -> impl Iterator<Item = &'s str> {
    study
        .axes
        .iter()
        .map(|axis| axis.key.as_str())
        .filter(|key| *key != "task.name")
}

fn setting_cells(study: &Study, group: &Group) -> Vec<Cell> {
    let mut cells = vec![Cell::text(group.task.clone())];
    cells.extend(shown_axes(study).map(|key| match group.axis(key) {
        Some(value) => Cell {
            text: value_text(value),
            sort: group.number(key),
        },
        None => Cell::text(MISSING),
    }));
    cells
}

fn metric_table(
    study: &Study,
    title: &str,
    metrics: &[&Metric],
    skip_exact: bool,
) -> Option<Table> {
    let used: Vec<&Metric> = metrics
        .iter()
        .copied()
        .filter(|metric| {
            study.groups.iter().any(|g| {
                study
                    .methods
                    .iter()
                    .any(|l| aggregate(g, l, metric.name).applies())
            })
        })
        .collect();
    if used.is_empty() {
        return None;
    }
    let mut headers = setting_headers(study);
    headers.push("Method".to_owned());
    headers.extend(
        used.iter()
            .map(|metric| format!("{} {}", metric.label(), arrow(metric))),
    );
    headers.extend(["Seeds", "Undefined", "Failed"].map(str::to_owned));
    let mut rows = Vec::new();
    for group in &study.groups {
        for label in study
            .methods
            .iter()
            .filter(|label| !(skip_exact && *label == "exact"))
        {
            let results: Vec<Aggregate> = used
                .iter()
                .map(|metric| aggregate(group, label, metric.name))
                .collect();
            let failed = results
                .iter()
                .map(|result| result.failed)
                .max()
                .unwrap_or(0);
            if failed == 0 && !results.iter().any(Aggregate::applies) {
                continue;
            }
            let mut row = setting_cells(study, group);
            row.push(Cell::text(study.palette.style(label).name));
            row.extend(
                used.iter()
                    .zip(&results)
                    .map(|(metric, result)| metric_cell(metric, result)),
            );
            row.push(Cell::count(
                results.iter().map(|result| result.seeds).max().unwrap_or(0),
            ));
            let (undefined, cases) = (
                results.iter().map(|r| r.undefined).sum::<usize>(),
                results.iter().map(|r| r.cases).sum::<usize>(),
            );
            let share = if undefined > 0 {
                format!(
                    "{} of {}",
                    number::plain(undefined as f64),
                    number::plain(cases as f64)
                )
            } else {
                "0".to_owned()
            };
            row.push(Cell {
                text: share,
                sort: Some(undefined as f64),
            });
            row.push(Cell::count(failed));
            rows.push(row);
        }
    }
    let what: Vec<String> = used
        .iter()
        .map(|metric| format!("{}: {}.", metric.title, metric.summary))
        .collect();
    Some(Table {
        title: title.to_owned(),
        note: format!("{} {READING} {}", damping_text(study), what.join(" ")),
        headers,
        rows,
    })
}

fn arrow(metric: &Metric) -> &'static str {
    match metric.direction {
        crate::metrics::Direction::Higher => "↑",
        crate::metrics::Direction::Lower => "↓",
        crate::metrics::Direction::None => "",
    }
}

/// `0.912 ± 0.013`, `0.912 [0.90, 0.92]`, or `–`.
pub fn metric_cell(metric: &Metric, result: &Aggregate) -> Cell {
    let Some(value) = result.value else {
        return Cell::text(MISSING);
    };
    let (factor, unit) = match metric.unit {
        "s" => number::second_unit(value),
        "bytes" => number::byte_unit(value),
        unit => (1.0, unit),
    };
    let bounded = metric.range.1.is_some();
    let show = |x: f64| {
        if bounded {
            number::fixed(x, 3)
        } else {
            number::significant(x * factor, 3)
        }
    };
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    let text = match result.low.zip(result.high) {
        Some((low, high)) if result.over_seeds => {
            // The interval is cut at the metric's range: the longer side is the half width.
            let half = (value - low).max(high - value);
            // Half widths have the decimals of the value; beside a power of ten they keep their own.
            let alike = (1e-3..1e5).contains(&(value * factor).abs());
            let half = match (bounded, alike) {
                (true, _) => number::fixed(half, 3),
                (_, true) => number::fixed(half * factor, number::decimals(value * factor, 3)),
                _ => number::significant(half * factor, 2),
            };
            format!("{} ± {half}{unit}", show(value))
        }
        Some((low, high)) => format!("{} [{}, {}]{unit}", show(value), show(low), show(high)),
        None => format!("{}{unit}", show(value)),
    };
    Cell {
        text,
        sort: Some(value),
    }
}

fn cost(study: &Study) -> Option<Table> {
    let metrics: Vec<&Metric> = METRICS
        .iter()
        .filter(|metric| !metric.is_computed())
        .collect();
    let mut headers = setting_headers(study);
    headers.push("Method".to_owned());
    // The cells carry their own units.
    headers.extend(metrics.iter().map(|metric| metric.title.to_owned()));
    headers.extend(
        [
            "Largest residual",
            "Iterations",
            "Solver",
            "Blocks not converged",
            "Scores not finite",
            "Seeds",
            "Failed",
        ]
        .map(str::to_owned),
    );
    let mut rows = Vec::new();
    for group in &study.groups {
        for label in &study.methods {
            let results: Vec<Aggregate> = metrics
                .iter()
                .map(|metric| aggregate(group, label, metric.name))
                .collect();
            let entries: Vec<_> = group
                .records
                .iter()
                .filter_map(|record| method(record, label))
                .collect();
            let failed = results
                .iter()
                .map(|result| result.failed)
                .max()
                .unwrap_or(0);
            if entries.is_empty() && failed == 0 {
                continue;
            }
            let mut row = setting_cells(study, group);
            row.push(Cell::text(study.palette.style(label).name));
            row.extend(
                metrics
                    .iter()
                    .zip(&results)
                    .map(|(metric, result)| metric_cell(metric, result)),
            );
            let residual = entries
                .iter()
                .filter_map(|entry| entry.evidence.residual)
                .filter(|r| r.is_finite())
                .max_by(f64::total_cmp);
            let iterations = entries
                .iter()
                .filter_map(|entry| entry.evidence.iterations)
                .max();
            let mut solvers: Vec<&str> = entries
                .iter()
                .filter_map(|entry| entry.evidence.solver.as_deref())
                .collect();
            solvers.sort_unstable();
            solvers.dedup();
            row.push(Cell::maybe(residual, |r| number::significant(r, 2)));
            row.push(Cell::maybe(iterations.map(|i| i as f64), number::plain));
            row.push(Cell::text(if solvers.is_empty() {
                MISSING.to_owned()
            } else {
                solvers.join(", ")
            }));
            row.push(Cell::count(
                entries
                    .iter()
                    .map(|entry| entry.evidence.not_converged)
                    .sum(),
            ));
            row.push(Cell::count(
                entries.iter().map(|entry| entry.non_finite).sum(),
            ));
            row.push(Cell::count(
                results.iter().map(|result| result.seeds).max().unwrap_or(0),
            ));
            row.push(Cell::count(failed));
            rows.push(row);
        }
    }
    let note = format!(
        "Wall time by stage for all scores (gradients not included), peak memory above what was resident before, and what each solver says of its own answer: the largest ‖(F+λI)x − v‖/‖v‖ over blocks, queries and seeds. Mean over seeds ± half of the 95 % t-interval. {}",
        damping_text(study)
    );
    (!rows.is_empty()).then(|| Table {
        title: "Cost and residuals".to_owned(),
        note,
        headers,
        rows,
    })
}

fn setup(study: &Study) -> Option<Table> {
    let mut headers = setting_headers(study);
    headers.extend(
        [
            "n",
            "m",
            "Flipped",
            "Parameters",
            "Trained",
            "Adapted layers",
            "Blocks",
            "Σ d",
            "Final query accuracy",
            "Fine-tune",
            "Gradients",
            "Gradient size",
            "Seeds",
        ]
        .map(str::to_owned),
    );
    let rows = study.groups.iter().map(|group| {
        let first = |pick: &dyn Fn(&Record) -> Option<usize>| {
            Cell::maybe(
                group
                    .records
                    .iter()
                    .find_map(|record| pick(record))
                    .map(|x| x as f64),
                number::plain,
            )
        };
        let mean = |pick: &dyn Fn(&Record) -> Option<f64>, show: &dyn Fn(f64) -> String| {
            Cell::maybe(aggregate_cell(group, pick).value, show)
        };
        let accuracy = aggregate_cell(group, |record| {
            Some(record.training.as_ref()?.epochs.last()?.query_accuracy)
        });
        let half = accuracy
            .high
            .zip(accuracy.low)
            .map_or(String::new(), |(high, low)| {
                format!(" ± {}", number::fixed((high - low) / 2.0, 3))
            });
        let mut row = setting_cells(study, group);
        row.push(first(&|r| Some(r.task.as_ref()?.train)));
        row.push(first(&|r| Some(r.task.as_ref()?.query)));
        row.push(first(&|r| r.task.as_ref()?.flipped));
        row.push(first(&|r| Some(r.model.as_ref()?.parameters)));
        row.push(first(&|r| Some(r.model.as_ref()?.trainable)));
        row.push(first(&|r| Some(r.model.as_ref()?.adapted_layers)));
        row.push(first(&|r| Some(r.gradients.as_ref()?.blocks.len())));
        row.push(first(&|r| {
            Some(
                r.gradients
                    .as_ref()?
                    .blocks
                    .iter()
                    .map(|block| block.dim)
                    .sum(),
            )
        }));
        row.push(Cell::maybe(accuracy.value, |x| {
            format!("{}{half}", number::fixed(x, 3))
        }));
        row.push(mean(
            &|r| Some(r.training.as_ref()?.seconds),
            &number::seconds,
        ));
        row.push(mean(
            &|r| Some(r.gradients.as_ref()?.seconds),
            &number::seconds,
        ));
        row.push(mean(
            &|r| Some(r.gradients.as_ref()?.bytes as f64),
            &number::bytes,
        ));
        let failed = group.failed();
        let seeds = group.records.len();
        row.push(Cell {
            text: if failed > 0 {
                format!("{seeds} ({failed} failed)")
            } else {
                seeds.to_string()
            },
            sort: Some(seeds as f64),
        });
        row
    });
    let rows: Vec<_> = rows.collect();
    let note = "n training examples, m queries; fine-tune and gradients are shared by all methods of a cell (times are means over seeds).";
    (!rows.is_empty()).then(|| Table {
        title: "Settings, model and gradients".to_owned(),
        note: note.to_owned(),
        headers,
        rows,
    })
}

fn failures(study: &Study) -> Option<Table> {
    let mut headers = vec!["Cell".to_owned()];
    headers.extend(setting_headers(study));
    headers.extend(["Seed", "What", "Why"].map(str::to_owned));
    let mut rows = Vec::new();
    for group in &study.groups {
        for record in &group.records {
            let mut push = |what: String, why: Option<&str>| {
                let mut row = vec![Cell::text(record.cell.id.clone())];
                row.extend(setting_cells(study, group));
                row.push(Cell {
                    text: record.cell.seed.to_string(),
                    sort: Some(record.cell.seed as f64),
                });
                row.push(Cell::text(what));
                row.push(Cell::text(why.unwrap_or("no reason recorded")));
                rows.push(row);
            };
            if record.status == Status::Failed {
                push("the whole cell".to_owned(), record.error.as_deref());
            }
            for method in record
                .methods
                .iter()
                .filter(|method| method.status == Status::Failed)
            {
                push(
                    study.palette.style(&method.label).name,
                    method.error.as_deref(),
                );
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        title: "Failures".to_owned(),
        note: "Every cell and method that ended in an error; none is in any mean.".to_owned(),
        headers,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::find;

    #[test]
    fn cells_show_intervals_units_and_what_is_missing() {
        let metric = find("pearson").expect("listed");
        let seeds = Aggregate {
            value: Some(0.9123),
            low: Some(0.9),
            high: Some(0.9246),
            over_seeds: true,
            seeds: 3,
            ..Aggregate::default()
        };
        assert_eq!(metric_cell(metric, &seeds).text, "0.912 ± 0.012");
        assert_eq!(
            metric_cell(
                metric,
                &Aggregate {
                    over_seeds: false,
                    ..seeds
                }
            )
            .text,
            "0.912 [0.900, 0.925]"
        );
        assert_eq!(
            metric_cell(
                metric,
                &Aggregate {
                    undefined: 3,
                    ..Aggregate::default()
                }
            ),
            Cell::text(MISSING)
        );
        let time = find("total_seconds").expect("listed");
        let result = Aggregate {
            value: Some(0.0123),
            low: Some(0.0113),
            high: Some(0.0133),
            over_seeds: true,
            ..Aggregate::default()
        };
        assert_eq!(metric_cell(time, &result).text, "12.3 ± 1.0 ms");
    }

    #[test]
    fn markdown_escapes_bars_and_newlines() {
        let table = Table {
            title: "T".into(),
            note: "n".into(),
            headers: vec!["a|b".into(), "c".into()],
            rows: vec![vec![Cell::text("x\n<y>"), Cell::count(1000)]],
        };
        assert_eq!(
            table.markdown(),
            "## T\n\nn\n\n| a\\|b | c |\n| --- | ---: |\n| x &lt;y> | 1,000 |\n"
        );
    }
}
