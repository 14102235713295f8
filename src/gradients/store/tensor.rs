//! What a store knows of a tensor.

/// One trained matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, e.g. `encoder.layer.0.attention.value.lora_A.weight`.
    pub name: String,
    /// Shape of one example's gradient, e.g. `[r, in]`.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// A tensor by its name and one example's shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self {
            name: name.into(),
            shape: shape.into(),
        }
    }

    /// Numbers in one example's gradient: the product of `shape` (1 for an empty shape).
    pub fn dim(&self) -> usize {
        self.shape.iter().product()
    }
}
