//! What a step follows: accumulated batches, and gradients that are too long.

use rand::RngExt;

use super::optimizer::Optimizer;
use super::run::Run;
use super::settings::{Optimizer as OptimizerKind, TrainConfig};
use super::training::orders;
use crate::batching;
use crate::config::ModelConfig;
use crate::data::{Inputs, Split, Targets};
use crate::device::DeviceChoice;
use crate::models::{Dropout, Model, Role};

/// A perceptron and seven points.
fn perceptron() -> (Model, Split) {
    let mut rng = crate::random::rng(1, "test", "points");
    let split = Split {
        inputs: Inputs::Features {
            values: (0..7 * 4).map(|_| rng.random::<f32>() - 0.5).collect(),
            tokens: 1,
            features: 4,
        },
        targets: Targets::Classes(vec![0, 1, 2, 0, 1, 2, 0]),
    };
    let config: ModelConfig = serde_yaml::from_str("{name: mlp, hidden: 6, layers: 1}").unwrap();
    let input = batching::input_shape(&split);
    let device = DeviceChoice::Flex.inner();
    let mut model = Model::new(&config, &input, 3, 1, &device).unwrap();
    model
        .adapt(
            &serde_yaml::from_str("{rank: 2, targets: [ffn]}").unwrap(),
            1,
        )
        .unwrap();
    (model, split)
}

/// What an epoch of plain gradient descent with rate 1 changes.
fn change(start: &Model, split: &Split, train: &TrainConfig) -> Vec<f32> {
    let roles = [Role::Adapter, Role::Head];
    let run = Run {
        roles: &roles,
        split,
        epochs: 1,
        batch_size: train.batch_size,
        accumulate: train.accumulate,
        max_grad_norm: train.max_grad_norm,
        lr: &|_, _| 1.0,
        dropout: Dropout::default(),
        seed: 1,
        scope: "finetune",
        kept: None,
    };
    let mut model = start.clone();
    run.train(
        &mut model,
        |sizes| Optimizer::new(OptimizerKind::Sgd, 0.0, sizes),
        &mut |_, _, _| Ok(()),
    )
    .expect("finite losses");
    let all = [start.clone(), model].map(|mut model| model.export(&roles));
    let [before, after] = all.map(|weights| {
        let values = weights.into_values().flat_map(|array| array.values);
        values.collect::<Vec<f32>>()
    });
    after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect()
}

/// Differences of numbers below 1 in f32, each rounded to 6e-8.
fn agree(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    assert!(
        expected.iter().any(|value| value.abs() > 1e-2),
        "something is learnt"
    );
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 5e-7, "{a} against {b}");
    }
}

fn train(batch_size: usize, accumulate: usize) -> TrainConfig {
    TrainConfig {
        batch_size,
        accumulate,
        ..TrainConfig::default()
    }
}

/// Transformers divides the loss of every batch by its examples, and the sum by the batches that the step has.
#[test]
fn accumulated_batches_make_the_step_of_their_mean() {
    let (model, split) = perceptron();
    // more batches than there are: one step over batches of 3, 3 and 1
    let found = change(&model, &split, &train(3, 16));
    let order = orders(7, 1, 1, "finetune").next().expect("an epoch");
    let mut expected = vec![0.0; found.len()];
    for batch in order.chunks(3) {
        for &example in batch {
            let Inputs::Features { values, .. } = &split.inputs else {
                unreachable!("points")
            };
            let alone = Split {
                inputs: Inputs::Features {
                    values: values[4 * example..4 * (example + 1)].into(),
                    tokens: 1,
                    features: 4,
                },
                targets: split.targets.select(&[example]),
            };
            let own = change(&model, &alone, &train(1, 1));
            let weight = 1.0 / (3 * batch.len()) as f32;
            let pairs = expected.iter_mut().zip(own);
            pairs.for_each(|(sum, value)| *sum += weight * value);
        }
    }
    agree(&found, &expected);
    // batches of equal sizes: one large batch
    agree(
        &change(&model, &split, &train(1, 7)),
        &change(&model, &split, &train(7, 1)),
    );
    // not the same when the last batch is smaller
    let large = change(&model, &split, &train(7, 1));
    assert!(found.iter().zip(large).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn long_gradients_are_shortened_and_short_ones_are_not() {
    let (model, split) = perceptron();
    let length = |values: &[f32]| {
        values
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let whole = change(&model, &split, &train(7, 1));
    let of = |longest: f64| {
        let train = TrainConfig {
            max_grad_norm: Some(longest),
            ..train(7, 1)
        };
        change(&model, &split, &train)
    };
    agree(&of(2.0 * length(&whole)), &whole);
    let half = 0.5 * length(&whole);
    let shortened: Vec<f32> = whole.iter().map(|value| 0.5 * value).collect();
    agree(&of(half), &shortened);
}
