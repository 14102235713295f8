//! Gradients of several views of an example against batch-of-one autodiff, and against gradients of one view at a time.

use rand::RngExt;

use super::factors::KroneckerFactors;
use super::{RowBuffer, one_by_one, per_example, tensors};
use crate::batching;
use crate::data::{Inputs, Join, NoiseTargets, Prediction, Split, Targets, Timesteps};
use crate::device::DeviceChoice;
use crate::models::lora::settings::{LoraConfig, TargetModules};
use crate::models::{Model, ModelConfig, Role};
use crate::random;

/// Positions and features of an example, which is what the model is to predict the noise of.
const POSITIONS: usize = 3;
const FEATURES: usize = 4;

fn targets(timesteps: &[usize], draws: usize, join: Join) -> NoiseTargets {
    NoiseTargets {
        seeds: (0..7).map(|example| 100 + example).collect(),
        timesteps: Timesteps::Same(timesteps.into()),
        alphas: (0..40).map(|t| 1.0 / (1.0 + t as f32)).collect(),
        prediction: Prediction::Noise,
        draws,
        join,
        mirrored: None,
        given: None,
    }
}

fn split(targets: NoiseTargets) -> Split {
    let mut rng = random::rng(1, "test", "features");
    let count = targets.seeds.len() * POSITIONS * FEATURES;
    Split {
        inputs: Inputs::Features {
            values: (0..count).map(|_| rng.random::<f32>() - 0.5).collect(),
            tokens: POSITIONS,
            features: FEATURES,
        },
        targets: Targets::Noise(targets),
    }
}

/// A network whose adapters and head do something.
fn model(yaml: &str, targets: &[&str]) -> Model {
    let config: ModelConfig = serde_yaml::from_str(yaml).unwrap();
    let input = batching::input_shape(&split(self::targets(&[1], 1, Join::Averaged)));
    let device = DeviceChoice::Flex.inner();
    let mut model = Model::new(&config, &input, POSITIONS * FEATURES, 1, &device).unwrap();
    let lora = LoraConfig {
        rank: 2,
        targets: TargetModules::names(targets.iter().copied()),
        ..LoraConfig::default()
    };
    model.adapt(&lora, 1).unwrap();
    let mut weights = model.export(&[Role::Adapter, Role::Head]);
    let mut rng = random::rng(2, "test", "weights");
    let all = weights.values_mut().flat_map(|array| &mut array.values);
    all.for_each(|value| *value = rng.random::<f32>() - 0.5);
    model
        .import(&[Role::Adapter, Role::Head], &weights)
        .unwrap();
    model
}

fn models() -> [(&'static str, Model); 2] {
    let transformer = "{name: transformer, hidden: 12, heads: 3, layers: 2, ffn: 20}";
    let mlp = "{name: mlp, hidden: 9, layers: 2}";
    [
        (
            "transformer",
            model(transformer, &["query", "value", "output", "ffn"]),
        ),
        ("mlp", model(mlp, &["ffn"])),
    ]
}

fn buffer(model: &Model, split: &Split) -> RowBuffer {
    let tensors = tensors(model, &split.targets).into_iter();
    let widths = tensors.map(|tensor| tensor.shape.iter().product());
    RowBuffer::new(split.len(), widths.collect())
}

fn gradients(model: &Model, split: &Split, tokens: usize) -> (RowBuffer, Vec<f32>) {
    let mut rows = buffer(model, split);
    let losses = per_example::collect(model, split, tokens, &mut rows).unwrap();
    (rows, losses)
}

fn oracle(model: &Model, split: &Split) -> (RowBuffer, Vec<f32>) {
    let mut rows = buffer(model, split);
    let losses = one_by_one::collect(model, split, &mut rows).unwrap();
    (rows, losses)
}

/// Within rounding of sums of some dozens of numbers of f32: 2e-6 of the tensor's largest, as for one view.
fn agree(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected
        .iter()
        .fold(0.0f32, |max, value| max.max(value.abs()));
    assert!(scale > 0.0, "{name}: nothing to compare");
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 2e-6 * scale.max(1e-3),
            "{name}: {a} against {b}"
        );
    }
}

#[test]
fn views_agree_with_batches_of_one() {
    for (name, model) in models() {
        for join in [Join::Concatenated, Join::Averaged] {
            for (timesteps, draws) in [(&[1, 4, 30][..], 1), (&[2, 9][..], 2)] {
                let split = split(targets(timesteps, draws, join));
                let (expected, expected_losses) = oracle(&model, &split);
                // everything at once, pieces of two examples, and two timesteps or one of an example
                let pair = 2 * timesteps.len() * draws * POSITIONS;
                for tokens in [1000, pair, 2 * draws * POSITIONS, 1] {
                    let (found, losses) = gradients(&model, &split, tokens);
                    agree(name, &losses, &expected_losses);
                    for (found, expected) in found.tensors.iter().zip(&expected.tensors) {
                        agree(&format!("{name}, {join:?}"), found, expected);
                    }
                }
            }
        }
    }
}

