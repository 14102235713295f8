//! What is committed besides the code: links of the documents, and results that weigh little and say what their records
//! say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use infbench::report::{self, ReportOptions};
use infbench::results::{load, theory};
use rayon::prelude::*;
use regex::Regex;

/// Most bytes of `results/`.
const MOST: u64 = 12 << 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders of results, whose tables and figures are those of their records.
fn results() -> Vec<PathBuf> {
    let results = fs::read_dir(root().join("results")).expect("results");
    let mut folders: Vec<PathBuf> = results
        .map(|entry| entry.expect("readable").path())
        .collect();
    folders.retain(|folder| folder.is_dir() && !folder.ends_with("reproduce"));
    folders.sort();
    folders
}

/// Every file below a folder but for what git ignores.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let ignored = ["target", "runs", "models", "libtorch", "data"];
    let is_root = folder == root();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("named").to_string_lossy();
        if name.starts_with('.') || is_root && ignored.contains(&name.as_ref()) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_of_every_document_leads_somewhere() {
    let link = Regex::new(r#"\]\(([^()\s]+(?:\([^()\s]*\))?)\)|(?:src|href|srcset)="([^"]+)""#);
    let link = link.expect("a right expression");
    let fence = Regex::new(r"(?ms)^ *```.*?^ *```|`[^`\n]*`").expect("a right expression");
    let mut documents = Vec::new();
    files(root(), &mut documents);
    documents.retain(|path| path.extension().is_some_and(|e| e == "md"));
    assert!(documents.len() > 40, "{documents:?}");
    let mut wrong = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).expect("UTF-8");
        let text = fence.replace_all(&text, "");
        for hit in link.captures_iter(&text) {
            let target = hit.get(1).or(hit.get(2)).expect("one of both").as_str();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let place = match file {
                "" => document.clone(),
                file => document.parent().expect("in a folder").join(file),
            };
            let anchors = || -> BTreeSet<String> {
                let text = fs::read_to_string(&place).unwrap_or_default();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                headings
                    .map(|line| anchor(line.trim_start_matches('#')))
                    .collect()
            };
            if !place.exists() || !part.is_empty() && !anchors().contains(part) {
                wrong.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn results_hold_compressed_records_tables_and_figures_and_weigh_little() {
    let mut all = Vec::new();
    files(&root().join("results"), &mut all);
    let drawn = ["report.html", "results.csv", "records.jsonl", "theory.json"];
    let mut bytes = 0;
    for path in &all {
        let name = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();
        let ending = path.extension().map(|e| e.to_string_lossy().into_owned());
        // what `infbench report` has drawn there is not committed
        if drawn.contains(&name.as_str()) || ending.as_deref() == Some("png") {
            continue;
        }
        bytes += path.metadata().expect("a file").len();
        if let Some("html" | "csv" | "jsonl" | "json" | "safetensors") = ending.as_deref() {
            panic!("{} weighs more than it says", path.display());
        }
    }
    assert!(
        bytes <= MOST,
        "results/ has {bytes} bytes, more than {MOST}"
    );
}

#[test]
fn committed_tables_are_those_of_the_committed_records() {
    let folders = results();
    let checked = folders.par_iter().map(|folder| {
        let (name, drawn) = match theory::load(folder).expect("readable findings") {
            Some(findings) => ("theory.md", report::theory::markdown(&findings)),
            None => (
                "tables.md",
                report::markdown(&load(folder).expect("readable records")),
            ),
        };
        let committed = fs::read_to_string(folder.join(name)).expect("committed");
        let mut lines = committed.lines().zip(drawn.lines()).enumerate();
        let first = lines.find(|(_, (a, b))| a != b);
        let same = committed == drawn;
        (!same).then(|| format!("{}/{name}: {first:?}", folder.display()))
    });
    let wrong: Vec<String> = checked.flatten().collect();
    assert!(folders.len() > 25 && wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn committed_figures_are_those_of_the_committed_records() {
    let mut folders = results();
    folders.retain(|folder| folder.join("figures").is_dir());
    let checked = folders.par_iter().flat_map(|folder| {
        let out = tempfile::tempdir().expect("a temporary folder");
        match theory::load(folder).expect("readable findings") {
            Some(findings) => {
                report::theory::write(&findings, out.path()).expect("drawn");
            }
            None => {
                let records = load(folder).expect("readable records");
                let options = ReportOptions {
                    png: false,
                    ..ReportOptions::default()
                };
                report::write(&records, out.path(), &options).expect("drawn");
            }
        }
        let mut committed = Vec::new();
        files(&folder.join("figures"), &mut committed);
        committed.retain(|path| path.extension().is_some_and(|e| e == "svg"));
        assert!(!committed.is_empty(), "{}", folder.display());
        let differs = |path: &PathBuf| {
            let drawn = out.path().join(path.strip_prefix(folder).expect("below"));
            fs::read(path).expect("committed") != fs::read(drawn).unwrap_or_default()
        };
        committed.retain(differs);
        committed
    });
    let wrong: Vec<PathBuf> = checked.collect();
    assert!(folders.len() > 5 && wrong.is_empty(), "{wrong:#?}");
}
