//! The loss against one with all logits at once in f64, its gradients against autodiff through all logits, and what is
//! drawn against the softmax, on a small causal network.

use burn::tensor::{Tensor, activation, module};
use rand::RngExt;

use super::*;
use crate::batching;
use crate::data::Inputs;
use crate::device::DeviceChoice;
use crate::gradients::{RowBuffer, one_by_one, per_example, per_token, tensors};
use crate::models::lora::LoraLinear;
use crate::models::network::Network;
use crate::models::parameter::{Init, Parameter, Role, Slot};
use crate::models::{Array, ModelInput, Weights};
use crate::random;

const VOCABULARY: usize = 11;
const WIDTH: usize = 6;

/// x_i ← x_i + tanh(W mean_{j ≤ i, j < keys} x_j), logits U x.
#[derive(Clone, Debug)]
struct Causal {
    table: Tensor<2>,
    layer: LoraLinear,
    unembedding: Tensor<2>,
}

impl Network for Causal {
    fn boxed(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let ModelInput::Tokens(ids) = &batch.input else {
            unreachable!("tokens")
        };
        let x = module::embedding(self.table.clone(), ids.clone());
        let [n, t, _] = x.dims();
        let keys = |row: usize| batch.keys().map_or(t, |keys| keys[row]);
        let mut weights = vec![0.0f32; n * t * t];
        for (row, own) in weights.chunks_exact_mut(t * t).enumerate() {
            for i in 0..t {
                let seen = (i + 1).min(keys(row));
                own[i * t..i * t + seen].fill(1.0 / seen as f32);
            }
        }
        let weights: Tensor<1> = Tensor::from_data(weights.as_slice(), &batch.device);
        let weights = weights.reshape([n, t, t]).cast(x.dtype());
        x.clone() + self.layer.forward(weights.matmul(x), pass).tanh()
    }

    fn unembed(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden.matmul(self.unembedding.clone().transpose())
    }

    fn adaptable(&self) -> Vec<&LoraLinear> {
        vec![&self.layer]
    }

    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear> {
        vec![&mut self.layer]
    }

    fn short_names(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let table = |name: &str, tensor| Parameter {
            name: name.to_owned(),
            role: Role::Base,
            init: Init::Zeros,
            slot: Slot::new::<2>(tensor),
        };
        let mut all = vec![table("table", &mut self.table)];
        all.extend(self.layer.parameters(0.1));
        all.push(table("unembedding", &mut self.unembedding));
        all
    }

    fn layers(&self) -> usize {
        1
    }

    fn width(&self) -> usize {
        WIDTH
    }
}

/// A model whose parameters are all drawn, times `size`.
fn model(size: f32) -> Model {
    let device = DeviceChoice::Flex.inner();
    let network = Causal {
        table: Tensor::zeros([VOCABULARY, WIDTH], &device),
        layer: LoraLinear::new("layers.0.mix", WIDTH, WIDTH, &device),
        unembedding: Tensor::zeros([VOCABULARY, WIDTH], &device),
    };
    let mut model = Model::of_network(Box::new(network), &device);
    model
        .adapt(
            &serde_yaml::from_str("{rank: 2, targets: [mix]}").unwrap(),
            1,
        )
        .unwrap();
    let roles = [Role::Base, Role::Adapter];
    let mut rng = random::rng(1, "test", "weights");
    let mut drawn = |array: Array| Array {
        values: array
            .values
            .iter()
            .map(|_| size * (2.0 * rng.random::<f32>() - 1.0))
            .collect(),
        ..array
    };
    let weights = model.export(&roles).into_iter();
    let weights: Weights = weights.map(|(name, array)| (name, drawn(array))).collect();
    model.import(&roles, &weights).unwrap();
    model
}

/// Texts of several lengths; the targets of the first are all tokens, of the others the last few; one has none.
fn split(reduction: Reduction, measurement: Measurement) -> Split {
    let mut rng = random::rng(2, "test", "texts");
    let ids: Vec<Vec<u32>> = [7, 4, 9, 5, 3]
        .iter()
        .map(|&length| {
            (0..length)
                .map(|_| rng.random_range(0..VOCABULARY as u32))
                .collect()
        })
        .collect();
    let targets = |(index, ids): (usize, &Vec<u32>)| {
        let first = [0, 2, 5, 1, 2][index];
        let at = |position: usize| NextToken {
            position: position as u32,
            token: ids[position + 1],
        };
        (first..ids.len() - 1).map(at).collect()
    };
    Split {
        targets: Targets::Tokens(TokenTargets {
            examples: ids.iter().enumerate().map(targets).collect(),
            reduction,
            measurement,
        }),
        inputs: Inputs::Tokens {
            types: Vec::new(),
            // the padding of the first is computed and predicted, but seen by none
            attended: Some(vec![4, 4, 9, 5, 3]),
            ids,
            vocabulary: VOCABULARY,
            max_length: 9,
        },
    }
}

