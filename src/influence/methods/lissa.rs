//! LiSSA: the inverse by a fixed-point iteration.

use faer::Mat;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::influence::block::columns::{column, combine, contiguous_mut, norms, worst};
use crate::influence::block::reduce::sum_of_squares;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Limit, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given, Look, Marker};
use crate::random::rng;

/// LiSSA: r₀ = v, r_j = v + (I − (F + λI)/s) r_{j−1}, X = r_k/s.
///
/// It converges to (F + λI)⁻¹v if and only if s > (σ_max + λ)/2, σ_max being F's top eigenvalue;
/// `scale: auto` makes sure of that. The paper has
/// s = 1 and k = 10: far from converged where gradients are small (r ≈ (k+1) v, which is Hessian-free), and
/// divergent where they are large. A result that is not finite is no error: the scores show it.
///
/// Source: Agarwal, Bullins, Hazan 2017 (arXiv 1602.03943); Koh and Liang 2017 for influence; the full batch
/// in every step, as in Kwon et al. 2024. Cost: 4·k·m·n·d to apply; m·d numbers.
///
/// The residual ‖(F+λI)x − v‖/‖v‖ of the true system after every step but the last is in the history: it is the
/// difference of two consecutive r, and costs no product. That of the result is measured outside the clock. A block counts in
/// [`SolverDiagnostics::not_converged`] when it is not finite or above 1, that is worse than x = 0.
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
    /// max(σ, 0.55·U) + λ, where σ ≤ σ_max is the largest Rayleigh quotient that 20 steps of a seeded power
    /// iteration from 4 random vectors, carried at once, reach, and U ≥ σ_max an upper bound, so that
    /// s > (σ_max + λ)/2 and the iteration converges.
    ///
    /// U = min(tr F, σ/(1 − ε)). The trace bounds always, and is tight at rank one. The other is Kuczyński and
    /// Woźniakowski's bound (1992, theorem 4.1), which holds for every spectrum, flat ones included: from one random
    /// start k steps end below (1 − ε)σ_max with a probability of at most 0.824·√d·(1 − ε)^(k−1/2), from 4
    /// independent ones with its fourth power. ε is such that this is 10⁻¹² (1 − ε is 0.57 at d = 4096, 0.50 at 10⁶).
    /// Should even that fail, the residuals of the history, which fall from step to step if and only if s is large
    /// enough, rise, and the block is counted.
    ///
    /// s is chosen near the lower end because the small eigenvalues' parts of the residual fall like (1 − λ/s)^k.
    Auto,
}

/// Steps of the power iteration.
const POWER_STEPS: usize = 20;
/// Random starts of the power iteration, all carried at once.
const POWER_STARTS: usize = 4;
/// Chance that the power iteration's bound does not hold.
const POWER_FAILURE: f64 = 1e-12;
/// Share of the upper bound that the automatic scale has at least: a half would only just do.
const POWER_SHARE: f64 = 0.55;

impl Listed for Lissa {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa",
        title: "LiSSA",
        look: Some(Look::new([0x00, 0x9e, 0x73], Marker::Cross, Dash::Dotted)),
        variant: variants,
        summary: "a fixed-point iteration, with its residual",
        formula: "r ← v + (I − (F + λI)/s) r, result r/s",
        cost: "k n d",
        memory: "2 m d",
        passes: "k + 1; scale=auto 21 more",
        damping: "λ_l inside the iteration",
        source: "Agarwal, Bullins, Hazan 2017, arXiv 1602.03943; Koh, Liang 2017, arXiv 1703.04730",
        when: "to reproduce published results; conjugate_gradient reaches the same answer in far fewer passes",
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
                help: "s; the iteration converges when s exceeds half the top eigenvalue of F + λI; auto makes sure of it",
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
            Scale::Auto => {
                let reached = top_eigenvalue(block);
                reached.max(POWER_SHARE * upper_bound(block, reached)) + lambda
            }
        };
        let damping = if self.variant == Variant::Paper {
            lambda
        } else {
            -lambda
        };
        Ok(Box::new(Iteration {
            block,
            lambda,
            damping,
            scale,
            iterations: self.iterations,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }

    /// The code's sign has another fixed point, (F − λI)⁻¹v.
    fn limit(&self) -> Limit {
        match self.variant {
            Variant::Paper => Limit::Exact,
            Variant::Code => Limit::Own,
        }
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        // power iterations of four vectors, and the trace
        let scale = match self.scale {
            Scale::Auto => 20.0 * 4.0 * 4.0 * n * d + 2.0 * n * d,
            Scale::Fixed(_) => 0.0,
        };
        let work = (scale, 2.0 * size.product(), self.iterations as f64);
        Cost::iterated(size, work, m * n + m * d)
    }
}

struct Iteration<'a> {
    block: &'a Block<'a>,
    lambda: f64,
    /// λ with the variant's sign.
    damping: f64,
    scale: f64,
    iterations: usize,
}

