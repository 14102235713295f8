//! Kronecker factors of the Fisher of every trained matrix.

use faer::Mat;

/// The two factors of every tensor, in the order of the gradient tensors.
///
/// For y = W x with x_t the input and δ_t the gradient at the output for token t of an example, the example's
/// gradient is Σ_t δ_t x_tᵀ, and K-FAC takes F ≈ S ⊗ A for gradients flattened row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct KroneckerFactors {
    /// One entry a tensor.
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
}
