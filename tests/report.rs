//! The whole report on synthetic records: files, panels, labels, and what is missing.

mod synthetic;

use std::collections::BTreeMap;
use std::path::Path;

use infbench::report::{self, ReportError, ReportOptions, ReportSummary};
use infbench::results::Record;

fn write(records: &[Record], out: &Path) -> ReportSummary {
    report::write(records, out, &ReportOptions::default()).expect("the records can be reported")
}

/// Every file below a folder, by path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        let name = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(file, bytes)| (format!("{name}/{file}"), bytes)),
            );
        } else {
            found.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
    found
}

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Where to leave the pictures for a look: `REPORT_TEST_OUT`, otherwise a temporary folder.
fn folder(name: &str) -> (std::path::PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("REPORT_TEST_OUT") {
        Some(base) => (Path::new(&base).join(name), None),
        None => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            (folder.path().join(name), Some(folder))
        }
    }
}

#[test]
fn rank_sweep_has_all_figures_and_counts_what_is_missing() {
    let (out, _keep) = folder("rank");
    let records = synthetic::rank();
    let summary = write(&records, &out);
    let expected = [
        "correlation_rank",
        "detection",
        "detection_curve",
        "sweep_lora_rank_digits",
        "sweep_lora_rank_sentences",
        "accuracy_cost",
        "class_retrieval",
        "training",
        "training_cost_lora_rank",
    ];
    assert_eq!(summary.figures, expected);
    assert_eq!(
        (summary.cells, summary.failed, summary.omitted.len()),
        (24, 1, 0)
    );
    for file in &summary.files {
        assert!(
            std::fs::metadata(file).expect("written").len() > 500,
            "{}",
            file.display()
        );
    }

    let figure = text(&out, "figures/correlation_rank.svg");
    for label in [
        "digits – mean query",
        "sentences – per query",
        "LoRA rank r",
        "Pearson r with exact",
        "DataInf, groups of 8",
        "LiSSA (code)",
    ] {
        assert!(figure.contains(label), "{label}");
    }
    // The legend has every method but exact, which is what all are compared with.
    assert!(!figure.contains(">\nExact\n"));
    assert!(
        figure.contains("1 of 24 cells failed") && figure.contains("values undefined"),
        "gaps are said in the figure"
    );
    let detection = text(&out, "figures/detection.svg");
    for label in ["Detection AUC", "Runtime (s)", "Exact", "DataInf"] {
        assert!(detection.contains(label), "{label}");
    }

    let tables = text(&out, "tables.md");
    for heading in [
        "Agreement with exact influence",
        "Detection of flipped labels",
        "Retrieval of the query",
        "Cost and residuals",
        "Settings, model and gradients",
        "Failures",
    ] {
        assert!(tables.contains(&format!("## {heading}")), "{heading}");
    }
    assert!(
        tables.contains("out of memory: 12.3 GB asked for &lt;gradients>")
            && tables.contains("not converged after 10 iterations")
    );
    assert!(tables.contains("the paper's default"));
    assert!(tables.contains("| Gradients | Padding | Gradient size |"));
    assert!(tables.contains("| 3.1 % |") && tables.contains("held no token"));

    let page = text(&out, "report.html");
    assert!(
        page.contains("1 failed")
            && page.contains("asked for &lt;gradients&gt;")
            && page.contains(" examples/s, 3.1 % padding, memory)")
            && !page.contains("<gradients>")
    );
    assert_eq!(page.matches("<figure id=").count(), expected.len());
    assert_eq!(page.matches("<tr id=\"r-").count(), records.len());
    // what is to be seen is said, from the numbers
    assert!(page.contains("closest to exact is DataInf, groups of 32 at every rank r ("));
}

#[test]
fn undefined_is_never_zero_or_nan() {
    let (out, _keep) = folder("undefined");
    let records = synthetic::rank();
    write(&records, &out);
    for file in ["report.html", "tables.md"] {
        let text = text(&out, file);
        assert!(
            !text.contains("NaN") || text.contains("NaN after"),
            "{file}"
        );
        assert!(
            !text.contains(">inf<") && !text.contains("| inf |"),
            "{file}"
        );
    }
    // LiSSA is undefined at rank 1: a dash in every metric, all its cases counted, in all three seeds.
    let tables = text(&out, "tables.md");
    let row = tables
        .lines()
        .find(|line| line.starts_with("| digits | 1 | LiSSA (paper) |"))
        .expect("the row is there");
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    assert_eq!(cells[3..8], ["–"; 5], "{row}");
    assert_eq!(cells[8..], ["0", "1,203 of 1,203", "0"], "{row}");
    let ours = tables
        .lines()
        .find(|line| line.starts_with("| digits | 8 | DataInf |"))
        .expect("the row is there");
    assert!(
        ours.contains('±') && ours.trim_end().ends_with("| 2 | 0 | 1 |"),
        "{ours}"
    );
}

#[test]
fn a_sweep_over_size_draws_log_axes_once_for_settings_swept_together() {
    let (out, _keep) = folder("size");
    let summary = write(&synthetic::size(), &out);
    assert!(
        summary.figures.contains(&"sweep_task_train".to_owned())
            && !summary.figures.iter().any(|name| name.contains("query"))
    );
    let figure = text(&out, "figures/sweep_task_train.svg");
    for label in [
        "Training examples n",
        "10,000",
        "Peak memory",
        "Runtime (s)",
        "10⁻¹",
        "MB",
        "Relative error",
    ] {
        assert!(figure.contains(label), "{label}");
    }
    let reasons: Vec<&str> = summary
        .omitted
        .iter()
        .map(|(title, _)| title.as_str())
        .collect();
    assert!(
        reasons.iter().any(|title| title.contains("LoRA rank"))
            && reasons.iter().any(|title| title.contains("Fine-tuning")),
        "{reasons:?}"
    );
    assert!(text(&out, "report.html").contains("no sweep over <code>lora.rank</code>"));
}

