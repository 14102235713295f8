//! Models whose layers are in memory one at a time, and weights in narrower types, against the whole model in f32.
//!
//! SmolLM2 is read from `$INFBENCH_SMOLLM2` or `models/SmolLM2-135M-Instruct`; what needs it is left out, saying so, when it
//! is not there.

mod device;

use std::path::{Path, PathBuf};

use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::{
    HiddenStates, Inputs, Measurement, NextToken, Reduction, Split, Targets, TaskData,
    TokenTargets, Truth,
};
use infbench::finetune::settings::BaseDropout;
use infbench::finetune::{Settings, fine_tune, pretrained_base};
use infbench::gradients::factors::KroneckerFactors;
use infbench::gradients::hessian::differences::{HessianError, hessian};
use infbench::gradients::{RowBuffer, hidden_states, per_example};
use infbench::models::checkpoint::Checkpoint;
use infbench::models::diffusion::PipelineConfig;
use infbench::models::files;
use infbench::models::generate::{Limits, greedy};
use infbench::models::lora::settings::{LayerSelection, LoraConfig, TargetModules};
use infbench::models::parameter::to_f32;
use infbench::models::pass::Pass;
use infbench::models::{
    CheckpointConfig, Compute, Loading, Model, ModelConfig, Role, Stream, peft,
};
use infbench::{finetune, objectives};
use rand::RngExt;

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

const STREAMED: Loading = Loading {
    stream: Stream::Chosen(true),
    compute: Compute::F32,
};
const WHOLE: Loading = Loading {
    stream: Stream::Chosen(false),
    compute: Compute::F32,
};

fn fixture(case: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/llama").join(case)
}

fn smollm2() -> Option<PathBuf> {
    let folder = std::env::var_os("INFBENCH_SMOLLM2").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct"),
        PathBuf::from,
    );
    if folder.join("config.json").is_file() {
        return Some(folder);
    }
    println!(
        "SKIPPED: no {}; scripts/get-smollm2.sh fetches it",
        folder.display()
    );
    None
}

/// Texts of random tokens and lengths, of which every token but the first is to be predicted.
fn split(n: usize, vocabulary: usize, longest: usize) -> Split {
    let mut rng = infbench::random::rng(1, "streaming", "texts");
    let mut text = || -> Vec<u32> {
        let length = rng.random_range(2..=longest);
        (0..length)
            .map(|_| rng.random_range(0..vocabulary as u32))
            .collect()
    };
    let ids: Vec<Vec<u32>> = (0..n).map(|_| text()).collect();
    let next = |ids: &Vec<u32>| NextToken::at(ids, 1..ids.len());
    Split {
        targets: Targets::Tokens(TokenTargets {
            examples: ids.iter().map(next).collect(),
            reduction: Reduction::Mean,
            measurement: Measurement::Loss,
        }),
        inputs: Inputs::Tokens {
            ids,
            types: Vec::new(),
            attended: None,
            vocabulary,
            max_length: longest,
        },
    }
}

fn open(folder: &Path, split: &Split, loading: Loading) -> Model {
    let checkpoint = Checkpoint::open(folder).unwrap().loaded(loading);
    let input = batching::input_shape(split);
    let device = device::device().inner();
    Model::from_checkpoint(&checkpoint, &input, 0, 1, &device).unwrap()
}

fn buffer(model: &Model, n: usize) -> RowBuffer {
    let tensors = model.gradient_tensors();
    let widths = tensors.iter().map(|t| t.shape[0] * t.shape[1]).collect();
    RowBuffer::new(n, widths)
}

fn gradients(model: &Model, split: &Split, tokens: usize) -> (Vec<f32>, RowBuffer) {
    let mut rows = buffer(model, split.len());
    let losses = per_example::collect(model, split, tokens, &mut rows).unwrap();
    (losses, rows)
}

/// Largest difference, over the largest number.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    let pairs = found.iter().zip(expected);
    let most = pairs
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, f64::max);
    assert!(most.is_finite());
    most / f64::from(scale.max(f32::MIN_POSITIVE))
}

