//! Gradients with a given spectrum, for the solvers' own tests.

use super::layout::{BlockLayout, Blocks};
use super::precision::Precision;
use super::view::Block;
use crate::gradients::store::{GradientStore, TensorInfo};

/// Gradients whose Fisher is diagonal.
pub(crate) struct Axes {
    store: GradientStore,
    layout: BlockLayout,
}

impl Axes {
    /// F = diag(values, 0, …), d×d, to single precision: one example along each axis.
    pub(crate) fn new(values: &[f64], d: usize) -> Self {
        let n = values.len();
        let entry = |k: usize| {
            let (i, j) = (k / d, k % d);
            if i == j {
                (values[i] * n as f64).sqrt() as f32
            } else {
                0.0
            }
        };
        let tensor = (TensorInfo::new("t", [d]), (0..n * d).map(entry).collect());
        let store = GradientStore::from_memory(n, vec![tensor]).unwrap();
        let layout = BlockLayout::new(store.tensors(), Blocks::Whole);
        Self { store, layout }
    }

    pub(crate) fn block(&self) -> Block<'_> {
        Block::new(&self.store, &self.layout.blocks()[0], Precision::F64, 1, 3)
    }
}
