//! Real texts from outside: a GLUE folder, a checkpoint with its tokenizer, `run`, `gradients`, `score`.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};

const CHECKPOINT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/parity/bert/model"
);

fn infbench(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("infbench"));
    command.current_dir(folder);
    // a cache of the hub's models of our own, and no network
    command.env("HF_HOME", folder.join("huggingface"));
    command.env("HF_HUB_OFFLINE", "1");
    command.env_remove("HF_HUB_CACHE");
    command
}

/// The tiny BERT of the parity tests with a tokenizer that spells: 5 special tokens, 26 letters that
/// begin a word and 26 that go on.
fn checkpoint(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(CHECKPOINT).join(file), folder.join(file)).unwrap();
    }
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let letters = ('a'..='z')
        .map(String::from)
        .chain(('a'..='z').map(|letter| format!("##{letter}")));
    let vocabulary: serde_json::Map<String, Value> = special
        .iter()
        .cloned()
        .chain(letters)
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

/// `count` pairs as the hub's RTE.
fn pairs(path: &Path, count: usize) {
    let lines: Vec<String> = (0..count)
        .map(|index| {
            let word = ["we", "go", "far", "out"][index % 4];
            let second = ["so", "no", "it"][index % 3];
            json!({"idx": index, "sentence1": word, "sentence2": second, "label": index % 2})
                .to_string()
        })
        .collect();
    fs::write(path, lines.join("\n")).unwrap();
}

/// A folder with `bert/`, `rte/train.jsonl`, and an experiment.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    checkpoint(&folder.path().join("bert"));
    fs::create_dir(folder.path().join("rte")).unwrap();
    pairs(&folder.path().join("rte/train.jsonl"), 40);
    let text = "name: tiny
task: {name: glue, task: rte, path: rte, query: 8, max_length: 12}
model: {name: checkpoint, path: bert}
lora: {rank: 2, targets: [query, value]}
train: {epochs: 2, batch_size: 8, lr: 1.0e-2}
influence: {methods: [exact, datainf]}
outputs: {adapters: true, report: false}
";
    fs::write(folder.path().join("tiny.yaml"), text).unwrap();
    folder
}

