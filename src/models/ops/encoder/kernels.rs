//! Passes over rows while they are in the cache.

use std::mem::MaybeUninit;

use super::super::activation::distribution;
use super::super::simd::{self, Kernel};

/// Every row plus the same row.
pub struct AddRow<'a>(pub &'a mut [f32], pub &'a [f32]);

impl Kernel for AddRow<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.0.chunks_exact_mut(self.1.len()) {
            for (value, bias) in row.iter_mut().zip(self.1) {
                *value += bias;
            }
        }
    }
}

/// Element by element.
pub struct Times<'a>(pub &'a mut [f32], pub &'a [f32]);

impl Kernel for Times<'_> {
    #[inline(always)]
    fn run(self) {
        for (value, factor) in self.0.iter_mut().zip(self.1) {
            *value *= factor;
        }
    }
}

/// x ← GELU(x + b) row by row, and its derivative.
pub struct GeluOfSum<'a> {
    pub x: &'a mut [f32],
    pub bias: &'a [f32],
    pub slope: &'a mut [MaybeUninit<f32>],
}

impl Kernel for GeluOfSum<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.bias.len();
        for (x, slope) in self
            .x
            .chunks_exact_mut(width)
            .zip(self.slope.chunks_exact_mut(width))
        {
            for ((x, slope), bias) in x.iter_mut().zip(slope).zip(self.bias) {
                let sum = *x + bias;
                let (below, density) = distribution(sum);
                *x = sum * below;
                slope.write(below + sum * density);
            }
        }
    }
}

/// z = y + b + residual, normalised: y becomes (z − μ)/σ, `out` γ·y + β.
pub struct AddNorm<'a> {
    pub y: &'a mut [f32],
    pub bias: &'a [f32],
    pub residual: &'a [f32],
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub epsilon: f32,
    pub out: &'a mut [MaybeUninit<f32>],
    pub inverse: &'a mut [f32],
}

impl Kernel for AddNorm<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gamma.len();
        let scale = 1.0 / width as f32;
        let rows = self
            .y
            .chunks_exact_mut(width)
            .zip(self.residual.chunks_exact(width))
            .zip(self.out.chunks_exact_mut(width))
            .zip(self.inverse);
        for (((y, residual), out), inverse) in rows {
            for ((y, residual), bias) in y.iter_mut().zip(residual).zip(self.bias) {
                *y += residual + bias;
            }
            let mean = simd::sum(y) * scale;
            let variance = simd::spread(y, mean) * scale;
            *inverse = 1.0 / (variance + self.epsilon).sqrt();
            for (((y, out), gamma), beta) in y.iter_mut().zip(out).zip(self.gamma).zip(self.beta) {
                *y = (*y - mean) * *inverse;
                out.write(*y * gamma + beta);
            }
        }
    }
}
