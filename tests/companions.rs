//! `kfac`, `ekfac` and `tracin` from end to end: an experiment collects what they need, the record says what it
//! cost, and `infbench score` makes the same scores of the kept files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::str::contains;
use safetensors::SafeTensors;
use serde_json::Value;

const METHODS: [&str; 6] = [
    "exact",
    "kfac",
    "ekfac",
    "kfac:labels=sampled",
    "ekfac:labels=sampled",
    "tracin",
];

const EXPERIMENT: &str = "name: beside
seed: 4
task: {name: sentences, train: 60, query: 12, max_length: 48}
model: {name: transformer, hidden: 16, heads: 2, layers: 2, ffn: 24, pretrain: null}
lora: {rank: 2, targets: [query, value], layers: {last: 1}, dropout: 0.1}
train: {epochs: 4, lr: 1.0e-2, batch_size: 20, checkpoints: 2}
outputs: {scores: true, gradients: true, report: false}
influence:
  methods: [exact, kfac, ekfac, \"kfac:labels=sampled\", \"ekfac:labels=sampled\", tracin]
";

fn infbench() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
}

/// Runs the experiment; the folder of its results.
fn run(folder: &Path, arguments: &[&str]) -> PathBuf {
    let file = folder.join("beside.yaml");
    fs::write(&file, EXPERIMENT).unwrap();
    let out = folder.join("out");
    infbench()
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .args(arguments)
        .assert()
        .success();
    out
}

fn record(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

/// Every file of a folder by its name without the cell's id.
fn files(folder: &Path, id: &str) -> BTreeMap<String, PathBuf> {
    let all = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    all.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (
            name.replace(id, "").trim_start_matches('.').to_owned(),
            path.clone(),
        )
    })
    .collect()
}

/// A tensor of f32 or f64 as plain numbers with its shape.
fn numbers(path: &Path, name: &str) -> (Vec<usize>, Vec<f64>) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let data = view.data();
    let values = match view.dtype() {
        safetensors::Dtype::F64 => {
            let numbers = data.as_chunks::<8>().0.iter();
            numbers.map(|b| f64::from_le_bytes(*b)).collect()
        }
        _ => {
            let numbers = data.as_chunks::<4>().0.iter();
            numbers.map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        }
    };
    (view.shape().to_vec(), values)
}

fn names(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.names().into_iter().map(String::from).collect()
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    assert!(size > 0.0, "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * size,
            "{what}: {found:e} against {expected:e}"
        );
    }
}

