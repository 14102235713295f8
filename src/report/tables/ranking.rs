//! Which methods are best, and by how much: every pair compared, with all pairs in view.

use super::{Cell, Table, setting_cells, setting_headers};
use crate::metrics::Metric;
use crate::metrics::contrast::Contrast;
use crate::report::comparison::{Comparison, Units, compare, compared_metrics};
use crate::report::number::{self, MISSING};
use crate::report::study::{Group, Study};

/// Heading of the methods that may be as good as the best.
pub const NOT_TOLD_APART: &str = "Not told apart from the best";

/// The comparisons that a table shows: of all settings together, where there are several, then of these groups.
fn comparisons<'s>(
    study: &'s Study,
    groups: &[&Group],
    metric: &'static Metric,
) -> Vec<(Vec<Cell>, Comparison<'s>)> {
    let mut found = Vec::new();
    if study.groups.len() > 1 {
        let all: Vec<&Group> = study.groups.iter().collect();
        let mut cells: Vec<Cell> = setting_headers(study)
            .iter()
            .map(|_| Cell::text(MISSING))
            .collect();
        cells[0] = Cell::text("all settings");
        found.extend(compare(study, &all, metric).map(|comparison| (cells, comparison)));
    }
    for group in groups {
        let comparison = compare(study, &[group], metric);
        found.extend(comparison.map(|comparison| (setting_cells(study, group), comparison)));
    }
    found
}

/// One row a metric and setting: the best, and those that cannot be told apart from it.
pub fn best(study: &Study) -> Option<Table> {
    let groups: Vec<&Group> = study.groups.iter().collect();
    let mut rows = Vec::new();
    for metric in compared_metrics(study) {
        for (mut row, comparison) in comparisons(study, &groups, metric) {
            let name = |i: &usize| study.palette.style(comparison.labels[*i]).name;
            let list = |methods: &[usize]| {
                let names: Vec<String> = methods.iter().map(name).collect();
                Cell::text(if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join("; ")
                })
            };
            let best = comparison.best();
            row.insert(0, Cell::text(metric.title));
            row.push(best.map_or(Cell::text(MISSING), |i| Cell::text(name(&i))));
            row.push(Cell::maybe(best.and_then(|i| comparison.values[i]), |x| {
                number::fixed(x, 3)
            }));
            if comparison.ranking.can_tell() {
                row.extend([list(&comparison.alike()), list(&comparison.worse())]);
            } else {
                row.extend([Cell::text(MISSING), Cell::text(MISSING)]);
            }
            let (undefined, cases) = comparison.undefined;
            row.push(Cell {
                text: if undefined > 0 {
                    format!(
                        "{} of {}",
                        number::plain(undefined as f64),
                        number::plain(cases as f64)
                    )
                } else {
                    "0".to_owned()
                },
                sort: Some(undefined as f64),
            });
            row.push(Cell::count(comparison.failed));
            row.push(Cell::text(comparison.support()));
            rows.push(row);
        }
    }
    let mut headers = vec!["Metric".to_owned()];
    headers.extend(setting_headers(study));
    headers.extend(
        [
            "Best",
            "Its value",
            NOT_TOLD_APART,
            "Told apart as worse than another",
            "Undefined",
            "Failed",
            "What the data support",
        ]
        .map(str::to_owned),
    );
    let note = "Every pair of methods by its paired difference, the p-values of all pairs adjusted together (Holm): the best and those not told \
                apart from it hold all truly best methods with 95 % probability. With two seeds or more the pairs are compared over \
                seeds (t), with one over what its record kept of queries, examples or subsets. In the rows of all settings a seed counts \
                with the mean over its settings and a task with the mean over its seeds; the tasks are held fixed, so that the rows hold for \
                these tasks, and the last column says how many pairs would be told apart were the tasks a sample of tasks. \"Undefined\" counts cases of all methods that have no value, \"failed\" cells and methods; a \
                method without a value has no rank.";
    (!rows.is_empty()).then(|| Table {
        title: "Which methods are best".to_owned(),
        note: note.to_owned(),
        headers,
        rows,
    })
}

