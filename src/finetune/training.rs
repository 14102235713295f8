//! The loop that pretraining and fine-tuning share.

use burn::tensor::Gradients;
use rand::seq::SliceRandom;

use super::by_layer;
use super::error::FinetuneError;
use super::optimizer::{Optimizer, clip};
use crate::data::{Split, Targets};
use crate::models::parameter::{Parameter, to_f32};
use crate::models::{Batch, Dropout, Model, Pass, Role};
use crate::{batching, objectives, random};

/// One run of the loop.
pub struct Run<'a> {
    /// What is trained.
    pub roles: &'a [Role],
    /// On what.
    pub split: &'a Split,
    /// Passes over the split.
    pub epochs: usize,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches that make a step.
    pub accumulate: usize,
    /// Longest gradient of a step; `None`: of any length.
    pub max_grad_norm: Option<f64>,
    /// Learning rate at a step (from 0) of a total.
    pub lr: &'a (dyn Fn(usize, usize) -> f64 + Sync),
    /// Dropout of every training pass.
    pub dropout: Dropout,
    /// Decides order and dropout, together with `scope`.
    pub seed: u64,
    /// What the draws belong to.
    pub scope: &'a str,
    /// Which examples of the split are trained on; `None`: all.
    ///
    /// The order of the examples, the batches, the steps and their learning rates are those of the whole
    /// split; the others are passed over where they would have come. A step follows the sum of the gradients
    /// of what is left of its batch over |batch| · |kept|/n, an unbiased estimate of the mean over the kept
    /// examples; one with nothing left is no step. Examples are counted by their [weight](crate::data::Targets::weight).
    pub kept: Option<&'a [bool]>,
}

impl Run<'_> {
    /// Trains `model`; `after_epoch` hears the model, the epoch (from 1) and its mean loss.
    ///
    /// # Errors
    /// When a loss or gradient is not finite, and what `after_epoch` says.
    pub fn train(
        &self,
        model: &mut Model,
        mut optimizer: impl FnMut(Vec<usize>) -> Optimizer,
        after_epoch: &mut dyn FnMut(&Model, usize, f64) -> Result<(), FinetuneError>,
    ) -> Result<(), FinetuneError> {
        let mut values: Vec<Vec<f32>> = self
            .trained(model)
            .into_iter()
            .map(|(_, values)| values)
            .collect();
        let mut optimizer = optimizer(values.iter().map(Vec::len).collect());
        let n = self.split.len();
        let steps = n.div_ceil(self.batch_size).div_ceil(self.accumulate);
        let total = self.epochs * steps;
        let kept = self.weight((0..n).filter(|&index| self.keeps(index)));
        let (mut step, mut batches) = (0, 0);
        for (order, epoch) in orders(n, self.epochs, self.seed, self.scope).zip(1..) {
            let mut sum = 0.0;
            for group in order.chunks(self.batch_size.saturating_mul(self.accumulate)) {
                let found = self.of_group(model, group, kept, batches);
                batches += group.len().div_ceil(self.batch_size);
                if let Some((loss, mut gradients)) = found {
                    let all = gradients.iter().flatten();
                    if !loss.is_finite() || !all.clone().all(|value| value.is_finite()) {
                        let count = self.weight(group.iter().copied().filter(|&i| self.keeps(i)));
                        return Err(FinetuneError::NotFinite {
                            loss: loss / count as f64,
                            epoch,
                            step,
                        });
                    }
                    sum += loss;
                    if let Some(longest) = self.max_grad_norm {
                        clip(&mut gradients, longest);
                    }
                    optimizer.update(&mut values, &gradients, (self.lr)(step, total));
                    self.set(model, &values);
                }
                step += 1;
            }
            after_epoch(model, epoch, sum / kept as f64)?;
        }
        Ok(())
    }

    fn keeps(&self, index: usize) -> bool {
        self.kept.is_none_or(|kept| kept[index])
    }

    /// What examples count together.
    fn weight(&self, indices: impl Iterator<Item = usize>) -> usize {
        indices.map(|index| self.split.targets.weight(index)).sum()
    }

    /// Sum of the losses of what is left of the batches of a step, and the gradients that it follows; none when nothing
    /// is left. `kept` is what all examples that are trained on count, `batches` the number of batches before.
    fn of_group(
        &self,
        model: &Model,
        group: &[usize],
        kept: usize,
        batches: usize,
    ) -> Option<(f64, Vec<Vec<f32>>)> {
        let all = self.weight(0..self.split.len());
        let parts = group.len().div_ceil(self.batch_size);
        let batches = group.chunks(self.batch_size).zip(batches..);
        let results = batches.filter_map(|(batch, number)| {
            let left: Vec<usize> = batch.iter().copied().filter(|&i| self.keeps(i)).collect();
            if self.weight(left.iter().copied()) == 0 {
                return None;
            }
            // tokens count the same in all batches of a step, examples the same in their batch
            let count = match self.split.targets {
                Targets::Tokens(_) => self.weight(group.iter().copied()),
                Targets::Classes(_) | Targets::Noise(_) => parts * batch.len(),
            };
            let scale = match kept == all {
                true => 1.0 / count as f64,
                false => all as f64 / (kept * count) as f64,
            };
            Some(self.gradients(model, &left, scale, number))
        });
        results.reduce(added)
    }

    fn set(&self, model: &mut Model, values: &[Vec<f32>]) {
        let device = model.device().clone();
        let slots = model.parameters().into_iter();
        let slots = slots.filter(|parameter| self.roles.contains(&parameter.role));
        for (mut parameter, values) in slots.zip(values) {
            parameter.slot.set(values, &device);
        }
    }

    fn trained(&self, model: &mut Model) -> Vec<(String, Vec<f32>)> {
        model
            .parameters()
            .into_iter()
            .filter(|parameter| self.roles.contains(&parameter.role))
            .map(|parameter| {
                let values = parameter.slot.values();
                (parameter.name, values)
            })
            .collect()
    }

    /// Sum of the losses of a batch, the one of this `number` in the whole run, and the gradients of `scale` times it.
    fn gradients(
        &self,
        model: &Model,
        indices: &[usize],
        scale: f64,
        number: usize,
    ) -> (f64, Vec<Vec<f32>>) {
        // the sums do not depend on the number of threads, since the pieces do not
        let tokens = batching::tokens_of_a_step(self.split, indices, model);
        let objective = objectives::of(&self.split.targets);
        let views = objective.views_at_a_step(&self.split.targets);
        let pieces = batching::pieces_of_views(self.split, indices, views, tokens);
        let step = Step {
            run: self,
            model,
            pieces: &pieces,
            scale,
            number,
        };
        let results = match model.layered() {
            Some(layered) => by_layer::gradients(&step, layered),
            None => batching::map_on(model.device(), pieces.len(), |piece| step.of_piece(piece)),
        };
        results.into_iter().reduce(added).unwrap_or_default()
    }
}

