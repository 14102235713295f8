//! Causal language models against PyTorch, transformers and PEFT.
//!
//! The fixtures are made by `scripts/parity/llama.py`. The real case is read from `$INFBENCH_SHARED/golden`, or from
//! `shared/golden` in a folder above this one, and SmolLM2 from `$INFBENCH_SMOLLM2` or `models/SmolLM2-135M-Instruct`; it is
//! left out, saying so, when they are not there.

mod device;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use infbench::batching;
use infbench::checkpoints::hub::Hub;
use infbench::data::{Inputs, Measurement, NextToken, Reduction, Split, Targets, TokenTargets};
use infbench::generation::{GenerationRequest, Template, answers};
use infbench::gradient_files::{
    GradientRequest, GradientTask, ImageOptions, Instruction, gradient_files,
};
use infbench::gradients::settings::GradientType;
use infbench::gradients::store::GradientStore;
use infbench::gradients::{RowBuffer, hidden_states, per_example};
use infbench::influence::{BlockLayout, Blocks, RunOptions, damping, run_method};
use infbench::models::checkpoint::Checkpoint;
use infbench::models::huggingface::HuggingFaceConfig;
use infbench::models::parameter::to_f32;
use infbench::models::peft;
use infbench::models::{Loading, Model, Pass};
use infbench::progress::Progress;
use infbench::tasks::completion::TargetTokens;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Value, json};

const CASES: [&str; 8] = [
    "mha",
    "gqa_2_tied_linear",
    "gqa_3_dynamic",
    "mqa_llama3_biases",
    "yarn",
    "mistral_window",
    "qwen2",
    "qwen3_shards",
];

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/llama")
        .join(case)
}

/// What PyTorch computed.
struct Expected {
    numbers: BTreeMap<String, Vec<f64>>,
    /// Ids of every example.
    ids: Vec<Vec<u32>>,
}