fn whole(split: &Split) -> Batch {
    let all: Vec<usize> = (0..split.len()).collect();
    batching::batch(split, &all, &DeviceChoice::Flex.inner())
}

/// ℓ of every target of every example, from the hidden states in f64.
fn plain(model: &Model, split: &Split) -> Vec<Vec<f64>> {
    let batch = whole(split);
    let hidden = model.output(&batch, &mut Pass::Plain);
    let t = hidden.dims()[1];
    let hidden = to_f32(hidden.into_data());
    let unembedding = &model.clone().export(&[Role::Base])["unembedding"].values;
    let loss = |row: usize, next: &NextToken| {
        let at = (row * t + next.position as usize) * WIDTH;
        let logits = unembedding.chunks_exact(WIDTH).map(|u| {
            let pairs = u.iter().zip(&hidden[at..at + WIDTH]);
            pairs
                .map(|(u, h)| f64::from(*u) * f64::from(*h))
                .sum::<f64>()
        });
        let logits: Vec<f64> = logits.collect();
        logits.iter().map(|z| z.exp()).sum::<f64>().ln() - logits[next.token as usize]
    };
    let examples = targets_of(&split.targets).examples.iter().enumerate();
    let of_one = |(row, targets): (usize, &Vec<NextToken>)| {
        targets.iter().map(|next| loss(row, next)).collect()
    };
    examples.map(of_one).collect()
}

/// f32: some roundings of 6e-8 in each of the logits, which are below 10.
fn close(found: f32, expected: f64) {
    assert!(
        (f64::from(found) - expected).abs() < 2e-6,
        "{found} against {expected}"
    );
}

#[test]
fn losses_are_those_of_all_logits_at_once() {
    let model = model(1.0);
    for (reduction, measurement) in [
        (Reduction::Mean, Measurement::Loss),
        (Reduction::Sum, Measurement::Loss),
        (Reduction::Mean, Measurement::LogProbability),
    ] {
        let split = split(reduction, measurement);
        let expected = plain(&model, &split);
        let reduced = |reduction: Reduction, losses: &[f64]| {
            losses.iter().sum::<f64>() * f64::from(weight(losses.len(), reduction))
        };
        let batch = whole(&split);
        let losses = to_f32(
            TokenLoss
                .losses(&model, &batch, &mut Pass::Plain)
                .into_data(),
        );
        let asked = to_f32(
            TokenLoss
                .measurement(&model, &batch, &mut Pass::Plain)
                .into_data(),
        );
        let evaluated = TokenLoss.evaluate(&model, &split);
        let of_query = match measurement {
            Measurement::Loss => reduction,
            Measurement::LogProbability => Reduction::Sum,
        };
        for (example, tokens) in expected.iter().enumerate() {
            close(losses[example], reduced(reduction, tokens));
            close(evaluated.losses[example] as f32, reduced(reduction, tokens));
            close(asked[example], reduced(of_query, tokens));
        }
        // the last text has one token and no target
        assert_eq!((expected[4].len(), losses[4]), (0, 0.0));
    }
}

/// Gradients of an example's loss through all logits at once.
fn autodiff(model: &Model, split: &Split, example: usize) -> Vec<Vec<f32>> {
    let mut model = model.clone();
    let mut parameters = model.parameters();
    parameters
        .iter_mut()
        .for_each(|parameter| parameter.slot.require_grad());
    drop(parameters);
    let device = DeviceChoice::Flex.inner();
    let batch = batching::batch(split, &[example], &device);
    let targets = &targets_of(&batch.targets).examples[0];
    let at: Vec<i64> = targets
        .iter()
        .map(|next| i64::from(next.position))
        .collect();
    let tokens: Vec<i64> = targets.iter().map(|next| i64::from(next.token)).collect();
    let hidden = model.output(&batch, &mut Pass::Plain).squeeze_dim::<2>(0);
    let logits = model.unembed(hidden.select(0, ids(&at, &device)));
    let k = tokens.len();
    let log_softmax = activation::log_softmax(logits, 1);
    let losses = log_softmax
        .gather(1, ids(&tokens, &device).reshape([k, 1]))
        .neg();
    let mut grads = losses.mean().backward();
    let parameters = model.parameters();
    parameters
        .iter()
        .map(|parameter| parameter.slot.take_grad(&mut grads))
        .collect()
}

