//! The loop that pretraining and fine-tuning share.

use rand::seq::SliceRandom;

use super::error::FinetuneError;
use super::optimizer::Optimizer;
use crate::data::Split;
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
    /// Examples a step.
    pub batch_size: usize,
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
    /// examples; one with nothing left is no step.
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
        let total = self.epochs * n.div_ceil(self.batch_size);
        let mut step = 0;
        let keeps = |index: &usize| self.kept.is_none_or(|kept| kept[*index]);
        let count = (0..n).filter(keeps).count();
        for (order, epoch) in orders(n, self.epochs, self.seed, self.scope).zip(1..) {
            let mut sum = 0.0;
            for batch in order.chunks(self.batch_size) {
                let indices: Vec<usize> = batch.iter().copied().filter(keeps).collect();
                if indices.is_empty() {
                    step += 1;
                    continue;
                }
                let scale = match count {
                    all if all == n => 1.0 / batch.len() as f64,
                    _ => n as f64 / (count * batch.len()) as f64,
                };
                let (loss, gradients) = self.gradients(model, &indices, scale, step);
                let finite =
                    loss.is_finite() && gradients.iter().flatten().all(|value| value.is_finite());
                if !finite {
                    return Err(FinetuneError::NotFinite {
                        loss: loss / indices.len() as f64,
                        epoch,
                        step,
                    });
                }
                sum += loss;
                optimizer.update(&mut values, &gradients, (self.lr)(step, total));
                let device = model.device().clone();
                let mut slots: Vec<_> = model
                    .parameters()
                    .into_iter()
                    .filter(|parameter| self.roles.contains(&parameter.role))
                    .collect();
                for (parameter, values) in slots.iter_mut().zip(&values) {
                    parameter.slot.set(values, &device);
                }
                step += 1;
            }
            after_epoch(model, epoch, sum / count as f64)?;
        }
        Ok(())
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

    /// Sum of the losses of a batch, and the gradients of `scale` times it.
    fn gradients(
        &self,
        model: &Model,
        indices: &[usize],
        scale: f64,
        step: usize,
    ) -> (f64, Vec<Vec<f32>>) {
        // the sums do not depend on the number of threads, since the pieces do not
        let tokens = batching::tokens_of_a_step(self.split, indices, model);
        let pieces = batching::pieces(self.split, indices, tokens);
        let objective = objectives::of(&self.split.targets);
        let results = batching::map_on(model.device(), pieces.len(), |piece| {
            let mut model = model.clone();
            for parameter in model
                .parameters()
                .iter_mut()
                .filter(|parameter| self.roles.contains(&parameter.role))
            {
                parameter.slot.require_grad();
            }
            let rng = random::rng(self.seed, self.scope, &format!("dropout/{step}/{piece}"));
            let mut pass = Pass::Training {
                dropout: self.dropout,
                rng: Box::new(rng),
            };
            let batch = batching::batch(self.split, &pieces[piece], model.device());
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
        results
            .into_iter()
            .reduce(|(loss, mut sums), (other, gradients)| {
                for (sum, gradient) in sums.iter_mut().zip(&gradients) {
                    sum.iter_mut()
                        .zip(gradient)
                        .for_each(|(sum, value)| *sum += value);
                }
                (loss + other, sums)
            })
            .unwrap_or_default()
    }
}

/// The order of n examples in every epoch.
pub fn orders(n: usize, epochs: usize, seed: u64, scope: &str) -> impl Iterator<Item = Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    (1..=epochs).map(move |epoch| {
        order.shuffle(&mut random::rng(seed, scope, &format!("order/{epoch}")));
        order.clone()
    })
}
