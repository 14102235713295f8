//! Per-example gradients: the batched way against batches of one, and against finite differences.

mod device;

use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::Split;
use infbench::device::DeviceChoice;
use infbench::gradients::{RowBuffer, one_by_one, per_example};
use infbench::models::lora::settings::{
    AllLayers, LastLayers, LayerRange, LayerSelection, LoraConfig, TargetModules,
};
use infbench::models::{MlpConfig, ModelConfig, TransformerConfig};
use infbench::models::{Model, Role, Weights};
use infbench::tasks::{ClustersTask, DigitsTask, SentencesTask};
use rand::RngExt;

struct Case {
    name: &'static str,
    model: ModelConfig,
    task: TaskConfig,
    targets: &'static [&'static str],
    layers: LayerSelection,
    rank: usize,
}

fn cases() -> Vec<Case> {
    let all = || LayerSelection::Every(AllLayers::All);
    let transformer = || {
        ModelConfig::Transformer(TransformerConfig {
            hidden: 24,
            heads: 3,
            layers: 3,
            ffn: 40,
            pretrain: None,
        })
    };
    let digits = || {
        TaskConfig::Digits(DigitsTask {
            train: 13,
            query: 3,
            ..DigitsTask::default()
        })
    };
    let sentences = || {
        TaskConfig::Sentences(SentencesTask {
            train: 13,
            query: 3,
            max_length: 48,
            ..SentencesTask::default()
        })
    };
    let clusters = || {
        TaskConfig::Clusters(ClustersTask {
            train: 13,
            query: 3,
            ..ClustersTask::default()
        })
    };
    let mlp = || {
        ModelConfig::Mlp(MlpConfig {
            hidden: 20,
            layers: 3,
            pretrain: None,
        })
    };
    vec![
        Case {
            name: "patches, value",
            model: transformer(),
            task: digits(),
            targets: &["value"],
            layers: all(),
            rank: 1,
        },
        Case {
            name: "patches, query and value, top layer",
            model: transformer(),
            task: digits(),
            targets: &["query", "value"],
            layers: LayerSelection::Last(LastLayers { last: 1 }),
            rank: 8,
        },
        Case {
            name: "patches, everything",
            model: transformer(),
            task: digits(),
            targets: &["query", "key", "value", "output", "ffn"],
            layers: all(),
            rank: 3,
        },
        Case {
            name: "tokens, everything",
            model: transformer(),
            task: sentences(),
            targets: &["query", "key", "value", "output", "ffn"],
            layers: all(),
            rank: 2,
        },
        Case {
            name: "tokens, key and output, middle layer",
            model: transformer(),
            task: sentences(),
            targets: &["output", "key"],
            layers: LayerSelection::List(vec![1]),
            rank: 24,
        },
        Case {
            name: "patches, the widening matrix, lower layers",
            model: transformer(),
            task: digits(),
            targets: &["ffn_in"],
            layers: LayerSelection::Range(LayerRange { from: 0, to: 1 }),
            rank: 5,
        },
        Case {
            name: "tokens, the narrowing matrix and value, upper layers",
            model: transformer(),
            task: sentences(),
            targets: &["ffn_out", "value"],
            layers: LayerSelection::Range(LayerRange { from: 1, to: 2 }),
            rank: 2,
        },
        Case {
            name: "perceptron",
            model: mlp(),
            task: clusters(),
            targets: &["ffn"],
            layers: all(),
            rank: 4,
        },
        Case {
            name: "perceptron, layers 0 and 2",
            model: mlp(),
            task: clusters(),
            targets: &["ffn"],
            layers: LayerSelection::List(vec![2, 0]),
            rank: 20,
        },
    ]
}

/// The model with random adapters: B is not zero, or every grad A would be.
fn build(case: &Case, seed: u64) -> (Model, Split) {
    let data = case.task.build(None, seed).unwrap();
    let device = device::device().inner();
    let mut model = Model::new(
        &case.model,
        &batching::input_shape(&data.train),
        data.classes,
        seed,
        &device,
    )
    .unwrap();
    let lora = LoraConfig {
        rank: case.rank,
        alpha: Some(2.0 * case.rank as f64),
        targets: TargetModules::names(case.targets.iter().copied()),
        layers: case.layers.clone(),
        dropout: 0.3,
        ..LoraConfig::default()
    };
    model.adapt(&lora, seed).unwrap();
    let mut rng = infbench::random::rng(seed, "test", "adapters");
    let mut weights = model.export(&[Role::Adapter, Role::Head]);
    for array in weights.values_mut() {
        array
            .values
            .iter_mut()
            .for_each(|value| *value = 0.4 * (rng.random::<f32>() - 0.5));
    }
    model
        .import(&[Role::Adapter, Role::Head], &weights)
        .unwrap();
    (model, data.train)
}

fn empty(model: &Model, n: usize) -> RowBuffer {
    RowBuffer::new(
        n,
        model
            .gradient_tensors()
            .iter()
            .map(|tensor| tensor.shape.iter().product())
            .collect(),
    )
}

