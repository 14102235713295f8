//! The program from outside: what it prints, its exit codes, what it leaves on disk.

use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

const SMOKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/smoke.yaml");

fn infbench() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
}

fn records(folder: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(folder.join("records.jsonl")).expect("a finished run has results");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a record is JSON"))
        .collect()
}

fn run(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    infbench()
        .args(["run", SMOKE, "--out"])
        .arg(folder)
        .args(arguments)
        .assert()
}

/// A record without what may differ from run to run: times, memory, and whether a cache was used.
fn timeless(mut value: Value) -> Value {
    const TIMES: [&str; 7] = [
        "seconds",
        "started",
        "examples_per_second",
        "peak_bytes",
        "cached",
        "commit",
        "memory_bytes",
    ];
    match &mut value {
        Value::Object(map) => {
            map.retain(|key, _| !TIMES.contains(&key.as_str()));
            map.values_mut().for_each(|v| *v = timeless(v.take()));
        }
        Value::Array(list) => list.iter_mut().for_each(|v| *v = timeless(v.take())),
        _ => {}
    }
    value
}

#[test]
fn smoke_runs_and_resumes_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let lines = contains("[2/2] lora.rank=2 seed=0").and(contains("2 cells"));
    run(folder.path(), &[])
        .success()
        .stderr(lines)
        .stdout(contains("DataInf").and(contains("report.html")));
    let found = records(folder.path());
    assert_eq!(found.len(), 2);
    for record in &found {
        assert_eq!(record["methods"].as_array().unwrap().len(), 7);
        assert!(
            record["methods"][0]["evidence"]["residual"]
                .as_f64()
                .unwrap()
                < 1e-10
        );
        assert!(
            record["methods"][0]["peak_bytes"]["prepare"]
                .as_u64()
                .unwrap()
                > 0
        );
        assert_eq!(record["task"]["flipped"], 20);
    }
    for file in [
        "results.csv",
        "tables.md",
        "report.html",
        "figures/correlation_rank.svg",
        "figures/correlation_rank.png",
    ] {
        assert!(
            folder.path().join(file).metadata().unwrap().len() > 100,
            "{file}"
        );
    }
    run(folder.path(), &[])
        .success()
        .stderr(contains("2 finished cells found"));
    run(folder.path(), &["--no-resume", "--limit", "1", "--quiet"])
        .success()
        .stderr("");
    let page = tempfile::tempdir().unwrap();
    infbench()
        .arg("report")
        .arg(folder.path())
        .arg("--out")
        .arg(page.path())
        .assert()
        .success()
        .stdout(contains("figures"));
    assert!(page.path().join("report.html").is_file());
}

