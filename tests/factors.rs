//! Kronecker factors against plain loops over the tokens of one example at a time.

mod device;

use std::path::Path;

use faer::Mat;
use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::{Inputs, Split, Targets};
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::{RowBuffer, per_example};
use infbench::models::checkpoint::Checkpoint;
use infbench::models::lora::settings::{LayerSelection, LoraConfig, TargetModules};
use infbench::models::parameter::to_f32;
use infbench::models::{MlpConfig, ModelConfig, TransformerConfig};
use infbench::models::{Model, Pass, Role, peft};
use infbench::objectives::{self, Classification, Objective};
use infbench::tasks::{ClustersTask, DigitsTask, SentencesTask};
use rand::RngExt;

/// The model with adapters that do something.
fn build(model: &ModelConfig, task: &TaskConfig, targets: &[&str]) -> (Model, Split) {
    let data = task.build(None, 3).unwrap();
    let input = batching::input_shape(&data.train);
    let mut built = Model::new(model, &input, data.classes, 3, &device::device().inner()).unwrap();
    let lora = LoraConfig {
        rank: 2,
        alpha: Some(3.0),
        targets: TargetModules::names(targets.iter().copied()),
        layers: LayerSelection::List(vec![0, 1]),
        dropout: 0.3,
        ..LoraConfig::default()
    };
    built.adapt(&lora, 3).unwrap();
    let mut rng = infbench::random::rng(3, "test", "adapters");
    let roles = [Role::Adapter, Role::Head];
    let mut weights = built.export(&roles);
    for value in weights.values_mut().flat_map(|array| &mut array.values) {
        *value = 0.4 * (rng.random::<f32>() - 0.5);
    }
    built.import(&roles, &weights).unwrap();
    (built, data.train)
}

/// A tiny BERT from a file, whose last layer is computed for the first token alone; texts of 3 to 12 tokens.
fn bert() -> (Model, Split) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/bert");
    let mut rng = infbench::random::rng(4, "test", "texts");
    let ids: Vec<Vec<u32>> = (0..12)
        .map(|text| {
            let length = 3 + 7 * text % 10;
            (0..length).map(|_| rng.random_range(5..60)).collect()
        })
        .collect();
    let split = Split {
        targets: Targets::Classes((0..12).map(|text| text % 2).collect()),
        inputs: Inputs::Tokens {
            types: ids.iter().map(|ids| vec![0; ids.len()]).collect(),
            ids,
            attended: None,
            vocabulary: 60,
            max_length: 12,
        },
    };
    let checkpoint = Checkpoint::open(&folder.join("model")).unwrap();
    let input = batching::input_shape(&split);
    let device = device::device().inner();
    let mut model = Model::from_checkpoint(&checkpoint, &input, 3, 1, &device).unwrap();
    peft::load(&folder.join("adapter"), &mut model).unwrap();
    (model, split)
}

fn cases() -> Vec<(&'static str, Model, Split)> {
    let transformer = ModelConfig::Transformer(TransformerConfig {
        hidden: 12,
        heads: 3,
        layers: 3,
        ffn: 20,
        pretrain: None,
    });
    let sentences = TaskConfig::Sentences(SentencesTask {
        train: 20,
        query: 3,
        max_length: 48,
        ..SentencesTask::default()
    });
    let digits = TaskConfig::Digits(DigitsTask {
        train: 9,
        query: 3,
        ..DigitsTask::default()
    });
    let mlp = ModelConfig::Mlp(MlpConfig {
        hidden: 14,
        layers: 2,
        pretrain: None,
    });
    let clusters = TaskConfig::Clusters(ClustersTask {
        train: 15,
        query: 3,
        ..ClustersTask::default()
    });
    let made = [
        (
            "tokens",
            build(
                &transformer,
                &sentences,
                &["query", "key", "value", "output", "ffn"],
            ),
        ),
        ("patches", build(&transformer, &digits, &["value"])),
        ("perceptron", build(&mlp, &clusters, &["ffn"])),
        ("checkpoint", bert()),
    ];
    made.into_iter()
        .map(|(name, (model, split))| (name, model, split))
        .collect()
}