/// Over the largest number of all tensors.
fn of_rows(found: &RowBuffer, expected: &RowBuffer) -> f64 {
    difference(&found.tensors.concat(), &expected.tensors.concat())
}

fn of_factors(found: &KroneckerFactors, expected: &KroneckerFactors) -> f64 {
    let narrow = |factors: &KroneckerFactors| -> Vec<Vec<f32>> {
        let matrices = factors.tensors.iter().flat_map(|t| [&t.inputs, &t.outputs]);
        let numbers = matrices.map(|m| {
            let columns =
                (0..m.ncols()).flat_map(|j| (0..m.nrows()).map(move |i| m[(i, j)] as f32));
            columns.collect()
        });
        numbers.collect()
    };
    let pairs = narrow(found).into_iter().zip(narrow(expected));
    pairs.map(|(a, b)| difference(&a, &b)).fold(0.0, f64::max)
}

fn of_states(found: &HiddenStates, expected: &HiddenStates) -> f64 {
    let numbers = |states: &HiddenStates| {
        [&states.last, &states.mean].map(|m| m.iter().copied().collect::<Vec<f32>>())
    };
    let pairs = numbers(found).into_iter().zip(numbers(expected));
    pairs.map(|(a, b)| difference(&a, &b)).fold(0.0, f64::max)
}

#[test]
fn everything_is_that_of_the_whole_model() {
    let split = split(14, 40, 16);
    for case in CASES {
        let model = fixture(case).join("model");
        let [whole, streamed] = [WHOLE, STREAMED].map(|loading| {
            let mut model = open(&model, &split, loading);
            peft::load(&fixture(case).join("adapter"), &mut model).unwrap();
            model
        });
        assert!(whole.layered().is_none() && streamed.layered().is_some());
        let mut all = Vec::new();
        // pieces of one and of several examples
        for tokens in [1, 40] {
            let ((losses, rows), (theirs, expected)) = (
                gradients(&streamed, &split, tokens),
                gradients(&whole, &split, tokens),
            );
            all.extend([difference(&losses, &theirs), of_rows(&rows, &expected)]);
        }
        let with_factors = |model: &Model| {
            let mut rows = buffer(model, split.len());
            per_example::collect_with_factors(model, &split, &split.targets, 40, &mut rows).unwrap()
        };
        all.push(of_factors(
            &with_factors(&streamed).factors,
            &with_factors(&whole).factors,
        ));
        let [found, expected] =
            [&streamed, &whole].map(|model| hidden_states::collect(model, &split));
        all.push(of_states(&found, &expected));
        let objective = objectives::of(&split.targets);
        let [found, expected] = [&streamed, &whole].map(|model| objective.evaluate(model, &split));
        all.push((found.loss - expected.loss).abs());
        assert_eq!(found.accuracy, expected.accuracy);
        let worst = all.iter().copied().fold(0.0, f64::max);
        assert!(worst <= 1e-5, "{case}: {all:?}");
        println!("{case}: at worst {worst:.1e}");

        let limits = Limits {
            new_tokens: 6,
            ends: Vec::new(),
            together: 4,
            cache: true,
        };
        let prompts: Vec<Vec<u32>> = vec![vec![1, 2, 3], vec![7], vec![5, 4, 3, 2]];
        let [found, expected] =
            [&streamed, &whole].map(|model| greedy(model, &prompts, &limits).unwrap());
        assert_eq!(found, expected, "{case}");
        let refused = hessian(&streamed, &split, usize::MAX, &mut |_, _| ());
        assert_eq!(refused.err(), Some(HessianError::Streamed));
    }
}