#[test]
fn rows_hold_the_gradients_of_every_view_in_turn_or_their_mean() {
    let timesteps = [1, 4, 30];
    for (name, model) in models() {
        let alone =
            timesteps.map(|t| gradients(&model, &split(targets(&[t], 1, Join::Averaged)), 99));
        let of = |join| gradients(&model, &split(targets(&timesteps, 1, join)), 99);
        let ((stacked, losses), (mean, same)) = (of(Join::Concatenated), of(Join::Averaged));
        assert_eq!(losses, same);
        for tensor in 0..mean.tensors.len() {
            let width = mean.tensors[tensor].len() / 7;
            let rows = alone
                .each_ref()
                .map(|(rows, _)| rows.tensors[tensor].chunks_exact(width));
            let [first, second, third] = rows;
            let joined = first.zip(second).zip(third);
            let concatenated: Vec<f32> = joined
                .clone()
                .flat_map(|((a, b), c)| [a, b, c].concat())
                .collect();
            agree(name, &stacked.tensors[tensor], &concatenated);
            let averaged: Vec<f32> = joined
                .flat_map(|((a, b), c)| {
                    (0..width)
                        .map(move |k| (a[k] + b[k] + c[k]) / 3.0)
                        .collect::<Vec<_>>()
                })
                .collect();
            agree(name, &mean.tensors[tensor], &averaged);
        }
    }
}

/// Concatenated: a block of S for every view, which is that of the view alone, and the mean of A. Averaged: those of
/// one example with the positions of all views, whose output gradients are a third.
#[test]
fn factors_are_those_of_the_views() {
    let timesteps = [1, 4, 30];
    for (name, model) in models() {
        let factors = |split: &Split| -> KroneckerFactors {
            let mut rows = buffer(&model, split);
            let made =
                per_example::collect_with_factors(&model, split, &split.targets, 40, &mut rows);
            made.unwrap().factors
        };
        let alone = timesteps.map(|t| factors(&split(targets(&[t], 1, Join::Averaged))));
        let stacked = factors(&split(targets(&timesteps, 1, Join::Concatenated)));
        let mean = factors(&split(targets(&timesteps, 1, Join::Averaged)));
        for tensor in 0..alone[0].tensors.len() {
            let of = |factors: &KroneckerFactors| factors.tensors[tensor].clone();
            let [a, b, c] = alone.each_ref().map(of);
            let (stacked, mean) = (of(&stacked), of(&mean));
            let size = a.outputs.nrows();
            assert_eq!(stacked.outputs.nrows(), 3 * size);
            // products in f32, sums in f64
            let close = |found: f64, expected: f64, scale: f64| {
                assert!(
                    (found - expected).abs() <= 2e-6 * scale,
                    "{name}: {found}, {expected}"
                );
            };
            let inputs = &a.inputs + &b.inputs + &c.inputs;
            for (i, j) in (0..inputs.nrows()).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                close(
                    stacked.inputs[(i, j)],
                    inputs[(i, j)] / 3.0,
                    inputs.norm_max(),
                );
                close(mean.inputs[(i, j)], inputs[(i, j)] / 3.0, inputs.norm_max());
            }
            for (i, j) in (0..3 * size).flat_map(|i| (0..3 * size).map(move |j| (i, j))) {
                let expected = match i / size == j / size {
                    true => [&a, &b, &c][i / size].outputs[(i % size, j % size)],
                    false => 0.0,
                };
                close(
                    stacked.outputs[(i, j)],
                    expected,
                    stacked.outputs.norm_max(),
                );
            }
            let outputs = &a.outputs + &b.outputs + &c.outputs;
            for (i, j) in (0..size).flat_map(|i| (0..size).map(move |j| (i, j))) {
                close(
                    mean.outputs[(i, j)],
                    outputs[(i, j)] / 9.0,
                    outputs.norm_max(),
                );
            }
        }
    }
}

#[test]
fn views_stacked_in_a_row_have_no_hessian() {
    let [(_, model), _] = models();
    let split = split(targets(&[1, 4], 1, Join::Concatenated));
    let found = super::hessian::differences::hessian(&model, &split, 9999, &mut |_, _| {});
    let text = found.unwrap_err().to_string();
    assert!(
        text.contains("2 views") && text.contains("averaged"),
        "{text}"
    );
}
