//! What came out, in a few rows: who leads by what, with its interval, and what failed.

use maud::{Markup, html};

use super::markup::bad;
use super::table::of_class;
use crate::metrics::{Metric, MetricValue, find};
use crate::progress::count;
use crate::report::data::{Comparison, ResultSet, Slice, aggregate, anchor, compare, has_values};
use crate::report::figures::{agreement, findings};
use crate::report::number::{self, MISSING};
use crate::report::tables::{
    Cell, Columns, NOT_TOLD_APART, Table, arrow, damping_text, metric_cell,
};

/// Rows of the summary at most.
const MOST: usize = 12;

/// The summary at the top of the page.
pub fn headline(results: &ResultSet) -> Markup {
    let table = table(results);
    html! {
        ul.facts { (facts(results)) }
        @if let Some(mut table) = table {
            @let left = table.rows.len().saturating_sub(MOST);
            @let () = table.rows.truncate(MOST);
            (of_class(&table, "lead"))
            p.how {
                "At the reference setting: mean over seeds with its 95 % t-interval (one seed: the interval within the cell). \
                 Not told apart: by paired differences, all pairs adjusted together (Holm), as in the tables."
                @if left > 0 { " " (count(left, "row")) " more in the tables." }
            }
        }
    }
}

/// What was run and what failed, an item each.
fn facts(results: &ResultSet) -> Markup {
    let failed = results.failed_methods();
    let methods = results.records.iter().flat_map(|record| &record.methods);
    let values: Vec<&MetricValue> = methods.flat_map(|method| &method.metrics).collect();
    let undefined: usize = values.iter().map(|value| value.undefined).sum();
    let cases: usize = values.iter().map(|value| value.cases).sum();
    let times = match failed {
        1 => "once".to_owned(),
        some => format!("{} times", number::plain(some as f64)),
    };
    let seconds: f64 = results.records.iter().map(|r| r.provenance.seconds).sum();
    html! {
        li {
            (count(results.records.len(), "cell")) " in " (count(results.groups.len(), "setting")) ", "
            (count(results.seeds(), "seed")) ", " (count(results.methods.len(), "method")) "; "
            (number::seconds(seconds)) " of computing"
        }
        li {
            @match results.failed() {
                0 => { "no cell failed" },
                some => { (bad(&format!("{} failed", count(some, "cell")))) },
            }
            ", "
            @match failed {
                0 => { "no method failed" },
                _ => { (bad(&format!("methods failed {times} in other cells"))) },
            }
            ", "
            @match undefined {
                0 => { "no metric undefined" },
                some => { (number::plain(some as f64)) " of " (number::plain(cases as f64)) " cases of metrics undefined" },
            }
            @match results.without_reference() {
                0 => {},
                some => {
                    (bad(&format!(", no reference in {} (exact influence failed or did not converge)", count(some, "cell"))))
                },
            }
        }
        li { (damping_text(results)) }
    }
}

/// The best method by a metric at a reference setting.
struct Lead<'s, 'a> {
    slice: &'s Slice<'a, 's>,
    metric: &'static Metric,
    found: Comparison<'s>,
    best: usize,
}

/// A row a metric and task; `None` where nothing can be compared.
fn table(results: &ResultSet) -> Option<Table> {
    let wanted = ["lds_50", "loo_pearson", "detection_auc", "class_auc"];
    let mut metrics: Vec<&str> = agreement(results).into_iter().chain(wanted).collect();
    metrics.retain(|metric| has_values(results, metric));
    if metrics.is_empty() {
        metrics.push("total_seconds");
    }
    let slices = results.slices(None);
    let metrics = metrics.into_iter().filter_map(find);
    let pairs = metrics.flat_map(|metric| slices.iter().map(move |slice| (metric, slice)));
    let leads = pairs.filter_map(|(metric, slice)| lead(results, slice, metric));
    columns(results).table("What came out", "", leads)
}

fn lead<'s, 'a>(
    results: &'s ResultSet<'a>,
    slice: &'s Slice<'a, 's>,
    metric: &'static Metric,
) -> Option<Lead<'s, 'a>> {
    let found = compare(results, &[*slice.groups.first()?], metric)?;
    let best = found.best()?;
    Some(Lead {
        slice,
        metric,
        found,
        best,
    })
}