impl Expected {
    fn read(case: &str) -> Self {
        let bytes = std::fs::read(fixture(case).join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let numbers: BTreeMap<String, Vec<f64>> = file
            .iter()
            .map(|(name, view)| {
                let numbers = view.data().as_chunks::<4>().0.iter();
                let values = match view.dtype() {
                    Dtype::F32 => numbers.map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
                    Dtype::I32 => numbers.map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
                    other => panic!("{name} is {other:?}"),
                };
                (name.to_owned(), values)
            })
            .collect();
        let lengths = &numbers["lengths"];
        let width = numbers["ids"].len() / lengths.len();
        let rows = numbers["ids"].chunks_exact(width).zip(lengths);
        let row = |(row, length): (&[f64], &f64)| {
            row[..*length as usize]
                .iter()
                .map(|&id| id as u32)
                .collect()
        };
        Self {
            ids: rows.map(row).collect(),
            numbers,
        }
    }

    /// Every token but the first is to be predicted.
    fn split(&self) -> Split {
        let next = |ids: &Vec<u32>| NextToken::at(ids, 1..ids.len());
        Split {
            inputs: Inputs::Tokens {
                ids: self.ids.clone(),
                types: Vec::new(),
                attended: None,
                vocabulary: 40,
                max_length: 16,
            },
            targets: Targets::Tokens(TokenTargets {
                examples: self.ids.iter().map(next).collect(),
                reduction: Reduction::Mean,
                measurement: Measurement::Loss,
            }),
        }
    }
}

fn open(folder: &Path, split: &Split) -> Model {
    let checkpoint = Checkpoint::open(folder).unwrap();
    let input = batching::input_shape(split);
    Model::from_checkpoint(&checkpoint, &input, 0, 1, &device::device().inner()).unwrap()
}

/// Rows of the real positions of a batch, `[positions, width]`.
fn real(hidden: Tensor<3>, lengths: &[usize]) -> Tensor<2> {
    let rows = lengths.iter().enumerate().map(|(index, &length)| {
        hidden
            .clone()
            .slice([index..index + 1, 0..length])
            .squeeze_dim::<2>(0)
    });
    Tensor::cat(rows.collect(), 0)
}

fn logits(model: &Model, split: &Split, lengths: &[usize]) -> Vec<f64> {
    let all: Vec<usize> = (0..split.len()).collect();
    let batch = batching::batch(split, &all, model.device());
    let hidden = real(model.output(&batch, &mut Pass::Plain), lengths);
    let logits = to_f32(model.unembed(hidden).inner().into_data());
    logits.into_iter().map(f64::from).collect()
}

fn worst(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Relative errors of the rows of a matrix, ‖a − b‖/‖b‖; rows that are zero but for rounding are left out.
fn errors(found: &[f64], expected: &[f64], rows: usize) -> Vec<f64> {
    assert_eq!(found.len(), expected.len());
    let width = found.len() / rows;
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let sizes: Vec<f64> = expected.chunks_exact(width).map(norm).collect();
    let noise = 1e-5 * sizes.iter().copied().fold(0.0, f64::max);
    let pairs = found.chunks_exact(width).zip(expected.chunks_exact(width));
    let rows = pairs.zip(&sizes).filter_map(|((a, b), &size)| {
        let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        if size > noise {
            return Some(norm(&difference) / size);
        }
        assert!(
            norm(a) <= noise,
            "{} where PyTorch has rounding noise",
            norm(a)
        );
        None
    });
    rows.collect()
}

#[test]
fn logits_losses_and_gradients_are_those_of_pytorch() {
    for case in CASES {
        let expected = Expected::read(case);
        let split = expected.split();
        let lengths: Vec<usize> = expected.ids.iter().map(Vec::len).collect();
        let mut model = open(&fixture(case).join("model"), &split);
        let base = worst(
            &logits(&model, &split, &lengths),
            &expected.numbers["logits.base"],
        );
        peft::load(&fixture(case).join("adapter"), &mut model).unwrap();
        let adapted = worst(
            &logits(&model, &split, &lengths),
            &expected.numbers["logits"],
        );
        assert!(
            base < 1e-5 && adapted < 1e-5,
            "{case}: logits {base:.1e}, {adapted:.1e}"
        );

        let tensors = model.gradient_tensors();
        let widths = tensors.iter().map(|t| t.shape[0] * t.shape[1]).collect();
        let mut rows = RowBuffer::new(split.len(), widths);
        // all examples in one padded batch
        let losses = per_example::collect(&model, &split, 64, &mut rows).unwrap();
        let losses: Vec<f64> = losses.into_iter().map(f64::from).collect();
        let loss = worst(&losses, &expected.numbers["losses"]);
        assert!(loss < 1e-5, "{case}: losses {loss:.1e}");
        let mut theirs: BTreeSet<&str> = expected.numbers.keys().map(String::as_str).collect();
        theirs.retain(|name| name.starts_with("gradient."));
        let mut all = Vec::new();
        for (tensor, found) in tensors.iter().zip(&rows.tensors) {
            let name = peft::live_name(model.family().unwrap(), &[], &tensor.name);
            let name = format!("gradient.{name}");
            assert!(
                theirs.remove(name.as_str()),
                "{case}: PyTorch has no {name}"
            );
            let found: Vec<f64> = found.iter().map(|&value| f64::from(value)).collect();
            all.extend(errors(&found, &expected.numbers[&name], split.len()));
        }
        assert!(theirs.is_empty(), "{case}: not computed: {theirs:?}");
        all.sort_by(f64::total_cmp);
        let (median, worst) = (all[all.len() / 2], all[all.len() - 1]);
        let pytorch = &expected.numbers["pytorch_f32"];
        println!(
            "{case}: logits {base:.1e} and {adapted:.1e}, losses {loss:.1e}, gradients {median:.1e} and at worst {worst:.1e} (PyTorch's float32: {:.1e} and {:.1e})",
            pytorch[0], pytorch[1]
        );
        assert!(median <= 2.0 * pytorch[0], "{case}: {median:.1e}");
        assert!(worst <= 1e-3, "{case}: {worst:.1e}");
    }
}

#[test]
fn adapters_are_saved_as_peft_saves_them() {
    for case in CASES {
        let split = Expected::read(case).split();
        let mut model = open(&fixture(case).join("model"), &split);
        let theirs = fixture(case).join("adapter");
        peft::load(&theirs, &mut model).unwrap();
        let folder = tempfile::tempdir().unwrap();
        peft::save(folder.path(), &mut model, "base", 0.05).unwrap();
        let sorted = |folder: &Path| -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
            let bytes = std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let tensors = file.iter().map(|(name, view)| {
                (
                    name.to_owned(),
                    (view.shape().to_vec(), view.data().to_vec()),
                )
            });
            tensors.collect()
        };
        assert!(
            sorted(folder.path()) == sorted(&theirs),
            "{case}: the same tensors bit by bit"
        );
        let settings = std::fs::read(folder.path().join("adapter_config.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        assert_eq!(settings["task_type"], "CAUSAL_LM");
        assert_eq!(settings["modules_to_save"], Value::Null);
        let Some(python) = std::env::var_os("INFBENCH_PARITY_PYTHON") else {
            println!("SKIPPED opening {case} with PEFT: $INFBENCH_PARITY_PYTHON is not set");
            continue;
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = std::process::Command::new(python)
            .arg(root.join("scripts/parity/open_adapter.py"))
            .args([fixture(case).as_path(), folder.path()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {text}");
    }
}

#[test]
fn config_json_of_transformers_5_means_the_same() {
    let read = |folder: &Path| format!("{:?}", HuggingFaceConfig::read(folder).unwrap());
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let model = fixture(case).join("model");
        std::fs::copy(
            model.join("config_5.json"),
            folder.path().join("config.json"),
        )
        .unwrap();
        assert_eq!(read(folder.path()), read(&model), "{case}");
    }
}

#[test]
fn settings_that_are_not_supported_are_refused_by_name() {
    let model = fixture("yarn").join("model");
    let settings = std::fs::read(model.join("config.json")).unwrap();
    let settings: Value = serde_json::from_slice(&settings).unwrap();
    let error = |change: &dyn Fn(&mut Value)| {
        let mut settings = settings.clone();
        change(&mut settings);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), settings.to_string()).unwrap();
        HuggingFaceConfig::read(folder.path())
            .unwrap_err()
            .to_string()
    };
    for (field, value, allowed) in [
        (
            "model_type",
            json!("gemma2"),
            "\"llama\", \"mistral\", \"qwen2\", \"qwen3\"",
        ),
        ("hidden_act", json!("gelu"), "\"silu\""),
        ("quantization_config", json!({"bits": 4}), "none"),
        ("num_local_experts", json!(8), "none"),
        ("attn_logit_softcapping", json!(50.0), "none"),
        ("partial_rotary_factor", json!(0.5), "1.0"),
        ("rope_interleaved", json!(true), "false"),
        (
            "num_key_value_heads",
            json!(3),
            "a divisor of `num_attention_heads`, 2",
        ),
        ("head_dim", json!(7), "an even number"),
        ("rope_scaling", json!("yarn"), "an object"),
        ("rms_norm_eps", json!(-1), "a number from 0"),
        ("attention_bias", json!("no"), "true, false"),
    ] {
        let text = error(&|settings| settings[field] = value.clone());
        let start = format!("config.json: `{field}` is {value}; allowed: ");
        assert!(text.contains(&start) && text.contains(allowed), "{text}");
    }
    for (field, value, start) in [
        (
            "rope_type",
            json!("longrope"),
            "`rope_type` is \"longrope\"; allowed: \"default\"",
        ),
        (
            "factor",
            json!(0.5),
            "`factor` is 0.5; allowed: a number from 1 on",
        ),
        ("factor", Value::Null, "the field `factor` is missing"),
        (
            "truncate",
            json!(1),
            "`truncate` is 1; allowed: true, false",
        ),
        (
            "mrope_section",
            json!([1]),
            "`mrope_section` is not known here; allowed: factor,",
        ),
    ] {
        let text = error(&|settings| settings["rope_scaling"][field] = value.clone());
        assert!(
            text.contains(&format!("config.json: rope_scaling: {start}")),
            "{text}"
        );
    }
    // an adapter of a classifier, and a target that cannot be adapted
    let split = Expected::read("mha").split();
    let mut model = open(&fixture("mha").join("model"), &split);
    let adapter = tempfile::tempdir().unwrap();
    let theirs = fixture("mha").join("adapter");
    let name = "adapter_model.safetensors";
    std::fs::copy(theirs.join(name), adapter.path().join(name)).unwrap();
    let settings = std::fs::read_to_string(theirs.join("adapter_config.json")).unwrap();
    let settings = settings.replace("CAUSAL_LM", "SEQ_CLS");
    std::fs::write(adapter.path().join("adapter_config.json"), settings).unwrap();
    let text = peft::load(adapter.path(), &mut model)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("`task_type` is \"SEQ_CLS\"; allowed: \"CAUSAL_LM\""),
        "{text}"
    );
}

/// A file of `shared/golden/smollm2_grammars_r2`, and SmolLM2's folder.
fn golden() -> Option<(PathBuf, PathBuf)> {
    let shared = match std::env::var_os("INFBENCH_SHARED") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("shared"))
            .find(|folder| folder.is_dir()),
    };
    let golden = shared.map(|folder| folder.join("golden/smollm2_grammars_r2"));
    let Some(golden) = golden.filter(|folder| folder.is_dir()) else {
        println!("SKIPPED: there is no shared/golden/smollm2_grammars_r2");
        return None;
    };
    let model = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    if !model.join("model.safetensors").is_file() {
        println!(
            "SKIPPED: no model.safetensors in {} (scripts/get-smollm2.sh)",
            model.display()
        );
        return None;
    }
    Some((golden, model))
}

