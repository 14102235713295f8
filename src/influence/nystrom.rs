//! Nyström: a randomised low-rank Fisher, inverted by Woodbury's formula.

use faer::{Mat, Par};
use rand_distr::{Distribution, StandardNormal};

use super::block::Block;
use super::columns::{each_column, norms};
use super::dense::{eigen, product, thin_qr};
use super::error::InfluenceError;
use super::exact;
use super::low_rank::{Complement, LowRank};
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::moments::sum_of_squares;
use super::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values};
use crate::config::influence::Precision;
use crate::random::rng;

/// Randomised Nyström: F̂ = (FΩ)(ΩᵀFΩ)⁺(FΩ)ᵀ with k random columns Ω, X = (F̂ + λI)⁻¹V.
///
/// F̂ = UΘUᵀ is the best approximation from what F does to Ω that lies below F (0 ≤ F̂ ≤ F), so X overstates in
/// the directions it missed: F counts as zero there. It is exact once k reaches the rank of F;
/// a few columns more make it so to rounding, since the shift below is amplified by ‖Ω⊥Ω_r⁺‖² (Ω outside and inside the
/// range of F), about d/p with p columns to spare. From k = min(n, d) on the block is solved exactly, as [`exact`] does.
///
/// Source: Frangella, Tropp, Udell 2021 (arXiv 2110.02820), algorithm 2.1: Ω a seeded Gaussian `[d, k]` made
/// orthonormal; F shifted by ν = (n + d)·ε·‖FΩ‖_F, which is taken off Θ again, so that rounding leaves ΩᵀFΩ
/// positive (there √d in place of n + d; but what is divided by ν must not exceed it, and that is the
/// rounding of FΩ, sums over n and d). The sketch is always f64: rounding of f32 would need a shift as large as a small λ.
///
/// Cost: 4·k·n·d + 8·k²·d to prepare, 4·m·k·d to apply; k·d numbers. Passes over the gradients, the contraction included: 2.
/// The residual ‖(F+λI)x − v‖/‖v‖ is measured outside the clock; a block counts in
/// [`Evidence::not_converged`](super::Evidence::not_converged) when it is above 1, that is worse than x = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Nystrom {
    /// Columns of the sketch k, at least 1; exact from min(n, d) on.
    pub rank: usize,
}

impl Listed for Nystrom {
    const INFO: MethodInfo = MethodInfo {
        name: "nystrom",
        summary: "a randomised rank-k Fisher, inverted by Woodbury's formula",
        formula: "(v − UΘ(Θ + λI)⁻¹Uᵀv)/λ with UΘUᵀ = (FΩ)(ΩᵀFΩ)⁺(FΩ)ᵀ",
        cost: "k n d + k² d",
        memory: "k (d + n)",
        passes: "2; those of exact where k ≥ min(n, d)",
        damping: "λ_l by Woodbury's formula",
        source: "Frangella, Tropp, Udell 2021, arXiv 2110.02820",
        when: "as lanczos, with all products at once instead of one after another",
        options: &[OptionInfo {
            key: "rank",
            default: "32",
            allowed: Allowed::Size(ExactAt::Rank),
            help: "columns of the random sketch k",
        }],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            rank: values.count("rank"),
        }
    }
}

impl InfluenceMethod for Nystrom {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.rank >= block.rows().min(block.dim()) {
            return exact::whole(block, lambda);
        }
        Ok(Box::new(Sketched {
            low: sketch(block, self.rank),
            lambda,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }
}

struct Sketched {
    low: LowRank,
    lambda: f64,
}

impl Preconditioner for Sketched {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        Ok(self.low.invert(v, self.lambda, Complement::Damp).into())
    }
}

/// F̂ = UΘUᵀ of rank at most `rank`, d at most.
pub(super) fn sketch(block: &Block<'_>, rank: usize) -> LowRank {
    let block = block.with_precision(Precision::F64);
    let (n, d) = (block.rows(), block.dim());
    let k = rank.min(d);
    let mut random = rng(block.seed(), block.name(), "nystrom_sketch");
    let gaussian = Mat::from_fn(d, k, |_, _| StandardNormal.sample(&mut random));
    let (omega, _) = thin_qr(gaussian);

    let mut y = block.fisher_times(&omega);
    let size = sum_of_squares(&norms(&y)).sqrt();
    let shift = (n + d) as f64 * f64::EPSILON * size;
    super::kernels::combine(&omega, &mut y, |omega, y| y + shift * omega);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::testing::Axes;

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
