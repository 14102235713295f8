//! The handbook of methods: the one table of methods as a page, with what was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use infbench::influence::METHODS;
use infbench::influence::registry::{Allowed, ExactAt, MethodInfo};
use infbench::results::record::{MethodRecord, Record, Status};

const HEAD: &str = "# Methods

Generated from the table of methods: `infbench list methods --handbook [RESULTS_DIR …]`. Do not edit.

G is the n×d matrix of the training gradients of one block, a row an example, F = GᵀG/n its Fisher, λ = λ_l = c·tr(F)/d its damping, v a query gradient of m, k what the method iterates or keeps. Scores are I(k, q) = −Σ_l v_qᵀ(F_l + λ_l I)⁻¹g_k with the inverse as the method computes it: **positive is harmful**. Costs are operations of one block without the contraction of 2·m·n·d that all share (projections contract in k dimensions). A pass is one reading of all gradients from the store, the contraction included: `tests/passes.rs` counts the bytes. Gradients may be larger than memory: every method goes through them in chunks of rows.

Blocks are matrices, layers (A and B of one adapter) or everything, as `influence.blocks` says, for every method; `kfac`, `ekfac` and `logra` work on each matrix inside a block.
";

/// The page; `measured` are the records whose places are shown.
pub fn handbook(measured: &[(String, Vec<Record>)]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| method | what it is | cost | passes |\n|---|---|---|---|\n");
    for (info, _) in METHODS {
        let _ = writeln!(
            page,
            "| [`{0}`](#{0}) | {1} | {2} | {3} |",
            info.name, info.summary, info.cost, info.passes
        );
    }
    for (info, _) in METHODS {
        section(&mut page, info, measured);
    }
    page
}

fn section(page: &mut String, info: &MethodInfo, measured: &[(String, Vec<Record>)]) {
    let _ = write!(
        page,
        "\n## {}\n\n{}.\n\n```text\n{}\n```\n\n",
        info.name,
        capital(info.summary),
        info.formula
    );
    for (title, text) in [
        ("When", info.when),
        ("Cost", info.cost),
        ("Memory", info.memory),
        ("Passes", info.passes),
        ("Damping", info.damping),
        ("Source", info.source),
    ] {
        let _ = writeln!(page, "- {title}: {text}.");
    }
    if !info.options.is_empty() {
        page.push_str("\n| option | default | values | |\n|---|---|---|---|\n");
        for option in info.options {
            let exact = match option.allowed {
                Allowed::Size(at) => format!("; exact from {at} on"),
                _ => String::new(),
            };
            let _ = writeln!(
                page,
                "| `{}` | `{}` | {} | {}{exact} |",
                option.key,
                option.default,
                option.allowed,
                option.help.replace('|', "\\|")
            );
        }
    }
    let (places, left_out) = places(info, measured);
    if !places.is_empty() {
        page.push_str(
            "\nMeasured, means over seeds (r: Pearson correlation with exact over training examples, mean over queries; time and passes: the method alone):\n\n\
             | on | as | r | seconds | passes |\n|---|---|---:|---:|---:|\n",
        );
        for row in places {
            let _ = writeln!(page, "{row}");
        }
    }
    if !left_out.is_empty() {
        let _ = writeln!(
            page,
            "\nNot listed, since they keep whole blocks and are exact there: {}.",
            left_out.join(", ")
        );
    }
}

/// A method of a cell, with the cell.
type Entry<'r> = (&'r Record, &'r MethodRecord);

/// Whether one of the sizes that a method is given keeps the whole of every block of a cell: it is then exact by
/// construction, and measuring says nothing of it.
fn keeps_whole_blocks(info: &MethodInfo, (record, method): &Entry<'_>) -> bool {
    let blocks = record.gradients.iter().flat_map(|found| &found.blocks);
    let dim = blocks.map(|block| block.dim).max();
    let examples = record.task.as_ref().map(|task| task.train);
    let enough = |key: &str| {
        let option = info.options.iter().find(|option| option.key == key)?;
        match option.allowed {
            Allowed::Size(ExactAt::Dim) => dim,
            Allowed::Size(ExactAt::Rank) => Some(dim?.min(examples?)),
            Allowed::Size(ExactAt::Examples) => examples,
            _ => None,
        }
    };
    let given = method.label.split_once(':').map_or("", |(_, given)| given);
    given.split(',').any(|option| {
        let size = option.split_once('=').and_then(|(key, size)| {
            let size: usize = size.trim().parse().ok()?;
            Some(size >= enough(key.trim())?)
        });
        size.unwrap_or(false)
    })
}

/// The rows of one method, a label and a study each; and what is left out, because it keeps whole blocks.
fn places(info: &MethodInfo, measured: &[(String, Vec<Record>)]) -> (Vec<String>, Vec<String>) {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for (study, records) in measured {
        let mut labels: BTreeMap<usize, (&str, Vec<Entry<'_>>)> = BTreeMap::new();
        for record in records {
            for (i, method) in record.methods.iter().enumerate() {
                if method.name == info.name {
                    labels
                        .entry(i)
                        .or_insert((method.label.as_str(), Vec::new()))
                        .1
                        .push((record, method));
                }
            }
        }
        for (label, entries) in labels.into_values() {
            if entries.iter().all(|entry| keeps_whole_blocks(info, entry)) {
                left_out.push(format!("`{label}` on {study}"));
                continue;
            }
            rows.push(row(study, label, &entries));
        }
    }
    (rows, left_out)
}

fn row(study: &str, label: &str, entries: &[Entry<'_>]) -> String {
    let mean = |value: &dyn Fn(&Record, &MethodRecord) -> Option<f64>| {
        let values: Vec<f64> = entries
            .iter()
            .filter_map(|(record, method)| value(record, method))
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let failed = entries
        .iter()
        .filter(|(_, method)| method.status == Status::Failed)
        .count();
    let text = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let correlation = mean(&|_, method| {
        let metric = method.metrics.iter().find(|m| m.metric == "pearson")?;
        metric.value
    });
    let seconds = mean(&|_, method| method.seconds.map(|seconds| seconds.total()));
    let passes = mean(&|record, method| {
        let bytes = record.gradients.as_ref()?.bytes as f64;
        Some(method.bytes_read? as f64 / bytes)
    });
    let failed = if failed > 0 {
        format!(" ({failed} of {} failed)", entries.len())
    } else {
        String::new()
    };
    format!(
        "| {study} | `{label}`{failed} | {} | {} | {} |",
        text(correlation, 3),
        text(seconds, 4),
        text(passes, 1)
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use infbench::results::load;

    use super::*;

    #[test]
    fn a_size_that_keeps_whole_blocks_is_no_measurement() {
        let (info, _) = METHODS
            .iter()
            .find(|(info, _)| info.name == "random_projection")
            .expect("listed");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/frontier_digits");
        let mut record = load(&folder).expect("a record").remove(0);
        let kept = |record: &Record| -> Vec<String> {
            let (rows, left_out) = places(info, &[("here".to_owned(), vec![record.clone()])]);
            assert_eq!(rows.len() + left_out.len(), 4);
            let label = |row: &String| row.split('`').nth(1).map(str::to_owned);
            rows.iter().filter_map(label).collect()
        };
        let [small, middle, at] = [16, 64, 256].map(|dim| format!("random_projection:dim={dim}"));
        assert_eq!(kept(&record), [small.clone(), middle.clone()]);
        let gradients = record.gradients.as_mut().expect("gradients");
        gradients.blocks[0].dim = 257;
        assert_eq!(kept(&record), [small, middle, at]);
    }
}
