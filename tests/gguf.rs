//! GGUF files against what the Python package gguf and transformers read from them.
//!
//! The fixtures are made by `scripts/parity/gguf_files.py` with gguf 0.19 and transformers 4.57.1. SmolLM2-135M-Instruct
//! is compared where `scripts/get-smollm2.sh` has put it, or `$INFBENCH_SMOLLM2` names its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use infbench::checkpoints::gguf::{Gguf, NumberType};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/gguf")
        .join(name)
}

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    types: BTreeMap<String, Tensor>,
    models: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
struct Model {
    config: Map<String, Value>,
    ids: Vec<Vec<u32>>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Tensor {
    shape: Vec<usize>,
    first: f64,
    fnv: String,
}

fn expected() -> Expected {
    serde_json::from_str(&fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

/// 64-bit FNV-1a of the numbers' bytes.
fn hash(values: &[f32]) -> String {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn summary(file: &Gguf) -> BTreeMap<String, Tensor> {
    file.tensors()
        .map(|(name, shape, _)| {
            let values = file.values(name).unwrap();
            assert_eq!(values.len(), shape.iter().product::<usize>());
            let tensor = Tensor {
                shape: shape.to_vec(),
                first: values.first().copied().unwrap_or_default().into(),
                fnv: hash(&values),
            };
            (name.to_owned(), tensor)
        })
        .collect()
}

#[test]
fn every_type_of_numbers_is_that_of_the_package_gguf_bit_for_bit() {
    let file = Gguf::open(&fixture("types.gguf")).unwrap();
    let kinds: Vec<&str> = file.tensors().map(|(_, _, kind)| kind.name).collect();
    assert_eq!(kinds.len(), 13);
    let (found, expected) = (summary(&file), expected().types);
    for (name, tensor) in &expected {
        assert_eq!(&found[name], tensor, "{name}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn models_are_those_that_transformers_loads() {
    let expected = expected();
    for (name, model) in &expected.models {
        let file = Gguf::open(&fixture(&format!("{name}.gguf"))).unwrap();
        let config = file.config().unwrap();
        assert_eq!(
            Value::from(config),
            Value::from(model.config.clone()),
            "{name}"
        );
        let found = summary(&file);
        for (tensor, expected) in &model.tensors {
            assert_eq!(found.get(tensor), Some(expected), "{name}: {tensor}");
        }
        assert_eq!(found.len(), model.tensors.len());
        let files = file.tokenizer().unwrap().unwrap();
        let tokenizer: Tokenizer = serde_json::from_value(files.tokenizer).unwrap();
        for (text, ids) in expected.texts.iter().zip(&model.ids) {
            let found = tokenizer.encode(text.as_str(), true).unwrap();
            assert_eq!(found.get_ids(), ids, "{name}: {text:?}");
        }
        assert!(files.settings["chat_template"] != Value::Null);
    }
}

#[test]
fn some_rows_are_those_of_the_whole() {
    for name in ["llama.gguf", "qwen2.gguf"] {
        let file = Gguf::open(&fixture(name)).unwrap();
        for (tensor, shape, _) in file.tensors() {
            let whole = file.values(tensor).unwrap();
            let width = whole.len() / shape[0];
            for (start, end) in [(0, 1), (1, 6), (shape[0] - 3, shape[0]), (2, 2)] {
                let some = file.rows(tensor, start..end).unwrap();
                assert_eq!(some, whole[start * width..end * width], "{name}: {tensor}");
            }
        }
        assert_eq!(file.values("model.nowhere"), None);
    }
}

/// Opens a file with these bytes and reads all of it.
fn open(bytes: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    fs::write(&path, bytes).unwrap();
    let read = || {
        let file = Gguf::open(&path)?;
        summary(&file);
        file.config()?;
        file.tokenizer()
    };
    let text = read().map(|_| ()).map_err(|error| error.to_string());
    text.map_err(|text| {
        let own = format!("{}/", folder.path().display());
        assert!(text.contains(&own), "names its file: {text}");
        text.replace(&own, "")
    })
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    for name in ["types.gguf", "llama.gguf"] {
        let whole = fs::read(fixture(name)).unwrap();
        let ends = (0..whole.len()).filter(|end| *end < 2000 || end % 1013 == 0);
        // the last bytes may only fill up the last tensor
        for end in ends
            .chain([whole.len() - 33])
            .filter(|end| end + 33 <= whole.len())
        {
            let text = open(&whole[..end]).unwrap_err();
            let said = match end {
                0 => "x.gguf is empty (0 bytes)",
                1..4 => "x.gguf",
                _ => "x.gguf is cut short: ",
            };
            assert!(text.starts_with(said), "{end}: {text}");
            assert!(text.chars().count() < 300, "{text}");
        }
    }
}

#[test]
fn damage_anywhere_is_an_error_or_other_numbers_but_no_panic() {
    let whole = fs::read(fixture("qwen2.gguf")).unwrap();
    // the header, in steps, and every byte of its first fields
    for at in (0..700).chain((700..9000).step_by(37)) {
        for value in [0, 1, 0x7f, 0xff, whole[at] ^ 0x10] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = open(&bytes);
        }
    }
}

/// Where `text` first stands.
fn find(bytes: &[u8], text: &str) -> usize {
    let all = bytes.windows(text.len());
    all.enumerate()
        .find(|(_, window)| *window == text.as_bytes())
        .unwrap_or_else(|| panic!("{text}"))
        .0
}

#[test]
fn what_is_not_read_is_named() {
    let whole = fs::read(fixture("llama.gguf")).unwrap();
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        open(&bytes).unwrap_err()
    };
    let rename = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        change(&|bytes| {
            let at = find(bytes, from);
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        })
    };
    for (text, said) in [
        (
            change(&|bytes| bytes[0] = b'g'),
            "x.gguf: it does not begin with GGUF",
        ),
        (
            change(&|bytes| bytes[..7].copy_from_slice(b"PK\x03\x04abc")),
            "x.gguf is a zip archive",
        ),
        (
            change(&|bytes| bytes[4..8].copy_from_slice(&3_u32.to_be_bytes())),
            "x.gguf is a big-endian GGUF file; little-endian ones are read",
        ),
        (
            change(&|bytes| bytes[4] = 1),
            "x.gguf is GGUF of version 1; versions 2 and 3 are read",
        ),
        (
            change(&|bytes| {
                // the name's length, then the name, the number of dimensions, one dimension, and the type
                let at = find(bytes, "output_norm.weight") + 18 + 4 + 8;
                bytes[at] = 20;
            }),
            "x.gguf: tensor `output_norm.weight` is of type IQ4_NL (20); allowed: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K",
        ),
        (
            rename("blk.1.ffn_up.weight", "blk.1.ffn_ux.weight"),
            "x.gguf: tensor `blk.1.ffn_ux.weight` is of no model of the architecture \"llama\"",
        ),
        (
            rename("llama.context_length", "llama.content_length"),
            "x.gguf: `llama.content_length` is 128; allowed: no such field",
        ),
        (
            rename("llama.embedding_length", "llama.embedding_lengtx"),
            "x.gguf: the metadata lack `llama.embedding_length`",
        ),
        (
            change(&|bytes| {
                // the architecture: the text after the key, its type and its length
                let at = find(bytes, "general.architecture") + 20 + 4 + 8;
                bytes[at..at + 5].copy_from_slice(b"llamo");
            }),
            "x.gguf: `general.architecture` is \"llamo\"; allowed: \"llama\", \"qwen2\", \"qwen3\"; did you mean `llama`?",
        ),
    ] {
        assert!(text.starts_with(said), "{text}\n{said}");
        assert!(text.chars().count() < 300, "{text}");
    }
    let rule = fs::read(fixture("qwen2.gguf")).unwrap();
    let mut bytes = rule;
    let at = find(&bytes, "tokenizer.ggml.pre") + 18 + 4 + 8;
    bytes[at..at + 5].copy_from_slice(b"qwen9");
    let text = open(&bytes).unwrap_err();
    let said =
        "x.gguf: `tokenizer.ggml.pre` is \"qwen9\"; allowed: \"gpt-2\", \"phi-2\", \"smollm\",";
    assert!(text.starts_with(said), "{text}");
    let nowhere = Gguf::open(Path::new("nowhere.gguf"))
        .unwrap_err()
        .to_string();
    assert!(
        nowhere.starts_with("cannot read nowhere.gguf: "),
        "{nowhere}"
    );
    let text = fs::read_to_string(fixture("expected.json")).unwrap();
    let text = open(text.as_bytes()).unwrap_err();
    assert!(text.contains("is a text that begins with"), "{text}");
}

#[test]
fn a_folder_holds_what_the_file_holds() {
    let file = Gguf::open(&fixture("qwen3.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/folder");
    let written = file.write_folder(&folder, NumberType::F32).unwrap();
    assert_eq!(written.len(), 4);
    let bytes = fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let found: BTreeMap<String, String> = tensors
        .iter()
        .map(|(name, view)| {
            let values = view.data().as_chunks::<4>().0.iter();
            let values: Vec<f32> = values.map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name.to_owned(), hash(&values))
        })
        .collect();
    let expected = &expected().models["qwen3"];
    for (name, tensor) in &expected.tensors {
        assert_eq!(found[name], tensor.fnv, "{name}");
    }
    let config: Map<String, Value> =
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    let mut wanted = expected.config.clone();
    wanted.insert("torch_dtype".into(), json!("float32"));
    assert_eq!(config, wanted);
}

#[test]
fn numbers_that_are_not_finite_are_named_and_nothing_is_written() {
    let mut bytes = fs::read(fixture("qwen3.gguf")).unwrap();
    let norm = Gguf::open(&fixture("qwen3.gguf")).unwrap();
    let norm = norm.values("model.norm.weight").unwrap();
    let norm: Vec<u8> = norm.iter().flat_map(|value| value.to_le_bytes()).collect();
    let place = bytes.windows(norm.len()).position(|window| window == norm);
    let third = place.expect("the norm is stored in f32") + 8;
    bytes[third..third + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nan.gguf");
    fs::write(&path, bytes).unwrap();
    let file = Gguf::open(&path).unwrap();
    let new = folder.path().join("new");
    let error = file.write_folder(&new, NumberType::F32).unwrap_err();
    let error = error.to_string();
    let expected = "nan.gguf: tensor `model.norm.weight` holds NaN at [2]";
    assert!(error.contains(expected), "{error}");
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0);
}

/// The sha256 sums are those of the shared conversion, which another program makes from the same file.
#[test]
fn smollm2_is_the_folder_that_the_reference_conversion_makes() {
    let folder = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    let model = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if !model.is_file() {
        println!(
            "SKIPPED: no {}; scripts/get-smollm2.sh fetches it",
            model.display()
        );
        return;
    }
    let file = Gguf::open(&model).unwrap();
    let new = tempfile::tempdir().unwrap();
    file.write_folder(new.path(), NumberType::Bf16).unwrap();
    let output = std::process::Command::new("sha256sum")
        .arg(new.path().join("model.safetensors"))
        .output()
        .unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    assert!(
        sum.starts_with("7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"),
        "{sum}"
    );
    let files = file.tokenizer().unwrap().unwrap();
    let tokenizer: Tokenizer = serde_json::from_value(files.tokenizer).unwrap();
    let ids = tokenizer
        .encode("In 2024, it's <|im_start|>2.", true)
        .unwrap();
    println!("{:?}", ids.get_ids());
}
