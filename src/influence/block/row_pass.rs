//! A pass over the gradients of a block in chunks of rows, each fetched from the store once.
//!
//! Whatever a method does with a chunk — project, weigh, expand, take norms — it does while it has it, so
//! that gradients larger than memory are read from their file as few times as the algebra allows.

use std::ops::{Range, RangeInclusive};

use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;

use super::columns::{contiguous_mut, cut};
use super::precision::{Element, ScaledRows};
use super::reduce::{SIDE_BY_SIDE, sum_of_squares, sums_of_squares};
use super::view::{Block, Tiles, chunks, even_chunks};
use crate::vector::{Kernel, dispatch};

/// Least columns of a tile of Gᵀ C.
const NARROW: usize = 128;

/// RowChunk of G in the type that products are taken in.
pub(crate) struct RowChunk<'r, T> {
    /// Which examples.
    pub range: Range<usize>,
    /// The tensors of the block, in order.
    pub segments: Vec<TensorRows<'r, T>>,
    tiles: Tiles,
}

/// The rows of one tensor.
pub(crate) struct TensorRows<'r, T> {
    /// First column in the block.
    pub offset: usize,
    /// Columns.
    pub dim: usize,
    /// Row-major `[rows, dim]`.
    pub values: &'r [T],
}

impl<T> TensorRows<'_, T> {
    /// Some of the rows, `[rows, dim]`.
    fn mat(&self, rows: &Range<usize>) -> MatRef<'_, T> {
        let values = &self.values[rows.start * self.dim..rows.end * self.dim];
        MatRef::from_row_major_slice(values, rows.len(), self.dim)
    }

    /// A row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }
}

impl<'a> Block<'a> {
    /// Goes through all rows once: `work` gets chunk after chunk, in order. A chunk is a view where the
    /// store holds this very type, else converted into memory that is used again.
    pub(crate) fn row_pass<T: Element>(&self, mut work: impl FnMut(&RowChunk<'_, T>)) {
        let store = self.store();
        let views: Option<Vec<&[T]>> = self
            .segments()
            .iter()
            .map(|s| store.as_f32(s.tensor).and_then(T::view))
            .collect();
        let bytes = match views {
            Some(_) => self.tiles().view_bytes,
            None => self.tiles().widened_bytes,
        };
        let rows_a_chunk = (bytes / (size_of::<T>() * self.dim().max(1))).max(1);
        let mut widened = Vec::new();
        for range in chunks(self.rows(), rows_a_chunk) {
            for s in self.segments() {
                store.fetched(s.tensor, range.len() * s.dim);
            }
            let values: Vec<&[T]> = match &views {
                Some(views) => self
                    .segments()
                    .iter()
                    .zip(views)
                    .map(|(s, all)| &all[range.start * s.dim..range.end * s.dim])
                    .collect(),
                None => {
                    widened.resize(range.len() * self.dim(), T::of_f32(0.0));
                    let mut rest = widened.as_mut_slice();
                    let mut parts = Vec::with_capacity(self.segments().len());
                    for s in self.segments() {
                        let (part, after) = rest.split_at_mut(range.len() * s.dim);
                        store.read_panel(s.tensor, range.clone(), 0..s.dim, part);
                        parts.push(&*part);
                        rest = after;
                    }
                    parts
                }
            };
            let segments = self
                .segments()
                .iter()
                .zip(values)
                .map(|(s, values)| TensorRows {
                    offset: s.offset,
                    dim: s.dim,
                    values,
                })
                .collect();
            work(&RowChunk {
                range,
                segments,
                tiles: self.tiles(),
            });
        }
    }
}

impl<T: Element> RowChunk<'_, T> {
    /// `out += factor · H x` for these rows H, `[rows, m]`; with one column more than x has, `‖h‖²` is added
    /// to it, taken while the rows are in the cache.
    pub(crate) fn add_project(&self, x: ScaledRows<'_, T>, factor: f64, out: MatMut<'_, f64>) {
        let m = x.mat.ncols();
        let norms = out.ncols() > m;
        let tiles = cut(out, even_chunks(self.range.len(), self.tiles.project_rows));
        let columns = share(
            x.mat.nrows(),
            self.parts(tiles.len()),
            self.tiles.project_panel..=self.tiles.project_columns,
        );
        let panels = self.columns(columns);
        self.run(tiles, &panels, |rows, panels, out| {
            let (mut products, mut squares) = out.split_at_col_mut(m);
            for (s, columns) in panels {
                let part = &self.segments[*s];
                let h = part.mat(rows);
                let terms = chunks(columns.len(), self.tiles.project_panel).map(|panel| {
                    let panel = columns.start + panel.start..columns.start + panel.end;
                    // before the product, which finds the rows in the cache
                    if norms {
                        dispatch(AddSquares {
                            part,
                            rows: rows.clone(),
                            columns: panel.clone(),
                            squares: contiguous_mut(squares.as_mut().col_mut(0)),
                        });
                    }
                    let x = x.subrows(part.offset + panel.start..part.offset + panel.end);
                    (h.subcols(panel.start, panel.len()), x)
                });
                T::add_products(products.as_mut(), terms, factor);
            }
        });
    }

