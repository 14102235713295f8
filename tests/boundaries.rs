//! The walls between the rooms: who may import whom.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(room: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable source");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room),
        &mut found,
    );
    assert!(!found.is_empty(), "no sources in src/{room}");
    found
}

/// Lines of code (not of documentation) in a room that contain one of `words`.
fn offences(room: &str, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(room) {
        for (number, line) in text.lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {code}", path.display(), number + 1));
            }
        }
    }
    found
}

#[test]
fn the_deep_learning_framework_stops_at_the_gradients() {
    for room in [
        "influence",
        "metrics",
        "theory",
        "report",
        "results",
        "config",
    ] {
        let found = offences(room, &["burn::".into()]);
        assert!(
            found.is_empty(),
            "src/{room} imports burn:\n{}",
            found.join("\n")
        );
    }
}

#[test]
fn the_report_reads_results_only() {
    let found = offences(
        "report",
        &[
            "crate::influence",
            "crate::theory",
            "crate::models",
            "crate::tasks",
            "crate::gradients",
            "crate::finetune",
        ]
        .map(String::from),
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tasks_models_influence_and_metrics_do_not_know_one_another() {
    let rooms = ["tasks", "models", "influence", "metrics"];
    for room in rooms {
        let others: Vec<String> = rooms
            .iter()
            .filter(|other| **other != room)
            .map(|other| format!("crate::{other}"))
            .collect();
        let found = offences(room, &others);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn theory_sees_matrices_only() {
    let found = offences(
        "theory",
        &[
            "crate::models",
            "crate::tasks",
            "crate::finetune",
            "crate::runner",
            "crate::report",
            "crate::results",
        ]
        .map(String::from),
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn devices_are_made_in_one_module() {
    let all = offences(
        "",
        &[
            "Device::flex(".into(),
            "Device::libtorch".into(),
            "Device::default()".into(),
        ],
    );
    let elsewhere: Vec<&String> = all
        .iter()
        .filter(|line| !line.contains("src/device.rs"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
}
