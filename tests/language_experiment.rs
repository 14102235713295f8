//! Experiments on language models from settings to records, with a small network of its own and a tokenizer of letters.
//!
//! `tests/fixtures/tokenizers/chat_task.json` is made by `scripts/parity/chat_task.py` with transformers 4.57.1, the tiny
//! checkpoint by `scripts/parity/llama.py`.

use std::fs;
use std::path::{Path, PathBuf};

use infbench::checkpoints::hub::Hub;
use infbench::config::{Plan, grid};
use infbench::data::{Inputs, Split, Targets};
use infbench::device::DeviceChoice;
use infbench::gradient_files::{
    GradientFilesError, GradientRequest, GradientTask, ImageOptions, Instruction, gradient_files,
};
use infbench::gradients::settings::GradientType;
use infbench::gradients::store::GradientStore;
use infbench::gradients::token_list::{ScoredToken, token_file};
use infbench::influence::{Blocks, Precision};
use infbench::models::Loading;
use infbench::progress::Progress;
use infbench::report::{ReportOptions, write};
use infbench::results::difference::Differences;
use infbench::results::record::{Extreme, Status};
use infbench::results::{Record, ResultsDir};
use infbench::runner::cell::CellRunner;
use infbench::runner::{RunOptions, run};
use infbench::score::{CompanionFiles, ScoreRequest, score_files};
use infbench::tasks::completion::{CompletionSettings, TargetTokens, Template};
use infbench::tasks::{InstructionTask, Task};
use serde_json::{Map, Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn chat_task() -> Value {
    let path = fixtures().join("tokenizers/chat_task.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Writes a checkpoint's folder without weights: a fixture's tokenizer of letters, with its chat template.
fn tokenizer(folder: &Path, case: &Value) {
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, value: &Value| {
        fs::write(folder.join(name), value.to_string()).unwrap();
    };
    let vocabulary = case["tokenizer"]["model"]["vocab"].as_object().unwrap();
    write("tokenizer.json", &case["tokenizer"]);
    write(
        "tokenizer_config.json",
        &json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": case["eos"],
                "unk_token": "<unk>", "chat_template": case["template"]}),
    );
    write(
        "config.json",
        &json!({"model_type": "llama", "vocab_size": vocabulary.len()}),
    );
}

fn lines(rows: &[(&str, &str, &str)]) -> String {
    let line = |(prompt, answer, class): &(&str, &str, &str)| {
        json!({"prompt": prompt, "answer": answer, "class": class}).to_string() + "\n"
    };
    rows.iter().map(line).collect()
}

/// `task` and `model` of a small experiment, with files and tokenizer in `root`.
fn experiment(root: &Path) -> String {
    tokenizer(&root.join("tokenizer"), &chat_task()["letters"]["smollm2"]);
    let data = root.join("data");
    fs::create_dir_all(&data).unwrap();
    let words = ["sun", "moon", "tree", "hill", "rain", "lake"];
    let all = |prefix: &str| -> Vec<(String, String, String)> {
        let copy = words.map(|word| {
            (
                format!("copy {prefix}{word}: "),
                format!("{prefix}{word}"),
                "copy".into(),
            )
        });
        let last = words.map(|word| {
            let end = word.chars().last().unwrap();
            (
                format!("end {prefix}{word}: "),
                end.to_string(),
                "end".into(),
            )
        });
        copy.into_iter().chain(last).collect()
    };
    let file = |rows: &[(String, String, String)]| {
        let rows: Vec<(&str, &str, &str)> =
            rows.iter().map(|(p, a, c)| (&**p, &**a, &**c)).collect();
        lines(&rows)
    };
    fs::write(data.join("train.jsonl"), file(&all(""))).unwrap();
    fs::write(data.join("test.jsonl"), file(&all("a")[4..8])).unwrap();
    format!(
        "
name: letters
task: {{name: instruction, path: {}, max_length: 160}}
model: {{name: llama, hidden: 16, heads: 2, key_value_heads: 1, layers: 2, ffn: 24, pretrain: null, tokenizer: {}}}
lora: {{targets: [q_proj, v_proj], rank: 2, alpha: 4, dropout: 0}}
train: {{epochs: 10, lr: 1.0e-1, batch_size: 4}}
influence: {{methods: [exact, datainf, hessian_free, grad_cos, tracin, token_bags, length, rep_sim, random]}}
sweep: {{task.template: [raw, chat]}}
outputs: {{tokens: 2, answers: 3, scores: true, report: false}}
",
        data.display(),
        root.join("tokenizer").display()
    )
}

fn records(plan: &Plan, folder: &Path) -> Vec<Record> {
    let results = ResultsDir::create(folder).unwrap();
    let runner = CellRunner::new(&results, DeviceChoice::default(), plan);
    let options = RunOptions {
        resume: true,
        limit: None,
    };
    let summary = run(plan, &runner, &results, options, &Progress::quiet()).unwrap();
    summary.records
}

#[test]
fn a_language_model_of_ones_own_runs_from_settings_to_the_page() {
    let root = tempfile::tempdir().unwrap();
    let plan = grid::parse("letters.yaml", &experiment(root.path()), None, &[]).unwrap();
    let runs = root.path().join("runs");
    let found = records(&plan, &runs);
    assert_eq!(found.len(), 2);
    for record in &found {
        assert_eq!(record.status, Status::Ok, "{:?}", record.error);
        for method in &record.methods {
            assert_eq!(
                method.status,
                Status::Ok,
                "{}: {:?}",
                method.label,
                method.error
            );
            let auc = method
                .metrics
                .iter()
                .find(|metric| metric.metric == "class_auc");
            assert!(
                auc.is_some_and(|auc| auc.value.is_some()),
                "{}",
                method.label
            );
        }
        let training = record.training.as_ref().unwrap();
        assert_eq!(training.accuracy_of, "target tokens");
        assert!(training.epochs[9].train_loss < training.epochs[0].train_loss);
        // queries 0 and 1 copy, 2 and 3 ask for the end
        let asked: Vec<usize> = record.answers.iter().map(|answer| answer.query).collect();
        assert_eq!(asked, [0, 1, 2]);
        assert_eq!(record.answers[0].prompt, "copy arain: ");
        assert_eq!(record.answers[0].expected, "arain");
        assert!(
            record
                .answers
                .iter()
                .any(|answer| answer.before != answer.after)
        );
        by_token_adds_up(record, &runs);
    }
    let page = root.path().join("page");
    write(&found, &page, &ReportOptions::default()).unwrap();
    let html = fs::read_to_string(page.join("report.html")).unwrap();
    for text in [
        "Generated answers",
        "Influence by token",
        "Share of tokens right",
        "copy arain:",
    ] {
        assert!(html.contains(text), "{text}");
    }
}

/// The scores of an example's tokens add up to its own, which are in the file of scores; gradients are of single precision.
fn by_token_adds_up(record: &Record, runs: &Path) {
    let path = runs
        .join("scores")
        .join(format!("{}.safetensors", record.cell.id));
    let bytes = fs::read(path).unwrap();
    let scores = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let task = record.task.as_ref().unwrap();
    assert_eq!(record.by_token.len(), 4);
    for entry in &record.by_token {
        assert_eq!(entry.by, "exact");
        assert!(
            entry.asked.contains("arain:") || entry.asked.contains("alake:"),
            "{}",
            entry.asked
        );
        assert!(entry.given.contains(": "), "{}", entry.given);
        let labels: Vec<&str> = entry
            .methods
            .iter()
            .map(|method| method.label.as_str())
            .collect();
        assert_eq!(labels, ["exact", "datainf", "hessian_free", "grad_cos"]);
        for method in &entry.methods {
            let tensor = scores.tensor(&method.label).unwrap();
            let numbers = tensor.data().as_chunks::<8>().0.iter();
            let numbers: Vec<f64> = numbers.map(|b| f64::from_le_bytes(*b)).collect();
            let row = &numbers[entry.query * task.train..][..task.train];
            let largest = row.iter().fold(0.0f64, |max, score| max.max(score.abs()));
            let sum: f64 = method.scores.iter().sum();
            let own = row[entry.example];
            // a few roundings of single precision per token
            assert!(
                (sum - own).abs() <= 1e-5 * largest,
                "{}: {sum} {own}",
                method.label
            );
            if method.label == "exact" {
                let most = match entry.extreme {
                    Extreme::MostHelpful => row.iter().all(|score| own <= *score),
                    Extreme::MostHarmful => row.iter().all(|score| own >= *score),
                };
                assert!(most);
            }
        }
    }
}

#[test]
fn without_outputs_nothing_of_them_is_in_the_record() {
    let root = tempfile::tempdir().unwrap();
    let set = [
        "outputs.tokens=0",
        "outputs.answers=0",
        "sweep.task.template=[raw]",
    ]
    .map(str::to_owned);
    let plan = grid::parse("letters.yaml", &experiment(root.path()), None, &set).unwrap();
    let found = records(&plan, &root.path().join("runs"));
    assert!(found[0].answers.is_empty() && found[0].by_token.is_empty());
    assert_eq!(found[0].status, Status::Ok);
}

/// All of an experiment with layers in memory one at a time: training, answers, every method and metric.
#[test]
fn a_streamed_cell_has_the_record_of_the_whole_model() {
    let root = tempfile::tempdir().unwrap();
    let text = experiment(root.path());
    let folder = root.path().join("model");
    fs::create_dir_all(&folder).unwrap();
    lettered(&folder);
    let own = text.lines().find(|line| line.starts_with("model:"));
    let checkpoint = format!("model: {{path: {}}}", folder.display());
    let text = text.replace(own.unwrap(), &checkpoint);
    let text = text.replace(
        "{task.template: [raw, chat]}",
        "{model.stream: [true, false]}",
    );
    let plan = grid::parse("letters.yaml", &text, None, &[]).unwrap();
    let found = records(&plan, &root.path().join("runs"));
    let [streamed, whole] = [&found[0], &found[1]].map(|record| {
        assert_eq!(record.status, Status::Ok, "{:?}", record.error);
        let mut record = serde_json::to_value(record).unwrap();
        let facts = record.as_object_mut().unwrap();
        assert!(facts.remove("cell").is_some() && facts.remove("provenance").is_some());
        let stream = facts["config"]["model"].as_object_mut().unwrap();
        (stream.remove("stream").unwrap(), record)
    });
    assert_eq!((&streamed.0, &whole.0), (&true.into(), &false.into()));
    // forty steps of Adam, which divides by the size of gradients; those are equal to 1e-5 of their size
    let mut differences = Differences::new(1e-3);
    differences.values("record", &streamed.1, &whole.1);
    assert!(differences.values > 500, "{}", differences.values);
    assert_eq!(differences.beyond, 0, "{:?}", differences.largest);
    println!("{} values, {:?}", differences.values, differences.largest);
}

/// Ids of an example and the first predicted one's place.
fn ids_of(split: &Split, index: usize) -> (Vec<u32>, usize) {
    let Inputs::Tokens { ids, .. } = &split.inputs else {
        panic!("tokens")
    };
    let Targets::Tokens(targets) = &split.targets else {
        panic!("targets that are tokens")
    };
    (
        ids[index].clone(),
        targets.examples[index][0].position as usize + 1,
    )
}

/// Prompts with answers in the chat template of `folder` against `expected` of transformers.
fn chat_ids_are_those_of_transformers(folder: &Path, expected: &Value, what: &str) {
    let case = chat_task();
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<(&str, &str, &str)> = case["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap(), "a"))
        .collect();
    for file in ["train.jsonl", "test.jsonl"] {
        fs::write(root.path().join(file), lines(&rows)).unwrap();
    }
    for tokens in [TargetTokens::Answer, TargetTokens::Published] {
        let task = InstructionTask {
            completion: CompletionSettings {
                path: Some(root.path().to_owned()),
                template: Template::Chat,
                max_length: 512,
                tokens,
                ..CompletionSettings::default()
            },
        };
        let data = task.build(Some(folder), 0).unwrap();
        for (index, row) in expected.as_array().unwrap().iter().enumerate() {
            let numbers = |field: &str| -> Vec<u32> {
                let list = row[field].as_array().unwrap().iter();
                list.map(|id| id.as_u64().unwrap() as u32).collect()
            };
            let (ids, first) = ids_of(&data.train, index);
            let (prompt, whole) = (numbers("prompt"), numbers("whole"));
            if tokens == TargetTokens::Published {
                assert_eq!(ids[..prompt.len()], prompt, "{what} {index}");
            } else {
                assert_eq!(ids, whole, "{what} {index}");
                // the templates of the fixture end the prompt where a token ends
                assert_eq!(first, prompt.len(), "{what} {index}");
            }
        }
    }
}

#[test]
fn prompts_in_chat_templates_have_the_ids_of_transformers() {
    let case = chat_task();
    let letters = case["letters"].as_object().unwrap();
    assert_eq!(letters.len(), 4);
    for (name, letters) in letters {
        let folder = tempfile::tempdir().unwrap();
        tokenizer(folder.path(), letters);
        chat_ids_are_those_of_transformers(folder.path(), &letters["ids"], name);
    }
    let smollm2 = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    if smollm2.join("tokenizer.json").is_file() {
        chat_ids_are_those_of_transformers(&smollm2, &case["smollm2"], "SmolLM2");
    } else {
        println!("SKIPPED: no tokenizer.json in {}", smollm2.display());
    }
}

/// The tiny checkpoint of 40 ids with a tokenizer of the letters a to z.
fn lettered(folder: &Path) {
    let model = fixtures().join("llama/mha/model");
    for entry in fs::read_dir(model).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let mut vocabulary = Map::new();
    for (id, token) in ["<unk>", "<s>", "</s>", " "].iter().enumerate() {
        vocabulary.insert((*token).to_owned(), id.into());
    }
    for (id, letter) in ('a'..='z').enumerate() {
        vocabulary.insert(letter.to_string(), (id + 4).into());
    }
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    let settings = json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
                          "unk_token": "<unk>"});
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("tokenizer_config.json"), settings.to_string()).unwrap();
}

