//! LiSSA: the inverse by a fixed-point iteration.

use faer::Mat;
use rand_distr::{Distribution, StandardNormal};

use super::block::Block;
use super::element::{column, contiguous_mut};
use super::error::InfluenceError;
use super::evidence::Evidence;
use super::kernels::combine;
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::moments::sum_of_squares;
use super::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::random::rng;

/// LiSSA: r₀ = v, r_j = v + (I − (F + λI)/s) r_{j−1}, X = r_k/s.
///
/// It converges to (F + λI)⁻¹v if and only if s > (σ_max + λ)/2, σ_max being F's top eigenvalue. The paper has
/// s = 1 and k = 10: far from converged where gradients are small (r ≈ (k+1) v, which is Hessian-free), and
/// divergent where they are large. A result that is not finite is no error: the scores show it.
///
/// Source: Agarwal, Bullins, Hazan 2017 (arXiv 1602.03943); Koh and Liang 2017 for influence; the full batch
/// in every step, as in Kwon et al. 2024. Cost: 4·k·m·n·d to apply; m·d numbers.
///
/// The residual ‖(F+λI)x − v‖/‖v‖ of the true system is measured outside the clock. A block counts in
/// [`Evidence::not_converged`] when it is not finite or above 1, that is worse than x = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Lissa {
    /// Which sign the damping has.
    pub variant: Variant,
    /// Steps k, at least 1.
    pub iterations: usize,
    /// The scale s.
    pub scale: Scale,
}

/// Sign of the damping in [`Lissa`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// I − (F + λI)/s, as in the text of the paper.
    Paper,
    /// I − (F − λI)/s, as in the paper's public code, where the damping's sign is reversed.
    Code,
}

/// Scale of [`Lissa`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// This one.
    Fixed(f64),
    /// 1.1·(σ + λ), where σ is the largest Rayleigh quotient that 20 steps of a seeded power
    /// iteration from 4 random vectors, carried at once, reach.
    ///
    /// σ never exceeds σ_max, and for convergence it need only exceed about half of it. From a random start
    /// k steps leave σ within a relative 0.871·ln d/(k − 1) of σ_max on average, whatever the spectrum
    /// (Kuczyński, Woźniakowski 1992): for k = 20 that is 0.38 at d = 4096, and the best of several starts is
    /// closer still. A spectrum that slow to resolve is flat, where σ is near σ_max anyway.
    Auto,
}

/// Steps of the power iteration.
const POWER_STEPS: usize = 20;
/// Random starts of the power iteration, all carried at once.
const POWER_STARTS: usize = 4;
/// Margin of the automatic scale.
const POWER_MARGIN: f64 = 1.1;

impl Listed for Lissa {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa",
        summary: "a fixed-point iteration, with its residual",
        formula: "r ← v + (I − (F + λI)/s) r, result r/s",
        cost: "k n d",
        options: &[
            OptionInfo {
                key: "variant",
                default: "paper",
                allowed: Allowed::Word(&["paper", "code"]),
                help: "code reverses the damping's sign, as the paper's public code does",
            },
            OptionInfo {
                key: "iterations",
                default: "10",
                allowed: Allowed::Count,
                help: "steps k",
            },
            OptionInfo {
                key: "scale",
                default: "1",
                allowed: Allowed::NumberOr(&["auto"]),
                help: "s; the iteration converges when s exceeds half the top eigenvalue of F + λI; auto estimates it",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            variant: if values.word("variant") == Some("code") {
                Variant::Code
            } else {
                Variant::Paper
            },
            iterations: values.count("iterations"),
            scale: values.number("scale").map_or(Scale::Auto, Scale::Fixed),
        }
    }
}

impl InfluenceMethod for Lissa {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let scale = match self.scale {
            Scale::Fixed(scale) => scale,
            Scale::Auto => POWER_MARGIN * (top_eigenvalue(block) + lambda),
        };
        let damping = if self.variant == Variant::Paper {
            lambda
        } else {
            -lambda
        };
        Ok(Box::new(Iteration {
            block,
            damping,
            scale,
            iterations: self.iterations,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }
}

struct Iteration<'a> {
    block: &'a Block<'a>,
    /// λ with the variant's sign.
    damping: f64,
    scale: f64,
    iterations: usize,
}

impl Preconditioner for Iteration<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let inverse = 1.0 / self.scale;
        let keep = 1.0 - self.damping * inverse;
        let mut r = v.clone();
        for _ in 0..self.iterations {
            let mut next = self.block.fisher_times(&r);
            // next = keep·r − F r/s, then + v
            combine(&r, &mut next, |r, f| keep * r - f * inverse);
            combine(v, &mut next, |v, x| v + x);
            r = next;
        }
        if inverse != 1.0 {
            combine(v, &mut r, |_, r| r * inverse);
        }
        let evidence = Evidence {
            iterations: Some(self.iterations),
            ..Evidence::default()
        };
        Ok(Applied { x: r, evidence })
    }
}

/// A lower bound of F's top eigenvalue, close to it: see [`Scale::Auto`].
fn top_eigenvalue(block: &Block<'_>) -> f64 {
    let mut random = rng(block.seed(), block.name(), "lissa_power_iteration");
    let mut x: Mat<f64> = Mat::from_fn(block.dim(), POWER_STARTS, |_, _| {
        StandardNormal.sample(&mut random)
    });
    let mut top = 0.0f64;
    for _ in 0..POWER_STEPS {
        for j in 0..x.ncols() {
            let x = contiguous_mut(x.as_mut().col_mut(j));
            let norm = sum_of_squares(x).sqrt();
            if norm > 0.0 {
                x.iter_mut().for_each(|value| *value /= norm);
            }
        }
        let next = block.fisher_times(&x);
        for j in 0..x.ncols() {
            let quotient: f64 = column(x.as_ref(), j)
                .iter()
                .zip(column(next.as_ref(), j))
                .map(|(a, b)| a * b)
                .sum();
            top = top.max(quotient);
        }
        x = next;
    }
    top
}
