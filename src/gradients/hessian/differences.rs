//! The Hessian by central differences of gradients, everything in f64.
//!
//! Column j of H = ∂²L̄/∂θ² is (∇L̄(θ + h e_j) − ∇L̄(θ − h e_j))/2h. The model's parameters and inputs, which are f32, are
//! widened, and forward and backward pass are the framework's own operations in f64, not the fused ones that
//! gradients are taken with. The error of an entry is h²/6·|∂⁴L̄| from the differences and about ε·|∂L̄|/h from rounding,
//! ε = 2⁻⁵³; they are of one size where h is the cube root of ε. With h = 2⁻¹⁷·max(1, |θ_j|) both are near 1e-11 of
//! derivatives of order one, so that steps of two sizes (Richardson) would gain nothing that the f32 gradients of
//! the other methods could show. Errors that differ between H_ij and H_ji are seen in
//! [`asymmetry`](super::Hessians::asymmetry).
//!
//! Dropout is off, the labels are the data's; weight decay, which no gradient here has in it, has no part in H.

use faer::Mat;
use thiserror::Error;

use super::{HessianGroup, Hessians};
use crate::batching;
use crate::data::Split;
use crate::models::{Batch, GradientTensor, Model, Pass};
use crate::objectives::{self, Objective};

/// Step, in units of max(1, |θ|).
pub const STEP: f64 = 1.0 / (1 << 17) as f64;
/// Positions in one pass: operations of a small model cost little more for many of them.
const TOKENS: usize = 2048;
/// Columns between two reports of progress.
const COLUMNS: usize = 32;

/// Why there is no Hessian.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HessianError {
    /// More parameters than allowed.
    #[error(
        "the Hessian of {found} parameters takes {} passes over the training examples and as many squared numbers; {limit} parameters is the largest allowed (option `limit`)", 2 * found
    )]
    TooLarge {
        /// Σ d.
        found: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// Rows of gradients that are not those of one loss.
    #[error(
        "the gradients of {views} views of an example are concatenated, and a row of them is not the gradient of a loss that could have a Hessian; join them by `averaged`"
    )]
    Concatenated {
        /// How many.
        views: usize,
    },
    /// A model that is not in memory.
    #[error(
        "the Hessian is taken of a model that is in memory as a whole; the layers of this one are streamed: set model.stream to false"
    )]
    Streamed,
    /// A derivative that is NaN or infinite.
    #[error("second derivatives of tensor `{tensor}` are not finite")]
    NotFinite {
        /// The tensor.
        tensor: String,
    },
}