#[test]
fn two_runs_give_the_same_bytes_outside_timings() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    run(
        folders[0].path(),
        &[
            "--set",
            "outputs.scores=true",
            "--set",
            "outputs.report=false",
        ],
    )
    .success();
    run(
        folders[1].path(),
        &[
            "--set",
            "outputs.scores=true",
            "--set",
            "outputs.report=false",
            "--threads",
            "1",
        ],
    )
    .success();
    let [first, second] = folders.each_ref().map(|f| {
        let mut values: Vec<Value> = records(f.path()).into_iter().map(timeless).collect();
        values
            .iter_mut()
            .for_each(|record| record["provenance"]["threads"] = Value::Null);
        serde_json::to_string_pretty(&values).unwrap()
    });
    assert_eq!(first, second);
    for room in ["scores", "cache"] {
        for entry in fs::read_dir(folders[0].path().join(room)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "safetensors")
            {
                let twin = folders[1].path().join(room).join(path.file_name().unwrap());
                assert!(
                    fs::read(&path).unwrap() == fs::read(&twin).unwrap(),
                    "{} differs",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_killed_run_loses_no_finished_cell() {
    let folder = tempfile::tempdir().unwrap();
    let seeds = "seeds=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]";
    let arguments = [
        "--set",
        "seed=null",
        "--set",
        seeds,
        "--set",
        "outputs.report=false",
    ];
    let mut child = Process::new(assert_cmd::cargo::cargo_bin!("infbench"))
        .args(["run", SMOKE, "--out"])
        .arg(folder.path())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let finished = || -> Vec<_> {
        let entries = fs::read_dir(folder.path().join("cells"))
            .map(|all| all.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        let records = |paths: Vec<std::path::PathBuf>| {
            paths
                .into_iter()
                .filter(|p| p.extension().is_some_and(|e| e == "json"))
        };
        records(entries).collect()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while finished().len() < 3 {
        assert!(Instant::now() < deadline, "no three cells in two minutes");
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before: Vec<(std::path::PathBuf, Vec<u8>)> = finished()
        .into_iter()
        .map(|p| (p.clone(), fs::read(&p).unwrap()))
        .collect();
    assert!(
        before.len() >= 3 && before.len() < 40,
        "{} cells",
        before.len()
    );
    for (path, bytes) in &before {
        serde_json::from_slice::<Value>(bytes)
            .unwrap_or_else(|e| panic!("{} is half-written: {e}", path.display()));
    }
    let resumed = contains(format!("{} finished cells found", before.len()));
    run(folder.path(), &arguments).success().stderr(resumed);
    assert_eq!(records(folder.path()).len(), 40);
    for (path, bytes) in &before {
        assert!(
            fs::read(path).unwrap() == *bytes,
            "{} was written again",
            path.display()
        );
    }
    let left_over = fs::read_dir(folder.path().join("cells")).unwrap().flatten();
    let temporary = left_over
        .filter(|e| e.file_name().to_string_lossy().starts_with(".writing-"))
        .count();
    assert!(
        temporary <= 1,
        "at most the write that was cut off may be left"
    );
}

#[test]
fn bad_settings_name_their_place_and_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("lora: {rnk: 2}", "bad.yaml:3:8", "did you mean `rank`"),
        ("lora: {rank: 0}", "bad.yaml:3:14", "at least 1"),
        ("lora: {rank: 64}", "bad.yaml:3:14", "1 to 48"),
        ("lora: {layers: [4]}", "bad.yaml:3:17", "0 to 3"),
        (
            "lora: {layers: {from: 1, to: 4}}",
            "bad.yaml:3:30",
            "0 to 3",
        ),
        (
            "lora: {layers: {from: 3, to: 2}}",
            "bad.yaml:3:23",
            "above `to`",
        ),
        (
            "lora: {targets: 'encoder.*quer'}",
            "bad.yaml:3:17",
            "matches no module",
        ),
        (
            "lora: {targets: [ffn_inn]}",
            "bad.yaml:3:18",
            "did you mean `ffn_in`",
        ),
        (
            "influence: {methods: [exact, datinf]}",
            "bad.yaml:3:30",
            "did you mean `datainf`",
        ),
        (
            "influence: {methods: [exact, datainf, 'datainf:group_size=1']}",
            "bad.yaml:3:39",
            "given twice",
        ),
        (
            "influence: {methods: ['datainf:group_size=0']}",
            "bad.yaml:3:23",
            "at least 1",
        ),
        (
            "metrics: [pearsn]",
            "bad.yaml:3:11",
            "did you mean `pearson`",
        ),
        (
            "influence: {methods: [datainf]}\nmetrics: [pearson]",
            "bad.yaml:4:11",
            "add `exact`",
        ),
        (
            "sweep: {lora.rank: [1, zero]}",
            "bad.yaml:3:24",
            "expected a whole number",
        ),
        ("train: {lr: -1}", "bad.yaml:3:13", "between 0 and 10"),
        ("modle: mlp", "bad.yaml:3:1", "did you mean `model`"),
        ("seed: [1", "bad.yaml:", "not valid YAML"),
    ];
    let path = folder.path().join("bad.yaml");
    for (text, place, message) in cases {
        fs::write(&path, format!("name: bad\ntask: digits\n{text}\n")).unwrap();
        let shown = contains(place).and(contains(message));
        infbench()
            .current_dir(folder.path())
            .args(["run", "bad.yaml"])
            .assert()
            .code(2)
            .stdout("")
            .stderr(shown);
        infbench()
            .current_dir(folder.path())
            .args(["plan", "bad.yaml"])
            .assert()
            .code(2);
    }
    fs::write(
        &path,
        "name: bad\ntask: {name: digits, train: 800, query: 200}\n",
    )
    .unwrap();
    infbench()
        .current_dir(folder.path())
        .args(["run", "bad.yaml"])
        .assert()
        .code(2)
        .stderr(contains("896 digits"));
    infbench()
        .args(["run", "nowhere.yaml"])
        .assert()
        .code(2)
        .stderr(contains("nowhere.yaml"));
    infbench()
        .args(["run", SMOKE, "--set", "lora.rank"])
        .assert()
        .code(2)
        .stderr(contains("path=value"));
    infbench()
        .args(["run", SMOKE, "--device", "cuda:0"])
        .assert()
        .code(2)
        .stderr(contains("cuda:0"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is written before the settings are checked"
    );
}

#[test]
fn profiles_are_chosen_named_and_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: sized\ntask: {name: gradients, train: 30, query: 3, blocks: 1, dim: 8}\n\
                outputs: {report: false}\nprofiles:\n  small: {influence.methods: [exact]}\n  \
                large: {seeds: [0, 1], sweep.task.dim: [8, 16]}\n";
    let path = folder.path().join("sized.yaml");
    fs::write(&path, text).unwrap();
    let call = |arguments: &[&str]| {
        infbench()
            .current_dir(folder.path())
            .args(arguments)
            .assert()
    };
    let asked = contains("sized.yaml:4:1").and(contains("this experiment has: small, large"));
    call(&["run", "sized.yaml"]).code(2).stderr(asked);
    call(&["plan", "sized.yaml", "--profile", "smal"])
        .code(2)
        .stderr(contains("did you mean `small`?"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    call(&["plan", "sized.yaml", "--profile", "large"])
        .success()
        .stdout(contains("of 4 cells done in runs/sized-large"));
    call(&["run", "sized.yaml", "--profile", "small"])
        .success()
        .stderr(contains("sized (profile small): 1 cell"));
    let found = records(&folder.path().join("runs/sized-small"));
    assert_eq!(found[0]["profile"], "small");
    assert_eq!(found[0]["methods"].as_array().unwrap().len(), 1);
    call(&["report", "runs/sized-small"]).success();
    let page = fs::read_to_string(folder.path().join("runs/sized-small/report.html")).unwrap();
    assert!(page.contains("<h1>sized (profile small)</h1>"));
    // the profile that is not chosen is wrong
    fs::write(&path, text.replace("task.dim: [8", "task.dim: [0")).unwrap();
    call(&["plan", "sized.yaml", "--profile", "small"])
        .code(2)
        .stderr(contains("sized.yaml:6:43: task.dim: 0 is out of range"));
}

#[test]
fn an_error_shows_the_line_and_marks_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: bad\ntask: digits\nlora:\n  rnk: 2\n";
    fs::write(folder.path().join("bad.yaml"), text).unwrap();
    let output = infbench()
        .current_dir(folder.path())
        .args(["run", "bad.yaml"])
        .output()
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn the_log_tells_what_a_run_does() {
    let folder = tempfile::tempdir().unwrap();
    infbench()
        .env("INFBENCH_LOG", "debug")
        .args([
            "run",
            SMOKE,
            "--limit",
            "1",
            "--quiet",
            "--set",
            "outputs.report=false",
            "--out",
        ])
        .arg(folder.path())
        .assert()
        .success()
        .stderr(contains("taking gradients").and(contains("record written")))
        .stderr(predicate::str::is_match(r"fine-tuning, epoch 3/3, loss \d\.\d{3}; queries: loss \d\.\d{3}, 0\.\d{3} of the examples right").unwrap());
}

#[test]
fn plan_shows_the_grid_and_what_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let plan = || {
        infbench()
            .args(["plan", SMOKE, "--out"])
            .arg(folder.path())
            .assert()
            .success()
    };
    plan().stdout(contains("lora.rank=1 seed=0").and(contains("0 of 2 cells done")));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a plan writes nothing"
    );
    run(
        folder.path(),
        &["--limit", "1", "--set", "outputs.report=false"],
    )
    .success()
    .stderr(contains("1 cell left"));
    plan().stdout(contains("1 of 2 cells done"));
}

#[test]
fn listings_and_schema_come_from_the_tables() {
    infbench()
        .args(["list", "methods"])
        .assert()
        .success()
        .stdout(contains("datainf").and(contains("group_size")));
    infbench()
        .args(["list", "tasks"])
        .assert()
        .success()
        .stdout(contains("digits").and(contains("flip")));
    infbench()
        .args(["list", "models"])
        .assert()
        .success()
        .stdout(contains("transformer"));
    infbench()
        .args(["list", "metrics"])
        .assert()
        .success()
        .stdout(contains("detection_auc").and(contains("higher is better")));
    let output = infbench().arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["sweep"].is_object());
}

#[test]
fn a_method_that_fails_is_named_and_the_others_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/wide")
            .join(name)
    };
    let score = |methods: &[&str]| {
        let out = folder.path().join("scores.safetensors");
        let mut command = infbench();
        command
            .arg("score")
            .arg("--train")
            .arg(fixture("train.safetensors"))
            .arg("--query")
            .arg(fixture("query.safetensors"))
            .arg("--out")
            .arg(&out);
        for method in methods {
            command.args(["--method", method]);
        }
        (command.assert(), out)
    };
    let stops = "conjugate_gradient:iterations=1";
    let (none, out) = score(&[stops]);
    none.code(1).stderr(contains("was not written"));
    assert!(!out.exists());
    let (some, out) = score(&["exact", stops, "datainf"]);
    some.code(1).stderr(
        contains("conjugate_gradient:iterations=1 failed: block `")
            .and(contains("after 1 iterations"))
            .and(contains("the other methods")),
    );
    let bytes = fs::read(&out).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2);
}

