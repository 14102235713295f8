//! `infbench reproduce` from outside: the list, one reproduction from end to end, bad input.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results");

/// In a folder of its own, where no model and no data lie, and with an empty cache of models.
fn infbench(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("infbench"));
    command
        .current_dir(folder)
        .env("HF_HOME", folder.join("no-cache"))
        .env("HF_HUB_OFFLINE", "1");
    command
}

fn reproduce(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = infbench(folder);
    command.arg("reproduce").args(arguments);
    command.assert()
}

/// The variant of an item in the list as JSON.
fn variant(list: &Value, item: &str, profile: &str) -> Value {
    let named = |list: &Value, field: &str, name: &str| -> Value {
        let mut all = list.as_array().expect("a list").iter();
        all.find(|entry| entry[field] == name)
            .unwrap_or_else(|| panic!("{name} is missing"))
            .clone()
    };
    named(&named(list, "name", item)["variants"], "profile", profile)
}

fn list(folder: &Path) -> Value {
    let output = infbench(folder)
        .args(["reproduce", "--json"])
        .output()
        .expect("it runs");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn everything_is_listed_with_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "figure-1",
        "figure-2",
        "figure-5",
        "figure-6",
        "figure-7",
        "table-1",
        "table-2",
        "theorem-1",
    ];
    let found = list(folder.path());
    let listed: Vec<&str> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, names);
    // nothing is there: models and data are needed, with the command that fetches them
    let laptop = variant(&found, "figure-1", "laptop");
    assert_eq!(
        (&laptop["status"], &laptop["done"]),
        (&"needs".into(), &Value::Null)
    );
    assert_eq!(laptop["cells"], 36);
    assert_eq!(laptop["forecast_seconds"], Value::Null);
    let needs = laptop["needs"].to_string();
    for part in [
        "scripts/get-minilm.sh",
        "the data of mrpc",
        "the data of qqp",
        "task.path=FOLDER",
    ] {
        assert!(needs.contains(part), "{part}: {needs}");
    }
    let paper = variant(&found, "figure-2", "paper")["needs"].to_string();
    assert!(paper.contains("hf download roberta-large"), "{paper}");
    let images = variant(&found, "table-2", "styles")["needs"].to_string();
    for part in [
        "models/sd-icons32",
        "the data of styles",
        "task.path=FOLDER",
    ] {
        assert!(images.contains(part), "{part}: {images}");
    }
    let language = variant(&found, "table-2", "laptop")["needs"].to_string();
    assert!(language.contains("scripts/get-smollm2.sh"), "{language}");
    // what needs no file is ready, with a forecast
    let small = variant(&found, "figure-1", "small");
    assert_eq!(small["status"], "ready");
    assert!(small["forecast_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(variant(&found, "table-1", "synthetic")["status"], "ready");
    // the paper's numbers stand in the list
    let table = &found[6];
    assert_eq!(table["paper"].as_array().unwrap().len(), 20);
    let mut text = names.iter().map(|name| contains(format!("{name}\n")));
    let first = text.next().unwrap();
    reproduce(folder.path(), &[])
        .success()
        .stdout(first.and(contains(
            "needs the model models/all-MiniLM-L6-v2: scripts/get-minilm.sh",
        )));
    assert!(
        fs::read_dir(folder.path()).unwrap().next().is_none(),
        "the list writes nothing"
    );
}

#[test]
fn a_model_that_is_there_is_found_and_damaged_ones_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("models/all-MiniLM-L6-v2");
    fs::create_dir_all(&model).unwrap();
    let needs = variant(&list(folder.path()), "figure-5", "laptop")["needs"].to_string();
    assert!(needs.contains("config.json"), "{needs}");
    fs::write(
        model.join("config.json"),
        r#"{"model_type": "bert", "vocab_size": 100, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 64}"#,
    )
    .unwrap();
    let needs = variant(&list(folder.path()), "figure-5", "laptop")["needs"].to_string();
    assert!(needs.contains("has no model.safetensors"), "{needs}");
    fs::write(model.join("model.safetensors"), "").unwrap();
    fs::write(model.join("tokenizer.json"), "{}").unwrap();
    fs::create_dir_all(folder.path().join("data/glue/MRPC")).unwrap();
    fs::write(folder.path().join("data/glue/MRPC/train.tsv"), "").unwrap();
    let found = variant(&list(folder.path()), "figure-5", "laptop");
    let text = found["found"].to_string();
    assert!(
        text.contains("model models/all-MiniLM-L6-v2") && text.contains("mrpc in data/glue/MRPC"),
        "{text}"
    );
    // the other tasks' data are not there
    assert_eq!(found["needs"].as_array().unwrap().len(), 3);
}

