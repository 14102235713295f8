//! Next-token cross-entropy in nats at the target positions of a language model; one view.
//!
//! `ℓ_k = logsumexp(z_k) − z_k[y_k]` with z_k = unembed(h_k) for every target k of an example; its loss is the mean or the
//! sum of them ([`Reduction`]), 0 without targets. A prediction is right when the logit of its token is the largest;
//! accuracy is the share of all target tokens of a split.
//!
//! A vocabulary of 50,000 makes 200 KB of logits a position, so logits exist for the targets alone and for some of them
//! at a time. The gradient δ_k = ∂ℓ_k/∂h_k of such a chunk is taken right after its logits, by a backward pass of its own;
//! what stays on the graph is Σ h_k·δ_k, which has the same gradient. This wants an unembedding that is not trained;
//! one that is trained has all its logits on the graph.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor};
use rand::RngExt;

use super::objective::{Evaluation, Objective, Right, SampleError, map_pieces};
use super::softmax::{cross_entropy, draw};
use crate::data::{Measurement, NextToken, Reduction, Split, Targets, TokenTargets};
use crate::models::parameter::to_f32;
use crate::models::{Batch, Model, Pass, ops};
use crate::random::Rng;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct TokenLoss;

/// Logits at a time on the CPU: 32 MiB.
const LOGITS: usize = 1 << 23;
/// Logits at a time on a GPU: 512 MiB.
const LOGITS_ON_GPU: usize = 1 << 27;

/// The hidden states that predict the targets of a batch, in the order of its examples.
struct Predictions {
    /// `[k, width]`.
    hidden: Tensor<2>,
    /// The ids that they are to predict, k.
    tokens: Vec<u32>,
    /// Number of targets of every example.
    counts: Vec<usize>,
    /// How many targets have their logits computed at a time.
    chunk: usize,
    /// Whether the unembedding is trained.
    trained: bool,
}

impl Predictions {
    /// A forward pass. A batch without any target has one that belongs to no example, so that losses are on the graph.
    fn of(model: &Model, batch: &Batch, pass: &mut Pass) -> Self {
        let targets = targets_of(&batch.targets);
        let output = model.output(batch, pass);
        let [n, t, width] = output.dims();
        let counts: Vec<usize> = targets.examples.iter().map(Vec::len).collect();
        assert_eq!(counts.len(), n, "targets of every row");
        let all = targets
            .examples
            .iter()
            .enumerate()
            .flat_map(|(row, targets)| {
                let at = move |next: &NextToken| (row * t + next.position as usize) as i64;
                targets.iter().map(move |next| (at(next), next.token))
            });
        let (mut at, mut tokens): (Vec<i64>, Vec<u32>) = all.unzip();
        if at.is_empty() {
            at.push(0);
            tokens.push(0);
        }
        let hidden = output
            .reshape([n * t, width])
            .select(0, ids(&at, &batch.device));
        let probe = model.unembed(hidden.clone().inner().narrow(0, 0, 1));
        let at_a_time = match ops::in_memory(&batch.device) {
            true => LOGITS,
            false => LOGITS_ON_GPU,
        };
        Self {
            hidden,
            tokens,
            counts,
            chunk: (at_a_time / probe.dims()[1].max(1)).max(1),
            trained: probe.is_autodiff(),
        }
    }

    fn chunks(&self) -> impl Iterator<Item = Range<usize>> {
        let k = self.tokens.len();
        (0..k)
            .step_by(self.chunk)
            .map(move |first| first..k.min(first + self.chunk))
    }

    fn tokens(&self, chunk: Range<usize>) -> Tensor<2, Int> {
        let tokens: Vec<i64> = self.tokens[chunk]
            .iter()
            .map(|&token| i64::from(token))
            .collect();
        let k = tokens.len();
        ids(&tokens, &self.hidden.clone().inner().device()).reshape([k, 1])
    }

    /// ℓ of every target, `[k, 1]`, on the graph of the pass.
    fn losses(&self, model: &Model) -> Tensor<2> {
        let whole = 0..self.tokens.len();
        if self.trained {
            let logits = model.unembed(self.hidden.clone());
            return cross_entropy(logits, self.tokens(whole));
        }
        let rows = |chunk: &Range<usize>| {
            let hidden = self.hidden.clone().inner();
            hidden.narrow(0, chunk.start, chunk.len())
        };
        if !self.hidden.is_autodiff() {
            let losses = self
                .chunks()
                .map(|chunk| cross_entropy(model.unembed(rows(&chunk)), self.tokens(chunk)));
            return Tensor::cat(losses.collect(), 0);
        }
        let parts = self.chunks().map(|chunk| {
            let leaf = rows(&chunk).autodiff().require_grad();
            let losses = cross_entropy(model.unembed(leaf.clone()), self.tokens(chunk));
            let mut grads = losses.clone().sum().backward();
            let delta = leaf.grad_remove(&mut grads);
            (
                losses.inner(),
                delta.expect("the loss depends on its logits"),
            )
        });
        let (losses, deltas): (Vec<_>, Vec<_>) = parts.unzip();
        let carried = (self.hidden.clone() * Tensor::cat(deltas, 0).autodiff()).sum_dim(1);
        carried.clone() - carried.detach() + Tensor::cat(losses, 0).autodiff()
    }