/// Adapters on the upper layers, or on the feed-forward matrices alone.
#[test]
fn any_choice_of_adapters_is_that_of_the_whole_model() {
    let split = split(9, 40, 16);
    let folder = fixture("gqa_2_tied_linear").join("model");
    for (targets, layers) in [
        (
            TargetModules::names(["q_proj"]),
            LayerSelection::List(vec![1]),
        ),
        (
            TargetModules::names(["down_proj"]),
            LayerSelection::default(),
        ),
        (
            TargetModules::names(["up_proj", "down_proj"]),
            LayerSelection::List(vec![1]),
        ),
        (
            TargetModules::names(["o_proj", "gate_proj"]),
            LayerSelection::List(vec![0]),
        ),
    ] {
        let lora = LoraConfig {
            rank: 2,
            targets: targets.clone(),
            layers: layers.clone(),
            ..LoraConfig::default()
        };
        let [whole, streamed] = [WHOLE, STREAMED].map(|loading| {
            let mut model = open(&folder, &split, loading);
            model.adapt(&lora, 3).unwrap();
            // B is zero at first
            let mut weights = model.export(&[Role::Adapter]);
            for array in weights.values_mut() {
                for (index, value) in array.values.iter_mut().enumerate() {
                    *value += ((index * 37 % 11) as f32 - 5.0) / 40.0;
                }
            }
            model.import(&[Role::Adapter], &weights).unwrap();
            model
        });
        let ((losses, rows), (theirs, expected)) = (
            gradients(&streamed, &split, 40),
            gradients(&whole, &split, 40),
        );
        let found = difference(&losses, &theirs).max(of_rows(&rows, &expected));
        assert!(found <= 1e-5, "{targets:?} {layers:?}: {found:.1e}");
    }
}

#[test]
fn a_fine_tune_is_that_of_the_whole_model() {
    let (train, query) = (split(14, 40, 16), split(5, 40, 16));
    let data = TaskData {
        train,
        query,
        pretrain: None,
        classes: 0,
        passed_over: 0,
        tuning: None,
        texts: None,
        images: None,
        truth: Truth::default(),
    };
    let lora = LoraConfig {
        rank: 2,
        targets: TargetModules::names(["q_proj", "v_proj", "down_proj"]),
        dropout: 0.2,
        ..LoraConfig::default()
    };
    let tuned = |stream: bool, layers: LayerSelection, dropout: BaseDropout| {
        let mut model = CheckpointConfig::at(fixture("gqa_3_dynamic").join("model"));
        model.stream = Stream::Chosen(stream);
        let model = ModelConfig::Checkpoint(model);
        let settings = Settings {
            model: &model,
            seed: 4,
            device: device::device(),
            cache: None,
            activations: 1 << 20,
        };
        let train = finetune::TrainConfig {
            epochs: 2,
            lr: 1e-2,
            batch_size: 5,
            base_dropout: dropout,
            ..finetune::TrainConfig::default()
        };
        let lora = LoraConfig {
            layers,
            ..lora.clone()
        };
        let base = pretrained_base(&settings, &data, &mut |_| ()).unwrap();
        let mut tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut |_| ()).unwrap();
        assert_eq!(tuned.model.layered().is_some(), stream);
        let weights = tuned.model.export(&[Role::Adapter]);
        let weights: Vec<f32> = weights
            .into_values()
            .flat_map(|array| array.values)
            .collect();
        (tuned.training.epochs, weights)
    };
    for (layers, dropout) in [
        (LayerSelection::default(), BaseDropout::Everywhere(0.1)),
        (LayerSelection::List(vec![1]), BaseDropout::Everywhere(0.0)),
    ] {
        let (epochs, weights) = tuned(true, layers.clone(), dropout);
        let (theirs, expected) = tuned(false, layers, dropout);
        for (found, expected) in epochs.iter().zip(&theirs) {
            assert!((found.train_loss - expected.train_loss).abs() <= 1e-5);
            assert!((found.query_loss - expected.query_loss).abs() <= 1e-5);
        }
        // Adam divides by the size of gradients, of which some are nearly zero
        let found = difference(&weights, &expected);
        assert!(found <= 1e-4, "{found:.1e}");
    }
}

/// The checkpoint of `from` with its tensors changed, all f32.
fn rewritten(from: &Path, change: impl Fn(&str, &[usize], &mut [f32])) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = folder.path().join(path.file_name().unwrap());
        if path
            .extension()
            .is_none_or(|ending| ending != "safetensors")
        {
            std::fs::copy(&path, to).unwrap();
            continue;
        }
        let mut weights = files::load(&path).unwrap();
        for (name, array) in &mut weights {
            change(name, &array.shape, &mut array.values);
        }
        files::save(&to, &weights, ("format", "pt")).unwrap();
    }
    folder
}