fn request(root: &Path, out: &str) -> GradientRequest {
    GradientRequest {
        model: root.to_owned(),
        revision: None,
        hub: Hub::from_env(),
        adapter: Some(fixtures().join("llama/mha/adapter")),
        modules_to_save: false,
        task: GradientTask::Instruction(Instruction::default()),
        images: ImageOptions::default(),
        examples: root.join("examples.jsonl"),
        max_length: 32,
        out: root.join(out),
        factors: None,
        sampled: None,
        per_token: None,
        seed: 0,
        dtype: GradientType::F32,
        device: DeviceChoice::default(),
        loading: Loading::default(),
    }
}

#[test]
fn gradients_by_token_are_written_add_up_and_are_scored() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    lettered(root);
    let rows = [
        ("ab ", "cde", "x"),
        ("hello ", "w", "y"),
        ("q", "rst uv", "x"),
    ];
    fs::write(root.join("examples.jsonl"), lines(&rows)).unwrap();
    let tokens = root.join("p.safetensors");
    let asked = GradientRequest {
        per_token: Some(tokens.clone()),
        ..request(root, "g.safetensors")
    };
    let summary = gradient_files(&asked, &Progress::quiet()).unwrap();
    // the answer's letters and the token that ends the text
    assert_eq!(summary.targets, Some(vec![4, 2, 7]));
    let listed = fs::read_to_string(token_file(&tokens)).unwrap();
    let listed: Vec<ScoredToken> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 13);
    let expected = ScoredToken {
        example: 1,
        position: 5,
        token: 4 + 22,
        text: Some("w".to_owned()),
    };
    assert_eq!(listed[4], expected);
    let (whole, parts) = (
        GradientStore::open(&root.join("g.safetensors")).unwrap(),
        GradientStore::open(&tokens).unwrap(),
    );
    for (index, tensor) in whole.tensors().iter().enumerate() {
        assert_eq!(parts.tensors()[index].name, tensor.name);
        let d = tensor.dim();
        let (own, of_tokens) = (
            whole.tensor_rows(index, 0..3),
            parts.tensor_rows(index, 0..13),
        );
        for example in 0..3 {
            let mut sum = vec![0.0f64; d];
            for (token, row) in listed.iter().zip(of_tokens.chunks_exact(d)) {
                if token.example == example {
                    sum.iter_mut()
                        .zip(row)
                        .for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
            let own = &own[example * d..][..d];
            let norm = own
                .iter()
                .map(|&g| f64::from(g).powi(2))
                .sum::<f64>()
                .sqrt();
            let off = own
                .iter()
                .zip(&sum)
                .map(|(&g, sum)| (f64::from(g) - sum).powi(2));
            assert!(
                off.sum::<f64>().sqrt() <= 1e-5 * norm,
                "{} {example}",
                tensor.name
            );
        }
    }
    let scores = ScoreRequest {
        train: root.join("g.safetensors"),
        query: root.join("g.safetensors"),
        methods: vec!["exact".parse().unwrap(), "datainf".parse().unwrap()],
        damping: 0.1,
        mean_query: false,
        precision: Precision::F64,
        blocks: Blocks::PerMatrix,
        seed: 0,
        companions: CompanionFiles::default(),
        per_token: Some(tokens),
        out: root.join("s.safetensors"),
    };
    for method in score_files(&scores).unwrap().methods {
        let difference = method.outcome.unwrap().token_difference.unwrap();
        assert!(difference < 1e-5, "{}: {difference:e}", method.label);
    }
}

#[test]
fn prompts_that_are_too_long_are_counted() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    lettered(root);
    let long = "abcdefghij klmnopqrst uvwxyz abcdefg";
    let rows = [("ab ", "cde", "x"), (long, "w", "y"), ("q", long, "x")];
    fs::write(root.join("examples.jsonl"), lines(&rows)).unwrap();
    let with = |truncate| GradientRequest {
        task: GradientTask::Instruction(Instruction {
            truncate,
            ..Instruction::default()
        }),
        ..request(root, "g.safetensors")
    };
    use infbench::tasks::completion::Truncate;
    let error = gradient_files(&with(Truncate::Error), &Progress::quiet()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("examples.jsonl:2") && text.contains("2 of 3 texts are longer"),
        "{text}"
    );
    let left = gradient_files(&with(Truncate::Left), &Progress::quiet()).unwrap();
    assert_eq!(
        (
            left.examples,
            left.truncated,
            left.long_prompts,
            left.passed_over
        ),
        (3, 2, 1, 0)
    );
    // the answer is cut off
    let right = gradient_files(&with(Truncate::Right), &Progress::quiet()).unwrap();
    assert_eq!(
        (
            right.examples,
            right.truncated,
            right.long_prompts,
            right.passed_over
        ),
        (2, 2, 1, 1)
    );
    fs::write(root.join("examples.jsonl"), lines(&[("ab", " ", "x")])).unwrap();
    let error = gradient_files(&with(Truncate::Left), &Progress::quiet()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("examples.jsonl:1: the answer is empty"),
        "{error}"
    );
}

#[test]
fn gradients_by_token_are_of_language_models_alone() {
    let root = tempfile::tempdir().unwrap();
    let asked = GradientRequest {
        task: GradientTask::Images,
        per_token: Some(root.path().join("p.safetensors")),
        ..request(root.path(), "g.safetensors")
    };
    let error = gradient_files(&asked, &Progress::quiet()).unwrap_err();
    assert!(
        matches!(error, GradientFilesError::NoTokens { task: "images" }),
        "{error}"
    );
}