/// One row a metric, reference setting and method: its distance to the best and to the reference, and its ranks.
pub fn differences(study: &Study) -> Option<Table> {
    let groups: Vec<&Group> = study
        .slices(None)
        .into_iter()
        .flat_map(|s| s.groups)
        .collect();
    let several = study.groups.iter().any(|g| g.task != study.groups[0].task);
    let mut rows = Vec::new();
    for metric in compared_metrics(study) {
        for (setting, comparison) in comparisons(study, &groups, metric) {
            let ranking = &comparison.ranking;
            let (best, reference) = (comparison.best(), comparison.reference());
            let against = |i: usize, other: Option<usize>| -> [Cell; 2] {
                let other = other.filter(|other| *other != i);
                let contrast = other.and_then(|other| ranking.contrast(i, other));
                let p = other.and_then(|other| ranking.adjusted(i, other));
                [
                    contrast.as_ref().map_or(Cell::text(MISSING), difference),
                    Cell::maybe(p, p_text),
                ]
            };
            for (i, label) in comparison.labels.iter().enumerate() {
                if !ranking.has(i) {
                    continue;
                }
                let mut row = vec![Cell::text(metric.title)];
                row.extend(setting.clone());
                row.push(Cell::text(study.palette.style(label).name));
                row.push(Cell::maybe(comparison.values[i], |x| number::fixed(x, 3)));
                row.extend(against(i, best));
                row.push(reference.map_or(Cell::text(MISSING), |i| {
                    Cell::text(study.palette.style(comparison.labels[i]).name)
                }));
                row.extend(against(i, reference));
                row.push(match ranking.ranks(i) {
                    Some((low, high)) if low == high => Cell {
                        text: low.to_string(),
                        sort: Some(low as f64),
                    },
                    Some((low, high)) => Cell {
                        text: format!("{low} to {high}"),
                        sort: Some((low + high) as f64 / 2.0),
                    },
                    None => Cell::text(MISSING),
                });
                row.push(Cell::text(match &comparison.units {
                    Units::Seeds(count) => format!("{count} seeds"),
                    Units::Tasks(tasks, pairs) => {
                        format!("{tasks} fixed tasks, {pairs} pairs of task and seed")
                    }
                    Units::Cell(over) => over.clone(),
                    Units::One => "one seed".to_owned(),
                }));
                if several {
                    let other = best.filter(|best| *best != i);
                    let sampled = comparison.sampled.as_ref();
                    let contrast = sampled.zip(other).and_then(|(s, best)| s.contrast(i, best));
                    row.push(contrast.as_ref().map_or(Cell::text(MISSING), difference));
                }
                rows.push(row);
            }
        }
    }
    let mut headers = vec!["Metric".to_owned()];
    headers.extend(setting_headers(study));
    headers.extend(
        [
            "Method",
            "Value",
            "Less the best",
            "p (Holm)",
            "Reference",
            "Less the reference",
            "p (Holm)",
            "Rank",
            "Over",
        ]
        .map(str::to_owned),
    );
    if several {
        headers.push("Less the best, tasks as a sample".to_owned());
    }
    let note = "Differences are paired: both methods on the same seeds, queries, examples and subsets. ± is half of the 95 % interval of that \
                difference alone; p is adjusted for all pairs of the setting (1 where values are the same). The interval of the rank holds for all \
                methods jointly with 95 %. Over several tasks these are held fixed; the last column has the interval with the tasks as a sample of \
                tasks. All settings together, and the reference setting of each task; the other settings are in \
                \"Which methods are best\".";
    (!rows.is_empty()).then(|| Table {
        title: "Paired differences between methods".to_owned(),
        note: note.to_owned(),
        headers,
        rows,
    })
}

/// `−0.021 ± 0.013`
fn difference(contrast: &Contrast) -> Cell {
    let half = contrast.interval().map(|i| (i.high - i.low) / 2.0);
    let value = number::fixed(contrast.difference, 3);
    Cell {
        text: half.map_or_else(
            || value.clone(),
            |half| format!("{value} ± {}", number::fixed(half, 3)),
        ),
        sort: Some(contrast.difference),
    }
}

fn p_text(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        number::fixed(p, 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn tables_count_what_is_missing_and_say_what_one_seed_can_tell() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        let table = best(&study).expect("there are methods");
        let row = |table: &Table, start: &[&str]| -> Vec<String> {
            let row = table.rows.iter().find(|row| {
                let mut cells = row.iter().zip(start);
                cells.all(|(cell, start)| cell.text == *start)
            });
            row.expect("the row is there")
                .iter()
                .map(|c| c.text.clone())
                .collect()
        };
        let all = row(&table, &["Pearson r with exact", "all settings", "–"]);
        assert_eq!(all[3], "DataInf, groups of 32");
        let first = row(&table, &["Pearson r with exact", "digits", "1"]);
        assert_eq!(
            (first[7].as_str(), first[8].as_str()),
            ("300 of 2,700", "0")
        );
        assert!(first[9].starts_with("3 seeds: the clearest pair is told apart beyond "));
        assert!(!first[5].contains("LiSSA (paper)") && !first[6].contains("LiSSA (paper)"));
        let single = synthetic::single();
        let study = Study::new(&single);
        let table = best(&study).expect("there are methods");
        assert!(table.rows.iter().all(|row| row[4].text == "–"));
        assert!(table.rows[0][8].text.contains("no interval"));
        let table = differences(&study).expect("there are methods");
        assert!(table.rows.iter().all(|row| !row[4].text.contains('±')));
    }

    #[test]
    fn differences_show_their_sign_and_size() {
        let contrast = Contrast {
            difference: -0.0213,
            error: Some(0.01),
            freedom: None,
        };
        assert_eq!(difference(&contrast).text, "−0.021 ± 0.020");
        assert_eq!(
            (p_text(0.0002), p_text(0.0312)),
            ("< 0.001".to_owned(), "0.031".to_owned())
        );
    }
}