#[test]
fn kept_gradients_score_as_the_run_did() {
    let folder = tempfile::tempdir().unwrap();
    let keep = [
        "--set",
        "outputs.gradients=true",
        "--set",
        "outputs.scores=true",
        "--set",
        "outputs.report=false",
        "--limit",
        "1",
    ];
    run(folder.path(), &keep).success();
    let id = records(folder.path())[0]["cell"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let gradients = |split: &str| {
        folder
            .path()
            .join("gradients")
            .join(format!("{id}.{split}.safetensors"))
    };
    let out = folder.path().join("scores.safetensors");
    infbench()
        .args([
            "score", "--method", "exact", "--method", "datainf", "--train",
        ])
        .arg(gradients("train"))
        .arg("--query")
        .arg(gradients("query"))
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stdout(contains("datainf"));
    let read = |path: &Path, name: &str| -> Vec<f64> {
        let bytes = fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor(name).unwrap();
        view.data()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|chunk| f64::from_le_bytes(*chunk))
            .collect()
    };
    let kept = folder
        .path()
        .join("scores")
        .join(format!("{id}.safetensors"));
    for method in ["exact", "datainf"] {
        let (ours, theirs) = (read(&out, method), read(&kept, method));
        // the run adds the mean query as a last row
        assert_eq!(ours.len() + 100, theirs.len());
        let largest = theirs.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let difference = ours
            .iter()
            .zip(&theirs)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(
            difference <= 1e-12 * largest,
            "{method}: {difference:e} of {largest:e}"
        );
    }
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cells")).unwrap();
    let lock = fs::File::create(folder.path().join("cells/.lock")).unwrap();
    lock.lock().unwrap();
    run(folder.path(), &[])
        .code(2)
        .stderr(contains("another infbench run"));
}