fn agree(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let scale = expected
        .iter()
        .fold(0.0f32, |max, value| max.max(value.abs()));
    assert!(scale > 1e-3, "something to compare");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 2e-6 * scale, "{a} against {b}");
    }
}

#[test]
fn gradients_are_those_through_all_logits() {
    let model = model(1.0);
    let split = split(Reduction::Mean, Measurement::Loss);
    let tensors = tensors(&model, &split.targets);
    let widths: Vec<usize> = tensors.iter().map(|t| t.shape.iter().product()).collect();
    let mut batched = RowBuffer::new(split.len(), widths.clone());
    let mut single = batched.clone();
    per_example::collect(&model, &split, 20, &mut batched).unwrap();
    one_by_one::collect(&model, &split, &mut single).unwrap();
    let names: Vec<String> = model
        .clone()
        .parameters()
        .iter()
        .map(|p| p.name.clone())
        .collect();
    for example in 0..4 {
        let expected = autodiff(&model, &split, example);
        for (tensor, info) in tensors.iter().enumerate() {
            let at = names.iter().position(|name| *name == info.name).unwrap();
            let row = example * widths[tensor]..(example + 1) * widths[tensor];
            agree(&batched.tensors[tensor][row.clone()], &expected[at]);
            agree(&single.tensors[tensor][row], &expected[at]);
        }
    }
    for (rows, width) in batched.tensors.iter().zip(&widths) {
        assert!(
            rows[4 * width..].iter().all(|value| *value == 0.0),
            "no target, no gradient"
        );
    }
}

/// The losses of every target, and gradients of their sum, with other sizes of chunks.
#[test]
fn chunks_and_a_trained_unembedding_change_nothing() {
    let mut model = model(1.0);
    let split = split(Reduction::Sum, Measurement::Loss);
    let of = |model: &Model, chunk: usize, base: bool| {
        let mut model = model.clone();
        for parameter in &mut model.parameters() {
            if base || parameter.role == Role::Adapter {
                parameter.slot.require_grad();
            }
        }
        let predictions = Predictions::of(&model, &whole(&split), &mut Pass::Plain);
        assert_eq!(predictions.trained, base);
        let predictions = Predictions {
            chunk,
            ..predictions
        };
        let losses = predictions.losses(&model);
        let mut grads = losses.clone().sum().backward();
        let parameters = model.parameters();
        let taken: Vec<Vec<f32>> = parameters
            .iter()
            .map(|parameter| parameter.slot.take_grad(&mut grads))
            .collect();
        (to_f32(losses.inner().into_data()), taken)
    };
    let (losses, trained) = of(&model, 1, true);
    let adapters: Vec<usize> = {
        let parameters = model.parameters();
        (0..parameters.len())
            .filter(|&i| parameters[i].role == Role::Adapter)
            .collect()
    };
    for chunk in [1, 3, 1000] {
        let (found, gradients) = of(&model, chunk, false);
        agree(&found, &losses);
        assert_eq!(adapters.len(), 2);
        for &adapter in &adapters {
            agree(&gradients[adapter], &trained[adapter]);
        }
    }
    // that of the unembedding: all examples' through all logits, times their targets
    let mut expected = vec![0.0; VOCABULARY * WIDTH];
    for example in 0..4 {
        let count = split.targets.weight(example) as f32;
        let own = autodiff(&model, &split, example).pop().unwrap();
        expected
            .iter_mut()
            .zip(own)
            .for_each(|(sum, value)| *sum += count * value);
    }
    agree(trained.last().unwrap(), &expected);
}