fn collect(
    model: &Model,
    split: &Split,
    targets: &Targets,
    tokens: usize,
) -> (RowBuffer, KroneckerFactors) {
    let tensors = model.gradient_tensors();
    let widths = tensors.iter().map(|t| t.shape.iter().product()).collect();
    let mut rows = RowBuffer::new(split.len(), widths);
    let made = per_example::collect_with_factors(model, split, targets, tokens, &mut rows).unwrap();
    assert!(made.seconds > 0.0 && made.losses.len() == split.len());
    (rows, made.factors)
}

/// A matrix `[rows, columns]` from a model, row-major.
struct Plain {
    values: Vec<f64>,
    columns: usize,
}

impl Plain {
    fn new(values: Vec<f32>, columns: usize) -> Self {
        Self {
            values: values.into_iter().map(f64::from).collect(),
            columns,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.columns)
    }

    /// s · M x, or s · Mᵀ x.
    fn times(&self, x: &[f64], scale: f64, transposed: bool) -> Vec<f64> {
        if transposed {
            (0..self.columns)
                .map(|j| scale * self.rows().zip(x).map(|(row, x)| row[j] * x).sum::<f64>())
                .collect()
        } else {
            self.rows()
                .map(|row| scale * row.iter().zip(x).map(|(m, x)| m * x).sum::<f64>())
                .collect()
        }
    }
}

/// Inputs and output gradients of every tensor, token by token, of one example: by a batch of one without
/// padding, through the layers as they are trained.
fn tokens(model: &Model, split: &Split, example: usize) -> Vec<[Vec<Vec<f64>>; 2]> {
    let batch = batching::batch(split, &[example], model.device());
    let mut pass = Pass::Probed(Vec::new());
    let loss = Classification.losses(model, &batch, &mut pass);
    let mut grads = loss.sum().backward();
    let Pass::Probed(sites) = pass else {
        panic!("a pass keeps its kind")
    };
    let mut adapters = model.adapted().into_iter();
    let mut all = Vec::new();
    for site in sites {
        let (x, delta) = site.take(&mut grads);
        let widths = [x.dims()[2], delta.dims()[2]];
        let [x, delta] = [x, delta].map(|tensor| to_f32(tensor.inner().into_data()));
        let (x, delta) = (Plain::new(x, widths[0]), Plain::new(delta, widths[1]));
        let list = |plain: &Plain| plain.rows().map(<[f64]>::to_vec).collect::<Vec<_>>();
        match adapters.next().and_then(|linear| linear.adapter()) {
            Some(adapter) => {
                let factor = |tensor: &burn::tensor::Tensor<2>| {
                    let columns = tensor.dims()[1];
                    Plain::new(to_f32(tensor.clone().inner().into_data()), columns)
                };
                let (a, b) = (factor(&adapter.a), factor(&adapter.b));
                let back = delta.rows().map(|d| b.times(d, adapter.scale, true));
                let low = x.rows().map(|x| a.times(x, adapter.scale, false));
                all.push([list(&x), back.collect()]);
                all.push([low.collect(), list(&delta)]);
            }
            None => all.push([list(&x), list(&delta)]),
        }
    }
    all
}

fn add_outer(sum: &mut Mat<f64>, rows: &[Vec<f64>]) {
    for row in rows {
        for i in 0..row.len() {
            for j in 0..row.len() {
                sum[(i, j)] += row[i] * row[j];
            }
        }
    }
}

/// The factors by plain loops, and the gradients of every example as Σ_t δ_t x_tᵀ.
fn by_loops(model: &Model, split: &Split) -> (Vec<Vec<f64>>, KroneckerFactors) {
    let n = split.len();
    let mut gradients: Vec<Vec<f64>> = Vec::new();
    let mut counts = Vec::new();
    let mut tensors: Vec<TensorFactors> = model
        .gradient_tensors()
        .into_iter()
        .map(|tensor| {
            gradients.push(Vec::new());
            counts.push(0);
            TensorFactors {
                name: tensor.name,
                inputs: Mat::zeros(tensor.shape[1], tensor.shape[1]),
                outputs: Mat::zeros(tensor.shape[0], tensor.shape[0]),
                tokens: None,
            }
        })
        .collect();
    for example in 0..n {
        let layers = tokens(model, split, example);
        assert_eq!(layers.len(), tensors.len());
        for (t, [xs, deltas]) in layers.iter().enumerate() {
            add_outer(&mut tensors[t].inputs, xs);
            add_outer(&mut tensors[t].outputs, deltas);
            counts[t] += xs.len();
            for i in 0..deltas[0].len() {
                for j in 0..xs[0].len() {
                    let sum = deltas
                        .iter()
                        .zip(xs)
                        .map(|(delta, x)| delta[i] * x[j])
                        .sum();
                    gradients[t].push(sum);
                }
            }
        }
    }
    for (factors, count) in tensors.iter_mut().zip(counts) {
        factors.inputs *= faer::Scale(1.0 / count as f64);
        factors.outputs *= faer::Scale(1.0 / n as f64);
        factors.tokens = Some(count as f64 / n as f64);
    }
    (gradients, KroneckerFactors { tensors })
}