/// Whether a name is that of a matrix of a layer.
fn is_matrix(name: &str, shape: &[usize]) -> bool {
    name.contains(".layers.") && shape.len() == 2
}

#[test]
fn eight_bits_are_those_of_a_checkpoint_with_rounded_weights() {
    let split = split(9, 40, 16);
    for case in ["mha", "mqa_llama3_biases"] {
        let original = fixture(case).join("model");
        let rounded = rewritten(&original, |name, shape, values| {
            if is_matrix(name, shape) {
                for row in values.chunks_mut(shape[1]) {
                    let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
                    for w in row {
                        *w = (*w * 127.0 / largest).round() * largest / 127.0;
                    }
                }
            }
        });
        for stream in [true, false].map(Stream::Chosen) {
            let load = |folder: &Path, compute| {
                let mut model = open(folder, &split, Loading { stream, compute });
                peft::load(&fixture(case).join("adapter"), &mut model).unwrap();
                gradients(&model, &split, 40)
            };
            let (losses, rows) = load(&original, Compute::Int8);
            let (theirs, expected) = load(rounded.path(), Compute::F32);
            let (f32_losses, _) = load(&original, Compute::F32);
            // rounded weights differ in the last bit
            assert!(difference(&losses, &theirs) <= 1e-5);
            assert!(of_rows(&rows, &expected) <= 1e-4);
            assert!(difference(&losses, &f32_losses) > 1e-4, "rounding is seen");
        }
    }
}

/// In bf16 and LLM.int8 padding and the examples beside do not change an example, nor does streaming.
#[test]
fn narrower_types_are_the_same_for_every_batch_and_for_streamed_layers() {
    let split = split(9, 40, 16);
    let case = "mqa_llama3_biases";
    // activations beyond 6, so that there are outlier columns
    let model = rewritten(&fixture(case).join("model"), |name, shape, values| {
        if name.ends_with("layernorm.weight") && shape.len() == 1 {
            values[3] *= 40.0;
        }
    });
    for compute in [Compute::Bf16, Compute::LlmInt8] {
        let [whole, streamed, exact] = [(false, compute), (true, compute), (false, Compute::F32)]
            .map(|(stream, compute)| {
                let stream = Stream::Chosen(stream);
                let mut model = open(model.path(), &split, Loading { stream, compute });
                peft::load(&fixture(case).join("adapter"), &mut model).unwrap();
                model
            });
        let (losses, expected) = gradients(&whole, &split, 64);
        let (alone, alone_rows) = gradients(&whole, &split, 1);
        let (streamed, streamed_rows) = gradients(&streamed, &split, 64);
        let (exact, exact_rows) = gradients(&exact, &split, 64);
        // a number that rounds to the other side in another order of sums moves by a step of the narrower type
        for (losses_of, rows) in [(&alone, &alone_rows), (&streamed, &streamed_rows)] {
            let found = difference(losses_of, &losses).max(of_rows(rows, &expected));
            assert!(found <= 2e-2, "{compute}: {found:.1e}");
        }
        let seen = of_rows(&expected, &exact_rows);
        assert!(
            seen > 1e-4 && seen < 0.5,
            "{compute}: gradients off by {seen:.1e}"
        );
        let seen = difference(&losses, &exact);
        assert!(
            seen > 1e-6 && seen < 0.1,
            "{compute}: losses off by {seen:.1e}"
        );
    }
}

