//! Blocks of stored gradients as matrices.

use faer::Mat;

use crate::gradients::store::{GradientStore, StoreError};
use crate::influence::{BlockLayout, BlockShape, Blocks};

/// Training gradients and those of queries, block by block.
pub struct BlockMatrices {
    train: GradientStore,
    /// With the place of every training tensor among the queries'.
    query: Option<(GradientStore, Vec<usize>)>,
    layout: BlockLayout,
}

impl BlockMatrices {
    /// Blocks of `train`, and of `query` with the same tensors.
    ///
    /// # Errors
    /// Tensors that only one of both has, or of other sizes.
    pub fn new(
        train: GradientStore,
        query: Option<GradientStore>,
        blocks: Blocks,
    ) -> Result<Self, StoreError> {
        let query = match query {
            Some(query) => {
                let places = train.matching(&query)?;
                Some((query, places))
            }
            None => None,
        };
        Ok(Self {
            layout: BlockLayout::new(train.tensors(), blocks),
            train,
            query,
        })
    }

    /// Number of blocks L.
    pub fn len(&self) -> usize {
        self.layout.blocks().len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Training examples n.
    pub fn examples(&self) -> usize {
        self.train.rows()
    }

    /// Where the training gradients come from, for messages.
    pub fn origin(&self) -> String {
        self.train.origin()
    }

    /// Name of a block.
    pub fn name(&self, block: usize) -> &str {
        &self.layout.blocks()[block].name
    }

    /// G `[n, d]` of a block and its queries `[m, d]`: the first `train` examples, and `dim` columns, evenly spaced.
    pub fn matrices(
        &self,
        block: usize,
        train: Option<usize>,
        dim: Option<usize>,
    ) -> (Mat<f64>, Option<Mat<f64>>) {
        let shape = &self.layout.blocks()[block];
        let straight: Vec<usize> = (0..self.train.tensors().len()).collect();
        let n = train.unwrap_or(self.train.rows());
        let columns = dim.unwrap_or(shape.dim).min(shape.dim);
        let train = rows(&self.train, &straight, shape, n, columns);
        let query = self.query.as_ref();
        let query = query.map(|(query, places)| rows(query, places, shape, query.rows(), columns));
        (train, query)
    }
}

/// The first `count` examples of a block, with `columns` of its columns, evenly spaced; `[count, columns]`.
fn rows(
    store: &GradientStore,
    places: &[usize],
    shape: &BlockShape,
    count: usize,
    columns: usize,
) -> Mat<f64> {
    let mut matrix = Mat::zeros(count, columns);
    let mut whole = vec![0.0f64; shape.dim];
    for row in 0..count {
        for s in &shape.segments {
            store.read_row(
                places[s.tensor],
                row,
                0..s.dim,
                &mut whole[s.offset..s.offset + s.dim],
            );
        }
        for column in 0..columns {
            matrix[(row, column)] = whole[column * shape.dim / columns];
        }
    }
    matrix
}