#[test]
fn layers_are_counted_and_damping_is_held_at_the_default() {
    let (out, _keep) = folder("layers");
    let summary = write(&synthetic::layers(), &out);
    assert!(
        summary.figures.contains(&"sweep_lora_layers".to_owned())
            && summary
                .figures
                .contains(&"sweep_influence_damping".to_owned())
    );
    assert!(text(&out, "figures/sweep_lora_layers.svg").contains("Adapted layers"));
    // damping has no part in the fine-tune
    let costs: Vec<&String> = summary
        .figures
        .iter()
        .filter(|name| name.starts_with("training_cost"))
        .collect();
    assert_eq!(costs, ["training_cost_lora_layers"]);
    assert!(text(&out, "report.html").contains("Held: damping c = 0.1"));
    // no token lists, no word of padding
    assert!(!text(&out, "report.html").contains("adding is the share"));
    assert!(text(&out, "tables.md").contains("c = 0.01, 0.1 (the paper's default)"));
}

#[test]
fn tasks_of_glue_have_a_panel_each_and_the_profile_is_named() {
    let (out, _keep) = folder("glue");
    let summary = write(&synthetic::glue(), &out);
    for name in ["sweep_lora_rank_mrpc", "sweep_lora_rank_sst_2"] {
        assert!(summary.figures.contains(&name.to_owned()), "{name}");
    }
    let figure = text(&out, "figures/correlation_rank.svg");
    for label in ["MRPC – mean query", "SST-2 – mean query", "QQP – per query"] {
        assert!(figure.contains(label), "{label}");
    }
    let cost = text(&out, "figures/training_cost_lora_rank.svg");
    for label in ["Fine-tuning (s)", "Taking gradients (s)", "WNLI"] {
        assert!(cost.contains(label), "{label}");
    }
    // the folder of the data tells nothing that the name of the task does not
    for file in [&figure, &cost, &text(&out, "tables.md")] {
        assert!(!file.contains("data/mrpc"));
    }
    let page = text(&out, "report.html");
    assert!(page.contains("<h1>glue_rank (profile laptop)</h1>"));
}

#[test]
fn one_seed_shows_the_interval_within_the_cell_and_names_are_escaped() {
    let (out, _keep) = folder("single");
    let summary = write(&synthetic::single(), &out);
    assert_eq!(
        summary.figures,
        [
            "detection",
            "detection_curve",
            "accuracy_cost",
            "class_retrieval",
            "training"
        ]
    );
    let page = text(&out, "report.html");
    assert!(
        page.contains("one &lt;b&gt;cell&lt;/b&gt; &amp; &quot;no&quot; sweep")
            && !page.contains("<b>cell")
    );
    assert!(page.contains("Arnoldi, rank 16, complement &lt;true&gt;"));
    let tables = text(&out, "tables.md");
    assert!(
        tables.contains(" [0.") && !tables.contains("± 0."),
        "intervals within the cell are in brackets"
    );
    assert!(page.contains("One seed"));
}

#[test]
fn nothing_but_failures_is_still_a_report() {
    let (out, _keep) = folder("hopeless");
    let summary = write(&synthetic::hopeless(), &out);
    assert_eq!((summary.figures.len(), summary.failed), (0, 1));
    assert!(summary.omitted.len() >= 6);
    assert!(text(&out, "report.html").contains("the loss is NaN after epoch 1"));
    assert!(matches!(
        report::write(&[], &out, &ReportOptions::default()),
        Err(ReportError::Empty)
    ));
}

#[test]
fn the_same_records_give_the_same_bytes_in_any_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut records = synthetic::rank();
    write(&records, &folder.path().join("a"));
    records.reverse();
    write(&records, &folder.path().join("b"));
    let (a, b) = (
        files(&folder.path().join("a")),
        files(&folder.path().join("b")),
    );
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(b[name] == *bytes, "{name} differs");
    }
}

#[test]
fn the_terminal_summary_is_aligned_and_complete() {
    let text = report::summary(&synthetic::single());
    let table: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(
        table[0].contains("Pearson r") && table[0].contains("runtime"),
        "{text}"
    );
    assert_eq!(table.len(), 13, "a header and twelve methods:\n{text}");
    assert!(text.contains("the paper's default"));
    let long = report::summary(&synthetic::rank());
    assert!(
        long.contains("rank r = 4")
            && !long.contains("rank r = 2")
            && long.contains("of 8 settings shown"),
        "{long}"
    );
    assert!(long.contains("1 of 24 cells failed"), "{long}");
    for (name, records) in synthetic::all() {
        let text = report::summary(&records);
        assert!(
            !text.contains("NaN") && !text.contains("inf "),
            "{name}: {text}"
        );
    }
    assert!(report::summary(&synthetic::hopeless()).contains("1 failed"));
    assert_eq!(report::summary(&[]), "No records.\n");
}

#[test]
fn png_can_be_left_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ReportOptions {
        title: Some("A title".to_owned()),
        png: false,
        ..ReportOptions::default()
    };
    report::write(&synthetic::single(), folder.path(), &options).expect("written");
    let files = files(folder.path());
    assert!(
        files.keys().all(|name| !name.ends_with(".png"))
            && files.contains_key("figures/detection.svg")
    );
    assert!(String::from_utf8_lossy(&files["report.html"]).contains("<h1>A title</h1>"));
}
