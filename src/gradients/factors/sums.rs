//! Adding up outer products over pieces of work that finish in any order.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};

use super::{KroneckerFactors, TensorFactors};
use crate::models::parameter::to_f32;
use crate::models::{Adapter, GradientTensor};

/// The sums of x xᵀ and δ δᵀ of every tensor.
///
/// Products of a piece are taken in f32 and added up in f64, piece after piece in their order: a thread whose
/// piece is not next waits for the one before, so that no number depends on how many threads there are and no
/// more than one product a thread is held besides the sums.
pub(in crate::gradients) struct FactorSums {
    /// x xᵀ and δ δᵀ of every tensor, in turn.
    sums: Vec<InOrder>,
    names: Vec<String>,
    /// A piece has panicked: nobody waits for it any more.
    broken: AtomicBool,
    nanoseconds: AtomicU64,
}

/// A sum to which pieces add in their order.
struct InOrder {
    state: Mutex<State>,
    turn: Condvar,
}

struct State {
    /// The piece whose turn it is.
    next: usize,
    /// Lower triangle.
    sum: Mat<f64>,
    /// Rows that were added.
    rows: usize,
}

impl FactorSums {
    /// Zeros for the [tensors](crate::gradients::tensors) of a row.
    pub(in crate::gradients) fn new(tensors: &[GradientTensor]) -> Self {
        let zeros = |size: usize| InOrder {
            state: Mutex::new(State {
                next: 0,
                sum: Mat::zeros(size, size),
                rows: 0,
            }),
            turn: Condvar::new(),
        };
        Self {
            sums: tensors
                .iter()
                .flat_map(|tensor| [zeros(tensor.shape[1]), zeros(tensor.shape[0])])
                .collect(),
            names: tensors.iter().map(|tensor| tensor.name.clone()).collect(),
            broken: AtomicBool::new(false),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// The sums as one piece sees them. Every piece, in the order in which they are taken, adds every tensor.
    pub(in crate::gradients) fn piece(&self, piece: usize) -> PieceSums<'_> {
        self.piece_from(piece, 0)
    }

    /// [`Self::piece`] that begins with another tensor than the first; every tensor is added once by every piece, and the
    /// pieces add a tensor in their order.
    pub(in crate::gradients) fn piece_from(&self, piece: usize, tensor: usize) -> PieceSums<'_> {
        PieceSums {
            all: self,
            piece,
            matrix: 2 * tensor,
            scratch: Vec::new(),
        }
    }

    /// The factors over `examples` examples, and the time that the threads spent on them, seconds.
    pub(in crate::gradients) fn finish(self, examples: usize) -> (KroneckerFactors, f64) {
        let seconds = self.nanoseconds.into_inner() as f64 / 1e9;
        let mut states = self.sums.into_iter().map(|sum| {
            sum.state
                .into_inner()
                .expect("a panic in a piece has ended the call")
        });
        let whole = |state: State, count: usize| {
            let weight = 1.0 / count.max(1) as f64;
            let lower = state.sum;
            Mat::from_fn(lower.nrows(), lower.ncols(), |i, j| {
                weight * lower[(i.max(j), i.min(j))]
            })
        };
        let tensors = self.names.into_iter().map(|name| {
            let mut next = || states.next().expect("two sums a tensor");
            let (inputs, outputs) = (next(), next());
            let tokens = inputs.rows;
            TensorFactors {
                name,
                inputs: whole(inputs, tokens),
                outputs: whole(outputs, examples),
                tokens: Some(tokens as f64 / examples.max(1) as f64),
            }
        });
        let tensors = tensors.collect();
        (KroneckerFactors { tensors }, seconds)
    }
}

/// One piece's part in [`FactorSums`].
pub(in crate::gradients) struct PieceSums<'a> {
    all: &'a FactorSums,
    piece: usize,
    /// Which sum comes next.
    matrix: usize,
    scratch: Vec<f32>,
}

/// Rows of an example, one after another.
#[derive(Clone, Copy, Debug)]
pub(in crate::gradients) struct Views {
    /// How many there are.
    pub all: usize,
    /// How many gradients stand in the row of the example, each of `all / stacked` consecutive rows.
    pub stacked: usize,
}

