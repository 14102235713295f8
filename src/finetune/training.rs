//! The loop that pretraining and fine-tuning share.

use rand::seq::SliceRandom;

use super::error::FinetuneError;
use super::optimizer::{Optimizer, clip};
use crate::data::{Split, Targets};
use crate::models::parameter::to_f32;
use crate::models::{Dropout, Model, Pass, Role};
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
        let results = batching::map_on(model.device(), pieces.len(), |piece| {
            let mut model = model.clone();
            for parameter in model
                .parameters()
                .iter_mut()
                .filter(|parameter| self.roles.contains(&parameter.role))
            {
                parameter.slot.require_grad();
            }
            let rng = random::rng(self.seed, self.scope, &format!("dropout/{number}/{piece}"));
            let mut pass = Pass::Training {
                dropout: self.dropout,
                rng: Box::new(rng),
            };
            let mut batch = batching::batch(self.split, &pieces[piece], model.device());
            batch.targets = objective.at_a_step(batch.targets.undivided(), &|place| {
                let example = pieces[piece][place];
                random::rng(
                    self.seed,
                    self.scope,
                    &format!("targets/{number}/{example}"),
                )
            });
            let losses = objective.losses(&model, &batch, &mut pass);
            let views = losses.dims()[1] as f64;
            let mut grads = (losses.clone().sum() * (scale / views)).backward();
            let losses = to_f32(losses.inner().into_data());
            let loss: f64 = objectives::mean_over_views(&losses, pieces[piece].len())
                .into_iter()
                .map(f64::from)
                .sum();
            let taken: Vec<Vec<f32>> = model
                .parameters()
                .iter()
                .filter(|parameter| self.roles.contains(&parameter.role))
                .map(|parameter| parameter.slot.take_grad(&mut grads))
                .collect();
            (loss, taken)
        });
        results.into_iter().reduce(added).unwrap_or_default()
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