#[test]
fn an_experiment_collects_what_is_needed_and_the_files_score_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = run(folder.path(), &["--threads", "1"]);
    let record = record(&out);
    let id = record["cell"]["id"].as_str().unwrap();
    for method in record["methods"].as_array().unwrap() {
        assert_eq!(method["status"], "ok", "{method}");
        assert_eq!(method["non_finite"], 0, "{method}");
        // what is fetched of the gradients at sampled labels, or at checkpoints, counts
        let passes = match method["label"].as_str().unwrap() {
            "ekfac" | "ekfac:labels=sampled" | "tracin" => 2.0,
            "kfac" | "kfac:labels=sampled" => 1.0,
            _ => continue,
        };
        let size = record["gradients"]["bytes"].as_f64().unwrap();
        let read = method["bytes_read"].as_f64().unwrap();
        assert_eq!(read, passes * size, "{method}");
    }
    let beside = &record["gradients"]["companions"];
    for kind in ["factors", "sampled", "checkpoints"] {
        assert!(beside[kind]["seconds"].as_f64().unwrap() > 0.0, "{beside}");
        assert!(beside[kind]["bytes"].as_u64().unwrap() > 0, "{beside}");
    }
    assert_eq!(beside["checkpoints"]["epochs"], serde_json::json!([2, 4]));
    let rates: Vec<f64> = beside["checkpoints"]["learning_rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate.as_f64().unwrap())
        .collect();
    // three steps an epoch: a warm-up of 0.72 steps, in which the first step falls, then linear to 0 over the rest of 12
    let rate = |steps: std::ops::Range<i32>| {
        let count = f64::from(steps.end - steps.start);
        let at = |step| match step {
            0 => 0.0,
            _ => 1e-2 * f64::from(12 - step) / (12.0 - 0.72),
        };
        steps.map(at).sum::<f64>() / count
    };
    close(&rates, &[rate(0..6), rate(6..12)], 1e-12, "learning rates");

    let kept = files(&out.join("gradients"), id);
    let expected = [
        "checkpoint-1.query",
        "checkpoint-1.train",
        "checkpoint-2.query",
        "checkpoint-2.train",
        "factors",
        "query",
        "sampled.factors",
        "sampled",
        "train",
    ];
    let expected = expected.map(|name| format!("{name}.safetensors"));
    assert_eq!(
        kept.keys().collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    let file = |name: &str| kept[&format!("{name}.safetensors")].clone();
    let shown = |name: &str| file(name).display().to_string();

    // the last checkpoint is the model
    for tensor in names(&file("train")) {
        let (last, own) = (
            numbers(&file("checkpoint-2.train"), &tensor),
            numbers(&file("train"), &tensor),
        );
        close(&last.1, &own.1, 1e-5, &tensor);
    }

    // the same scores from the files
    let scores = folder.path().join("scores.safetensors");
    let checkpoint = |index: usize| {
        format!(
            "{}:{}:{}",
            rates[index - 1],
            shown(&format!("checkpoint-{index}.train")),
            shown(&format!("checkpoint-{index}.query"))
        )
    };
    let mut command = infbench();
    command.args([
        "score",
        "--train",
        &shown("train"),
        "--query",
        &shown("query"),
    ]);
    command.args(["--factors", &shown("factors")]);
    command.args([
        "--sampled",
        &format!("{}:{}", shown("sampled"), shown("sampled.factors")),
    ]);
    command.args([
        "--checkpoint",
        &checkpoint(1),
        "--checkpoint",
        &checkpoint(2),
    ]);
    for method in METHODS {
        command.args(["--method", method]);
    }
    command.arg("--out").arg(&scores).assert().success();
    let run_scores = out.join("scores").join(format!("{id}.safetensors"));
    for method in METHODS {
        let ((shape, ours), (_, theirs)) = (numbers(&scores, method), numbers(&run_scores, method));
        assert_eq!(shape, [12, 60]);
        // the run has the mean query as a last row
        close(&ours, &theirs[..ours.len()], 1e-10, method);
    }

    // tracin by hand, from the files
    let mut by_hand = vec![0.0; 12 * 60];
    for (c, rate) in rates.iter().enumerate() {
        let at = |split: &str| file(&format!("checkpoint-{}.{split}", c + 1));
        for tensor in names(&at("train")) {
            let ((_, g), (_, v)) = (
                numbers(&at("train"), &tensor),
                numbers(&at("query"), &tensor),
            );
            let width = g.len() / 60;
            for (q, v) in v.chunks_exact(width).enumerate() {
                for (k, g) in g.chunks_exact(width).enumerate() {
                    let dot: f64 = v.iter().zip(g).map(|(v, g)| v * g).sum();
                    by_hand[q * 60 + k] -= rate * dot;
                }
            }
        }
    }
    close(
        &numbers(&scores, "tracin").1,
        &by_hand,
        1e-10,
        "tracin by hand",
    );

    // any number of threads, another folder: the same bytes
    let other = tempfile::tempdir().unwrap();
    let again = run(other.path(), &["--threads", "3"]);
    for (name, path) in files(&again.join("gradients"), id) {
        assert!(
            fs::read(&path).unwrap() == fs::read(&kept[&name]).unwrap(),
            "{name}"
        );
    }
    let bytes =
        |out: &Path| fs::read(out.join("scores").join(format!("{id}.safetensors"))).unwrap();
    assert!(bytes(&out) == bytes(&again), "scores");

    // from the cache of fine-tunes: the same checkpoints; activations are not kept there, hence rounding
    fs::remove_dir_all(out.join("cells")).unwrap();
    let sampled = fs::read(file("sampled")).unwrap();
    let before: BTreeMap<String, Vec<f64>> = names(&file("checkpoint-1.train"))
        .into_iter()
        .map(|name| (name.clone(), numbers(&file("checkpoint-1.train"), &name).1))
        .collect();
    run(folder.path(), &["--no-resume"]);
    let second = self::record(&out);
    assert_eq!(second["training"]["cached"], true);
    assert_eq!(
        second["gradients"]["companions"]["checkpoints"]["learning_rates"],
        record["gradients"]["companions"]["checkpoints"]["learning_rates"]
    );
    for (name, before) in &before {
        close(
            &numbers(&file("checkpoint-1.train"), name).1,
            before,
            1e-5,
            name,
        );
    }
    assert_eq!(fs::read(file("sampled")).unwrap().len(), sampled.len());
}

#[test]
fn large_gradients_go_through_files_that_do_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let set = [
        "--set",
        "store.in_memory_mib=0",
        "--set",
        "outputs.gradients=false",
    ];
    let out = run(folder.path(), &set);
    assert!(!out.join("gradients").exists());
    let streamed = record(&out);
    let other = tempfile::tempdir().unwrap();
    let out = run(other.path(), &["--set", "outputs.gradients=false"]);
    let held = record(&out);
    assert_eq!(streamed["gradients"]["storage"], "mapped");
    assert_eq!(held["gradients"]["storage"], "memory");
    // files have their tensors in another order, so that blocks are added up in another
    let metrics = |record: &Value| -> Vec<f64> {
        let methods = record["methods"].as_array().unwrap().iter();
        let metrics = methods.flat_map(|method| method["metrics"].as_array().unwrap());
        metrics
            .map(|metric| metric["value"].as_f64().unwrap())
            .collect()
    };
    let (streamed, held) = (metrics(&streamed), metrics(&held));
    assert!(streamed.len() == held.len() && streamed.len() > 6 * 5);
    for (a, b) in streamed.iter().zip(&held) {
        assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn nothing_is_collected_that_no_method_needs() {
    let folder = tempfile::tempdir().unwrap();
    let out = run(
        folder.path(),
        &["--set", "influence.methods=[exact, datainf]"],
    );
    let record = record(&out);
    let nothing =
        serde_json::json!({"factors": null, "sampled": null, "hessian": null, "checkpoints": null});
    assert_eq!(record["gradients"]["companions"], nothing);
    let id = record["cell"]["id"].as_str().unwrap();
    assert_eq!(files(&out.join("gradients"), id).len(), 2);
    let kept = fs::read_dir(out.join("cache")).unwrap();
    let checkpoints = kept
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("checkpoints")
        })
        .count();
    assert_eq!(checkpoints, 0);
    // a method that needs them joins: the fine-tune is done again and leaves the same adapters
    let adapters = |out: &Path| {
        let all = fs::read_dir(out.join("cache"))
            .unwrap()
            .map(|e| e.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        all.filter(|path| {
            name(path).starts_with("adapters-") && name(path).ends_with(".safetensors")
        })
        .map(|path| (name(&path), fs::read(&path).unwrap()))
        .collect::<BTreeMap<_, _>>()
    };
    let before = adapters(&out);
    run(
        folder.path(),
        &["--set", "influence.methods=[exact, tracin]"],
    );
    assert!(before.len() == 1 && adapters(&out) == before);
}

#[test]
fn what_cannot_be_collected_or_is_not_given_is_said_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e.yaml");
    for (text, message) in [
        (
            "task: gradients\ninfluence: {methods: [exact, ekfac]}\n",
            "`ekfac` needs Kronecker factors, collected with the gradients, and the task `gradients` has no model",
        ),
        (
            "task: digits\ntrain: {epochs: 0}\ninfluence: {methods: [tracin]}\n",
            "`tracin` needs gradients at checkpoints of the fine-tune, and the task `digits` has no checkpoints with train.epochs = 0",
        ),
        (
            "task: digits\ntrain: {checkpoints: 0}\n",
            "train.checkpoints",
        ),
    ] {
        fs::write(&file, format!("name: e\n{text}")).unwrap();
        for command in ["plan", "run"] {
            infbench()
                .current_dir(folder.path())
                .arg(command)
                .arg(&file)
                .assert()
                .code(2)
                .stderr(contains(message));
        }
        assert!(!folder.path().join("runs").exists());
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wide");
    let score = |arguments: &[&str]| {
        infbench()
            .current_dir(folder.path())
            .args(["score", "--out", "s.safetensors", "--train"])
            .arg(fixture.join("train.safetensors"))
            .arg("--query")
            .arg(fixture.join("query.safetensors"))
            .args(arguments)
            .assert()
            .code(2)
    };
    let train = fixture.join("train.safetensors").display().to_string();
    score(&["--method", "exact", "--method", "kfac"])
        .stderr(contains("kfac: `kfac` needs Kronecker factors"));
    score(&["--method", "tracin"]).stderr(contains("`tracin` needs gradients at checkpoints"));
    score(&["--method", "kfac", "--factors", &train]).stderr(contains("is no factor"));
    score(&["--method", "tracin", "--checkpoint", &train])
        .stderr(contains("expected LR:TRAIN:QUERY"));
    let both = format!("0.1:{train}:{train}");
    score(&["--method", "tracin", "--checkpoint", &both])
        .stderr(contains("examples at a checkpoint in"));
    assert!(!folder.path().join("s.safetensors").exists());
}