/// Largest over tensors and sides of ‖a − b‖/‖b‖.
fn difference(a: &KroneckerFactors, b: &KroneckerFactors) -> f64 {
    assert_eq!(a.tensors.len(), b.tensors.len());
    let pairs = a.tensors.iter().zip(&b.tensors);
    pairs
        .flat_map(|(a, b)| {
            assert_eq!((&a.name, a.tokens), (&b.name, b.tokens));
            assert!(b.inputs.norm_l2() > 0.0 && b.outputs.norm_l2() > 0.0);
            [(&a.inputs, &b.inputs), (&a.outputs, &b.outputs)]
                .map(|(a, b)| (a - b).norm_l2() / b.norm_l2())
        })
        .fold(0.0, f64::max)
}

#[test]
fn factors_are_sums_over_tokens_of_one_example_at_a_time() {
    for (name, model, split) in cases() {
        let (gradients, expected) = by_loops(&model, &split);
        let longest = batching::lengths(&split).into_iter().max().unwrap();
        // examples of several lengths together, so that there is padding where there are texts
        let padding = batching::padding(&[&split], 5 * longest);
        let texts = matches!(split.inputs, Inputs::Tokens { .. });
        assert_eq!(padding > 0.02, texts, "{name}: {padding}");
        let (rows, found) = collect(&model, &split, &split.targets, 5 * longest);
        // eps·√(operations) of a few layers, as for the gradients
        let worst = difference(&found, &expected);
        assert!(worst <= 1e-5, "{name}: {worst:e}");
        // what the factors are made of is what the gradients are made of
        for (found, expected) in rows.tensors.iter().zip(&gradients) {
            let size = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() <= 1e-5 * size,
                    "{name}"
                );
            }
        }
        // neither the padding nor the pieces matter
        for tokens in [1, 2 * longest, 1 << 20] {
            let worst = difference(&collect(&model, &split, &split.targets, tokens).1, &found);
            assert!(
                worst <= 2e-6,
                "{name}, {tokens} tokens at a time: {worst:e}"
            );
        }
    }
}

#[test]
fn the_same_bits_again_and_the_same_gradients_as_without_factors() {
    for (name, model, split) in cases() {
        let (rows, factors) = collect(&model, &split, &split.targets, 64);
        assert_eq!(
            collect(&model, &split, &split.targets, 64),
            (rows.clone(), factors),
            "{name}"
        );
        let mut alone = rows.clone();
        alone
            .tensors
            .iter_mut()
            .flatten()
            .for_each(|value| *value = 0.0);
        per_example::collect(&model, &split, 64, &mut alone).unwrap();
        assert_eq!(alone, rows, "{name}");
    }
}

#[test]
fn sampled_labels_follow_the_seed_and_give_gradients_at_themselves() {
    for (name, model, split) in cases() {
        let labels = objectives::sampled(&model, &split, 5).unwrap();
        assert_eq!(labels, objectives::sampled(&model, &split, 5).unwrap());
        let others: Vec<_> = (6..12)
            .map(|seed| objectives::sampled(&model, &split, seed).unwrap())
            .collect();
        assert!(others.iter().any(|other| *other != labels), "{name}");
        assert!(
            labels
                .classes()
                .iter()
                .all(|label| *label < model.classes())
        );
        let relabelled = Split {
            targets: labels.clone(),
            ..split.clone()
        };
        let found = collect(&model, &split, &labels, 64);
        let expected = collect(&model, &relabelled, &relabelled.targets, 64);
        assert_eq!(found, expected, "{name}");
        assert_ne!(
            found.0,
            collect(&model, &split, &split.targets, 64).0,
            "{name}"
        );
    }
}