/// About `examples` of the longest at a time.
fn batched(model: &Model, split: &Split, examples: usize) -> (RowBuffer, Vec<f32>) {
    let mut rows = empty(model, split.len());
    let longest = batching::lengths(split).into_iter().max().unwrap();
    let losses = per_example::collect(model, split, examples * longest, &mut rows).unwrap();
    (rows, losses)
}

/// Largest over tensors of ‖a − b‖/‖b‖, row by row.
fn difference(a: &RowBuffer, b: &RowBuffer, n: usize) -> f64 {
    let mut worst: f64 = 0.0;
    for (a, b) in a.tensors.iter().zip(&b.tensors) {
        let width = b.len() / n;
        for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
            let norm = |values: &mut dyn Iterator<Item = f64>| {
                values.map(|value| value * value).sum::<f64>().sqrt()
            };
            let size = norm(&mut b.iter().map(|&value| f64::from(value)));
            assert!(size > 0.0, "a gradient of zero proves nothing");
            worst = worst
                .max(norm(&mut a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b))) / size);
        }
    }
    worst
}

#[test]
fn batched_gradients_equal_those_of_batches_of_one() {
    for case in cases() {
        let (model, split) = build(&case, 5);
        let mut expected = empty(&model, split.len());
        let expected_losses = one_by_one::collect(&model, &split, &mut expected).unwrap();
        let (found, losses) = batched(&model, &split, 5);
        // eps·√(operations): a few layers of sums of up to 24·48 terms
        let tolerance = 1e-5;
        assert!(1.2e-7 * f64::from(24.0f32 * 48.0).sqrt() < tolerance);
        let worst = difference(&found, &expected, split.len());
        assert!(worst <= tolerance, "{}: {worst}", case.name);
        for (a, b) in losses.iter().zip(&expected_losses) {
            assert!(
                (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                "{}: loss {a} against {b}",
                case.name
            );
        }
    }
}

#[test]
fn gradients_do_not_depend_on_the_batch_size_and_repeat_bit_by_bit() {
    // a GPU also chooses by the size how it multiplies, each way with a rounding of up to eps·√(24·48) = 4e-6
    let in_memory = DeviceChoice::in_memory().contains(&device::device());
    let tolerance = if in_memory { 2e-6 } else { 6e-6 };
    for case in cases() {
        let (model, split) = build(&case, 6);
        let (reference, losses) = batched(&model, &split, 13);
        for piece in [1, 4, 64] {
            let worst = difference(&batched(&model, &split, piece).0, &reference, split.len());
            assert!(
                worst <= tolerance,
                "{}, batches of {piece}: {worst}",
                case.name
            );
        }
        assert_eq!(
            batched(&model, &split, 4),
            batched(&model, &split, 4),
            "{}",
            case.name
        );
        assert_eq!(losses, batched(&model, &split, 13).1, "{}", case.name);
    }
}

#[test]
fn gradients_predict_the_change_of_the_loss() {
    for case in cases() {
        let (model, split) = build(&case, 7);
        let (rows, _) = batched(&model, &split, 8);
        let tensors = model.gradient_tensors();
        let start = model.clone().export(&[Role::Adapter, Role::Head]);
        let mut rng = infbench::random::rng(1, "test", "directions");
        for (index, tensor) in tensors.iter().enumerate() {
            let width: usize = tensor.shape.iter().product();
            let direction: Vec<f32> = (0..width)
                .map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
                .collect();
            let step = 4e-3;
            let losses = |sign: f32| -> Vec<f32> {
                let mut weights: Weights = start.clone();
                let array = weights
                    .get_mut(&tensor.name)
                    .expect("gradient tensors are parameters");
                assert_eq!(array.shape, tensor.shape);
                array
                    .values
                    .iter_mut()
                    .zip(&direction)
                    .for_each(|(value, direction)| *value += sign * step * direction);
                let mut moved = model.clone();
                moved
                    .import(&[Role::Adapter, Role::Head], &weights)
                    .unwrap();
                batched(&moved, &split, 8).1
            };
            let (up, down) = (losses(1.0), losses(-1.0));
            for example in 0..split.len() {
                let gradient = &rows.tensors[index][example * width..(example + 1) * width];
                let predicted: f64 = gradient
                    .iter()
                    .zip(&direction)
                    .map(|(g, d)| f64::from(*g) * f64::from(*d))
                    .sum();
                let measured =
                    (f64::from(up[example]) - f64::from(down[example])) / (2.0 * f64::from(step));
                let size: f64 = gradient
                    .iter()
                    .map(|g| f64::from(*g).powi(2))
                    .sum::<f64>()
                    .sqrt();
                // rounding of the loss over 2·step, and the third derivative times step²
                let tolerance = 2e-3 + 0.02 * size * (width as f64).sqrt();
                assert!(
                    (predicted - measured).abs() <= tolerance,
                    "{}, {}, example {example}: {predicted} against {measured}",
                    case.name,
                    tensor.name
                );
            }
        }
    }
}
