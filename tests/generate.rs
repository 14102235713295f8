//! Greedy generation: with kept keys against without, and both against transformers, token for token.
//!
//! `tests/fixtures/llama/generate.json` is made by `scripts/parity/generate.py` with transformers 4.57.1. Real models are
//! left out, saying so, where they are not there: SmolLM2 in `$INFBENCH_SMOLLM2` or `models/SmolLM2-135M-Instruct`
//! (`scripts/get-smollm2.sh`), stories260K in `$INFBENCH_STORIES260K` or `models/stories260k`.

mod device;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use infbench::checkpoints::gguf::{Gguf, NumberType};
use infbench::checkpoints::hub::Hub;
use infbench::generation::{GenerationRequest, Template, answers};
use infbench::models::checkpoint::Checkpoint;
use infbench::models::generate::{GenerateError, Limits, greedy};
use infbench::models::peft;
use infbench::models::{InputShape, Model};
use serde::Deserialize;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llama")
}

#[derive(Deserialize)]
struct Expected {
    /// Of the tiny models.
    prompts: Vec<Vec<u32>>,
    models: BTreeMap<String, Vec<Vec<u32>>>,
    /// Of the tiny models with their adapters.
    adapted: BTreeMap<String, Vec<Vec<u32>>>,
    /// Of real ones.
    real: BTreeMap<String, Vec<Case>>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    prompt: String,
    prompt_tokens: usize,
    ids: Vec<u32>,
    text: String,
}

fn expected() -> Expected {
    serde_json::from_str(&fs::read_to_string(fixtures().join("generate.json")).unwrap()).unwrap()
}

fn open(folder: &Path) -> Model {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let input = InputShape::Tokens {
        vocabulary: 40,
        max_length: 16,
    };
    Model::from_checkpoint(&checkpoint, &input, 0, 1, &device::device().inner()).unwrap()
}

fn limits(together: usize, cache: bool) -> Limits {
    Limits {
        new_tokens: 12,
        ends: Vec::new(),
        together,
        cache,
    }
}

#[test]
fn every_family_generates_what_transformers_generates() {
    let expected = expected();
    assert_eq!(expected.models.len(), 8);
    for (name, answers) in &expected.models {
        let model = open(&fixtures().join(name).join("model"));
        // one by one, in pieces of several lengths, and all together; with kept keys and without
        for (together, cache) in [(1, true), (2, true), (5, true), (1, false), (5, false)] {
            let found = greedy(&model, &expected.prompts, &limits(together, cache)).unwrap();
            for ((found, answer), prompt) in found.iter().zip(answers).zip(&expected.prompts) {
                assert!(!found.ended);
                assert_eq!(&found.ids, answer, "{name} {together} {cache} {prompt:?}");
            }
        }
    }
}

#[test]
fn adapters_generate_what_peft_generates() {
    let expected = expected();
    assert_eq!(expected.adapted.len(), 8);
    for (name, answers) in &expected.adapted {
        assert_ne!(answers, &expected.models[name]);
        let mut model = open(&fixtures().join(name).join("model"));
        peft::load(&fixtures().join(name).join("adapter"), &mut model).unwrap();
        for cache in [true, false] {
            let found = greedy(&model, &expected.prompts, &limits(2, cache)).unwrap();
            let found: Vec<&Vec<u32>> = found.iter().map(|answer| &answer.ids).collect();
            assert_eq!(found, answers.iter().collect::<Vec<_>>(), "{name} {cache}");
        }
    }
}

#[test]
fn a_text_ends_with_the_first_token_that_ends_it() {
    let expected = expected();
    let answers = &expected.models["mha"];
    let model = open(&fixtures().join("mha/model"));
    // one that stands in some of the answers
    let end = answers[0][3];
    for cache in [true, false] {
        let limits = Limits {
            ends: vec![end],
            ..limits(5, cache)
        };
        let found = greedy(&model, &expected.prompts, &limits).unwrap();
        for (found, answer) in found.iter().zip(answers) {
            let at = answer.iter().position(|id| *id == end);
            assert_eq!(found.ended, at.is_some());
            assert_eq!(found.ids, answer[..at.map_or(answer.len(), |at| at + 1)]);
        }
        assert!(found.iter().any(|answer| answer.ended));
        assert!(found.iter().any(|answer| !answer.ended));
    }
}

#[test]
fn prompts_without_tokens_are_refused() {
    let model = open(&fixtures().join("mha/model"));
    assert_eq!(
        greedy(&model, &[vec![1], vec![]], &limits(1, true)),
        Err(GenerateError::Empty { prompt: 2 })
    );
}

fn real_models_generate(name: &str, variable: &str, default: &str) {
    let default = || {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("models")
            .join(default)
    };
    let folder = std::env::var_os(variable).map_or_else(default, PathBuf::from);
    if !folder.join("model.safetensors").is_file() {
        println!(
            "SKIPPED: no model in {}; ${variable} names another folder",
            folder.display()
        );
        return;
    }
    let expected = expected();
    for (word, template) in [("raw", Template::Raw), ("chat", Template::Chat)] {
        let cases = expected.real[name].iter();
        let cases: Vec<&Case> = cases.filter(|case| case.template == word).collect();
        if cases.is_empty() {
            continue;
        }
        let request = GenerationRequest {
            model: folder.clone(),
            revision: None,
            hub: Hub::from_env(),
            adapter: None,
            prompts: cases.iter().map(|case| case.prompt.clone()).collect(),
            template,
            system: None,
            new_tokens: 24,
            together: 4,
            device: device::device(),
        };
        let found = answers(&request).unwrap();
        for (found, case) in found.iter().zip(cases) {
            assert_eq!(found.ids, case.ids, "{word}: {}", case.prompt);
            assert_eq!(found.text, case.text);
            assert_eq!(found.prompt_tokens, case.prompt_tokens);
            assert_eq!(found.ended, case.ids.len() < 24);
        }
    }
}

#[test]
fn stories260k_tells_what_transformers_tells() {
    real_models_generate("stories260k", "INFBENCH_STORIES260K", "stories260k");
}

#[test]
fn smollm2_answers_what_transformers_answers() {
    real_models_generate("smollm2", "INFBENCH_SMOLLM2", "SmolLM2-135M-Instruct");
}

/// The same weights from the file and from the folder that is written of it.
#[test]
fn a_gguf_file_generates_what_its_folder_generates() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    for name in ["llama", "qwen2", "qwen3"] {
        let file = fixtures.join(format!("{name}.gguf"));
        let folder = tempfile::tempdir().unwrap();
        let gguf = Gguf::open(&file).unwrap();
        gguf.write_folder(folder.path(), NumberType::F32).unwrap();
        let of = |model: PathBuf| {
            let request = GenerationRequest {
                model,
                revision: None,
                hub: Hub::from_env(),
                adapter: None,
                prompts: vec!["hello the".to_owned(), "a 123".to_owned()],
                template: Template::Raw,
                system: None,
                new_tokens: 8,
                together: 2,
                device: device::device(),
            };
            answers(&request).unwrap()
        };
        let found = of(file);
        assert!(found.iter().all(|answer| !answer.ids.is_empty()));
        assert_eq!(found, of(folder.path().to_owned()), "{name}");
    }
}
