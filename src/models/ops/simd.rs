//! Vectorised elementary functions, written so that the compiler vectorises them at the width the
//! processor has. No fused multiply-adds: every width gives the same bits.

pub use crate::vector::{Kernel, dispatch};

/// eˣ for x ≤ 0 to 2e-7 relative; 0 below −87.
///
/// x = (n + f)·ln 2 with |f| ≤ 1/2; 2^f by a polynomial through the Chebyshev nodes, 2^n by its bits.
#[inline(always)]
pub fn exp_negative(x: f32) -> f32 {
    // adding 1.5·2²³ rounds to the nearest integer, which then stands in the low bits
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, so that n·ln 2 is exact in the first
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // written so that NaN passes
    let bounded = if x < -87.0 { -87.0 } else { x };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let rest = (bounded - n * LN2_HIGH - n * LN2_LOW) * std::f32::consts::LOG2_E;
    let mut power = 1.546_144_5e-4;
    for coefficient in [
        1.340_042_8e-3,
        9.618_057e-3,
        5.550_327e-2,
        2.402_265e-1,
        6.931_472e-1,
        1.0,
    ] {
        power = power * rest + coefficient;
    }
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { power * scale }
}

/// Φ(−a), the upper tail of the standard normal distribution, and its density φ(a), for a ≥ 0.
///
/// Φ(−a) = φ(a)·R(a) with Mills' ratio R as a polynomial of degree 9 in t = 1/(1 + 0.35 a), fitted at
/// the Chebyshev nodes over 0 ≤ a ≤ 13 (4e-8 relative before rounding).
#[inline(always)]
pub fn normal_tail(a: f32) -> (f32, f32) {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    let density = FRAC_1_SQRT_2PI * exp_negative(-0.5 * a * a);
    let t = 1.0 / (1.0 + 0.35 * a);
    let mut ratio = -7.399_644e-2;
    for coefficient in [
        0.365_478_1,
        -0.650_491_8,
        0.409_816_84,
        -6.530_36e-2,
        0.267_532_9,
        0.299_623,
        0.350_681_5,
        0.349_973_53,
    ] {
        ratio = ratio * t + coefficient;
    }
    (density * ratio * t, density)
}

/// Numbers added up side by side; every vector width gives the same order of additions.
const LANES: usize = 16;

/// Σ aᵢ.
#[inline(always)]
pub fn sum(a: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for a in chunks {
        for lane in 0..LANES {
            lanes[lane] += a[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Σ aᵢ bᵢ, of equal lengths.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left, right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in left.zip(right) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Σ (aᵢ − centre)².
#[inline(always)]
pub fn spread(a: &[f32], centre: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest: f32 = chunks
        .remainder()
        .iter()
        .map(|a| (a - centre) * (a - centre))
        .sum();
    for a in chunks {
        for lane in 0..LANES {
            lanes[lane] += (a[lane] - centre) * (a[lane] - centre);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// max aᵢ, passing over NaN; −∞ when there is none.
#[inline(always)]
pub fn largest(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for a in chunks {
        for lane in 0..LANES {
            lanes[lane] = if a[lane] > lanes[lane] {
                a[lane]
            } else {
                lanes[lane]
            };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        for step in 0..=100_000 {
            let x = -87.0 * step as f32 / 100_000.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp_negative(x)) / expected - 1.0).abs();
            assert!(error < 2e-7, "exp({x}): relative error {error}");
        }
        assert_eq!(exp_negative(0.0), 1.0);
        assert_eq!(exp_negative(f32::NEG_INFINITY), 0.0);
        assert!(exp_negative(f32::NAN).is_nan());
    }

    #[test]
    fn normal_tail_is_accurate() {
        for step in 0..=100_000 {
            let a = 12.0 * step as f32 / 100_000.0;
            let expected =
                0.5 * statrs::function::erf::erfc(f64::from(a) / std::f64::consts::SQRT_2);
            // squaring a and the exponential lose eps·a²/2 in the far tail
            let error = (f64::from(normal_tail(a).0) / expected - 1.0).abs();
            let tolerance = 6e-7 + f64::from(f32::EPSILON) * f64::from(a * a);
            assert!(error < tolerance, "tail({a}): relative error {error}");
        }
    }

    #[test]
    fn reductions_cover_every_length() {
        for length in 0..70 {
            let a: Vec<f32> = (0..length)
                .map(|index| ((index * 37) % 19) as f32 - 9.0)
                .collect();
            let b: Vec<f32> = a.iter().rev().map(|value| value + 1.0).collect();
            // small integers: exact in any order
            assert_eq!(sum(&a), a.iter().sum::<f32>());
            assert_eq!(
                dot(&a, &b),
                a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>()
            );
            assert_eq!(
                spread(&a, 2.0),
                a.iter().map(|a| (a - 2.0) * (a - 2.0)).sum::<f32>()
            );
            assert_eq!(
                largest(&a),
                a.iter().copied().fold(f32::NEG_INFINITY, f32::max)
            );
        }
    }
}
