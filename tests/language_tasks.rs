//! Tasks of language models with a real tokenizer: against transformers, and what the published tasks give away.
//!
//! SmolLM2's folder (the tokenizer is enough) is `$INFBENCH_SMOLLM2` or `models/SmolLM2-135M-Instruct`
//! (`scripts/get-smollm2.sh`), the authors' data sets and the golden case are in `$INFBENCH_SHARED` or in `shared` in a
//! folder above this one. What is not there is left out, saying so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use infbench::data::{Inputs, Split, Targets, TaskData};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::influence::{BlockLayout, Blocks, Companions, RunOptions, damping, run_method};
use infbench::metrics::retrieval::{class_auc, class_recall, mean_over_queries};
use infbench::tasks::completion::files::read_file;
use infbench::tasks::completion::{CompletionSettings, TargetTokens};
use infbench::tasks::grammars::Cue;
use infbench::tasks::{GrammarsTask, InstructionTask, MathReasoningTask, MathTask, Task};
use serde_json::Value;

const SETS: [&str; 3] = ["grammars", "math_without_reason", "math_with_reason"];

fn shared(name: &str) -> Option<PathBuf> {
    let found = match std::env::var_os("INFBENCH_SHARED") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared"))
            .find(|folder| folder.is_dir()),
    };
    let found = found
        .map(|folder| folder.join(name))
        .filter(|path| path.exists());
    if found.is_none() {
        println!("left out: there is no shared/{name}");
    }
    found
}