    /// `out += Hᵀ c` for these rows H, `[d, m]`, with c `[rows, m]`.
    pub(crate) fn add_expand(&self, c: ScaledRows<'_, T>, out: MatMut<'_, f64>) {
        let columns = share(
            out.nrows(),
            self.tiles.tasks,
            NARROW..=self.tiles.expand_columns,
        );
        let columns = self.columns(columns);
        let tiles = cut(
            out,
            columns.iter().map(|(s, columns)| {
                let offset = self.segments[*s].offset;
                offset + columns.start..offset + columns.end
            }),
        );
        let tiles: Vec<_> = tiles
            .into_iter()
            .zip(columns)
            .map(|((_, out), place)| (place, out))
            .collect();
        let rows = share(
            self.range.len(),
            self.parts(tiles.len()),
            self.tiles.expand_panel..=self.tiles.expand_rows,
        );
        let terms: Vec<_> = chunks(self.range.len(), rows).collect();
        self.run(tiles, &terms, |(s, columns), terms, mut out| {
            let part = &self.segments[*s];
            for rows in terms {
                let products = chunks(rows.len(), self.tiles.expand_panel).map(|panel| {
                    let panel = rows.start + panel.start..rows.start + panel.end;
                    let h = part.mat(&panel).subcols(columns.start, columns.len());
                    (h.transpose(), c.subrows(panel))
                });
                T::add_products(out.as_mut(), products, 1.0);
            }
        });
    }

    /// All columns in pieces of at most `width`, each within a segment.
    fn columns(&self, width: usize) -> Vec<(usize, Range<usize>)> {
        let pieces = |(s, part): (usize, &TensorRows<'_, T>)| {
            chunks(part.dim, width).map(move |columns| (s, columns))
        };
        self.segments.iter().enumerate().flat_map(pieces).collect()
    }

    /// Parts that the sums of every tile are cut into, so that there is enough to do.
    fn parts(&self, tiles: usize) -> usize {
        (self.tiles.tasks / tiles.max(1)).max(1)
    }

    /// Works on every tile of a result in parallel, adding up `terms` in order. When there are few tiles, the
    /// terms are cut into parts that are worked on side by side and added up in order; how, depends on sizes
    /// only.
    fn run<Place: Sync + Send, Term: Sync>(
        &self,
        tiles: Vec<(Place, MatMut<'_, f64>)>,
        terms: &[Term],
        work: impl Fn(&Place, &[Term], MatMut<'_, f64>) + Sync,
    ) {
        let parts = self.parts(tiles.len()).min(terms.len().max(1));
        let terms_a_part = terms.len().div_ceil(parts).max(1);
        tiles
            .into_par_iter()
            // work-stealing grain: one tile
            .with_max_len(1)
            .for_each(|(place, mut out)| {
                if parts == 1 {
                    return work(&place, terms, out);
                }
                let sums: Vec<Mat<f64>> = terms
                    .par_chunks(terms_a_part)
                    .map(|terms| {
                        let mut sum = Mat::zeros(out.nrows(), out.ncols());
                        work(&place, terms, sum.as_mut());
                        sum
                    })
                    .collect();
                sums.iter().for_each(|sum| out += sum);
            });
    }
}

/// A share of `total` for each of so many, within bounds.
fn share(total: usize, pieces: usize, bounds: RangeInclusive<usize>) -> usize {
    let (least, most) = bounds.into_inner();
    total.div_ceil(pieces).clamp(least.min(most), most)
}

/// `squares += ‖·‖²` of a stretch of every row.
struct AddSquares<'a, T> {
    part: &'a TensorRows<'a, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    squares: &'a mut [f64],
}

impl<T: Element> Kernel for AddSquares<'_, T> {
    #[inline(always)]
    fn run(self) {
        let row = |row: usize| &self.part.row(row)[self.columns.clone()];
        let (fours, rest) = self.squares.as_chunks_mut::<SIDE_BY_SIDE>();
        let mut next = self.rows.start;
        for four in fours {
            let found = sums_of_squares([0, 1, 2, 3].map(|i| row(next + i)));
            four.iter_mut()
                .zip(found)
                .for_each(|(sum, square)| *sum += square);
            next += SIDE_BY_SIDE;
        }
        for square in rest {
            *square += sum_of_squares(row(next));
            next += 1;
        }
    }
}