impl Preconditioner for Iteration<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let inverse = 1.0 / self.scale;
        let keep = 1.0 - self.damping * inverse;
        let sizes = norms(v);
        let mut history = Vec::with_capacity(self.iterations);
        let mut r = v.clone();
        for step in 0..self.iterations {
            let mut next = self.block.fisher_vector_product(&r);
            // next = keep·r − F r/s, then + v
            combine(&r, &mut next, |r, f| keep * r - f * inverse);
            combine(v, &mut next, |v, x| v + x);
            if step > 0 {
                history.push(self.residual(&r, &next, &sizes));
            }
            r = next;
        }
        if inverse != 1.0 {
            combine(v, &mut r, |_, r| r * inverse);
        }
        let evidence = SolverDiagnostics {
            iterations: Some(self.iterations),
            history: SolverDiagnostics::readable(&history),
            ..SolverDiagnostics::default()
        };
        Ok(Applied { x: r, evidence })
    }
}

impl Iteration<'_> {
    /// The largest residual ‖v − (F+λI)x_j‖/‖v‖ of x_j = r_j/s, from r_j and what came of it: with the paper's
    /// sign it is r_{j+1} − r_j, since r_{j+1} = v + r_j − (F+λI)r_j/s; with the code's the step was made with −λ,
    /// and 2λr_j/s are missing.
    fn residual(&self, r: &Mat<f64>, next: &Mat<f64>, sizes: &[f64]) -> f64 {
        let missing = (self.lambda - self.damping) / self.scale;
        let of = |j: usize| {
            let squares: f64 = column(r.as_ref(), j)
                .iter()
                .zip(column(next.as_ref(), j))
                .map(|(r, next)| next - r - missing * r)
                .map(|residual| residual * residual)
                .sum();
            if squares == 0.0 {
                0.0
            } else {
                squares.sqrt() / sizes[j]
            }
        };
        let all: Vec<f64> = (0..r.ncols()).into_par_iter().map(of).collect();
        worst(all)
    }
}

/// An upper bound of F's top eigenvalue, from what the power iteration reached: see [`Scale::Auto`].
fn upper_bound(block: &Block<'_>, reached: f64) -> f64 {
    let trace = block.squared_norms().iter().sum::<f64>() / block.rows() as f64;
    let one_start = POWER_FAILURE.powf(1.0 / POWER_STARTS as f64);
    let share = (one_start / (0.824 * (block.dim() as f64).sqrt()))
        .powf(1.0 / (POWER_STEPS as f64 - 0.5))
        .min(1.0);
    trace.min(reached / share)
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
        let next = block.fisher_vector_product(&x);
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

/// By the damping's sign, the scale and the steps.
fn variants(options: &Given<'_>, drawn: &mut Drawn) {
    drawn.shown.extend(["variant", "scale", "iterations"]);
    let (variant, scale) = (options.get("variant"), options.get("scale"));
    match (variant, scale) {
        (_, Some("auto")) => {
            drawn.look = Some(Look::new([0x00, 0x5f, 0x45], Marker::Up, Dash::Solid))
        }
        (Some("code"), _) => {
            drawn.look = Some(Look::new([0x6a, 0x9a, 0x2d], Marker::Plus, Dash::Dotted))
        }
        _ => {}
    }
    let scale = match scale {
        None | Some("1") => String::new(),
        Some("auto") => ", scaled".to_owned(),
        Some(scale) => format!(", scale {scale}"),
    };
    let iterations = options
        .get("iterations")
        .map_or(String::new(), |count| format!(", {count} steps"));
    let variant = variant.unwrap_or("paper");
    // the variants differ in the sign of the damping; `paper` needs no word once scaled
    let variant = if variant == "paper" && !scale.is_empty() {
        String::new()
    } else {
        format!(" ({variant})")
    };
    drawn.title = format!("LiSSA{variant}{scale}{iterations}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::block::testing::Axes;

    #[test]
    fn the_automatic_scale_is_proven_from_both_sides() {
        let flat = vec![3.0; 40];
        let falling: Vec<f64> = (0..40).map(|j| 5.0 / (1.0 + f64::from(j))).collect();
        let close: Vec<f64> = (0..40).map(|j| 2.0 - 1e-3 * f64::from(j)).collect();
        for (spectrum, d) in [
            (&flat, 40),
            (&falling, 60),
            (&close, 40),
            (&vec![7.0], 50),
            (&vec![7.0], 1),
        ] {
            let axes = Axes::new(spectrum, d);
            let block = axes.block();
            let top = f64::from(spectrum[0] as f32);
            let reached = top_eigenvalue(&block);
            let bound = upper_bound(&block, reached);
            // to the single precision that the gradients are stored in
            assert!(
                reached <= top * (1.0 + 1e-6) && bound >= top * (1.0 - 1e-6),
                "{reached} {bound} {top}"
            );
            let scale = reached.max(POWER_SHARE * bound);
            assert!(scale > 0.5 * top && scale <= 1.1 * top, "{scale} {top}");
        }
        // at rank one the trace is the eigenvalue
        let one = Axes::new(&[7.0], 50);
        let reached = top_eigenvalue(&one.block());
        assert!((upper_bound(&one.block(), reached) - 7.0).abs() < 1e-5);
    }
}