#[test]
fn a_tiny_reproduction_runs_to_its_end_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let smoke = ["figure-1", "--profile", "smoke", "--quiet"];
    reproduce(folder.path(), &[&smoke[..], &["--limit", "1"]].concat())
        .success()
        .stdout(contains("Figure 1 of the paper, and here"));
    let out = folder.path().join("runs/smoke");
    assert!(out.join("reproduce/figure-1-smoke.html").is_file());
    assert_eq!(
        variant(&list(folder.path()), "figure-1", "smoke")["done"]["cells"],
        1
    );
    reproduce(folder.path(), &smoke).success();
    let page = fs::read_to_string(out.join("reproduce/figure-1-smoke.md")).unwrap();
    for part in [
        "# Figure 1 of the paper, and here",
        "What differs here: model transformer (2 layers, hidden 16, 2 heads, ffn 32, pretrained for 2 epochs",
        "instead of RoBERTa-large",
        "Experiment `smoke`: 2 cells, 1 seed",
        "| Paper | Here |",
        "says yes in 0 of 2 settings, no in 0, and cannot tell in 2",
        "(no interval: one seed)",
        "![Correlation with exact influence against LoRA rank]",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // the paper's numbers are of a task that was not run: they are not lost
    assert!(page.contains(
        "| MRPC | rank r = 1 | DataInf | Pearson r with exact, mean query | 0.640 | – |"
    ));
    let csv = fs::read_to_string(out.join("reproduce/figure-1-smoke.csv")).unwrap();
    for part in [
        "item,task,setting,method,metric,paper,",
        "\nfigure-1,digits,rank r = 1,datainf,pearson_mean_query,,,,",
    ] {
        assert!(csv.contains(part), "{part}: {csv}");
    }
    for file in [
        "records.jsonl",
        "report.html",
        "reproduce/figures/figure-1-smoke_correlation_rank.svg",
    ] {
        assert!(out.join(file).metadata().unwrap().len() > 100, "{file}");
    }
    let done = variant(&list(folder.path()), "figure-1", "smoke");
    assert_eq!(
        (&done["status"], &done["done"]["folder"]),
        (&"done".into(), &"runs/smoke".into())
    );
    // records hold the pairs of one seed, and tables use them
    let records = fs::read_to_string(out.join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    let pairing = record["pairing"].as_array().unwrap();
    assert_eq!(pairing[0]["metric"], "pearson");
    assert_eq!(pairing[0]["over"], "queries");
    assert!(pairing[0]["errors"][1][0].as_f64().unwrap() > 0.0);
    let tables = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(
        tables.contains("## Which methods are best")
            && tables.contains("one seed: holds for other queries")
    );
    // the same from the results alone, elsewhere
    let from = ["figure-1", "--from", "runs/smoke", "--out", "pages"];
    reproduce(folder.path(), &from).success();
    let again = fs::read_to_string(folder.path().join("pages/figure-1-smoke.md")).unwrap();
    assert_eq!(again, page);
}

/// The committed pages: item, profile and folder of results, as `scripts/results.sh` lists them.
fn pages() -> Vec<[String; 3]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("scripts/results.sh")).unwrap();
    let (_, list) = script.split_once("pages() {").expect("the list of pages");
    let lines = list.lines().skip(2).take_while(|line| *line != "TABLE");
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    lines
        .map(|line| words(line).try_into().expect("three words"))
        .collect()
}

#[test]
fn committed_pages_are_those_of_the_committed_records() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages();
    assert!(pages.len() > 15);
    for [item, profile, results] in &pages {
        let from = format!("{RESULTS}/{results}");
        let asked = [
            item,
            "--profile",
            profile,
            "--from",
            &from,
            "--out",
            "pages",
        ];
        let said = reproduce(folder.path(), &asked).success();
        if (item.as_str(), profile.as_str()) == ("figure-1", "laptop") {
            said.stdout(
                contains("0.640").and(contains("Pearson r with exact, mean query: DataInf above")),
            );
        }
        let name = format!("{item}-{profile}");
        let html = folder.path().join(format!("pages/{name}.html"));
        assert!(html.is_file(), "{name}");
        let committed = fs::read_to_string(format!("{RESULTS}/reproduce/{name}.md")).unwrap();
        let drawn = fs::read_to_string(folder.path().join(format!("pages/{name}.md"))).unwrap();
        let mut lines = committed.lines().zip(drawn.lines());
        assert!(
            committed == drawn,
            "{name}: {:?}",
            lines.find(|(a, b)| a != b)
        );
    }
    for file in fs::read_dir(format!("{RESULTS}/reproduce/figures")).unwrap() {
        let file = file.unwrap();
        let drawn = folder.path().join("pages/figures").join(file.file_name());
        let same = fs::read(file.path()).unwrap() == fs::read(drawn).unwrap_or_default();
        assert!(same, "{file:?}");
    }
    let glue = format!("{RESULTS}/glue_rank");
    let wrong = contains(
        "results of \"glue_rank\", of which figure-2 shows nothing; allowed: glue_detection",
    );
    reproduce(folder.path(), &["figure-2", "--from", &glue])
        .code(2)
        .stderr(wrong);
}

#[test]
fn bad_input_is_one_error_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 8] = [
        (
            &["figur-1"],
            "unknown item of the paper `figur-1`; allowed: figure-1, figure-2",
        ),
        (&["figur-1"], "did you mean `figure-1`?"),
        (
            &["figure-1", "--profile", "labtop"],
            "unknown profile `labtop`; allowed: laptop, paper, small, smoke",
        ),
        (
            &["figure-1"],
            "figure-1 (profile laptop) needs the model models/all-MiniLM-L6-v2: scripts/get-minilm.sh",
        ),
        (
            &["theorem-1", "--profile", "gradients"],
            "needs the gradients data/theory/train.safetensors",
        ),
        (
            &["table-1", "--limit", "2"],
            "has no cells: --limit would do nothing",
        ),
        (
            &["figure-1", "--profile", "smoke", "--set", "lora.rnk=2"],
            "did you mean `rank`?",
        ),
        (
            &[
                "figure-2",
                "--profile",
                "small",
                "--set",
                "sweep.lora.rank=[1,2]",
            ],
            "shows none of the cells that these settings leave",
        ),
    ];
    for (arguments, message) in cases {
        reproduce(folder.path(), arguments)
            .code(2)
            .stderr(contains(message));
    }
    for arguments in [
        &["--limit", "1"][..],
        &["figure-1", "--json"],
        &["figure-1", "--from", "x", "--limit", "1"],
    ] {
        reproduce(folder.path(), arguments).code(2);
    }
    reproduce(folder.path(), &["figure-1", "--from", "nowhere"])
        .code(2)
        .stderr(contains("holds no results"));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}
