//! The loop that both stages share: batches in pieces over the threads, AdamW, moving average, states on disk.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

use super::error::PretrainingError;
use super::settings::TrainingSettings;
use super::state::State;
use crate::batching;
use crate::finetune::optimizer::{AdamW, added, clip};
use crate::models::parameter::{Parameter, to_f32};
use crate::progress::Progress;
use crate::random::{self, Rng};

/// β of AdamW.
const BETAS: [f64; 2] = [0.9, 0.99];
/// Longest gradient.
const NORM: f64 = 1.0;
/// Time between two states on disk.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What is trained in a stage.
pub(super) trait Trainee: Clone + Sync {
    /// What a step sees of its examples.
    type Batch: Sync;

    /// Every parameter in a stable order.
    fn parameters(&mut self) -> Vec<Parameter<'_>>;

    /// Draws `count` examples of a step.
    fn draw(&self, count: usize, rng: &mut Rng) -> Self::Batch;

    /// Losses of the examples `range` of a step, `[range]`, on the graph.
    fn losses(&self, batch: &Self::Batch, range: std::ops::Range<usize>) -> Tensor<1>;
}

/// One stage of training.
pub(super) struct Training<'a> {
    /// Its name, in messages and as scope of what is drawn.
    pub stage: &'static str,
    /// How.
    pub settings: &'a TrainingSettings,
    /// Decides what is drawn.
    pub seed: u64,
    /// Examples that one thread takes at a time.
    pub piece: usize,
    /// File of the state.
    pub path: &'a Path,
    /// Key of the whole run.
    pub key: &'a str,
    /// Where it is computed.
    pub device: &'a Device,
    /// Hears of every step.
    pub progress: &'a Progress,
    /// Ends the run after so many further steps of this stage, as a kill would; for tests.
    pub stop_after: Option<usize>,
}

impl Training<'_> {
    /// Trains from the state on disk or from the start, and leaves the moving average in `trainee`. The loss of every
    /// step comes back; nothing when the run was stopped.
    pub fn run<T: Trainee>(&self, trainee: &mut T) -> Result<Option<Vec<f32>>, PretrainingError> {
        let values = trainee.parameters().into_iter().map(|p| p.slot.values());
        let start = State::new(values.collect());
        let mut state = start.load(self.path)?.unwrap_or(start);
        let begun = state.losses.len();
        self.set(trainee, &state.values);
        let mut saved = Instant::now();
        for step in begun..self.settings.steps {
            if self.stop_after.is_some_and(|after| step - begun >= after) {
                state.save(self.path, self.key)?;
                return Ok(None);
            }
            self.step(trainee, &mut state, step)?;
            self.progress.count("steps", step + 1, self.settings.steps);
            if saved.elapsed() > SAVE_EVERY || step + 1 == self.settings.steps {
                state.save(self.path, self.key)?;
                saved = Instant::now();
            }
        }
        let kept = if self.settings.ema > 0.0 {
            &state.average
        } else {
            &state.values
        };
        self.set(trainee, kept);
        Ok(Some(state.losses))
    }

    fn set<T: Trainee>(&self, trainee: &mut T, values: &[Vec<f32>]) {
        for (mut parameter, values) in trainee.parameters().into_iter().zip(values) {
            parameter.slot.set(values, self.device);
        }
    }

    fn step<T: Trainee>(
        &self,
        trainee: &mut T,
        state: &mut State,
        step: usize,
    ) -> Result<(), PretrainingError> {
        let settings = self.settings;
        let n = settings.batch_size;
        let mut rng = random::rng(self.seed, self.stage, &format!("step/{step}"));
        let batch = trainee.draw(n, &mut rng);
        let pieces = n.div_ceil(self.piece);
        let results = batching::map_on(self.device, pieces, |piece| {
            let mut own = trainee.clone();
            for parameter in &mut own.parameters() {
                parameter.slot.require_grad();
            }
            let range = piece * self.piece..((piece + 1) * self.piece).min(n);
            let losses = own.losses(&batch, range);
            let mut grads = (losses.clone().sum() / n as f64).backward();
            let losses = to_f32(losses.inner().into_data());
            let parameters = own.parameters();
            let taken = parameters.iter().map(|p| p.slot.take_grad(&mut grads));
            let taken: Vec<Vec<f32>> = taken.collect();
            (losses.iter().copied().map(f64::from).sum::<f64>(), taken)
        });
        // in the order of the pieces, whatever the number of threads
        let sum = results.into_iter().reduce(added);
        let (loss, mut gradients) = sum.expect("a batch has examples");
        let loss = loss / n as f64;
        let finite = gradients.iter().flatten().all(|value| value.is_finite());
        if !loss.is_finite() || !finite {
            return Err(PretrainingError::NotFinite {
                stage: self.stage,
                step: step + 1,
                loss,
            });
        }
        clip(&mut gradients, NORM);
        let optimizer = AdamW {
            betas: BETAS,
            weight_decay: settings.weight_decay,
        };
        let lr = settings.lr_at(step);
        optimizer.update(&mut state.values, &gradients, &mut state.moments, step, lr);
        if settings.ema > 0.0 {
            let keep = settings.ema_at(step) as f32;
            for (average, values) in state.average.iter_mut().zip(&state.values) {
                let pairs = average.iter_mut().zip(values);
                pairs.for_each(|(average, value)| *average += (1.0 - keep) * (value - *average));
            }
        }
        state.losses.push(loss as f32);
        self.set(trainee, &state.values);
        Ok(())
    }
}
