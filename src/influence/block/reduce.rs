//! Sums, dot products and the largest of a vector: every reduction there is, each in a fixed order, so that no number
//! depends on the width of vectors or on how many threads there are.

use crate::vector::{AHEAD, Kernel, dispatch, prefetch};

/// Rows that are gone through side by side: from memory they come sooner than one after another.
pub(crate) const SIDE_BY_SIDE: usize = 4;

/// Numbers of a row that are added up at a time, a running sum each: a line of the cache in f32.
pub(crate) const LANES: usize = 16;

/// aᵀb in f64, in eight running sums so that it can be vectorised; in a fixed order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f64; 8];
    for (a, b) in a8.iter().zip(b8) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let tail: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + tail
}

/// [`sum_of_squares`] of several rows of the same length, to the bit.
#[inline(always)]
pub(crate) fn sums_of_squares<T: Copy + Into<f64>>(
    rows: [&[T]; SIDE_BY_SIDE],
) -> [f64; SIDE_BY_SIDE] {
    let steps = rows[0].len() / LANES;
    let lanes = rows.map(|row| &row.as_chunks::<LANES>().0[..steps]);
    let mut sums = [[0.0f64; LANES]; SIDE_BY_SIDE];
    for i in 0..steps {
        for (sums, lanes) in sums.iter_mut().zip(&lanes) {
            prefetch(&lanes[i], AHEAD);
            *sums = add_squares(*sums, &lanes[i]);
        }
    }
    std::array::from_fn(|row| total(&sums[row], &rows[row][steps * LANES..]))
}

/// Σ v² in f64, in a fixed order.
#[inline(always)]
pub(crate) fn sum_of_squares<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for lanes in lanes {
        sums = add_squares(sums, lanes);
    }
    total(&sums, rest)
}

#[inline(always)]
fn add_squares<T: Copy + Into<f64>>(mut sums: [f64; LANES], values: &[T; LANES]) -> [f64; LANES] {
    for lane in 0..LANES {
        let value: f64 = values[lane].into();
        sums[lane] += value * value;
    }
    sums
}

/// The running sums and the squares of what is left, together.
#[inline(always)]
fn total<T: Copy + Into<f64>>(sums: &[f64; LANES], rest: &[T]) -> f64 {
    let tail: f64 = rest
        .iter()
        .map(|&value| value.into())
        .map(|value: f64| value * value)
        .sum();
    sums.iter().sum::<f64>() + tail
}

/// Σ a·b and Σ a² of several rows a with the same b, in a fixed order for any width of the vectors.
#[inline(always)]
pub(crate) fn dots_with<const COUNT: usize, T: Copy + Into<f64>>(
    rows: [&[T]; COUNT],
    b: &[f64],
) -> [(f64, f64); COUNT] {
    let (lanes, b_rest) = b.as_chunks::<LANES>();
    let chunks = rows.map(|row| &row.as_chunks::<LANES>().0[..lanes.len()]);
    let mut sums = [([0.0f64; LANES], [0.0f64; LANES]); COUNT];
    for (i, b) in lanes.iter().enumerate() {
        for (sums, chunks) in sums.iter_mut().zip(&chunks) {
            prefetch(&chunks[i], AHEAD);
            *sums = add_products(*sums, &chunks[i], b);
        }
    }
    std::array::from_fn(|row| {
        let (mut sum, mut square) = (
            sums[row].0.iter().sum::<f64>(),
            sums[row].1.iter().sum::<f64>(),
        );
        for (&a, b) in rows[row][b.len() - b_rest.len()..].iter().zip(b_rest) {
            let value: f64 = a.into();
            sum += value * b;
            square += value * value;
        }
        (sum, square)
    })
}

/// Lane by lane a·b and a² more.
#[inline(always)]
fn add_products<T: Copy + Into<f64>>(
    (mut sums, mut squares): ([f64; LANES], [f64; LANES]),
    a: &[T; LANES],
    b: &[f64; LANES],
) -> ([f64; LANES], [f64; LANES]) {
    for lane in 0..LANES {
        let value: f64 = a[lane].into();
        sums[lane] += value * b[lane];
        squares[lane] += value * value;
    }
    (sums, squares)
}

/// `y += factor · x`, entry by entry, in f64.
#[inline(always)]
pub(crate) fn add_scaled<T: Copy + Into<f64>>(y: &mut [f64], factor: f64, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        let x: f64 = x.into();
        *y += factor * x;
    }
}

/// max |v|; NaN counts as nothing.
pub(crate) fn largest(values: &[f64]) -> f64 {
    let mut largest = 0.0;
    dispatch(Largest {
        values,
        out: &mut largest,
    });
    largest
}

struct Largest<'a> {
    values: &'a [f64],
    out: &'a mut f64,
}

impl Kernel for Largest<'_> {
    #[inline(always)]
    fn run(self) {
        // not `f64::max`, whose rule for NaN no vector instruction follows
        let larger = |max: &mut f64, value: f64| {
            *max = if value.abs() > *max {
                value.abs()
            } else {
                *max
            };
        };
        let (eights, rest) = self.values.as_chunks::<8>();
        let mut max = [0.0; 8];
        for eight in eights {
            for (max, &value) in max.iter_mut().zip(eight) {
                larger(max, value);
            }
        }
        for &value in max.iter().chain(rest) {
            larger(self.out, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_side_by_side_are_summed_as_one_alone() {
        for length in [0, 5, 8, 100, 1027] {
            let rows = [0, 1, 2, 3].map(|row| {
                let value = |i: usize| ((i * 7 + row * 13) % 29) as f32 * 0.37 - 5.1;
                (0..length).map(value).collect::<Vec<f32>>()
            });
            let alone = [0, 1, 2, 3].map(|row| sum_of_squares(&rows[row]));
            assert_eq!(
                sums_of_squares([0, 1, 2, 3].map(|row| &rows[row][..])),
                alone
            );
            let plain: f64 = rows[3].iter().map(|&v| f64::from(v).powi(2)).sum();
            assert!((alone[3] - plain).abs() <= 1e-12 * plain, "{length}");
        }
    }
}