/// Every family and every part of a pipeline names the file, the tensor and the place.
#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let tokens = split(3, 40, 8);
    let nan = |name: &'static str, value: f32| {
        move |tensor: &str, _: &[usize], values: &mut [f32]| {
            if tensor.ends_with(name) {
                *values.last_mut().unwrap() = value;
            }
        }
    };
    for (model, name, value, what) in [
        (
            "llama/mha/model",
            "layers.1.mlp.down_proj.weight",
            f32::NAN,
            "NaN",
        ),
        (
            "llama/qwen2/model",
            "layers.0.self_attn.k_proj.bias",
            f32::INFINITY,
            "an infinite number",
        ),
        (
            "llama/qwen3_shards/model",
            "embed_tokens.weight",
            f32::NAN,
            "NaN",
        ),
        (
            "parity/bert/model",
            "layer.0.attention.self.query.weight",
            f32::NAN,
            "NaN",
        ),
        (
            "parity/roberta/model",
            "embeddings.LayerNorm.weight",
            f32::NEG_INFINITY,
            "an infinite number",
        ),
    ] {
        let folder = rewritten(&root.join(model), nan(name, value));
        let loadings: &[Loading] = match model.starts_with("llama") {
            true => &[WHOLE, STREAMED],
            false => &[WHOLE],
        };
        for loading in loadings {
            let checkpoint = Checkpoint::open(folder.path()).unwrap().loaded(*loading);
            let input = batching::input_shape(&tokens);
            let device = device::device().inner();
            let found = Model::from_checkpoint(&checkpoint, &input, 2, 1, &device);
            let error = found.expect_err("it is refused").to_string();
            for part in [".safetensors: tensor `", name, what] {
                assert!(error.contains(part), "{model}: {error}");
            }
        }
    }
    let pipeline = root.join("diffusion/pipeline");
    let config = PipelineConfig::read(&pipeline).unwrap();
    let device = device::device().inner();
    for part in ["unet", "vae", "text_encoder"] {
        let whole = tempfile::tempdir().unwrap();
        for other in ["unet", "vae", "text_encoder", "scheduler"] {
            let to = whole.path().join(other);
            std::fs::create_dir(&to).unwrap();
            let name = if other == part { "weight" } else { "nowhere" };
            let made = rewritten(&pipeline.join(other), nan(name, f32::NAN));
            for entry in std::fs::read_dir(made.path()).unwrap() {
                let path = entry.unwrap().path();
                std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
        let read = PipelineConfig::read(whole.path()).unwrap();
        let error = match part {
            "unet" => read.load_unet(&device).err(),
            "vae" => read.load_vae(&device).err(),
            _ => read.load_text(&device).err(),
        };
        let error = error.expect("it is refused").to_string();
        assert!(
            error.contains(part) && error.contains("holds NaN at ["),
            "{error}"
        );
    }
    assert!(config.load_unet(&device).is_ok());
}

#[test]
fn settings_for_language_models_are_refused_for_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let checkpoint = Checkpoint::open(&root.join("parity/bert/model")).unwrap();
    let tokens = split(3, 40, 8);
    let input = batching::input_shape(&tokens);
    let device = device::device().inner();
    for (loading, start) in [
        (STREAMED, "model.stream: true is for causal language models"),
        (
            Loading {
                compute: Compute::LlmInt8,
                ..Loading::default()
            },
            "model.compute: llm_int8 is for causal language models",
        ),
    ] {
        let checkpoint = Checkpoint::open(&root.join("parity/bert/model"))
            .unwrap()
            .loaded(loading);
        let error = Model::from_checkpoint(&checkpoint, &input, 2, 1, &device).err();
        let error = error.unwrap().to_string();
        assert!(
            error.starts_with(start) && error.contains("of the family bert"),
            "{error}"
        );
    }
    assert!(Model::from_checkpoint(&checkpoint, &input, 2, 1, &device).is_ok());
}

/// Of SmolLM2, with the time of both.
#[test]
fn smollm2_streamed_is_the_whole_model() {
    let Some(folder) = smollm2() else { return };
    let split = split(24, 49_000, 90);
    let lora = LoraConfig {
        rank: 8,
        targets: TargetModules::names(["q_proj", "v_proj"]),
        ..LoraConfig::default()
    };
    let [whole, streamed] = [WHOLE, STREAMED].map(|loading| {
        let mut model = open(&folder, &split, loading);
        model.adapt(&lora, 3).unwrap();
        let mut weights = model.export(&[Role::Adapter]);
        for array in weights.values_mut() {
            for (index, value) in array.values.iter_mut().enumerate() {
                *value += ((index * 37 % 11) as f32 - 5.0) / 400.0;
            }
        }
        model.import(&[Role::Adapter], &weights).unwrap();
        model
    });
    let taken = |model: &Model| {
        let start = std::time::Instant::now();
        let found = gradients(model, &split, batching::tokens_at_a_time(model));
        (found, start.elapsed().as_secs_f64())
    };
    let ((theirs, expected), of_whole) = taken(&whole);
    let ((losses, rows), of_streamed) = taken(&streamed);
    let found = difference(&losses, &theirs).max(of_rows(&rows, &expected));
    println!("{found:.1e}, {:.2} times as long", of_streamed / of_whole);
    assert!(found <= 1e-5, "{found:.1e}");
}

