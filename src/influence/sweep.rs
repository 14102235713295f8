//! A pass over the gradients of a block in chunks of rows, each fetched from the store once.
//!
//! Whatever a method does with a chunk — project, weigh, expand, take norms — it does while it has it, so
//! that gradients larger than memory are read from their file as few times as the algebra allows.

use std::ops::Range;

use faer::{MatMut, MatRef};
use rayon::prelude::*;

use super::block::{Block, Tiles, chunks};
use super::element::{Element, contiguous_mut};
use super::kernels::cut;
use super::moments::sum_of_squares;
use crate::vector::{Kernel, dispatch};
use faer::Mat;

/// Rows of G in the type that products are taken in.
pub(super) struct Rows<'r, T> {
    /// Which examples.
    pub range: Range<usize>,
    /// The tensors of the block, in order.
    pub segments: Vec<Part<'r, T>>,
    tiles: Tiles,
}

/// The rows of one tensor.
pub(super) struct Part<'r, T> {
    /// First column in the block.
    pub offset: usize,
    /// Columns.
    pub dim: usize,
    /// Row-major `[rows, dim]`.
    pub values: &'r [T],
}

impl<T> Part<'_, T> {
    /// A row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.dim..(row + 1) * self.dim]
    }
}

impl<'a> Block<'a> {
    /// Goes through all rows once: `work` gets chunk after chunk, in order. A chunk is a view where the
    /// store holds this very type, else converted into memory that is used again.
    pub(super) fn sweep<T: Element>(&self, mut work: impl FnMut(&Rows<'_, T>)) {
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
                .map(|(s, values)| Part {
                    offset: s.offset,
                    dim: s.dim,
                    values,
                })
                .collect();
            work(&Rows {
                range,
                segments,
                tiles: self.tiles(),
            });
        }
    }
}

impl<T: Element> Rows<'_, T> {
    /// `out += factor · H x` for these rows H, `[rows, m]`; with one column more than x has, `‖h‖²` is added
    /// to it, taken while the rows are in the cache.
    pub(super) fn add_project(&self, x: MatRef<'_, T>, factor: f64, out: MatMut<'_, f64>) {
        let m = x.ncols();
        let norms = out.ncols() > m;
        let panels: Vec<(usize, Range<usize>)> = self
            .segments
            .iter()
            .enumerate()
            .flat_map(|(s, part)| {
                chunks(part.dim, self.tiles.project_columns).map(move |columns| (s, columns))
            })
            .collect();
        let tiles = cut(out, chunks(self.range.len(), self.tiles.project_rows));
        self.run(tiles, &panels, |rows, panels, out, scratch| {
            let (mut products, mut squares) = out.split_at_col_mut(m);
            for (s, columns) in panels {
                let part = &self.segments[*s];
                let h = MatRef::from_row_major_slice(
                    &part.values[rows.start * part.dim..rows.end * part.dim],
                    rows.len(),
                    part.dim,
                )
                .subcols(columns.start, columns.len());
                let x = x.subrows(part.offset + columns.start, columns.len());
                T::add_product(products.as_mut(), h, x, factor, scratch);
                if norms {
                    dispatch(AddSquares {
                        part,
                        rows: rows.clone(),
                        columns: columns.clone(),
                        squares: contiguous_mut(squares.as_mut().col_mut(0)),
                    });
                }
            }
        });
    }

    /// `out += factor · Hᵀ c` for these rows H, `[d, m]`, with c `[rows, m]`.
    pub(super) fn add_expand(&self, c: MatRef<'_, T>, factor: f64, out: MatMut<'_, f64>) {
        let columns: Vec<(usize, Range<usize>)> = self
            .segments
            .iter()
            .enumerate()
            .flat_map(|(s, part)| {
                chunks(part.dim, self.tiles.expand_columns).map(move |columns| (s, columns))
            })
            .collect();
        let tiles = cut(
            out,
            columns.iter().map(|(s, columns)| {
                let offset = self.segments[*s].offset;
                offset + columns.start..offset + columns.end
            }),
        );
        let tiles = tiles
            .into_iter()
            .zip(columns)
            .map(|((_, out), place)| (place, out))
            .collect();
        let terms: Vec<_> = chunks(self.range.len(), self.tiles.expand_rows).collect();
        self.run(tiles, &terms, |(s, columns), terms, mut out, scratch| {
            let part = &self.segments[*s];
            for rows in terms {
                let h = MatRef::from_row_major_slice(
                    &part.values[rows.start * part.dim..rows.end * part.dim],
                    rows.len(),
                    part.dim,
                )
                .subcols(columns.start, columns.len());
                let c = c.subrows(rows.start, rows.len());
                T::add_product(out.as_mut(), h.transpose(), c, factor, scratch);
            }
        });
    }

    /// Works on every tile of a result in parallel, adding up `terms` in order. When there are few tiles, the
    /// terms are cut into parts that are worked on side by side and added up in order; how, depends on sizes
    /// only.
    fn run<Place: Sync + Send, Term: Sync>(
        &self,
        tiles: Vec<(Place, MatMut<'_, f64>)>,
        terms: &[Term],
        work: impl Fn(&Place, &[Term], MatMut<'_, f64>, &mut Vec<T>) + Sync,
    ) {
        let parts = (self.tiles.tasks / tiles.len().max(1)).clamp(1, terms.len().max(1));
        let terms_a_part = terms.len().div_ceil(parts).max(1);
        tiles
            .into_par_iter()
            .for_each_init(Vec::new, |scratch, (place, mut out)| {
                if parts == 1 {
                    return work(&place, terms, out, scratch);
                }
                let sums: Vec<Mat<f64>> = terms
                    .par_chunks(terms_a_part)
                    .map_init(Vec::new, |scratch, terms| {
                        let mut sum = Mat::zeros(out.nrows(), out.ncols());
                        work(&place, terms, sum.as_mut(), scratch);
                        sum
                    })
                    .collect();
                sums.iter().for_each(|sum| out += sum);
            });
    }
}

/// `squares += ‖·‖²` of a stretch of every row.
struct AddSquares<'a, T> {
    part: &'a Part<'a, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    squares: &'a mut [f64],
}

impl<T: Element> Kernel for AddSquares<'_, T> {
    #[inline(always)]
    fn run(self) {
        for (row, square) in self.rows.zip(self.squares) {
            *square += sum_of_squares(&self.part.row(row)[self.columns.clone()]);
        }
    }
}