fn tokenizer() -> Option<PathBuf> {
    let folder = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    if !folder.join("tokenizer.json").is_file() {
        println!(
            "left out: no tokenizer.json in {} (scripts/get-smollm2.sh)",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

fn from(path: PathBuf, tokens: TargetTokens) -> InstructionTask {
    InstructionTask {
        completion: CompletionSettings {
            path: Some(path),
            tokens,
            ..CompletionSettings::default()
        },
    }
}

/// Ids, the places of predicted tokens (as a mask) and the number of attended tokens of an example.
fn of(split: &Split, index: usize) -> (Vec<u32>, Vec<u64>, Option<usize>) {
    let Inputs::Tokens { ids, attended, .. } = &split.inputs else {
        panic!("tokens")
    };
    let Targets::Tokens(targets) = &split.targets else {
        panic!("targets that are tokens")
    };
    let mut mask = vec![0; ids[index].len()];
    for next in &targets.examples[index] {
        let at = next.position as usize + 1;
        assert_eq!(ids[index][at], next.token);
        mask[at] = 1;
    }
    (
        ids[index].clone(),
        mask,
        attended.as_ref().map(|list| list[index]),
    )
}

fn numbers(value: &Value) -> Vec<u64> {
    let list = value.as_array().expect("a list").iter();
    list.map(|number| number.as_u64().expect("a number"))
        .collect()
}

fn wide(ids: &[u32]) -> Vec<u64> {
    ids.iter().map(|&id| u64::from(id)).collect()
}

#[test]
fn ids_and_masks_are_those_of_the_golden_case() {
    let (Some(folder), Some(golden), Some(data)) = (
        tokenizer(),
        shared("golden/smollm2_grammars_r2/examples.json"),
        shared("data/datainf_grammars"),
    ) else {
        return;
    };
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let build = |tokens| from(data.clone(), tokens).build(Some(&folder), 0).unwrap();
    let (answer, all) = (build(TargetTokens::Answer), build(TargetTokens::All));
    let published = build(TargetTokens::Published);
    let mut compared = 0;
    for (name, file) in [("train", "train.jsonl"), ("query", "test.jsonl")] {
        let split = |data: &TaskData| {
            if name == "train" {
                data.train.clone()
            } else {
                data.query.clone()
            }
        };
        let texts = read_file(&data.join(file)).unwrap();
        let place: HashMap<String, usize> = texts
            .into_iter()
            .enumerate()
            .map(|(at, example)| (example.text, at))
            .collect();
        let (answer, all, published) = (split(&answer), split(&all), split(&published));
        for example in golden[name].as_array().unwrap() {
            let text = example["text"].as_str().unwrap();
            let at = place[text.strip_suffix("</s>").unwrap()];
            let (ids, mask, _) = of(&answer, at);
            assert_eq!(wide(&ids), numbers(&example["ids"]), "{text}");
            assert_eq!(mask, numbers(&example["answer"]), "{text}");
            let (ids, mask, _) = of(&all, at);
            assert_eq!(mask[0], 0);
            assert!(mask[1..].iter().all(|&m| m == 1) && mask.len() == ids.len());
            let (ids, mask, attended) = of(&published, at);
            let prompt = numbers(&example["prompt_ids"]);
            assert_eq!(attended, Some(prompt.len()));
            assert_eq!(wide(&ids[..prompt.len()]), prompt);
            let eos = golden["eos"].as_u64().unwrap();
            assert!(ids[prompt.len()..].iter().all(|&id| u64::from(id) == eos));
            assert!(mask[1..].iter().all(|&m| m == 1));
            compared += 1;
        }
        // to the longest prompt of the split
        let lengths = (0..published.len()).map(|at| of(&published, at).2.unwrap());
        let longest = lengths.max().unwrap();
        assert!((0..published.len()).all(|at| of(&published, at).0.len() == longest));
    }
    assert_eq!(compared, 48);
}

/// `scripts/parity/completions.py` writes the ids and masks of transformers to `$INFBENCH_COMPLETIONS`.
#[test]
fn all_texts_of_the_authors_are_encoded_as_by_transformers() {
    let Some(path) = std::env::var_os("INFBENCH_COMPLETIONS") else {
        println!("left out: INFBENCH_COMPLETIONS is not set");
        return;
    };
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let data = shared("data").expect("the authors' data sets");
    let mut compared = 0;
    for (folder, rows) in all.as_object().unwrap() {
        let mut rows = rows.as_array().unwrap().iter();
        for set in SETS {
            let mut task = from(data.join(format!("datainf_{set}")), TargetTokens::Answer);
            task.completion.max_length = 1024;
            let answer = task.build(Some(Path::new(folder)), 0).unwrap();
            task.completion.tokens = TargetTokens::Published;
            let published = task.build(Some(Path::new(folder)), 0).unwrap();
            let splits = [
                (&answer.train, &published.train),
                (&answer.query, &published.query),
            ];
            for (answer, published) in splits {
                for at in 0..answer.len() {
                    let row = rows.next().unwrap();
                    let (ids, mask, _) = of(answer, at);
                    assert_eq!(wide(&ids[..ids.len() - 1]), numbers(&row["ids"]));
                    assert_eq!(mask[..ids.len() - 1], numbers(&row["answer"]));
                    let (ids, _, attended) = of(published, at);
                    assert_eq!(wide(&ids[..attended.unwrap()]), numbers(&row["prompt"]));
                    compared += 1;
                }
            }
        }
        assert!(rows.next().is_none());
    }
    assert!(compared >= 3000, "{compared}");
    println!("{compared} texts");
}

/// Class AUC and recall of a control.
fn retrieval(data: &TaskData, method: &str) -> [f64; 2] {
    let texts = &data.texts.as_ref().unwrap().texts;
    let store = |rows: usize| {
        let values = vec![1.0; rows];
        GradientStore::from_memory(rows, vec![(TensorInfo::new("t", [1]), values)]).unwrap()
    };
    let (train, query) = (store(data.train.len()), store(data.query.len()));
    let layout = BlockLayout::new(train.tensors(), Blocks::Whole);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let options = RunOptions {
        companions: Companions {
            texts: Some(texts),
            ..Companions::default()
        },
        ..RunOptions::default()
    };
    let spec = method.parse().unwrap();
    let scores = run_method(&spec, &train, &query, &layout, &lambda, &options)
        .unwrap()
        .scores;
    let (of_train, of_query) = (
        data.truth.train_classes.as_deref().unwrap(),
        data.truth.query_classes.as_deref().unwrap(),
    );
    [class_auc, class_recall].map(|measure| {
        mean_over_queries(scores.view(), of_train, of_query, measure)
            .value
            .unwrap()
    })
}

/// The figures that were measured with other code, to the digits that they were given with.
#[test]
fn word_overlap_solves_the_published_tasks() {
    let (Some(folder), Some(data)) = (tokenizer(), shared("data")) else {
        return;
    };
    for set in SETS {
        let task = from(data.join(format!("datainf_{set}")), TargetTokens::Answer);
        let made = task.build(Some(&folder), 0).unwrap();
        assert_eq!(
            (made.train.len(), made.query.len(), made.classes),
            (900, 100, 10)
        );
        let [auc, _] = retrieval(&made, "token_bags");
        assert!(auc > 0.9995, "{set}: {auc}");
        let [by_length, _] = retrieval(&made, "length");
        println!("{set}: overlap {auc:.4}, length {by_length:.4}");
        if set == "math_without_reason" {
            assert!((by_length - 0.974).abs() < 0.005, "{by_length}");
        }
        let [chance, _] = retrieval(&made, "random");
        // 100 queries of 90 against 810: standard error .033 over √100
        assert!((chance - 0.5).abs() < 0.02, "{chance}");
    }
    // without name and title
    let task = GrammarsTask {
        cue: Cue::None,
        completion: from(data.join("datainf_grammars"), TargetTokens::Answer).completion,
    };
    let made = task.build(Some(&folder), 0).unwrap();
    let [auc, _] = retrieval(&made, "token_bags");
    assert!((auc - 0.5).abs() < 1e-9, "{auc}");
    let [auc, recall] = retrieval(&made, "token_bags:of=text");
    println!("grammars without a cue, whole text: {auc:.4} / {recall:.4}");
    assert!((auc - 0.793).abs() < 0.02, "{auc}");
}

#[test]
fn our_own_examples_have_the_form_of_the_authors() {
    let Some(folder) = tokenizer() else {
        return;
    };
    let settings = CompletionSettings {
        train: Some(200),
        query: Some(50),
        ..CompletionSettings::default()
    };
    let tasks: [&dyn Task; 3] = [
        &GrammarsTask {
            cue: Cue::Name,
            completion: settings.clone(),
        },
        &MathTask {
            completion: settings.clone(),
        },
        &MathReasoningTask {
            completion: settings.clone(),
        },
    ];
    for task in tasks {
        let made = task.build(Some(&folder), 3).unwrap();
        assert_eq!(
            (made.train.len(), made.query.len(), made.classes),
            (200, 50, 10)
        );
        assert_eq!(made, task.build(Some(&folder), 3).unwrap());
        assert_ne!(made.train, task.build(Some(&folder), 4).unwrap().train);
        let [auc, _] = retrieval(&made, "token_bags");
        assert!(auc > 0.999, "{auc}");
        assert_eq!(made.texts.unwrap().duplicates, 0);
    }
    let hidden = GrammarsTask {
        cue: Cue::None,
        completion: settings,
    };
    let made = hidden.build(Some(&folder), 3).unwrap();
    let [auc, _] = retrieval(&made, "token_bags");
    assert!((auc - 0.5).abs() < 1e-9, "{auc}");
}