/// The table of docs/performance.md: what the precision of the frozen layers changes on SmolLM2 with an adapter, of real texts.
#[test]
fn what_narrower_types_change_on_smollm2_is_bounded() {
    let Some(folder) = smollm2() else { return };
    let task: TaskConfig = serde_json::from_value(serde_json::json!({
        "name": "grammars", "train": 20, "query": 10,
    }))
    .unwrap();
    let split = task.build(Some(&folder), 1).unwrap().train;
    let lora = LoraConfig {
        rank: 2,
        targets: TargetModules::names(["q_proj", "v_proj"]),
        ..LoraConfig::default()
    };
    let of = |compute| {
        let stream = Stream::Chosen(false);
        let mut model = open(&folder, &split, Loading { stream, compute });
        model.adapt(&lora, 3).unwrap();
        let mut rng = infbench::random::rng(2, "streaming", "adapter");
        let mut weights = model.export(&[Role::Adapter]);
        for (name, array) in &mut weights {
            if name.ends_with("lora_B.weight") {
                let draw = |value: &mut f32| *value = (rng.random::<f32>() - 0.5) * 0.04;
                array.values.iter_mut().for_each(draw);
            }
        }
        model.import(&[Role::Adapter], &weights).unwrap();
        let (losses, rows) = gradients(&model, &split, batching::tokens_at_a_time(&model));
        let batch = batching::batch(&split, &[0], model.device());
        let hidden = model.output(&batch, &mut Pass::Plain).squeeze_dim::<2>(0);
        let logits = to_f32(model.unembed(hidden).inner().into_data());
        // a row an example
        let of_example = |example: usize| {
            let rows = rows.tensors.iter();
            let part = |tensor: &Vec<f32>| {
                let width = tensor.len() / split.len();
                tensor[example * width..][..width].to_vec()
            };
            rows.flat_map(part).collect::<Vec<f32>>()
        };
        (
            logits,
            losses,
            (0..split.len()).map(of_example).collect::<Vec<_>>(),
        )
    };
    let norm = |values: &[f32]| {
        values
            .iter()
            .map(|&v| f64::from(v).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let relative = |found: &[f32], exact: &[f32]| {
        let pairs = found.iter().zip(exact);
        let off: Vec<f32> = pairs.map(|(a, b)| a - b).collect();
        norm(&off) / norm(exact)
    };
    let (logits, losses, rows) = of(Compute::F32);
    // llama.md's figures for SmolLM2 against f64, by tensor: median .078, .090, .24
    for (compute, most) in [
        (Compute::Bf16, 0.2),
        (Compute::Int8, 0.25),
        (Compute::LlmInt8, 0.6),
    ] {
        let (found_logits, found_losses, found_rows) = of(compute);
        let mut errors: Vec<f64> = found_rows
            .iter()
            .zip(&rows)
            .map(|(a, b)| relative(a, b))
            .collect();
        errors.sort_by(f64::total_cmp);
        let off = found_losses
            .iter()
            .zip(&losses)
            .map(|(a, b)| f64::from((a - b).abs()));
        let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
        println!(
            "{compute}: logits {:.1e} of their size, losses {:.1e} at worst, gradients {median:.1e} and at worst {worst:.1e}",
            relative(&found_logits, &logits),
            off.fold(0.0, f64::max),
        );
        assert!(median > 1e-4 && median < most, "{compute}: {median:.1e}");
    }
}
