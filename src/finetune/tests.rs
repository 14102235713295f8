//! The loop against PyTorch and PEFT: the same parameters after twenty steps from the same start.
//!
//! The fixture is made by `scripts/parity/finetune.py`. The test runs when all-MiniLM-L6-v2 is in `$INFBENCH_MINILM` or
//! where `scripts/get-minilm.sh` puts it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::optimizer::Optimizer;
use super::run::Run;
use super::settings::TrainConfig;
use super::training::orders;
use crate::batching;
use crate::data::{Inputs, Split, Targets};
use crate::device::DeviceChoice;
use crate::models::checkpoint::Checkpoint;
use crate::models::{Dropout, Model, Role, Weights, files, peft};

const EXAMPLES: usize = 32;
/// Steps an epoch: 7, 7, 7, 7 and 4 examples.
const BATCH: usize = 7;
const EPOCHS: usize = 4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity")
        .join(name)
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(name)).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn lists(value: &Value) -> Vec<Vec<usize>> {
    serde_json::from_value(value.clone()).expect("lists of numbers")
}

fn model(folder: &Path, split: &Split) -> Model {
    let checkpoint = Checkpoint::open(folder).expect("a checkpoint");
    let device = DeviceChoice::Flex.inner();
    let input = batching::input_shape(split);
    let mut model = Model::from_checkpoint(&checkpoint, &input, 2, 1, &device).expect("it fits");
    peft::load(&fixture("minilm/adapter"), &mut model).expect("an adapter");
    model
}

/// Parameters of PEFT's file under names of ours.
fn trained(case: &str) -> Weights {
    let all = files::load(&fixture("finetune/trained.safetensors")).expect("a fixture");
    let start = format!("{case}.base_model.model.");
    let named = all.into_iter().filter_map(|(name, array)| {
        let name = name.strip_prefix(&start)?;
        Some((name.strip_prefix("bert.").unwrap_or(name).to_owned(), array))
    });
    named.collect()
}

/// Largest ‖found − expected‖/‖expected‖ of a parameter.
fn error(found: &Weights, expected: &Weights) -> f64 {
    assert!(found.keys().eq(expected.keys()) && found.len() == 14);
    let pairs = found.iter().map(|(name, found)| (found, &expected[name]));
    pairs
        .map(|(found, expected)| {
            assert_eq!(found.shape, expected.shape);
            let pairs = || found.values.iter().zip(&expected.values);
            let pairs = || pairs().map(|(a, b)| (f64::from(*a), f64::from(*b)));
            let apart = pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            (apart / pairs().map(|(_, b)| b * b).sum::<f64>()).sqrt()
        })
        .fold(0.0, f64::max)
}

#[test]
fn twenty_steps_end_where_those_of_pytorch_do() {
    let folder = std::env::var_os("INFBENCH_MINILM").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2"),
        PathBuf::from,
    );
    if !folder.join("model.safetensors").is_file() {
        eprintln!("SKIPPED: no model in {}", folder.display());
        return;
    }
    let batches: Vec<Vec<usize>> = orders(EXAMPLES, EPOCHS, 1, "finetune")
        .flat_map(|order| {
            order
                .chunks(BATCH)
                .map(<[usize]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        lists(&json("finetune/batches.json")),
        batches,
        "the recorded batches are not ours (left and right); write ours and run scripts/parity/finetune.py"
    );
    let examples = json("finetune/examples.json");
    let ids = |name: &str| -> Vec<Vec<u32>> {
        serde_json::from_value(examples[name].clone()).expect("lists of ids")
    };
    let split = Split {
        inputs: Inputs::Tokens {
            ids: ids("input_ids"),
            types: ids("token_type_ids"),
            attended: None,
            vocabulary: 30522,
            max_length: 128,
        },
        targets: Targets::Classes(
            serde_json::from_value(examples["labels"].clone()).expect("labels"),
        ),
    };
    let start = model(&folder, &split);
    let tune = |train: &TrainConfig| {
        let mut model = start.clone();
        let run = Run {
            roles: &[Role::Adapter, Role::Head],
            split: &split,
            epochs: EPOCHS,
            batch_size: BATCH,
            accumulate: train.accumulate,
            max_grad_norm: train.max_grad_norm,
            lr: &|step, total| train.lr_at(step, total),
            dropout: Dropout::default(),
            seed: 1,
            scope: "finetune",
            kept: None,
        };
        run.train(
            &mut model,
            |sizes| Optimizer::new(train.optimizer, train.weight_decay, sizes),
            &mut |_, _, _| Ok(()),
        )
        .expect("finite losses");
        model.export(run.roles)
    };
    let before = start.clone().export(&[Role::Adapter, Role::Head]);
    let paper = TrainConfig::default();
    let strong = TrainConfig {
        lr: 3e-3,
        weight_decay: 0.1,
        ..TrainConfig::default()
    };
    for (case, train) in [("paper", &paper), ("strong", &strong)] {
        let expected = trained(case);
        let theirs = examples["pytorch_f32"][case].as_f64().expect("a number");
        let found = error(&tune(train), &expected);
        println!("{case}: {found:.1e}, PyTorch in f32 {theirs:.1e}");
        assert!(found < 1e-4, "{case}: {found:.1e} of PyTorch's parameters");
        assert!(error(&before, &expected) > 1e-2, "{case}: they move");
    }
    // what the comparison would notice: no weight decay, a warm-up of whole steps
    let expected = trained("strong");
    for other in [
        TrainConfig {
            weight_decay: 0.0,
            ..strong.clone()
        },
        TrainConfig {
            warmup: 0.05,
            ..strong.clone()
        },
    ] {
        let found = error(&tune(&other), &expected);
        assert!(found > 1e-3, "{other:?}: {found:.1e}");
    }
}
