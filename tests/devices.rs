//! libtorch, or the GPU that `INFBENCH_TEST_DEVICE` names, against the pure-Rust device: the same gradients, the
//! same conclusions.
#![cfg(feature = "libtorch")]

mod device;

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::Split;
use infbench::device::DeviceChoice;
use infbench::gradients::{RowBuffer, per_example};
use infbench::models::lora::settings::{LoraConfig, TargetModules};
use infbench::models::{Model, Role};
use infbench::models::{ModelConfig, TransformerConfig};
use infbench::tasks::SentencesTask;
use predicates::prelude::*;
use predicates::str::contains;
use rand::RngExt;

/// The device that is held against the pure-Rust one: `INFBENCH_TEST_DEVICE`, or libtorch on the CPU.
fn other() -> DeviceChoice {
    device::named().unwrap_or(DeviceChoice::LibTorch)
}

fn infbench() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
}

/// The same model on a device: the weights do not depend on where they are drawn.
fn model(device: DeviceChoice, split: &Split, classes: usize) -> Model {
    let config = ModelConfig::Transformer(TransformerConfig {
        pretrain: None,
        ..TransformerConfig::default()
    });
    let lora = LoraConfig {
        targets: TargetModules::names(["query", "key", "value", "output", "ffn"]),
        ..LoraConfig::default()
    };
    let input = batching::input_shape(split);
    let mut model = Model::new(&config, &input, classes, 1, &device.inner()).unwrap();
    model.adapt(&lora, 1).unwrap();
    let mut weights = model.export(&[Role::Adapter]);
    let mut rng = infbench::random::rng(1, "test", "adapters");
    weights
        .values_mut()
        .flat_map(|array| &mut array.values)
        .for_each(|value| *value = 0.4 * (rng.random::<f32>() - 0.5));
    model.import(&[Role::Adapter], &weights).unwrap();
    model
}

#[test]
fn gradients_are_those_of_the_pure_rust_device() {
    let data = TaskConfig::Sentences(SentencesTask {
        train: 40,
        query: 10,
        ..SentencesTask::default()
    })
    .build(None, 1)
    .unwrap();
    let take = |device| {
        let model = model(device, &data.train, data.classes);
        let widths = model
            .gradient_tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product())
            .collect();
        let mut rows = RowBuffer::new(data.train.len(), widths);
        per_example::collect(&model, &data.train, 512, &mut rows).unwrap();
        rows.tensors
    };
    let (flex, other) = (take(DeviceChoice::Flex), take(other()));
    for (flex, other) in flex.iter().zip(&other) {
        let norm = |values: &mut dyn Iterator<Item = f32>| {
            values
                .map(|v| f64::from(v) * f64::from(v))
                .sum::<f64>()
                .sqrt()
        };
        let size = norm(&mut flex.iter().copied());
        let apart = norm(&mut flex.iter().zip(other).map(|(a, b)| a - b));
        assert!(size > 0.0 && apart <= 1e-4 * size, "{apart} of {size}");
    }
}

/// Pearson correlation with exact of every cell and method.
fn conclusions(device: &str, out: &Path) -> BTreeMap<String, f64> {
    infbench()
        .args([
            "run",
            "experiments/smoke.yaml",
            "--quiet",
            "--device",
            device,
            "--out",
        ])
        .arg(out)
        .assert()
        .success();
    let text = std::fs::read_to_string(out.join("records.jsonl")).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["provenance"]["device"], device);
        for method in record["methods"].as_array().unwrap() {
            let value = method["metrics"]
                .as_array()
                .unwrap()
                .iter()
                .find(|metric| metric["metric"] == "pearson")
                .and_then(|metric| metric["value"].as_f64());
            if let Some(value) = value {
                found.insert(
                    format!("{} {}", record["cell"]["id"], method["label"]),
                    value,
                );
            }
        }
    }
    found
}

#[test]
fn an_experiment_has_the_same_conclusions() {
    let folder = tempfile::tempdir().unwrap();
    let flex = conclusions("flex", &folder.path().join("flex"));
    let other = conclusions(&other().to_string(), &folder.path().join("other"));
    assert!(flex.len() > 3, "{flex:?}");
    assert_eq!(flex.len(), other.len());
    for (what, value) in &flex {
        // roundings grow in the fine-tune; LiSSA as published diverges, where small differences are large
        let tolerance = if what.contains("lissa") { 0.5 } else { 0.02 };
        let other = other[what];
        assert!(
            (value - other).abs() < tolerance,
            "{what}: {value} against {other}"
        );
    }
}

#[test]
fn a_gpu_that_is_not_there_is_one_error() {
    infbench()
        .args(["run", "experiments/smoke.yaml", "--device", "cuda:99"])
        .assert()
        .code(2)
        .stderr(contains("cuda:99").and(contains("--device libtorch")));
}