#[test]
fn the_reference_names_every_setting() {
    let output = infbench().arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/experiments.md");
    let reference = fs::read_to_string(path).unwrap();
    for (name, field) in schema["properties"].as_object().unwrap() {
        assert!(
            reference.contains(&format!("`{name}")),
            "{name} is not in docs/experiments.md"
        );
        let definition = field["$ref"].as_str().and_then(|r| schema.pointer(&r[1..]));
        let inner = definition
            .filter(|_| name != "sweep")
            .and_then(|d| d["properties"].as_object());
        for key in inner.into_iter().flat_map(|properties| properties.keys()) {
            assert!(
                reference.contains(&format!("`{name}.{key}`")),
                "{name}.{key} is not in docs/experiments.md"
            );
        }
    }
    let committed = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/experiment.schema.json"
    ))
    .unwrap();
    assert_eq!(
        committed,
        String::from_utf8(output.stdout).unwrap(),
        "infbench schema > docs/experiment.schema.json"
    );
}

#[test]
fn theory_files_have_a_schema_of_their_own() {
    let output = infbench().args(["schema", "theory"]).output().unwrap();
    assert!(output.status.success());
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/theory.schema.json");
    assert_eq!(
        fs::read_to_string(committed).unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        "infbench schema theory > docs/theory.schema.json"
    );
    let experiment = infbench().args(["schema", "experiment"]).output().unwrap();
    assert_eq!(
        experiment.stdout,
        infbench().arg("schema").output().unwrap().stdout
    );
    infbench()
        .args(["schema", "thoery"])
        .assert()
        .code(2)
        .stderr(contains("experiment").and(contains("theory")));
}

