//! Kronecker factors of the Fisher of every trained matrix.
//!
//! For y = W x with x_t the input and δ_t the gradient at the output for token t of an example, the example's
//! gradient is Σ_t δ_t x_tᵀ, and K-FAC takes F ≈ S ⊗ A for gradients flattened row-major, with
//!
//!   A = Σ_{n,t} x xᵀ / (number of tokens of all examples),  S = Σ_{n,t} δ δᵀ / (number of examples):
//!
//! the variant *expand* of Eschenhagen et al., 2023 (arXiv 2311.00636), which Grosse et al., 2023 (arXiv
//! 2308.03296) use for influence. Tokens are those that the layer's output is computed for and the loss depends
//! on: no padding, and the first position alone where the network looks at nothing else.
//!
//! The matrices of an adapter y = W x + s·B A x are linear layers themselves. A `[r, in]` has the inputs x and
//! the output gradients s·Bᵀδ; B `[out, r]` has the inputs s·A x and the output gradients δ: the scale s stands
//! on the side of size r, so that Σ_t δ_t x_tᵀ of either is the gradient as it is stored.

mod files;
mod sums;

use faer::Mat;

pub(super) use sums::{FactorSums, PieceSums, Views};

/// The two factors of every tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct KroneckerFactors {
    /// One entry a tensor, in any order: they are found by name.
    pub tensors: Vec<TensorFactors>,
}

/// The factors of one tensor whose gradient is `[out, in]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorFactors {
    /// The tensor's name.
    pub name: String,
    /// A = Σ x xᵀ / (number of tokens of all examples), `[in, in]`.
    pub inputs: Mat<f64>,
    /// S = Σ δ δᵀ / (number of examples), `[out, out]`, summed over tokens.
    pub outputs: Mat<f64>,
    /// Tokens of all examples over the number of examples; `None` when a file does not say. No method of ours
    /// needs it: other libraries divide S by the number of tokens.
    pub tokens: Option<f64>,
}

impl KroneckerFactors {
    /// The factors of the tensor `name`.
    pub fn get(&self, name: &str) -> Option<&TensorFactors> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Size of both factors of all tensors, bytes.
    pub fn bytes(&self) -> u64 {
        let numbers =
            |tensor: &TensorFactors| tensor.inputs.nrows().pow(2) + tensor.outputs.nrows().pow(2);
        self.tensors.iter().map(|t| 8 * numbers(t) as u64).sum()
    }
}