/// The examples of a split of the golden case as JSON lines.
fn golden_lines(facts: &Value, split: &str) -> String {
    let examples = facts[split].as_array().unwrap().iter();
    let lines = examples.map(|example| {
        let [prompt, text, class] = ["prompt", "text", "class"].map(|field| &example[field]);
        format!(
            "{}\n",
            json!({"prompt": prompt, "text": text, "class": class})
        )
    });
    lines.collect()
}

#[test]
fn a_real_case_is_that_of_pytorch() {
    let Some((golden, folder)) = golden() else {
        return;
    };
    let facts = std::fs::read(golden.join("examples.json")).unwrap();
    let facts: Value = serde_json::from_slice(&facts).unwrap();
    let made = tempfile::tempdir().unwrap();
    for (split, tokens, file) in [
        ("train", TargetTokens::Answer, "train"),
        ("query", TargetTokens::Answer, "query"),
        ("query", TargetTokens::All, "all_tokens"),
        ("query", TargetTokens::Published, "published"),
    ] {
        let examples = made.path().join(format!("{split}.jsonl"));
        std::fs::write(&examples, golden_lines(&facts, split)).unwrap();
        let path = made.path().join(format!("{file}.safetensors"));
        let request = GradientRequest {
            model: folder.clone(),
            revision: None,
            hub: Hub::from_env(),
            adapter: Some(golden.join("adapter")),
            modules_to_save: false,
            task: GradientTask::Instruction(Instruction {
                tokens,
                ..Instruction::default()
            }),
            images: ImageOptions::default(),
            examples,
            max_length: 128,
            out: path.clone(),
            factors: None,
            sampled: None,
            per_token: None,
            seed: 0,
            dtype: GradientType::F32,
            loading: Loading::default(),
            device: device::device(),
        };
        let summary = gradient_files(&request, &Progress::new(true)).unwrap();
        let losses: Vec<f64> = summary.losses.iter().map(|&loss| f64::from(loss)).collect();
        let variant = match tokens {
            TargetTokens::Answer => "answer",
            TargetTokens::All => "all",
            TargetTokens::Published => "published",
        };
        let listed = facts[split].as_array().unwrap().iter();
        let theirs = listed.map(|example| example["losses"][variant].as_f64().unwrap());
        let loss = worst(&losses, &theirs.collect::<Vec<f64>>());
        let (ours, theirs) = (
            GradientStore::open(&path).unwrap(),
            GradientStore::open(&golden.join(format!("{file}.safetensors"))).unwrap(),
        );
        assert_eq!(ours.tensors().len(), theirs.tensors().len());
        let mut all = Vec::new();
        for tensor in theirs.tensors() {
            let rows = |store: &GradientStore| -> Vec<f64> {
                let index = store.tensors().iter().position(|t| t.name == tensor.name);
                let index = index.unwrap_or_else(|| panic!("no {}", tensor.name));
                let rows = store.tensor_rows(index, 0..store.rows());
                rows.iter().map(|&value| f64::from(value)).collect()
            };
            all.extend(errors(&rows(&ours), &rows(&theirs), losses.len()));
        }
        all.sort_by(f64::total_cmp);
        let (median, worst) = (all[all.len() / 2], all[all.len() - 1]);
        println!("{file}: losses {loss:.1e}, gradients {median:.1e} and at worst {worst:.1e}");
        assert!(loss < 1e-5, "{file}: losses {loss:.1e}");
        let pytorch = facts["pytorch_f32"]["median"].as_f64().unwrap();
        assert!(median <= 2.0 * pytorch, "{file}: {median:.1e}");
        assert!(worst <= 1e-3, "{file}: {worst:.1e}");
    }
    compare_scores(made.path(), &golden);

    let greedy = facts["greedy_from_prompt_of_query_0"].as_array().unwrap();
    let greedy: Vec<u32> = greedy
        .iter()
        .map(|id| id.as_u64().unwrap() as u32)
        .collect();
    let prompt = facts["query"][0]["prompt_ids"].as_array().unwrap().len();
    let mut ids = greedy[..prompt].to_vec();
    let split = |ids: &[u32]| Split {
        inputs: Inputs::Tokens {
            ids: vec![ids.to_vec()],
            types: Vec::new(),
            attended: None,
            vocabulary: 49_152,
            max_length: 128,
        },
        targets: Targets::Classes(vec![0]),
    };
    let mut model = open(&folder, &split(&ids));
    peft::load(&golden.join("adapter"), &mut model).unwrap();
    while ids.len() < greedy.len() {
        let split = split(&ids);
        let rows = logits(&model, &split, &[ids.len()]);
        let last = &rows[rows.len() - 49_152..];
        let largest = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b]));
        ids.push(largest.unwrap() as u32);
    }
    assert_eq!(ids, greedy);
}