fn compare(a: &Path, b: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    infbench()
        .arg("compare")
        .args([a, b])
        .args(arguments)
        .assert()
}

#[test]
fn equal_runs_compare_equal_and_a_changed_value_is_named() {
    let folders: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let [first, second, other] = folders.each_ref().map(|folder| folder.path().join("run"));
    let keep = [
        "--set",
        "outputs.scores=true",
        "--set",
        "outputs.report=false",
    ];
    run(&first, &keep).success();
    run(&second, &[&keep[..], &["--threads", "1"]].concat()).success();
    compare(&first, &second, &[]).success().stdout(
        contains("2 with the same content hash")
            .and(contains("Settings: the same"))
            .and(contains("Same bytes outside timings: "))
            .and(contains("and 2 files of tensors in 2 cells."))
            .and(contains("are the same in all cells"))
            .and(contains("the whole cell")),
    );
    compare(&first, &first, &["--quiet"])
        .success()
        .stdout(predicate::str::starts_with("Same bytes outside timings: "));

    // one metric of one method, in the second cell
    let lines = second.join("records.jsonl");
    let text = fs::read_to_string(&lines).unwrap();
    let mut values = records(&second);
    let value = &mut values[1]["methods"][1]["metrics"][0]["value"];
    let (before, after) = (value.as_f64().unwrap(), value.as_f64().unwrap() * 0.99);
    *value = after.into();
    let changed: String = values.iter().map(|value| format!("{value}\n")).collect();
    fs::write(&lines, changed).unwrap();
    let named = contains("DIFFERENT: 1 of ")
        .and(contains("records.jsonl:2, lora.rank=2 seed=0 ("))
        .and(contains(format!(
            "methods[datainf].metrics[pearson].value: {before} → {after} (relative 1.00e-2)"
        )))
        .and(contains("datainf  pearson"));
    compare(&first, &second, &[]).code(1).stdout(named);
    compare(&first, &second, &["--tolerance", "0.011"])
        .success()
        .stdout(contains("Equal within 1.1e-2 (relative): 1 of "));
    compare(&first, &second, &["--tolerance", "0.009"]).code(1);

    // a cell that is only on one side
    fs::write(&lines, text.lines().next().unwrap()).unwrap();
    compare(&first, &second, &[]).code(1).stdout(
        contains("Only in A: lora.rank=2 seed=0").and(contains("DIFFERENT: 1 cell only on one")),
    );

    // one score
    fs::write(&lines, text).unwrap();
    let id = records(&second)[0]["cell"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let scores = second.join("scores").join(format!("{id}.safetensors"));
    let mut bytes = fs::read(&scores).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x80;
    fs::write(&scores, bytes).unwrap();
    let place = format!("{id}.safetensors, ");
    compare(&first, &second, &[])
        .code(1)
        .stdout(contains("DIFFERENT: 1 of ").and(contains(place)));

    // other settings: the cells are matched by their place in the grid
    run(&other, &[&keep[..], &["--set", "train.lr=0.02"]].concat()).success();
    compare(&first, &other, &[]).code(1).stdout(
        contains("0 with the same content hash, 2 at the same place of the grid")
            .and(contains("train.lr: 0.003 → 0.02\n"))
            .and(contains("training.epochs[0].train_loss: ")),
    );
}

#[test]
fn theory_and_scores_compare_too_and_what_is_no_result_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: t\ngradients: {train: 12, query: 2, blocks: 1, dim: 6}\nseeds: [0]\n";
    fs::write(folder.path().join("t.yaml"), text).unwrap();
    let within = |arguments: &[&str]| {
        infbench()
            .current_dir(folder.path())
            .args(arguments)
            .assert()
    };
    for out in ["first", "second"] {
        within(&["theory", "t.yaml", "--out", out]).success();
    }
    within(&["compare", "first", "second"])
        .success()
        .stdout(contains("Same bytes outside timings"));
    let json = folder.path().join("second/theory.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    value["cases"][0]["findings"][1]["measured"] = 0.25.into();
    fs::write(&json, value.to_string()).unwrap();
    within(&["compare", "first", "second/theory.json"])
        .code(1)
        .stdout(contains(
            "theory.json, cases[0].findings[ceiling].measured: ",
        ));

    let fixture = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/wide")
            .join(name)
            .display()
            .to_string()
    };
    for (out, damping) in [("a", "0.1"), ("b", "0.1"), ("c", "0.2")] {
        within(&[
            "score",
            "--method",
            "exact",
            "--damping",
            damping,
            "--train",
            &fixture("train.safetensors"),
            "--query",
            &fixture("query.safetensors"),
            "--out",
            &format!("{out}.safetensors"),
        ])
        .success();
    }
    within(&["compare", "a.safetensors", "b.safetensors"])
        .success()
        .stdout(contains("1 file of tensors"));
    within(&["compare", "a.safetensors", "c.safetensors"])
        .code(1)
        .stdout(contains("damping: 0.1 → 0.2").and(contains("DIFFERENT: ")));

    within(&["compare", "first", "secnd"])
        .code(2)
        .stderr(contains("secnd does not exist").and(contains("did you mean `second`?")));
    within(&["compare", "first", "t.yaml"])
        .code(2)
        .stderr(contains("t.yaml is not a result").and(contains("theory.json")));
    within(&["compare", "first", "a.safetensors"])
        .code(2)
        .stderr(contains("only results of one kind"));
    within(&["compare", ".", "first"])
        .code(2)
        .stderr(contains("holds no results"));
    within(&["compare", "first", "second", "--tolerance=-1"])
        .code(2)
        .stderr(contains("a number from 0 to 1"));
    fs::write(folder.path().join("d.safetensors"), "no tensors").unwrap();
    within(&["compare", "a.safetensors", "d.safetensors"])
        .code(2)
        .stderr(contains(
            "d.safetensors is a text that begins with \"no tensors\", not a safetensors file",
        ));
}

