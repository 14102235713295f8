//! One block of the training gradients, as the methods see it.

use std::ops::Range;

use super::layout::{BlockShape, TensorSpan};
use super::precision::Precision;
use crate::gradients::store::GradientStore;
use crate::influence::companions::Companions;

/// The training gradients G of one block, `[n, d]`, with what a method may need to know besides.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    store: &'a GradientStore,
    shape: &'a BlockShape,
    precision: Precision,
    queries: usize,
    seed: u64,
    companions: Companions<'a>,
    tiles: Tiles,
}

/// Queries up to which rows are gone through one by one: measured with 1, 2, 4 and 8.
pub(crate) const FEW: usize = 4;

/// Sizes of the tiles that the two products with G are cut into. One thread works on a tile, with panels
/// of G that stay in its cache; in single precision it adds up panels, each of which is a sum by itself, until it
/// carries them on in f64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    /// Examples a tile of G V, which sums over columns, at most.
    pub project_rows: usize,
    /// Columns a panel of it.
    pub project_panel: usize,
    /// Columns whose panels are added up in single precision, at most.
    pub project_columns: usize,
    /// Columns a tile of Gᵀ C, which sums over examples, at most.
    pub expand_columns: usize,
    /// Examples a panel of it.
    pub expand_panel: usize,
    /// Examples whose panels are added up in single precision, at most.
    pub expand_rows: usize,
    /// Pieces of work wanted, so that all threads have some: where there are fewer tiles the sums are cut as well.
    pub tasks: usize,
    /// Queries up to which rows are gone through one by one, [`FEW`] at most.
    pub few: usize,
    /// Bytes of a chunk of rows that is viewed where it is.
    pub view_bytes: usize,
    /// Bytes of a chunk of rows that is converted.
    pub widened_bytes: usize,
}

impl Default for Tiles {
    /// Measured on AVX-512 with 100 queries: within 5 % of the best in either precision.
    fn default() -> Self {
        Self {
            project_rows: 128,
            project_panel: 512,
            project_columns: 4096,
            expand_columns: 512,
            expand_panel: 256,
            expand_rows: 2048,
            tasks: 16,
            few: FEW,
            view_bytes: 64 << 20,
            widened_bytes: 8 << 20,
        }
    }
}

/// Columns of one tensor of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorColumns {
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
    pub fn new(
        store: &'a GradientStore,
        shape: &'a BlockShape,
        precision: Precision,
        queries: usize,
        seed: u64,
    ) -> Self {
        for segment in &shape.segments {
            assert_eq!(
                store.tensors()[segment.tensor].dim(),
                segment.dim,
                "block `{}` was laid out for other tensors",
                shape.name
            );
        }
        Self {
            store,
            shape,
            precision,
            queries,
            seed,
            companions: Companions::default(),
            tiles: Tiles::default(),
        }
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

    /// The same block with what travels beside the gradients.
    #[must_use]
    pub fn with_companions(self, companions: Companions<'a>) -> Self {
        Self { companions, ..self }
    }

    /// What travels beside the gradients.
    pub fn companions(&self) -> Companions<'a> {
        self.companions
    }

    /// The same block with its rows gone through one by one, which the memory's speed limits, for at most so many queries
    /// (4 at most, as by default), and in tiles for more: `benches/influence.rs` compares both.
    #[must_use]
    pub fn by_rows_up_to(mut self, queries: usize) -> Self {
        self.tiles.few = queries.min(FEW);
        self
    }

    #[cfg(test)]
    pub(crate) fn with_tiles(self, tiles: Tiles) -> Self {
        Self { tiles, ..self }
    }

    pub(crate) fn tiles(&self) -> Tiles {
        self.tiles
    }

    pub(crate) fn store(&self) -> &'a GradientStore {
        self.store
    }

    pub(crate) fn segments(&self) -> &'a [TensorSpan] {
        &self.shape.segments
    }

    /// The columns of the block in pieces of at most `width`, each within one tensor, in order.
    pub(crate) fn slabs(&self, width: usize) -> Vec<TensorColumns> {
        let slab = |segment: &TensorSpan, columns: Range<usize>| TensorColumns {
            tensor: segment.tensor,
            offset: segment.offset + columns.start,
            columns,
        };
        self.shape
            .segments
            .iter()
            .flat_map(|s| chunks(s.dim, width).map(move |columns| slab(s, columns)))
            .collect()
    }
}

/// `0..total` in pieces of `size`.
pub(crate) fn chunks(total: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let size = size.max(1);
    (0..total.div_ceil(size)).map(move |i| i * size..((i + 1) * size).min(total))
}

/// `0..total` in pieces of at most `size` that differ by one at most.
pub(crate) fn even_chunks(total: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = total.div_ceil(size.max(1));
    (0..pieces).map(move |i| i * total / pieces..(i + 1) * total / pieces)
}