/// What `infbench generate --adapter` does, with the golden adapter.
#[test]
fn an_adapted_model_answers_as_the_golden_one() {
    let Some((golden, folder)) = golden() else {
        return;
    };
    let facts = std::fs::read(golden.join("examples.json")).unwrap();
    let facts: Value = serde_json::from_slice(&facts).unwrap();
    let ids = facts["greedy_from_prompt_of_query_0"].as_array().unwrap();
    let ids: Vec<u32> = ids.iter().map(|id| id.as_u64().unwrap() as u32).collect();
    // with the prompt before them
    let prompt = facts["query"][0]["prompt_ids"].as_array().unwrap().len();
    let ids = &ids[prompt..];
    let request = GenerationRequest {
        model: folder,
        revision: None,
        hub: Hub::from_env(),
        adapter: Some(golden.join("adapter")),
        prompts: vec![facts["query"][0]["prompt"].as_str().unwrap().to_owned()],
        template: Template::Raw,
        system: None,
        new_tokens: ids.len(),
        together: 1,
        device: device::device(),
    };
    assert_eq!(answers(&request).unwrap()[0].ids, ids);
}

/// States that `rep_sim` compares, against transformers and PEFT in float64.
#[test]
fn hidden_states_are_those_of_pytorch() {
    let path = fixture("hidden_states.json");
    let expected: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for case in CASES {
        let read = Expected::read(case);
        let split = read.split();
        let mut model = open(&fixture(case).join("model"), &split);
        peft::load(&fixture(case).join("adapter"), &mut model).unwrap();
        // the same texts with padding that attention may not look at
        let mut padded = split.clone();
        if let Inputs::Tokens { ids, attended, .. } = &mut padded.inputs {
            *attended = Some(ids.iter().map(Vec::len).collect());
            ids.iter_mut().for_each(|ids| ids.resize(16, 2));
        }
        // a rotary embedding that is stretched with the length counts padding, too, as in transformers
        let splits = [&split, &padded];
        let count = if case == "gqa_3_dynamic" { 1 } else { 2 };
        for split in &splits[..count] {
            let found = hidden_states::collect(&model, split);
            for (name, found) in [("last", &found.last), ("mean", &found.mean)] {
                let rows = expected[case][name].as_array().unwrap().iter();
                let rows = rows.flat_map(|row| row.as_array().unwrap());
                let rows: Vec<f64> = rows.map(|x| x.as_f64().unwrap()).collect();
                let found: Vec<f64> = found.iter().map(|&x| f64::from(x)).collect();
                let off = worst(&found, &rows);
                // as the logits of the same models
                assert!(off < 1e-5, "{case} {name}: {off:.1e}");
            }
        }
    }
}

/// Scores of our gradients against those of the golden ones.
fn compare_scores(ours: &Path, golden: &Path) {
    let open = |name: &str| GradientStore::open(&ours.join(name)).unwrap();
    let (train, query) = (open("train.safetensors"), open("query.safetensors"));
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let bytes = std::fs::read(golden.join("scores.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for method in ["exact", "datainf", "hessian_free", "diagonal_fisher"] {
        let options = RunOptions::default();
        let spec = method.parse().unwrap();
        let found = run_method(&spec, &train, &query, &layout, &lambda, &options).unwrap();
        let numbers = file.tensor(method).unwrap();
        let numbers = numbers.data().as_chunks::<8>().0.iter();
        let theirs: Vec<f64> = numbers.map(|b| f64::from_le_bytes(*b)).collect();
        let found: Vec<f64> = found.scores.iter().copied().collect();
        let largest = theirs
            .iter()
            .fold(0.0f64, |max, value| max.max(value.abs()));
        let error = worst(&found, &theirs) / largest;
        println!("{method}: scores differ by {error:.1e} of the largest");
        // gradients differ by up to 2e-4 of their rows, and damping at a tenth of the mean eigenvalue amplifies it
        assert!(error < 1e-3, "{method}: {error:.1e}");
    }
}