/// The program's exit code and what it says, in a folder of its own.
fn said(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = infbench()
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("infbench starts");
    let text = String::from_utf8(output.stderr).expect("messages are UTF-8");
    (output.status.code().expect("no signal"), text)
}

#[test]
fn settings_that_are_no_settings_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let base = "task: gradients\n";
    let long = "x".repeat(20_000);
    for (text, expected) in [
        (
            format!("name: ../../escaped\n{base}"),
            "s.yaml:1:7: name: `../../escaped` cannot be a name: it has `/`",
        ),
        (
            format!("name: /tmp/escaped\n{base}"),
            "s.yaml:1:7: name: `/tmp/escaped` cannot be a name",
        ),
        (
            format!("name: \"a\\0b\"\n{base}"),
            "s.yaml:1:7: name: `a\\u{0}b` cannot be a name",
        ),
        (
            format!("name: {}\n{base}", "a".repeat(101)),
            "it has 101 characters",
        ),
        (
            format!("name: a\nseed: .nan\n{base}"),
            "s.yaml:2:7: seed: `.nan` is not allowed; numbers must be finite",
        ),
        (
            format!("name: a\n{base}sweep: {{influence.damping: [0.1, .inf]}}\n"),
            "`.inf` is not allowed; numbers must be finite",
        ),
        (
            format!("name: a\n{base}profiles: {{b: {{influence.damping: -.inf}}}}\n"),
            "`-.inf` is not allowed; numbers must be finite",
        ),
        (
            format!("name: a\n{base}seeds: [{long}]\n"),
            "s.yaml:3:9: seeds[0]: expected a whole number",
        ),
        (
            format!("name: a\n{base}{}: 1\n", &long[..1000]),
            "s.yaml:3:1: xxx",
        ),
        (
            format!("name: a\n{base}description: \"{long}\"\nlora: 3\n"),
            "s.yaml:4",
        ),
        (
            "\u{feff}name: a\ntask: gradents\n".to_owned(),
            "s.yaml:2:7: task: unknown value `gradents`",
        ),
        (
            "<!DOCTYPE html>\n<html></html>\n".to_owned(),
            "s.yaml is a web page",
        ),
        (
            format!(
                "name: a\n{base}sweep: {{task.train: &a [{0}], task.dim: *a}}\n",
                (1..200)
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "the sweep makes 39601 cells",
        ),
    ] {
        fs::write(folder.path().join("s.yaml"), &text).unwrap();
        let (code, message) = said(folder.path(), &["run", "s.yaml"]);
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(message.matches('x').count() < 200, "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{message}");
    }
    fs::write(folder.path().join("s.yaml"), format!("name: a\n{base}")).unwrap();
    for arguments in [
        ["plan", "s.yaml", "--set", "seed=.inf"],
        ["plan", "s.yaml", "--set", &format!("task.train={long}")],
        ["plan", "s.yaml", "--profile", &long],
        ["plan", "s.yaml", "--threads", &long],
        ["plan", "s.yaml", "--set", &long],
    ] {
        let (code, message) = said(folder.path(), &arguments);
        assert_eq!(code, 2, "{message}");
        assert!(message.matches('x').count() < 200, "{message}");
    }
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = "name: c\nseed: 1\ntask: {name: clusters, train: 24, query: 4}\nmodel: {name: mlp, hidden: 8, layers: 1}\ntrain: {epochs: 1}\ninfluence: {methods: [exact, tracin]}\nground_truth: {subset_retraining: {fractions: [0.5], subsets: 4, seeds: 2}}\noutputs: {report: false}\n";
    fs::write(folder.path().join("c.yaml"), file).unwrap();
    let run = || {
        let arguments = ["run", "c.yaml", "--out", "o", "--no-resume", "--quiet"];
        let (code, message) = said(folder.path(), &arguments);
        assert_eq!(code, 0, "{message}");
        let found = records(&folder.path().join("o")).remove(0);
        (timeless(found), message)
    };
    let (first, _) = run();
    let mut files = Vec::new();
    let mut folders = vec![folder.path().join("o/cache")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    assert!(files.len() > 8, "{files:?}");
    let (again, quiet) = run();
    assert_eq!((&again, quiet.as_str()), (&first, ""));
    for damaged in [&b""[..], b"{\"half", &[0; 64]] {
        for file in &files {
            fs::write(file, damaged).unwrap();
        }
        let (again, warned) = run();
        assert_eq!(again, first);
        assert_eq!(
            warned.matches("retrainings with damaged files").count(),
            1,
            "{warned}"
        );
        assert!(
            warned.contains("this part of the cache is made anew"),
            "{warned}"
        );
        assert_eq!(run().1, "");
    }
}

#[test]
fn the_commit_in_a_record_is_that_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let name = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
        let mut git = Process::new("git");
        let git = git.current_dir(folder.path()).args(name).args(arguments);
        assert!(git.output().unwrap().status.success(), "{arguments:?}");
    };
    git(&["init"]);
    git(&["commit", "--allow-empty", "-m", "another repository"]);
    fs::write(
        folder.path().join("s.yaml"),
        "name: a\ntask: {name: gradients, train: 20}\noutputs: {report: false}\n",
    )
    .unwrap();
    let (code, message) = said(folder.path(), &["run", "s.yaml", "--out", "o"]);
    assert_eq!(code, 0, "{message}");
    let found = &records(&folder.path().join("o"))[0]["provenance"]["commit"];
    assert_eq!(
        found.as_str(),
        infbench::results::environment::commit().as_deref()
    );
}

#[test]
fn the_home_folder_is_found_in_settings_and_arguments() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(
        home.path().join("s.yaml"),
        "name: t\ntask: {name: glue, task: rte, path: ~/data}\nmodel: {path: ~/m}\n",
    )
    .unwrap();
    let said = |arguments: &[&str]| {
        let output = infbench()
            .env("HOME", home.path())
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let message = said(&["plan", "~/s.yaml"]);
    assert!(
        message.contains(&format!("{} has no training file", data.display())),
        "{message}"
    );
    let message = said(&["report", "~/none", "--out=~/page"]);
    assert!(
        message.contains(&home.path().join("none").display().to_string()),
        "{message}"
    );
}
