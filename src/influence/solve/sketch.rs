//! The randomised low-rank Fisher of Nyström's method, which also preconditions conjugate gradients.

use faer::{Mat, Par};
use rand_distr::{Distribution, StandardNormal};

use super::dense::{eigen, product, thin_qr};
use super::low_rank::LowRank;
use crate::influence::block::columns::{combine, each_column, norms};
use crate::influence::block::precision::Precision;
use crate::influence::block::reduce::sum_of_squares;
use crate::influence::block::view::Block;
use crate::influence::cost::BlockSize;
use crate::random::rng;

/// F̂ = UΘUᵀ = (FΩ)(ΩᵀFΩ)⁺(FΩ)ᵀ of rank at most `rank`, d at most.
pub(crate) fn sketch(block: &Block<'_>, rank: usize) -> LowRank {
    let block = block.with_precision(Precision::F64);
    let (n, d) = (block.rows(), block.dim());
    let k = rank.min(d);
    let mut random = rng(block.seed(), block.name(), "nystrom_sketch");
    let gaussian = Mat::from_fn(d, k, |_, _| StandardNormal.sample(&mut random));
    let (omega, _) = thin_qr(gaussian);

    let mut y = block.fisher_vector_product(&omega);
    let size = sum_of_squares(&norms(&y)).sqrt();
    let shift = (n + d) as f64 * f64::EPSILON * size;
    combine(&omega, &mut y, |omega, y| y + shift * omega);
    let core = product(omega.transpose(), y.as_ref());
    let core = Mat::from_fn(k, k, |i, j| 0.5 * (core[(i, j)] + core[(j, i)]));
    // B = Y W S^(−1/2) with ΩᵀY = W S Wᵀ, so that BBᵀ = Y(ΩᵀY)⁻¹Yᵀ; what the shift should have lifted and
    // did not is rounding
    let decomposed =
        |a: &Mat<f64>| eigen(a, Par::Seq).unwrap_or_else(|| (vec![0.0; k], Mat::identity(k, k)));
    let (s, w) = decomposed(&core);
    let mut b = product(y.as_ref(), w.as_ref());
    each_column(&mut b, |j, b| {
        let factor = if s[j] > 0.5 * shift {
            s[j].sqrt().recip()
        } else {
            0.0
        };
        b.iter_mut().for_each(|b| *b *= factor);
    });
    // B = QR: F̂ + νI restricted to its range is Q(RRᵀ)Qᵀ; squaring R costs as much as the shift, no more
    let (q, r) = thin_qr(b);
    let (squares, turn) = decomposed(&product(r.as_ref(), r.transpose()));
    LowRank {
        vectors: product(q.as_ref(), turn.as_ref()),
        values: squares.into_iter().map(|s| (s - shift).max(0.0)).collect(),
    }
}

/// Operations of [`sketch`], and the numbers that it holds.
pub(crate) fn cost(size: &BlockSize, rank: usize) -> (f64, f64) {
    let (n, d) = (size.examples, size.dim);
    let k = (rank as f64).min(d);
    (4.0 * k * n * d + 8.0 * k * k * d, 3.0 * k * d + k * n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::block::testing::Axes;

    #[test]
    fn the_sketch_lies_below_f_and_meets_it_at_its_rank() {
        let sigma = [8.0, 4.0, 2.0, 1.0, 0.5, 0.0, 0.0];
        let axes = Axes::new(&sigma, 9);
        let mut before = [0.0; 9];
        for rank in 1..=7 {
            let low = sketch(&axes.block(), rank);
            let u = &low.vectors;
            // the diagonal of F̂ grows with the sketch, whose first columns stay, and never exceeds F's
            for i in 0..9 {
                let entry: f64 = (0..rank).map(|k| u[(i, k)].powi(2) * low.values[k]).sum();
                let of_f = sigma.get(i).copied().unwrap_or(0.0);
                assert!(entry >= before[i] - 1e-12 && entry <= of_f * (1.0 + 1e-6) + 1e-12);
                if rank >= 5 {
                    assert!(
                        (entry - of_f).abs() < 1e-6,
                        "rank {rank}: {entry} for {of_f}"
                    );
                }
                before[i] = entry;
            }
            let gram = product(u.transpose(), u.as_ref());
            for i in 0..rank {
                for j in 0..rank {
                    assert!((gram[(i, j)] - f64::from(u8::from(i == j))).abs() < 1e-13);
                }
            }
        }
        // more columns than dimensions are not drawn
        assert_eq!(sketch(&axes.block(), 100).values.len(), 9);
    }
}