/// H of all gradient tensors of the model together, one group: 2·Σd forward and backward passes over `split`, (Σd)²
/// numbers. `progress` hears how many columns are done, of how many. The same bytes for any number of threads.
///
/// # Errors
/// When Σd is above `limit` or views are concatenated, before anything is computed, and when a derivative is not finite.
pub fn hessian(
    model: &Model,
    split: &Split,
    limit: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Hessians, HessianError> {
    let views = split.targets.stacked_views();
    if views > 1 {
        return Err(HessianError::Concatenated { views });
    }
    if model.layered().is_some() {
        return Err(HessianError::Streamed);
    }
    let found = model.gradient_tensors().iter().map(dim).sum();
    if found > limit {
        return Err(HessianError::TooLarge { found, limit });
    }
    let loss = MeanLoss::new(model, split);
    let size = found;
    let mut matrix = Mat::zeros(size, size);
    for first in (0..size).step_by(COLUMNS) {
        progress(first, size);
        let count = COLUMNS.min(size - first);
        let columns = batching::map_on(model.device(), count, |k| {
            loss.second_derivatives(first + k)
        });
        for (k, column) in columns.iter().enumerate() {
            for (i, value) in column.iter().enumerate() {
                matrix[(i, first + k)] = *value;
            }
        }
    }
    progress(size, size);
    let mut rows = 0;
    for tensor in &loss.tensors {
        let own = rows..rows + dim(tensor);
        rows = own.end;
        let finite = |i| (0..size).all(|j| f64::is_finite(matrix[(i, j)]));
        if !own.into_iter().all(finite) {
            let tensor = tensor.name.clone();
            return Err(HessianError::NotFinite { tensor });
        }
    }
    let named = |tensor: &GradientTensor| (tensor.name.clone(), dim(tensor));
    Ok(Hessians {
        groups: vec![HessianGroup {
            tensors: loss.tensors.iter().map(named).collect(),
            matrix,
        }],
    })
}

fn dim(tensor: &GradientTensor) -> usize {
    tensor.shape.iter().product()
}

/// L̄ as a function of the gradient tensors, in f64.
pub struct MeanLoss {
    model: Model,
    tensors: Vec<GradientTensor>,
    /// The tensors' numbers, row-major, one tensor after another.
    values: Vec<f64>,
    batches: Vec<Batch>,
    examples: f64,
    objective: &'static dyn Objective,
}

impl MeanLoss {
    /// The mean loss of `split`.
    pub fn new(model: &Model, split: &Split) -> Self {
        let mut model = model.clone();
        model.widen();
        let tensors = model.gradient_tensors();
        let mut values = Vec::new();
        for tensor in &tensors {
            let parameters = model.parameters();
            let found = parameters.iter().find(|p| p.name == tensor.name);
            let found = found.expect("gradient tensors are parameters");
            values.extend(found.slot.wide_values());
        }
        let all: Vec<usize> = (0..split.len()).collect();
        let pieces = batching::pieces(split, &all, TOKENS);
        let batch = |piece: &Vec<usize>| batching::batch(split, piece, model.device()).widen();
        Self {
            batches: pieces.iter().map(batch).collect(),
            examples: split.len() as f64,
            objective: objectives::of(&split.targets),
            model,
            tensors,
            values,
        }
    }

    /// The point at which the model stands: its gradient tensors one after another, `[Σ d]`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// L̄ and ∇L̄ `[Σ d]` at other values of the gradient tensors.
    pub fn gradient(&self, values: &[f64]) -> (f64, Vec<f64>) {
        let mut model = self.model.clone();
        let device = model.device().clone();
        let mut first = 0;
        let mut places = Vec::new();
        for tensor in &self.tensors {
            let own = first..first + dim(tensor);
            first = own.end;
            let mut parameters = model.parameters();
            let at = parameters.iter().position(|p| p.name == tensor.name);
            let at = at.expect("gradient tensors are parameters");
            let slot = &mut parameters[at].slot;
            slot.set_wide(&values[own.clone()], &device);
            slot.require_grad();
            places.push((at, own));
        }
        let mut gradient = vec![0.0; values.len()];
        let mut loss = 0.0;
        for batch in &self.batches {
            let losses = self.objective.losses(&model, batch, &mut Pass::Plain);
            let views = losses.dims()[1];
            let sum = losses.sum() / views as f64;
            let mut grads = sum.backward();
            let found = sum.inner().into_data().try_into_vec::<f64>();
            loss += found.expect("a widened model computes in f64")[0];
            let parameters = model.parameters();
            for (at, own) in &places {
                let taken = parameters[*at].slot.take_wide_grad(&mut grads);
                for (total, value) in gradient[own.clone()].iter_mut().zip(taken) {
                    *total += value;
                }
            }
        }
        gradient
            .iter_mut()
            .for_each(|value| *value /= self.examples);
        (loss / self.examples, gradient)
    }

    /// Column j of H.
    fn second_derivatives(&self, j: usize) -> Vec<f64> {
        let step = STEP * self.values[j].abs().max(1.0);
        let at = |value: f64| {
            let mut values = self.values.clone();
            values[j] = value;
            self.gradient(&values).1
        };
        let (above, below) = (self.values[j] + step, self.values[j] - step);
        // the distance that rounding has left of 2h
        let distance = above - below;
        let (above, below) = (at(above), at(below));
        let pairs = above.iter().zip(&below);
        pairs.map(|(a, b)| (a - b) / distance).collect()
    }
}