    /// Numbers of the targets, `[k, 1]`, to those of the examples, `[n, 1]`.
    fn reduced(&self, losses: Tensor<2>, reduction: Reduction) -> Tensor<2> {
        let (n, k) = (self.counts.len(), self.tokens.len());
        let mut weights = vec![0.0f32; n * k];
        let mut first = 0;
        for (row, &count) in weights.chunks_exact_mut(k).zip(&self.counts) {
            row[first..first + count].fill(weight(count, reduction));
            first += count;
        }
        let weights: Tensor<1> = Tensor::from_data(weights.as_slice(), &self.hidden.device());
        weights.reshape([n, k]).cast(losses.dtype()).matmul(losses)
    }
}

/// What the loss of one of `count` targets counts in that of the example.
fn weight(count: usize, reduction: Reduction) -> f32 {
    match reduction {
        Reduction::Mean => 1.0 / count.max(1) as f32,
        Reduction::Sum => 1.0,
    }
}

fn targets_of(targets: &Targets) -> &TokenTargets {
    match targets {
        Targets::Tokens(targets) => targets,
        _ => unreachable!("the objective is chosen by the kind of the targets"),
    }
}

fn ids(ids: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(ids, device)
}

fn losses(model: &Model, batch: &Batch, pass: &mut Pass, reduction: Reduction) -> Tensor<2> {
    let predictions = Predictions::of(model, batch, pass);
    predictions.reduced(predictions.losses(model), reduction)
}

impl Objective for TokenLoss {
    fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        losses(model, batch, pass, targets_of(&batch.targets).reduction)
    }

    /// The loss, or the negative log-probability of all targets together ([`Measurement`]).
    fn measurement(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> Tensor<2> {
        let targets = targets_of(&batch.targets);
        let reduction = match targets.measurement {
            Measurement::Loss => targets.reduction,
            Measurement::LogProbability => Reduction::Sum,
        };
        losses(model, batch, pass, reduction)
    }

    /// A token for every target position, each given the data's own tokens before it. One number a target from `rng`, in
    /// the order of the examples, and one forward pass.
    fn sample(&self, model: &Model, split: &Split, rng: &mut Rng) -> Result<Targets, SampleError> {
        let mut targets = targets_of(&split.targets).clone();
        let of_an_example = |tokens: &Vec<NextToken>| tokens.iter().map(|_| rng.random()).collect();
        let draws: Vec<Vec<f64>> = targets.examples.iter().map(of_an_example).collect();
        let pieces = map_pieces(model, split, |model, batch, indices| {
            let uniforms: Vec<f64> = indices.iter().flat_map(|&i| &draws[i]).copied().collect();
            if uniforms.is_empty() {
                return Vec::new();
            }
            let predictions = Predictions::of(model, &batch, &mut Pass::Plain);
            let drawn = predictions.chunks().flat_map(|chunk| {
                let hidden = predictions.hidden.clone();
                let logits = model.unembed(hidden.narrow(0, chunk.start, chunk.len()));
                let vocabulary = logits.dims()[1];
                let logits = to_f32(logits.inner().into_data());
                let rows = logits.chunks_exact(vocabulary).zip(&uniforms[chunk]);
                rows.map(|(row, &uniform)| draw(row, uniform))
                    .collect::<Vec<_>>()
            });
            drawn.collect()
        });
        for (indices, drawn) in pieces {
            let mut drawn = drawn.into_iter();
            for example in indices {
                for next in &mut targets.examples[example] {
                    let token = drawn.next().flatten();
                    next.token = token.ok_or(SampleError::NotFinite { example })? as u32;
                }
            }
        }
        Ok(Targets::Tokens(targets))
    }

    fn unit(&self) -> &'static str {
        "target tokens"
    }

    fn evaluate(&self, model: &Model, split: &Split) -> Evaluation {
        let reduction = targets_of(&split.targets).reduction;
        let pieces = map_pieces(model, split, |model, batch, indices| {
            let predictions = Predictions::of(model, &batch, &mut Pass::Plain);
            let of = predictions.counts.iter().sum();
            if of == 0 {
                return (vec![0.0; indices.len()], Right { count: 0, of });
            }
            let (mut losses, mut right) = (Vec::new(), 0);
            for chunk in predictions.chunks() {
                let hidden = predictions.hidden.clone();
                let logits = model.unembed(hidden.narrow(0, chunk.start, chunk.len()));
                let tokens = predictions.tokens(chunk);
                let hits = logits.clone().argmax(1).equal(tokens.clone()).int().sum();
                right += hits.into_scalar::<i64>() as usize;
                let of_chunk = cross_entropy(logits, tokens);
                losses.extend(to_f32(of_chunk.inner().into_data()));
            }
            let mut losses = losses.into_iter().map(f64::from);
            let of_an_example = |&count: &usize| {
                let sum: f64 = losses.by_ref().take(count).sum();
                (sum * f64::from(weight(count, reduction))) as f32
            };
            let losses = predictions.counts.iter().map(of_an_example).collect();
            (losses, Right { count: right, of })
        });
        let pieces = pieces.map(|(indices, (losses, right))| (indices, losses, Some(right)));
        Evaluation::new(split.len(), pieces)
    }
}

#[cfg(test)]
mod tests;