impl PieceSums<'_> {
    /// Adds a layer: its inputs x `[n, t, in]` and output gradients δ `[n, t, out]`; of row i the first `lengths[i]`
    /// tokens count. With `views.stacked` above 1 the outputs number `stacked · out`, and those of other views than a row's
    /// own are 0: the factor has a block per stacked view.
    pub(in crate::gradients) fn add(
        &mut self,
        x: &Tensor<3>,
        delta: &Tensor<3>,
        adapter: Option<&Adapter>,
        lengths: Option<&[usize]>,
        views: Views,
    ) {
        let stacked = views.stacked;
        let clock = Instant::now();
        let [n, t, inputs] = x.dims();
        let outputs = delta.dims()[2];
        let numbers = |tensor: &Tensor<3>| to_f32(tensor.clone().inner().into_data());
        let x = unpadded(numbers(x), t, inputs, lengths);
        let delta = unpadded(numbers(delta), t, outputs, lengths);
        let together = views.all / stacked;
        let views: Vec<usize> = match stacked {
            1 => Vec::new(),
            _ => {
                let counts = (0..n).map(|row| lengths.map_or(t, |lengths| lengths[row].min(t)));
                let of_rows = counts.enumerate();
                of_rows
                    .flat_map(|(row, count)| std::iter::repeat_n(row / together % stacked, count))
                    .collect()
            }
        };
        match adapter {
            None => {
                self.add_rows(&x, inputs);
                self.add_stacked(&delta, outputs, &views, stacked);
            }
            Some(Adapter { a, b, scale, .. }) => {
                let rank = a.dims()[0];
                let factor = |tensor: &Tensor<2>| to_f32(tensor.clone().inner().into_data());
                let (a, b) = (factor(a), factor(b));
                let a = MatRef::from_row_major_slice(&a, rank, inputs);
                let b = MatRef::from_row_major_slice(&b, outputs, rank);
                let back = product(&delta, outputs, b, *scale);
                let low = product(&x, inputs, a.transpose(), *scale);
                self.add_rows(&x, inputs);
                self.add_stacked(&back, rank, &views, stacked);
                self.add_rows(&low, rank);
                self.add_stacked(&delta, outputs, &views, stacked);
            }
        }
        let spent = clock.elapsed().as_nanos() as u64;
        self.all.nanoseconds.fetch_add(spent, Ordering::Relaxed);
    }

    /// Adds Σ r rᵀ over `rows`, row-major `[rows, width]`, to the next sum.
    fn add_rows(&mut self, rows: &[f32], width: usize) {
        self.add_groups(&[rows], width);
    }

    /// [`Self::add_rows`] with a block of the sum for each of `stacked` views, `views[i]` being that of row i.
    fn add_stacked(&mut self, rows: &[f32], width: usize, views: &[usize], stacked: usize) {
        if stacked == 1 {
            return self.add_rows(rows, width);
        }
        let mut groups = vec![Vec::new(); stacked];
        for (row, &view) in rows.chunks_exact(width).zip(views) {
            groups[view].extend_from_slice(row);
        }
        let groups: Vec<&[f32]> = groups.iter().map(Vec::as_slice).collect();
        self.add_groups(&groups, width);
    }

    /// Adds Σ r rᵀ over the rows of every group to its block on the diagonal of the next sum.
    fn add_groups(&mut self, groups: &[&[f32]], width: usize) {
        let size = width * width;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(size * groups.len(), 0.0);
        let products = scratch.chunks_exact_mut(size).zip(groups);
        let weights: Vec<f64> = products
            .map(|(own, rows)| squares(own, rows, width))
            .collect();
        let sum = &self.all.sums[self.matrix];
        let mut state = self.wait(sum);
        for (group, (own, weight)) in scratch.chunks_exact(size).zip(weights).enumerate() {
            let first = group * width;
            for j in 0..width {
                let part = &own[j * width + j..(j + 1) * width];
                for (i, &value) in part.iter().enumerate() {
                    state.sum[(first + j + i, first + j)] += weight * f64::from(value);
                }
            }
        }
        state.rows += groups
            .iter()
            .map(|rows| rows.len() / width.max(1))
            .sum::<usize>();
        state.next += 1;
        drop(state);
        sum.turn.notify_all();
        self.matrix += 1;
        self.scratch = scratch;
    }

    /// The sum, when it is this piece's turn.
    fn wait<'s>(&self, sum: &'s InOrder) -> MutexGuard<'s, State> {
        const HELD: &str = "nobody panics while holding it";
        let mut state = sum.state.lock().expect(HELD);
        while state.next != self.piece {
            assert!(
                !self.all.broken.load(Ordering::SeqCst),
                "a piece before this one has panicked"
            );
            state = sum.turn.wait(state).expect(HELD);
        }
        state
    }
}

impl Drop for PieceSums<'_> {
    /// A piece that panics frees those that wait for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.all.broken.store(true, Ordering::SeqCst);
            for sum in &self.all.sums {
                // whoever has looked at the flag before holds the lock until it waits
                drop(sum.state.lock());
                sum.turn.notify_all();
            }
        }
    }
}

/// The rows of the first `lengths[i]` of `t` tokens of every example i.
fn unpadded(values: Vec<f32>, t: usize, width: usize, lengths: Option<&[usize]>) -> Vec<f32> {
    let Some(lengths) = lengths.filter(|lengths| lengths.iter().any(|&length| length < t)) else {
        return values;
    };
    let examples = values.chunks_exact((t * width).max(1)).zip(lengths);
    examples
        .flat_map(|(rows, &length)| &rows[..length.min(t) * width])
        .copied()
        .collect()
}

/// s · rows · rhs, row-major, for rows `[rows, width]`.
fn product(rows: &[f32], width: usize, rhs: MatRef<'_, f32>, scale: f64) -> Vec<f32> {
    let count = rows.len() / width.max(1);
    let mut out = vec![0.0; count * rhs.ncols()];
    matmul(
        MatMut::from_row_major_slice_mut(&mut out, count, rhs.ncols()),
        Accum::Replace,
        MatRef::from_row_major_slice(rows, count, width),
        rhs,
        scale as f32,
        Par::Seq,
    );
    out
}

/// The lower triangle of Σ r rᵀ over `rows`, up to the factor that is returned.
fn squares(out: &mut [f32], rows: &[f32], width: usize) -> f64 {
    // divided by a power of two near the largest, which is exact, so that no product leaves f32's range
    let largest = rows.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    let scale = if largest.is_normal() {
        f32::from_bits(largest.to_bits() & (0xff << 23))
    } else {
        1.0
    };
    let inverse = 1.0 / scale;
    let scaled: Vec<f32> = rows.iter().map(|value| value * inverse).collect();
    let count = rows.len() / width.max(1);
    let lhs = MatRef::from_row_major_slice(&scaled, count, width);
    triangular::matmul_with_conj(
        MatMut::from_column_major_slice_mut(out, width, width),
        BlockStructure::TriangularLower,
        Accum::Replace,
        lhs.transpose(),
        BlockStructure::Rectangular,
        Conj::No,
        lhs,
        BlockStructure::Rectangular,
        Conj::No,
        1.0,
        Par::Seq,
    );
    f64::from(scale).powi(2)
}
