//! A batch of the training loop: its passes, its losses and its gradients.

use burn::tensor::Gradients;

use super::run::Run;
use crate::models::parameter::{Parameter, to_f32};
use crate::models::{Batch, Model, Pass};
use crate::{batching, objectives, random};

/// A batch of the loop.
pub(super) struct Step<'a> {
    pub run: &'a Run<'a>,
    pub model: &'a Model,
    /// Its examples, those of like lengths together.
    pub pieces: &'a [Vec<usize>],
    /// Factor on the sum of the losses.
    pub scale: f64,
    /// Number of the batch in the whole run.
    pub number: usize,
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
    pub(super) fn of_piece(&self, piece: usize) -> (f64, Vec<Vec<f32>>) {
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
