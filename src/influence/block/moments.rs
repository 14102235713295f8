//! Second moments of the gradients: Gram and Fisher matrices, and their diagonals.
//!
//! Like the products in [`products`](super::products) they never copy G whole, add up in f64, and do not depend
//! on the number of threads.

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use super::columns::{column_grain, contiguous_mut, parallel};
use super::precision::{Element, Precision, add_square};
use super::reduce::sum_of_squares;
use super::view::{Block, TensorColumns, chunks};

/// Memory of the rows gathered for one Gram matrix.
const GRAM_BYTES: usize = 8 << 20;
/// Memory of the rows widened for one Fisher update.
const FISHER_BYTES: usize = 16 << 20;

impl Block<'_> {
    /// Lower triangle of the Gram matrix H Hᵀ, `[b, b]`, of the given rows. b²·d flops.
    pub(crate) fn gram(&self, rows: &[usize], par: Par) -> Mat<f64> {
        match self.precision() {
            Precision::F32 => self.gram_in::<f32>(rows, par),
            Precision::F64 => self.gram_in::<f64>(rows, par),
        }
    }

    /// Every row is brought near 1 first by a power of two, so that no product of two of them leaves the range of T.
    fn gram_in<T: Element>(&self, rows: &[usize], par: Par) -> Mat<f64> {
        let mut gram = Mat::zeros(rows.len(), rows.len());
        let (mut gathered, mut scratch) = (Vec::new(), Vec::new());
        let mut scales = vec![1.0; rows.len()];
        // not below a page of the file, which would be read more than once
        let width = (GRAM_BYTES / (rows.len().max(1) * size_of::<T>())).clamp(1024, 4096);
        for TensorColumns {
            tensor, columns, ..
        } in self.slabs(width)
        {
            gathered.resize(rows.len() * columns.len(), T::of_f32(0.0));
            self.store().fetched(tensor, rows.len() * columns.len());
            let read = |((&row, scale), out): ((&usize, &mut f64), &mut [T])| {
                self.store().read_row(tensor, row, columns.clone(), out);
                *scale = T::bring_near_one(out);
            };
            match par {
                Par::Seq => rows
                    .iter()
                    .zip(&mut scales)
                    .zip(gathered.chunks_exact_mut(columns.len()))
                    .for_each(read),
                _ => rows
                    .par_iter()
                    .zip(&mut scales)
                    .zip(gathered.par_chunks_exact_mut(columns.len()))
                    .with_min_len(8)
                    .for_each(read),
            }
            let h = MatRef::from_row_major_slice(&gathered, rows.len(), columns.len());
            T::add_square(gram.as_mut(), h, &scales, &mut scratch, par);
        }
        gram
    }

    /// Lower triangle of the Fisher matrix F = GᵀG/n, `[d, d]`, in f64. n·d² flops.
    pub(crate) fn fisher(&self) -> Mat<f64> {
        let (n, d) = (self.rows(), self.dim());
        let mut fisher = Mat::zeros(d, d);
        let mut panel = Vec::new();
        for rows in chunks(n, (FISHER_BYTES / (8 * d.max(1))).clamp(64, 4096)) {
            panel.resize(rows.len() * d, 0.0);
            for s in self.segments() {
                self.store().fetched(s.tensor, rows.len() * s.dim);
            }
            panel
                .par_chunks_exact_mut(d)
                .zip(rows.clone())
                .with_min_len(column_grain(d))
                .for_each(|(out, row)| {
                    for s in self.segments() {
                        self.store().read_row(
                            s.tensor,
                            row,
                            0..s.dim,
                            &mut out[s.offset..s.offset + s.dim],
                        );
                    }
                });
            let transposed = MatRef::from_column_major_slice(&panel, d, rows.len());
            add_square(fisher.as_mut(), transposed, parallel());
        }
        let weight = 1.0 / n as f64;
        fisher.as_mut().par_col_iter_mut().for_each(|c| {
            contiguous_mut(c)
                .iter_mut()
                .for_each(|value| *value *= weight)
        });
        fisher
    }

    /// ‖g_i‖² of every example, in f64. One pass over G.
    pub(crate) fn squared_norms(&self) -> Vec<f64> {
        let mut norms = vec![0.0; self.rows()];
        norms
            .par_iter_mut()
            .enumerate()
            .with_min_len(column_grain(self.dim()))
            .for_each(|(row, norm)| {
                for s in self.segments() {
                    *norm += match self.store().as_f32(s.tensor) {
                        Some(all) => sum_of_squares(&all[row * s.dim..(row + 1) * s.dim]),
                        None => {
                            let mut values = vec![0.0f64; s.dim];
                            self.store().read_row(s.tensor, row, 0..s.dim, &mut values);
                            sum_of_squares(&values)
                        }
                    };
                }
            });
        for s in self.segments() {
            self.store().fetched(s.tensor, self.rows() * s.dim);
        }
        norms
    }

    /// Whether every number of the block is zero.
    pub(crate) fn is_zero(&self) -> bool {
        (0..self.rows()).into_par_iter().all(|row| {
            self.segments().iter().all(|s| {
                let mut values = vec![0.0f64; s.dim];
                self.store().read_row(s.tensor, row, 0..s.dim, &mut values);
                values.iter().all(|value| *value == 0.0)
            })
        })
    }

    /// Σ_i g_ij² of every column j, in f64. One pass over G.
    pub(crate) fn column_squares(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.dim()];
        self.row_pass::<f64>(|rows| {
            for part in &rows.segments {
                let sums = &mut sums[part.offset..part.offset + part.dim];
                sums.par_chunks_mut(256)
                    .enumerate()
                    .for_each(|(chunk, sums)| {
                        let first = chunk * 256;
                        for row in 0..rows.range.len() {
                            let values = &part.row(row)[first..first + sums.len()];
                            sums.iter_mut()
                                .zip(values)
                                .for_each(|(sum, value)| *sum += value * value);
                        }
                    });
            }
        });
        sums
    }
}
