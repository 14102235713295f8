//! One block of the training gradients, as the methods see it.

use std::ops::Range;

use super::element::Element;
use super::layout::{BlockShape, Segment};
use crate::config::influence::Precision;
use crate::gradients::store::GradientStore;

/// The training gradients G of one block, `[n, d]`, with what a method may need to know besides.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    store: &'a GradientStore,
    shape: &'a BlockShape,
    precision: Precision,
    queries: usize,
    seed: u64,
    panel: PanelLimits,
}

/// Largest panel that a product takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct PanelLimits {
    /// Rows (examples); `None` leaves it to the size in bytes.
    pub rows: Option<usize>,
    /// Columns: single-precision sums run over no more than these before they are carried on in f64.
    pub columns: usize,
}

impl Default for PanelLimits {
    fn default() -> Self {
        Self { rows: None, columns: 4096 }
    }
}

/// Columns of one tensor of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slab {
    /// The tensor in the store.
    pub tensor: usize,
    /// Columns of the tensor.
    pub columns: Range<usize>,
    /// Where they begin in the block.
    pub offset: usize,
}

impl<'a> Block<'a> {
    /// A block of `store`; `queries` is how many query gradients will be asked for (it decides which
    /// factorisation is cheaper), `seed` is what seeded methods draw from.
    ///
    /// # Panics
    /// When `shape` was made for other tensors.
    pub fn new(store: &'a GradientStore, shape: &'a BlockShape, precision: Precision, queries: usize, seed: u64) -> Self {
        for segment in &shape.segments {
            assert_eq!(store.tensors()[segment.tensor].dim(), segment.dim, "block `{}` was laid out for other tensors", shape.name);
        }
        Self { store, shape, precision, queries, seed, panel: PanelLimits::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shape.name
    }

    /// Number of training examples n.
    pub fn rows(&self) -> usize {
        self.store.rows()
    }

    /// Size d.
    pub fn dim(&self) -> usize {
        self.shape.dim
    }

    /// Number of queries to come.
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// What seeded methods draw from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Precision of the products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same block with products in another precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    #[cfg(test)]
    pub(super) fn with_panel(self, panel: PanelLimits) -> Self {
        Self { panel, ..self }
    }

    pub(super) fn store(&self) -> &'a GradientStore {
        self.store
    }

    pub(super) fn segments(&self) -> &'a [Segment] {
        &self.shape.segments
    }

    /// The columns of the block in pieces of at most the panel's width, each within one tensor.
    pub(super) fn slabs(&self, width: usize) -> impl DoubleEndedIterator<Item = Slab> + use<'a> {
        let width = width.max(1);
        self.shape.segments.iter().flat_map(move |segment| {
            (0..segment.dim.div_ceil(width)).map(move |i| {
                let columns = i * width..((i + 1) * width).min(segment.dim);
                Slab { tensor: segment.tensor, offset: segment.offset + columns.start, columns }
            })
        })
    }

    /// The slabs of a product.
    pub(super) fn panel_slabs(&self) -> impl DoubleEndedIterator<Item = Slab> + use<'a> {
        self.slabs(self.panel.columns)
    }

    /// The rows in chunks that keep a panel of `T` within [`Element::PANEL_BYTES`].
    pub(super) fn panel_rows<T: Element>(&self) -> impl Iterator<Item = Range<usize>> + use<T> {
        let widest = self.shape.segments.iter().map(|s| s.dim).max().unwrap_or(1).min(self.panel.columns);
        let by_bytes = (T::PANEL_BYTES / (widest.max(1) * size_of::<T>())).clamp(64, 8192);
        chunks(self.rows(), self.panel.rows.unwrap_or(by_bytes))
    }
}

/// `0..total` in pieces of `size`.
pub(super) fn chunks(total: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let size = size.max(1);
    (0..total.div_ceil(size)).map(move |i| i * size..((i + 1) * size).min(total))
}