#[test]
fn accuracy_is_the_share_of_tokens_with_the_largest_logit() {
    let model = model(1.0);
    let mut split = split(Reduction::Mean, Measurement::Loss);
    let batch = whole(&split);
    let predictions = Predictions::of(&model, &batch, &mut Pass::Plain);
    let best = model
        .unembed(predictions.hidden)
        .argmax(1)
        .into_data()
        .convert::<i64>();
    let best = best.try_to_vec::<i64>().unwrap();
    let Targets::Tokens(targets) = &mut split.targets else {
        unreachable!("tokens")
    };
    // every third target is the likeliest token, the others are another one
    let mut right = 0;
    for (k, (next, best)) in targets.examples.iter_mut().flatten().zip(&best).enumerate() {
        let other = i64::from(k % 3 != 0);
        right += usize::from(other == 0);
        next.token = ((best + other) % VOCABULARY as i64) as u32;
    }
    let found = TokenLoss.evaluate(&model, &split).accuracy;
    assert_eq!(found, Some(right as f64 / best.len() as f64));
    assert_eq!(TokenLoss.unit(), "target tokens");
}

/// 4,000 draws at each of the targets of a text: every share within five standard errors of its probability.
#[test]
fn drawn_tokens_follow_the_softmax_at_their_positions() {
    let model = model(0.7);
    let one = split(Reduction::Mean, Measurement::Loss);
    let Inputs::Tokens { ids, .. } = &one.inputs else {
        unreachable!("tokens")
    };
    let n = 4000;
    let own = targets_of(&one.targets).examples[0].clone();
    let split = Split {
        inputs: Inputs::Tokens {
            ids: vec![ids[0].clone(); n],
            types: Vec::new(),
            attended: Some(vec![4; n]),
            vocabulary: VOCABULARY,
            max_length: 9,
        },
        targets: Targets::Tokens(TokenTargets {
            examples: vec![own.clone(); n],
            reduction: Reduction::Mean,
            measurement: Measurement::Loss,
        }),
    };
    let mut rng = random::rng(3, "test", "draws");
    let drawn = TokenLoss.sample(&model, &split, &mut rng).unwrap();
    let drawn = targets_of(&drawn);
    for (k, target) in own.iter().enumerate() {
        for token in 0..VOCABULARY as u32 {
            let next = NextToken { token, ..*target };
            let alone = Split {
                targets: Targets::Tokens(TokenTargets {
                    examples: vec![vec![next]],
                    ..drawn.clone()
                }),
                inputs: Inputs::Tokens {
                    ids: vec![ids[0].clone()],
                    types: Vec::new(),
                    attended: Some(vec![4]),
                    vocabulary: VOCABULARY,
                    max_length: 9,
                },
            };
            let p = (-plain(&model, &alone)[0][0]).exp();
            let hits = drawn
                .examples
                .iter()
                .filter(|tokens| tokens[k] == next)
                .count();
            let error = (p * (1.0 - p) / n as f64).sqrt();
            let share = hits as f64 / n as f64;
            assert!((share - p).abs() < 5.0 * error, "{share} against {p}");
        }
    }
}

/// What the target tokens contribute adds up to the gradient, for a mean as for a sum.
#[test]
fn gradients_by_token_add_up_to_the_gradient_of_the_example() {
    let model = model(1.0);
    for reduction in [Reduction::Mean, Reduction::Sum] {
        let split = split(reduction, Measurement::Loss);
        let tensors = tensors(&model, &split.targets).into_iter();
        let widths: Vec<usize> = tensors.map(|t| t.shape.iter().product()).collect();
        let mut whole = RowBuffer::new(split.len(), widths.clone());
        let losses = per_example::collect(&model, &split, 20, &mut whole).unwrap();
        let examples = [2, 0];
        let rows = per_token::rows(&split, &examples);
        assert_eq!(
            rows.iter().map(|row| row.example).collect::<Vec<_>>(),
            [2, 2, 2, 0, 0, 0, 0, 0, 0]
        );
        let mut parts = RowBuffer::new(rows.len(), widths.clone());
        let own = per_token::collect(&model, &split, &rows, 20, &mut parts).unwrap();
        for example in examples {
            let of_example = |values: &mut dyn FnMut(usize)| {
                (0..rows.len())
                    .filter(|&i| rows[i].example == example)
                    .for_each(values);
            };
            let mut loss = 0.0;
            let count = rows.iter().filter(|row| row.example == example).count();
            of_example(&mut |i| loss += f64::from(own[i] * weight(count, reduction)));
            close(losses[example], loss);
            for (tensor, &width) in widths.iter().enumerate() {
                let mut sum = vec![0.0; width];
                of_example(&mut |i| {
                    let row = &parts.tensors[tensor][i * width..(i + 1) * width];
                    sum.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                });
                agree(
                    &sum,
                    &whole.tensors[tensor][example * width..(example + 1) * width],
                );
            }
        }
    }
}
