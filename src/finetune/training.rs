//! The loop that pretraining and fine-tuning share.

use rand::seq::SliceRandom;

use super::by_layer;
use super::error::FinetuneError;
use super::optimizer::{Optimizer, added, clip};
use super::run::Run;
use super::step::Step;
use crate::data::Targets;
use crate::models::Model;
use crate::{batching, objectives, random};

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

/// The order of n examples in every epoch.
pub fn orders(n: usize, epochs: usize, seed: u64, scope: &str) -> impl Iterator<Item = Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    (1..=epochs).map(move |epoch| {
        order.shuffle(&mut random::rng(seed, scope, &format!("order/{epoch}")));
        order.clone()
    })
}
