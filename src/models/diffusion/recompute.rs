//! Gradients of a UNet that keep in memory what lies between its blocks alone (gradient checkpointing; Chen et al., 2016, arXiv
//! 1604.06174).
//!
//! The forward pass has no graph. When δ of a block's output is known, the block is led through once more, on a graph, and
//! leaves δ of its inputs, and x and δ of its adapted matrices. These are asked for from the last block to the first, so that
//! those of one block are there at a time. A third more work, and the same gradients to rounding.

use std::sync::{Arc, Mutex};

use burn::tensor::{Gradients, Tensor};

use super::unet::{Conditions, Step, Unet};
use crate::models::pass::{Pass, Replayed, Site};

/// Inputs x and output gradients δ of a block's adapted matrices.
type Pairs = Vec<Option<(Tensor<3>, Tensor<3>)>>;

/// A forward pass whose blocks are still to be led through backward.
struct Replay {
    unet: Unet,
    steps: Vec<Step>,
    conditions: Conditions,
    /// The input of the first block and the output of every one, without graph.
    values: Vec<Option<Tensor<4>>>,
    /// δ of `values`, as far as it is known.
    deltas: Vec<Option<Tensor<4>>>,
    /// The output of the last block, on the graph of what follows.
    top: Tensor<4>,
    /// Of every block, once it has been led through.
    pairs: Vec<Pairs>,
    /// Blocks that are left.
    left: usize,
}

/// A matrix of a block.
struct Matrix {
    replay: Arc<Mutex<Replay>>,
    step: usize,
    index: usize,
}

impl Replayed for Matrix {
    fn take(&self, grads: &mut Gradients) -> (Tensor<3>, Tensor<3>) {
        let mut replay = self.replay.lock().expect("nobody panics while holding it");
        replay.back_to(self.step, grads);
        let pair = replay.pairs[self.step][self.index].take();
        pair.expect("every matrix is asked for once")
    }
}

impl Replay {
    /// Leads the blocks from the last that is left down to `step` through.
    fn back_to(&mut self, step: usize, grads: &mut Gradients) {
        if self.left == self.steps.len()
            && let Some(delta) = self.top.grad_remove(grads)
        {
            self.deltas[self.left] = Some(delta);
        }
        while self.left > step {
            self.left -= 1;
            let step = &self.steps[self.left];
            let delta = self.deltas[self.left + 1].take();
            let delta = delta.expect("every block leads to the prediction");
            let inputs = step.inputs.iter().map(|&value| {
                let value = self.values[value].clone();
                value
                    .expect("it is kept until here")
                    .autodiff()
                    .require_grad()
            });
            let inputs: Vec<Tensor<4>> = inputs.collect();
            let mut pass = Pass::Probed(Vec::new());
            let out = self
                .unet
                .run(step, inputs.clone(), &self.conditions, &mut pass);
            let mut grads = (out * delta.autodiff()).sum().backward();
            for (&value, input) in step.inputs.iter().zip(&inputs) {
                if let Some(delta) = input.grad_remove(&mut grads) {
                    let sum = &mut self.deltas[value];
                    *sum = Some(match sum.take() {
                        Some(sum) => sum + delta,
                        None => delta,
                    });
                }
            }
            let sites = pass.into_sites().into_iter();
            self.pairs[self.left] = sites.map(|site| Some(site.take(&mut grads))).collect();
            self.values[self.left + 1] = None;
        }
    }
}

impl Unet {
    /// What the blocks make of x, `[n, c, h, w]`, as a leaf of a graph; the sites are those of a pass with a graph.
    pub(super) fn recomputed(
        &self,
        x: Tensor<4>,
        conditions: Conditions,
        sites: &mut Vec<Site>,
    ) -> Tensor<4> {
        let steps = self.steps();
        let mut values = vec![x.inner()];
        for step in &steps {
            let inputs = step.inputs.iter().map(|&value| values[value].clone());
            values.push(self.run(step, inputs.collect(), &conditions, &mut Pass::Plain));
        }
        let last = values.last().expect("the input is there").clone();
        let top = last.autodiff().require_grad();
        let counts: Vec<usize> = steps.iter().map(|step| self.probed_in(step)).collect();
        let replay = Arc::new(Mutex::new(Replay {
            unet: self.clone(),
            conditions,
            deltas: vec![None; values.len()],
            values: values.into_iter().map(Some).collect(),
            top: top.clone(),
            pairs: steps.iter().map(|_| Vec::new()).collect(),
            left: steps.len(),
            steps,
        }));
        for (step, count) in counts.into_iter().enumerate() {
            for index in 0..count {
                let replay = replay.clone();
                let matrix = Matrix {
                    replay,
                    step,
                    index,
                };
                sites.push(Site::replayed(Box::new(matrix)));
            }
        }
        top
    }
}
