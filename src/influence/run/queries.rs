//! Which query gradients are asked about, and a block of them.

use faer::Mat;
use rayon::prelude::*;

use crate::gradients::store::GradientStore;
use crate::influence::block::columns::contiguous_mut;
use crate::influence::block::layout::BlockShape;
use crate::influence::block::reduce::sum_of_squares;
use crate::influence::error::InfluenceError;

/// Which query gradients are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queries {
    /// Every query by itself: m rows of scores.
    #[default]
    Each,
    /// The mean of all queries: one row.
    Mean,
    /// Every query, then the mean as the last row: m + 1 rows.
    EachAndMean,
}

impl Queries {
    /// Rows of scores for m queries.
    pub fn rows(self, m: usize) -> usize {
        match self {
            Self::Each => m,
            Self::Mean => 1,
            Self::EachAndMean => m + 1,
        }
    }
}

/// The queries of a block, `[d, m]`, one a column, in f64; `place` is where the training store's tensors are
/// in `query`.
pub(super) fn load_queries(
    query: &GradientStore,
    place: &[usize],
    shape: &BlockShape,
    which: Queries,
) -> Result<Mat<f64>, InfluenceError> {
    let m = query.rows();
    let read = |row: usize, out: &mut [f64]| {
        for s in &shape.segments {
            query.read_row(
                place[s.tensor],
                row,
                0..s.dim,
                &mut out[s.offset..s.offset + s.dim],
            );
        }
        // as in the damping's pass: one sum tells whether all is finite
        sum_of_squares(out).is_finite()
    };
    let mut v = Mat::<f64>::zeros(shape.dim, which.rows(m));
    let mut finite = true;
    if which != Queries::Mean {
        finite = v
            .as_mut()
            .subcols_mut(0, m)
            .par_col_iter_mut()
            .enumerate()
            .map(|(row, out)| read(row, contiguous_mut(out)))
            .all(|ok| ok);
    }
    if which != Queries::Each {
        let mean = contiguous_mut(v.as_mut().col_mut(which.rows(m) - 1));
        let mut row = vec![0.0; shape.dim];
        for q in 0..m {
            finite &= read(q, &mut row);
            mean.iter_mut()
                .zip(&row)
                .for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= m as f64);
    }
    let bad = || {
        shape
            .segments
            .iter()
            .find_map(|s| query.non_finite(place[s.tensor], 0..m))
    };
    match if finite { None } else { bad() } {
        Some(error) => Err(error.into()),
        None => Ok(v),
    }
}