/// A batch of the loop.
pub(super) struct Step<'a> {
    pub run: &'a Run<'a>,
    pub model: &'a Model,
    /// Its examples, those of like lengths together.
    pub pieces: &'a [Vec<usize>],
    /// Factor on the sum of the losses.
    scale: f64,
    /// Number of the batch in the whole run.
    number: usize,
}

impl Step<'_> {
    /// A piece and its pass, with dropout.
    pub(super) fn batch(&self, piece: usize) -> (Batch, Pass) {
        let (run, number) = (self.run, self.number);
        let random = |purpose: &str| random::rng(run.seed, run.scope, purpose);
        let pass = Pass::Training {
            dropout: run.dropout,
            rng: Box::new(random(&format!("dropout/{number}/{piece}"))),
        };
        let mut batch = batching::batch(run.split, &self.pieces[piece], self.model.device());
        let objective = objectives::of(&run.split.targets);
        batch.targets = objective.at_a_step(batch.targets.undivided(), &|place| {
            let example = self.pieces[piece][place];
            random(&format!("targets/{number}/{example}"))
        });
        (batch, pass)
    }

    /// The sum of the losses of a piece, and the gradients of what is trained.
    fn of_piece(&self, piece: usize) -> (f64, Vec<Vec<f32>>) {
        let mut model = self.model.clone();
        let is_trained = |parameter: &&mut Parameter| self.run.roles.contains(&parameter.role);
        for parameter in model.parameters().iter_mut().filter(is_trained) {
            parameter.slot.require_grad();
        }
        let (batch, mut pass) = self.batch(piece);
        let (loss, mut grads) = self.losses(&model, &batch, &mut pass);
        let parameters = model.parameters();
        let trained = parameters.iter();
        let trained = trained.filter(|parameter| self.run.roles.contains(&parameter.role));
        let taken = trained.map(|parameter| parameter.slot.take_grad(&mut grads));
        (loss, taken.collect())
    }

    /// The sum of the losses of a batch, and the gradients of what the step follows.
    pub(super) fn losses(&self, model: &Model, batch: &Batch, pass: &mut Pass) -> (f64, Gradients) {
        let objective = objectives::of(&self.run.split.targets);
        let losses = objective.losses(model, batch, pass);
        let views = losses.dims()[1] as f64;
        let grads = (losses.clone().sum() * (self.scale / views)).backward();
        let losses = to_f32(losses.inner().into_data());
        let losses = objectives::mean_over_views(&losses, batch.len());
        (losses.into_iter().map(f64::from).sum(), grads)
    }
}

/// The sums of two losses and of their gradients.
fn added(
    (loss, mut sums): (f64, Vec<Vec<f32>>),
    (other, gradients): (f64, Vec<Vec<f32>>),
) -> (f64, Vec<Vec<f32>>) {
    for (sum, gradient) in sums.iter_mut().zip(&gradients) {
        let pairs = sum.iter_mut().zip(gradient);
        pairs.for_each(|(sum, value)| *sum += value);
    }
    (loss + other, sums)
}

/// The order of n examples in every epoch.
pub fn orders(n: usize, epochs: usize, seed: u64, scope: &str) -> impl Iterator<Item = Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    (1..=epochs).map(move |epoch| {
        order.shuffle(&mut random::rng(seed, scope, &format!("order/{epoch}")));
        order.clone()
    })
}