fn columns<'s, 'a>(results: &'s ResultSet<'a>) -> Columns<'s, Lead<'s, 'a>> {
    let name = move |row: &Lead, at: usize| results.palette.name(row.found.labels[at]);
    let shown = |row: &Lead, label: &str| match row.found.labels.contains(&label) {
        true => metric_cell(
            row.metric,
            &aggregate(row.slice.groups[0], label, row.metric.name),
        ),
        false => Cell::text(MISSING),
    };
    Columns::new()
        .add("Setting", |row: &Lead| {
            let setting = number::list([&row.slice.title, &row.slice.held]);
            Cell::text(setting).link(anchor(row.slice.groups[0].index))
        })
        .text("Measure", |row| {
            let measure = format!("{} {}", row.metric.label(), arrow(row.metric));
            measure.trim_end().to_owned()
        })
        .text("Best", move |row| name(row, row.best))
        .add("Its value", move |row| {
            shown(row, row.found.labels[row.best])
        })
        .text(NOT_TOLD_APART, move |row| {
            let alike = row.found.alike().into_iter();
            let alike: Vec<String> = alike.map(|at| name(row, at)).collect();
            match row.found.untold() {
                Some(why) => format!("not known: {why}"),
                None if alike.is_empty() => "none".to_owned(),
                None => findings::list(&alike),
            }
        })
        .add("DataInf", move |row| shown(row, "datainf"))
        .add("Exact", move |row| shown(row, "exact"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::METRICS;
    use crate::report::figures::all;
    use crate::report::synthetic;
    use crate::report::tables::best;
    use crate::results::record::Record;

    #[test]
    fn it_names_the_best_and_what_is_wrong() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let text = headline(&results).0;
        for part in [
            "24 cells in 8 settings, 3 seeds, 10 methods",
            "1 cell failed",
            "methods failed 2 times in other cells",
            // of the synthetic methods this one is closest to exact by construction
            "<td>DataInf, groups of 32</td>",
            "href=\"#e2\"",
            "rank r = 4",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// Rows of the headline that say something else than the table of the best methods, of all rows that both have.
    fn disagreements(records: &[Record]) -> (Vec<String>, usize) {
        let results = ResultSet::new(records);
        let Some(table) = best(&results) else {
            return (Vec::new(), 0);
        };
        let at = |header: &str| table.headers.iter().position(|h| h == header);
        let best = at("Best").expect("a column");
        let alike = at(NOT_TOLD_APART).expect("a column");
        let (mut wrong, mut rows) = (Vec::new(), 0);
        let figures = all(&results).into_iter().flatten();
        let captions: Vec<String> = figures.flat_map(|figure| figure.findings).collect();
        for slice in &results.slices(None) {
            let group = anchor(slice.groups[0].index);
            for metric in METRICS {
                let of_group = |row: &&Vec<Cell>| {
                    row[0].text == metric.title && row[1].link.as_ref() == Some(&group)
                };
                let Some(expected) = table.rows.iter().find(of_group) else {
                    continue;
                };
                let list = expected[alike].text.clone();
                let list = match list.as_str() {
                    MISSING | "none" => list,
                    _ => findings::list(&list.split("; ").map(str::to_owned).collect::<Vec<_>>()),
                };
                let agrees = |text: &str| match list.as_str() {
                    MISSING => text.starts_with("not known: "),
                    list => text == list,
                };
                let found = columns(&results).table("", "", lead(&results, slice, metric));
                let found = &found.expect("the table has it").rows[0];
                rows += 1;
                if found[2].text != expected[best].text || !agrees(&found[4].text) {
                    wrong.push(format!("{found:?} {expected:?}"));
                }
                // `digits, Detection AUC: best is A, 0.9 [0.8, 1.0]; not told apart from it: B and C (…).`
                let start = format!("{}, {}: best is ", slice.title, metric.title);
                for caption in captions.iter().filter(|text| text.starts_with(&start)) {
                    let rest = match list.as_str() {
                        MISSING => ": nothing is told apart".to_owned(),
                        "none" => "; told apart from every other".to_owned(),
                        list => format!("; not told apart from it: {list}"),
                    };
                    rows += 1;
                    let best = format!("{start}{}, ", expected[best].text);
                    if !caption.starts_with(&best) || !caption.contains(&rest) {
                        wrong.push(format!("{caption} {expected:?}"));
                    }
                }
            }
        }
        (wrong, rows)
    }

    #[test]
    fn headline_captions_and_tables_name_the_same_methods() {
        let mut rows = 0;
        for (name, records) in synthetic::all() {
            let (wrong, own) = disagreements(&records);
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            rows += own;
        }
        assert!(rows > 20, "{rows}");
    }

    #[test]
    fn failures_alone_have_no_winner() {
        let records = synthetic::hopeless();
        let text = headline(&ResultSet::new(&records)).0;
        assert!(text.contains("1 cell failed") && !text.contains("<table"));
    }
}
