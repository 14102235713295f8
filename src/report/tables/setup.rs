//! What each setting consists of: examples, model, gradients.

use super::{Cell, Table, factor, setting_cells, setting_headers};
use crate::report::aggregate::aggregate_cell;
use crate::report::number;
use crate::report::study::Study;
use crate::results::record::{CompanionFacts, Record};

/// What was collected beside the gradients, and what it took, seconds.
type Beside = (&'static str, fn(&CompanionFacts) -> Option<f64>);

const BESIDE: [Beside; 4] = [
    ("Kronecker factors", |c| Some(c.factors.as_ref()?.seconds)),
    ("Sampled labels", |c| Some(c.sampled.as_ref()?.seconds)),
    ("Hessian", |c| Some(c.hessian.as_ref()?.seconds)),
    ("Checkpoints", |c| Some(c.checkpoints.as_ref()?.seconds)),
];

/// One row a setting.
pub fn table(study: &Study) -> Option<Table> {
    let padding = |record: &Record| record.gradients.as_ref()?.padding;
    let padded = study
        .groups
        .iter()
        .flat_map(|group| &group.records)
        .any(|record| padding(record).is_some());
    // columns for what some methods need besides, where they were asked for
    let beside: Vec<&Beside> = BESIDE
        .iter()
        .filter(|(_, seconds)| {
            let mut records = study.groups.iter().flat_map(|group| &group.records);
            records.any(|record| {
                let gradients = record.gradients.as_ref();
                gradients.is_some_and(|facts| seconds(&facts.companions).is_some())
            })
        })
        .collect();
    let mut headers = setting_headers(study);
    // where it was swept it stands among the settings already
    let damping = study
        .axes
        .iter()
        .all(|axis| axis.key != "influence.damping");
    headers.extend(damping.then(|| "Damping c".to_owned()));
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
            &format!("Final {}", study.accuracy_title().to_lowercase()),
            "Fine-tune",
            "Gradients",
        ]
        .map(str::to_owned),
    );
    headers.extend(beside.iter().map(|(name, _)| (*name).to_owned()));
    headers.extend(padded.then(|| "Padding".to_owned()));
    headers.extend(["Gradient size", "Seeds"].map(str::to_owned));
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
            record.training.as_ref()?.epochs.last()?.query_accuracy
        });
        let half = accuracy
            .high
            .zip(accuracy.low)
            .map_or(String::new(), |(high, low)| {
                format!(" ± {}", number::fixed((high - low) / 2.0, 3))
            });
        let mut row = setting_cells(study, group);
        row.extend(damping.then(|| mean(&factor, &number::plain)));
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
        for (_, seconds) in &beside {
            row.push(mean(
                &|r| seconds(&r.gradients.as_ref()?.companions),
                &number::seconds,
            ));
        }
        if padded {
            row.push(mean(&padding, &|x| {
                format!("{} %", number::fixed(100.0 * x, 1))
            }));
        }
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
    let mut note = "n training examples, m queries; fine-tune and gradients are shared by all methods of a cell (times are means over seeds).".to_owned();
    if !beside.is_empty() {
        note.push_str(" What some methods need besides has a column of its own: the time that collecting it took, which is not in that of the gradients.");
    }
    if padded {
        note.push_str(
            " Padding is the share of the positions computed for the gradients that held no token.",
        );
    }
    (!rows.is_empty()).then(|| Table {
        title: "Settings, model and gradients".to_owned(),
        note,
        headers,
        rows,
    })
}
