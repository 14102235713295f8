//! The findings of `infbench theory`: `theory.md`, `report.html` and their figures.

mod along;
mod bounds;
mod groups;
mod growth;
mod page;
mod tables;

use std::path::{Path, PathBuf};

use super::ReportError;
use super::document::{FiguresInText, Report};
use super::figures::Outcome;
use crate::results::theory::TheoryResults;

/// Writes `figures/theory_*.{svg,png}`, `theory.md` and `report.html` into the folder `out`; returns the files,
/// the page last.
///
/// # Errors
/// A file that cannot be written, or a failure of the drawing library.
pub fn write(results: &TheoryResults, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let (records, data) = page::entries(results);
    let report = Report {
        about: results.description.trim().to_owned(),
        head: page::head(results),
        sections: vec![page::claims(results), records, page::environment(results)],
        data,
        ..report(results)
    };
    report.write(out, true)
}

/// `theory.md` of these findings.
pub fn markdown(results: &TheoryResults) -> String {
    report(results).markdown()
}

/// What the Markdown file shows.
fn report(results: &TheoryResults) -> Report {
    let verdicts = tables::verdicts(results).map(|table| table.markdown());
    let mut text = vec![
        results.description.trim().to_owned(),
        tables::introduction(results),
        verdicts.unwrap_or_default().trim_end().to_owned(),
    ];
    text.retain(|text| !text.is_empty());
    let tables = [tables::base(results), tables::growth(results)];
    let mut report = Report {
        title: format!("Theory: {}", results.experiment),
        text,
        in_text: FiguresInText::Findings,
        tables: tables.into_iter().flatten().collect(),
        ..Report::new("theory.md", "report.html")
    };
    report.add_figures(figures(results));
    report
}

fn figures(results: &TheoryResults) -> Vec<Outcome> {
    vec![
        bounds::errors(results),
        bounds::tightness(results),
        groups::draw(results),
        growth::draw(results),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::results::environment::provenance;
    use crate::results::theory::{CaseRecord, GrowthRecord, Quantities, SCHEMA, Varied, Verdict};

    fn results() -> TheoryResults {
        let axes =
            |d: f64, c: f64| BTreeMap::from([("dim".to_owned(), d), ("damping".to_owned(), c)]);
        let mut cases = Vec::new();
        let settings = [
            (64.0, 0.1),
            (256.0, 0.1),
            (1024.0, 0.1),
            (64.0, 1.0),
            (64.0, 10.0),
        ];
        for (d, c) in settings {
            for seed in 0..3u64 {
                let wobble = 1.0 + 0.01 * seed as f64;
                cases.push(CaseRecord {
                    block: "block.0".to_owned(),
                    seed: Some(seed),
                    axes: axes(d, c),
                    n: 32,
                    d: d as usize,
                    lambda: 1.0,
                    error: None,
                    quantities: Some(Quantities {
                        error: 0.5 * wobble,
                        ceiling: 0.99,
                        second_order: 3e3 * d * wobble,
                        second_order_inner: 40.0,
                        second_order_lower: 1e-5,
                        theorem: 1e4 * d * d,
                        score: 0.1,
                        taken: 0.9,
                        condition: 99.0,
                    }),
                    groups: vec![(1, 0.5), (2, 0.4), (16, 0.1), (32, 0.0)],
                    findings: Vec::new(),
                });
            }
        }
        let growth = ["exact", "lissa", "datainf"]
            .into_iter()
            .flat_map(|method| ["n", "d", "L"].map(|axis| (method, axis)))
            .flat_map(|(method, axis)| ["time", "memory"].map(|cost| (method, axis, cost)))
            .map(|(method, axis, cost)| GrowthRecord {
                method: method.to_owned(),
                axis: axis.to_owned(),
                cost: cost.to_owned(),
                points: vec![(100.0, 1e-3), (1000.0, 1e-2), (4000.0, 5e-2)],
                slope: Some(1.0),
                interval: Some((0.9, 1.1)),
                exponent: 1.0,
                verdict: Verdict::Holds,
                reason: None,
            })
            .collect();
        TheoryResults {
            schema: SCHEMA,
            experiment: "t".to_owned(),
            description: String::new(),
            provenance: provenance("none", 1),
            base: serde_json::Value::Null,
            base_axes: axes(64.0, 0.1),
            varied: vec![
                Varied {
                    axis: "dim".to_owned(),
                    values: vec![64.0, 256.0, 1024.0],
                },
                Varied {
                    axis: "damping".to_owned(),
                    values: vec![0.1, 1.0, 10.0],
                },
            ],
            claims: Vec::new(),
            cases,
            growth,
        }
    }

    #[test]
    fn no_two_texts_of_a_figure_overlap_and_none_leaves_it() {
        let outcomes = figures(&results());
        assert_eq!(outcomes.len(), 4);
        for outcome in outcomes {
            let Outcome::Drawn(figure) = outcome else {
                panic!("{outcome:?} was not drawn");
            };
            crate::report::chart::check_texts(&figure.chart)
                .unwrap_or_else(|problem| panic!("{}: {problem}", figure.id));
        }
    }

    #[test]
    fn everything_is_written_and_what_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(&results(), folder.path()).unwrap();
        assert_eq!(files.len(), 10);
        let empty = TheoryResults {
            cases: Vec::new(),
            growth: Vec::new(),
            varied: Vec::new(),
            ..results()
        };
        write(&empty, folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("theory.md")).unwrap();
        assert!(text.contains("Not drawn"), "{text}");
    }
}