#[test]
fn a_checkpoint_is_fine_tuned_on_texts_and_its_adapter_goes_out_and_in() {
    let folder = place();
    let run = || {
        infbench(folder.path())
            .args(["run", "tiny.yaml", "--quiet", "--no-resume"])
            .assert()
            .success();
        let text = fs::read_to_string(folder.path().join("runs/tiny/records.jsonl")).unwrap();
        serde_json::from_str::<Value>(text.trim()).unwrap()
    };
    let record = run();
    let task = &record["task"];
    assert_eq!(
        (&task["train"], &task["query"], &task["classes"]),
        (&json!(32), &json!(8), &json!(2))
    );
    assert_eq!(task["flipped"], 6);
    assert_eq!(record["model"]["name"], "checkpoint");
    assert_eq!(record["model"]["trainable"], 2 * 2 * 4 * 16 + 2 * 16 + 2);
    assert_eq!(record["gradients"]["blocks"].as_array().unwrap().len(), 9);
    assert_eq!(record["training"]["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(record["training"]["cached"], false);
    let again = run();
    assert_eq!(again["training"]["cached"], true);
    assert_eq!(
        again["methods"][1]["metrics"],
        record["methods"][1]["metrics"]
    );

    let id = record["cell"]["id"].as_str().unwrap();
    let adapter = folder.path().join("runs/tiny/adapters").join(id);
    let config: Value =
        serde_json::from_slice(&fs::read(adapter.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["r"], &config["lora_alpha"], &config["lora_dropout"]),
        (&json!(2), &json!(2), &json!(0.05))
    );
    assert_eq!(
        config["target_modules"][0],
        "encoder.layer.0.attention.self.query"
    );
    for (examples, out) in [("train", "G"), ("train", "V")] {
        infbench(folder.path())
            .args(["gradients", "--model", "bert", "--task", "rte", "--adapter"])
            .arg(&adapter)
            .args(["--max-length", "12", "--examples"])
            .arg(format!("rte/{examples}.jsonl"))
            .args(["--out", &format!("{out}.safetensors")])
            .assert()
            .success()
            .stdout(
                contains("40 examples, 9 tensors").and(contains("G.json").or(contains("V.json"))),
            );
    }
    infbench(folder.path())
        .args([
            "score",
            "--train",
            "G.safetensors",
            "--query",
            "V.safetensors",
        ])
        .args(["--method", "exact", "--out", "S.safetensors"])
        .assert()
        .success()
        .stdout(contains("40 training examples, 40 score rows, 9 blocks"));
}

#[test]
fn a_checkpoint_s_factors_sampled_labels_and_checkpoints_go_out_and_score() {
    let folder = place();
    let methods = "influence.methods=[exact, kfac, ekfac, \"ekfac:labels=sampled\", tracin]";
    infbench(folder.path())
        .args(["run", "tiny.yaml", "--quiet", "--set", methods])
        .args([
            "--set",
            "lora.layers={last: 1}",
            "--set",
            "train.checkpoints=2",
        ])
        .assert()
        .success();
    let text = fs::read_to_string(folder.path().join("runs/tiny/records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    for method in record["methods"].as_array().unwrap() {
        assert_eq!(
            (&method["status"], &method["non_finite"]),
            (&json!("ok"), &json!(0))
        );
    }
    let beside = &record["gradients"]["companions"];
    assert_eq!(beside["checkpoints"]["epochs"], json!([1, 2]));
    // query and value of the last layer, each A [2, 16] and B [16, 2], and the head [2, 16]
    let numbers = 2 * (16 * 16 + 2 * 2) * 2 + 16 * 16 + 2 * 2;
    assert_eq!(beside["factors"]["bytes"], 8 * numbers);

    let id = record["cell"]["id"].as_str().unwrap();
    let adapter = folder.path().join("runs/tiny/adapters").join(id);
    let gradients = |more: &[&str]| {
        infbench(folder.path())
            .args(["gradients", "--model", "bert", "--task", "rte", "--adapter"])
            .arg(&adapter)
            .args(["--max-length", "12", "--examples", "rte/train.jsonl"])
            .args(["--out", "G.safetensors"])
            .args(more)
            .assert()
    };
    gradients(&["--sampled-labels", "G.json"])
        .code(2)
        .stderr(contains("G.json is asked for twice"));
    assert!(!folder.path().join("G.safetensors").exists());
    let all = [
        "--factors",
        "F.safetensors",
        "--sampled-labels",
        "S.safetensors",
        "--seed",
        "7",
    ];
    gradients(&all)
        .success()
        .stdout(contains("F.safetensors").and(contains("S.factors.safetensors")));
    let facts: Value =
        serde_json::from_slice(&fs::read(folder.path().join("G.json")).unwrap()).unwrap();
    assert_eq!(facts["sampled"]["labels"].as_array().unwrap().len(), 40);
    let read = |file: &str| fs::read(folder.path().join(file)).unwrap();
    let first = [
        read("G.safetensors"),
        read("F.safetensors"),
        read("S.factors.safetensors"),
    ];
    // the factors change nothing about the gradients, and all of it repeats
    gradients(&[]).success();
    assert!(read("G.safetensors") == first[0]);
    gradients(&all).success();
    assert!(read("F.safetensors") == first[1] && read("S.factors.safetensors") == first[2]);
    infbench(folder.path())
        .args([
            "score",
            "--train",
            "G.safetensors",
            "--query",
            "S.safetensors",
        ])
        .args([
            "--factors",
            "F.safetensors",
            "--sampled",
            "S.safetensors:S.factors.safetensors",
        ])
        .args(["--checkpoint", "0.01:G.safetensors:S.safetensors"])
        .args([
            "--method",
            "kfac",
            "--method",
            "ekfac:labels=sampled",
            "--method",
            "tracin",
        ])
        .args(["--out", "scores.safetensors"])
        .assert()
        .success()
        .stdout(contains("40 training examples, 40 score rows, 5 blocks"));
}

#[test]
fn parquet_from_the_hub_gives_what_json_lines_give() {
    let folder = place();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/glue");
    // one root for all tasks: the hub's folders
    let hub = fixture.join("hub");
    let run = |path: &Path, out: &str| {
        infbench(folder.path())
            .args(["run", "tiny.yaml", "--quiet", "--set", "task.query=null"])
            .args(["--set", "outputs.gradients=true", "--out", out, "--set"])
            .arg(format!("task.path={}", path.display()))
            .assert()
            .success();
        let text = fs::read_to_string(folder.path().join(out).join("records.jsonl")).unwrap();
        let record: Value = serde_json::from_str(text.trim()).unwrap();
        let id = record["cell"]["id"].as_str().unwrap();
        let gradients = folder.path().join(out).join("gradients");
        let gradients = gradients.join(format!("{id}.train.safetensors"));
        (record["task"].clone(), fs::read(gradients).unwrap(), record)
    };
    let (facts, gradients, record) = run(&hub, "parquet");
    assert_eq!(
        (&facts["train"], &facts["query"]),
        (&json!(5), &json!(5)),
        "two shards and a validation file"
    );
    let lines = run(&fixture.join("lines"), "lines");
    assert!((facts, gradients) == (lines.0, lines.1));
    let padding = record["gradients"]["padding"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&padding), "{padding}");

    let adapter = folder.path().join("parquet/adapters");
    let id = record["cell"]["id"].as_str().unwrap();
    let gradients = |examples: &Path| {
        infbench(folder.path())
            .args(["gradients", "--model", "bert", "--task", "rte", "--adapter"])
            .arg(adapter.join(id))
            .args(["--max-length", "12", "--out", "G.safetensors", "--examples"])
            .arg(examples)
            .assert()
    };
    let bytes = |examples: &Path| {
        gradients(examples).success();
        fs::read(folder.path().join("G.safetensors")).unwrap()
    };
    let parquet = bytes(&hub.join("rte/validation-00000-of-00001.parquet"));
    assert!(parquet == bytes(&fixture.join("lines/validation.jsonl")));
    gradients(&fixture.join("wrong/hidden.parquet"))
        .code(2)
        .stderr(contains(
            "hidden.parquet: row 2: the label is -1; allowed: 0, 1",
        ));
}

#[test]
fn a_model_of_the_hub_comes_from_the_cache() {
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    let folder = place();
    let model = folder.path().join("huggingface/hub/models--org--tiny");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    let bert = folder.path().join("bert");
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(bert.join(file), snapshot.join(file)).unwrap();
    }
    let with = |command: &str, set: &str| {
        let mut command = [command, "tiny.yaml", "--set", set]
            .map(str::to_owned)
            .to_vec();
        if command[0] == "run" {
            command.push("--quiet".into());
        }
        infbench(folder.path()).args(command).assert()
    };
    // without a name: a path is a checkpoint's
    let by_id = "model={path: org/tiny}";
    with("plan", by_id).success();
    with("run", by_id).code(2).stderr(contains(
        "does not hold model.safetensors. Give the path of a folder",
    ));
    assert!(!folder.path().join("runs").exists());
    let gradients = || {
        infbench(folder.path())
            .args([
                "gradients",
                "--model",
                "org/tiny",
                "--task",
                "rte",
                "--max-length",
                "12",
            ])
            .args([
                "--examples",
                "rte/train.jsonl",
                "--out",
                "G.safetensors",
                "--adapter",
            ])
            .arg(
                fs::read_dir(folder.path().join("runs/tiny/adapters")).map_or_else(
                    |_| "none".into(),
                    |mut entries| entries.next().unwrap().unwrap().path(),
                ),
            )
            .assert()
    };
    gradients()
        .code(2)
        .stderr(contains("does not hold model.safetensors"));
    fs::copy(
        bert.join("model.safetensors"),
        snapshot.join("model.safetensors"),
    )
    .unwrap();
    with("run", by_id).success();
    let text = fs::read_to_string(folder.path().join("runs/tiny/records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(
        record["config"]["model"],
        json!({"name": "checkpoint", "path": "org/tiny"})
    );
    assert_eq!(record["model"]["commit"], COMMIT);
    gradients().success();
    let companion: Value =
        serde_json::from_slice(&fs::read(folder.path().join("G.json")).unwrap()).unwrap();
    assert_eq!(
        (&companion["model"], &companion["commit"]),
        (&json!("org/tiny"), &json!(COMMIT))
    );
    // a commit has no name in refs/; another branch is not there
    with(
        "plan",
        &format!("model={{path: org/tiny, revision: {COMMIT}}}"),
    )
    .success();
    with("plan", "model={path: org/tiny, revision: dev}")
        .code(2)
        .stderr(contains("model.path").and(contains("(revision dev)")));
}

#[test]
fn mistakes_are_found_before_anything_is_computed() {
    let folder = place();
    let fails = |arguments: &[&str], text: &str| {
        infbench(folder.path())
            .args(arguments)
            .assert()
            .code(2)
            .stderr(contains(text));
    };
    let plan = |set: &str, text: &str| fails(&["plan", "tiny.yaml", "--set", set], text);
    infbench(folder.path())
        .args(["plan", "tiny.yaml"])
        .assert()
        .success()
        .stdout(contains("to do"));
    plan(
        "model.path=roberta-large",
        "model.path: there is no folder roberta-large, and the model roberta-large (revision main) cannot be had from the Hugging Face hub: HF_HUB_OFFLINE is set",
    );
    plan(
        "model.path=roberta-large",
        "`hf download roberta-large --local-dir FOLDER` makes one",
    );
    plan(
        "model.path=./roberta-large",
        "model.path: there is no folder ./roberta-large. A checkpoint is a folder",
    );
    plan(
        "model.revision=main",
        "model.revision: `main` is not a branch, tag or commit of a model on the Hugging Face hub: bert is a folder",
    );
    plan("model={}", "the field `name` is missing");
    plan(
        "model={path: bert, hidden: 3}",
        "unknown field `hidden`; allowed: name, path, revision",
    );
    plan("model.path=rte", "cannot read rte/config.json");
    plan("task.path=nowhere", "task.path: there is no folder nowhere");
    plan(
        "task={name: glue, task: qnli, path: .}",
        "task.path: . has no training file of qnli and no folder of it; it has tiny.yaml, bert, rte. Allowed: train.jsonl",
    );
    plan("task.task=stsb", "unknown value `stsb`; allowed: mrpc, qqp");
    plan(
        "task.max_length=13",
        "task.max_length: 13 is more than the 12",
    );
    plan("task.train=33", "task.train is 33; the data has 32");
    plan("lora.rank=17", "which is 16×16; allowed: 1 to 16");
    plan("lora.layers=[2]", "there is no layer 2; allowed: 0 to 1");
    plan(
        "model={name: transformer}",
        "cannot read; allowed: checkpoint",
    );
    plan("model=checkpoint", "unknown value `checkpoint`");
    plan(
        "task=digits",
        "which `checkpoint` cannot read; allowed: transformer, mlp",
    );
    // with a validation file nothing is taken from the training file
    let validation = folder.path().join("rte/dev.jsonl");
    pairs(&validation, 6);
    plan("task.query=7", "task.query is 7; the data has 6");
    infbench(folder.path())
        .args(["plan", "tiny.yaml", "--set", "task.query=null"])
        .assert()
        .success()
        .stdout(contains("     40     6      9"));
    // the folder that holds the task's does as well
    infbench(folder.path())
        .args([
            "plan",
            "tiny.yaml",
            "--set",
            "task.query=null",
            "--set",
            "task.path=.",
        ])
        .assert()
        .success()
        .stdout(contains("     40     6      9"));
    fs::create_dir(folder.path().join("RTE")).unwrap();
    plan(
        "task.path=.",
        "task.path: . has several folders of rte: RTE, rte; give the path of one",
    );
    fs::remove_dir(folder.path().join("RTE")).unwrap();
    fs::remove_file(validation).unwrap();
    let bad = folder.path().join("bert/config.json");
    let text = fs::read_to_string(&bad).unwrap();
    fs::write(&bad, text.replace("\"gelu\"", "\"silu\"")).unwrap();
    plan(
        "seed=1",
        "bert/config.json: `hidden_act` is \"silu\"; allowed: \"gelu\"",
    );
    fs::write(&bad, text).unwrap();
    let gradients = [
        "gradients",
        "--model",
        "bert",
        "--task",
        "rte",
        "--out",
        "G.safetensors",
    ];
    let with = |more: &[&str], text: &str| fails(&[&gradients[..], more].concat(), text);
    with(
        &["--examples", "rte/train.jsonl", "--max-length", "12"],
        "a random one would make the gradients meaningless",
    );
    with(
        &["--examples", "rte/train.jsonl"],
        "max_length is 128; the checkpoint has positions for 12",
    );
    with(&["--examples", "none.jsonl"], "cannot read none.jsonl");
    assert!(!folder.path().join("G.safetensors").exists());
    fs::write(
        folder.path().join("digits.yaml"),
        "name: d\ntask: digits\noutputs: {adapters: true}\n",
    )
    .unwrap();
    fails(
        &["plan", "digits.yaml"],
        "digits.yaml:3:21: outputs.adapters: only adapters of",
    );
}
