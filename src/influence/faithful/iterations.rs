//! LiSSA as dattri and pyDVL have it, and dattri's conjugate gradients.

use faer::Mat;

use super::{Damping, damping_option};
use crate::influence::block::Block;
use crate::influence::element::{column, contiguous_mut};
use crate::influence::error::InfluenceError;
use crate::influence::evidence::Evidence;
use crate::influence::kernels::combine;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::moments::sum_of_squares;
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};

/// dattri's LiSSA: r ← v + (1 − δ) r − F r/s from r = v, k times, result r/s. **The damping is outside the
/// scale**, so that it converges to (F + sδI)⁻¹v, and is none by default: singular where n < d.
///
/// Here every step takes all examples. dattri draws `batch_size` (1) of them anew at each step and for each query,
/// of which this is the mean.
///
/// Source: dattri 0.3.0, `hessian.ihvp_lissa`, on a loss whose Hessian is F. Cost: 4·k·m·n·d to apply; m·d
/// numbers. Evidence as of [`Lissa`](crate::influence::lissa::Lissa).
#[derive(Clone, Debug, PartialEq)]
pub struct LissaDattri {
    /// Steps k, at least 1.
    pub iterations: usize,
    /// s > 0.
    pub scale: f64,
    /// δ.
    pub damping: Damping,
}

const fn steps(default: &'static str) -> OptionInfo {
    OptionInfo {
        key: "iterations",
        default,
        allowed: Allowed::Count,
        help: "steps k, at most",
    }
}

const fn scale(default: &'static str) -> OptionInfo {
    OptionInfo {
        key: "scale",
        default,
        allowed: Allowed::Number,
        help: "s",
    }
}

impl Listed for LissaDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa_dattri",
        summary: "dattri's LiSSA on full batches: the damping outside the scale",
        formula: "r ← v + (1 − δ) r − F r/s, result r/s",
        cost: "k n d",
        memory: "2 m d",
        passes: "k + 1",
        damping: "none; one constant δ, or λ_l, outside the scale",
        source: "dattri 0.3.0; Koh, Liang 2017, arXiv 1703.04730",
        when: "to explain figures published with dattri",
        options: &[
            steps("5000"),
            scale("50"),
            OptionInfo {
                key: "damping",
                default: "none",
                allowed: Allowed::NumberOr(&["none", "auto"]),
                help: "δ: one constant for all blocks, none as in the library, auto is our λ of each block",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            iterations: values.count("iterations"),
            scale: values.number("scale").unwrap_or(50.0),
            damping: Damping::from_values(values),
        }
    }
}

impl InfluenceMethod for LissaDattri {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(FixedPoint {
            block,
            keep: 1.0 - self.damping.of(lambda),
            scale: self.scale,
            iterations: self.iterations,
            tolerance: 0.0,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }
}

/// pyDVL's LiSSA: r ← v + (1 − δ) r − (F + λI) r/s from r = v, at most k times, result r/s. It **stops when the
/// largest relative change |Δ/r| of any entry of any query** is below a tolerance: one query asked alone stops
/// elsewhere than among others, and an entry near zero keeps all of them going.
///
/// Here every step takes all examples, which is pyDVL with one batch; it takes the first batch of a new shuffle.
///
/// Source: pyDVL 0.10.0, `LissaOperator`, on a loss whose Hessian is F or with Gauss–Newton (whose batches are
/// averaged rightly here). Cost: 4·k·m·n·d to apply; m·d numbers. Evidence as of
/// [`Lissa`](crate::influence::lissa::Lissa).
#[derive(Clone, Debug, PartialEq)]
pub struct LissaPydvl {
    /// Steps k at most, at least 1.
    pub iterations: usize,
    /// s > 0.
    pub scale: f64,
    /// δ ≥ 0; 0.
    pub dampen: f64,
    /// λ.
    pub damping: Damping,
    /// Relative change below which it stops.
    pub tolerance: f64,
}

impl Listed for LissaPydvl {
    const INFO: MethodInfo = MethodInfo {
        name: "lissa_pydvl",
        summary: "pyDVL's LiSSA on full batches: one stop for all queries",
        formula: "r ← v + (1 − δ) r − (F + λI) r/s until max|Δ/r| < tolerance, result r/s",
        cost: "k n d",
        memory: "2 m d",
        passes: "k + 1",
        damping: "none; one constant, or λ_l, inside the iteration",
        source: "pyDVL 0.10.0; Koh, Liang 2017, arXiv 1703.04730",
        when: "to explain figures published with pyDVL",
        options: &[
            steps("1000"),
            scale("10"),
            OptionInfo {
                key: "dampen",
                default: "none",
                allowed: Allowed::NumberOr(&["none"]),
                help: "δ",
            },
            OptionInfo {
                key: "damping",
                default: "none",
                allowed: Allowed::NumberOr(&["none", "auto"]),
                help: "λ: one constant for all blocks, none as in the library, auto is our λ of each block",
            },
            OptionInfo {
                key: "tolerance",
                default: "1e-4",
                allowed: Allowed::Number,
                help: "largest relative change of any entry below which all queries stop",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            iterations: values.count("iterations"),
            scale: values.number("scale").unwrap_or(10.0),
            dampen: values.number("dampen").unwrap_or(0.0),
            damping: Damping::from_values(values),
            tolerance: values.number("tolerance").unwrap_or(1e-4),
        }
    }
}

impl InfluenceMethod for LissaPydvl {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(FixedPoint {
            block,
            keep: 1.0 - self.dampen - self.damping.of(lambda) / self.scale,
            scale: self.scale,
            iterations: self.iterations,
            tolerance: self.tolerance,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }
}

/// r ← v + keep·r − F r/s, result r/s.
struct FixedPoint<'a> {
    block: &'a Block<'a>,
    keep: f64,
    scale: f64,
    iterations: usize,
    /// Relative change of every entry below which it stops; 0 never stops.
    tolerance: f64,
}

impl Preconditioner for FixedPoint<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let inverse = 1.0 / self.scale;
        let mut r = v.clone();
        let mut steps = 0;
        while steps < self.iterations {
            let mut next = self.block.fisher_times(&r);
            combine(&r, &mut next, |r, f| self.keep * r - f * inverse);
            combine(v, &mut next, |v, x| v + x);
            steps += 1;
            let settled = self.tolerance > 0.0 && settled(&r, &next, self.tolerance);
            r = next;
            if settled {
                break;
            }
        }
        combine(v, &mut r, |_, r| r * inverse);
        let evidence = Evidence {
            iterations: Some(steps),
            ..Evidence::default()
        };
        Ok(Applied { x: r, evidence })
    }
}

/// Whether no entry changed by `tolerance` of its new value or more; 0/0 and NaN have not settled.
fn settled(r: &Mat<f64>, next: &Mat<f64>, tolerance: f64) -> bool {
    (0..r.ncols()).all(|j| {
        column(r.as_ref(), j)
            .iter()
            .zip(column(next.as_ref(), j))
            .all(|(r, next)| ((next - r) / next).abs() < tolerance)
    })
}

/// dattri's conjugate gradients: always k steps on F + λI, **from x₀ = v** and with no test, so that a query is
/// answered with v's own scale where gradients are small, and with what rounding leaves where it had converged. (A
/// residual of exactly zero ends it here; there the next step is 0/0.)
///
/// All examples are one batch here; over more, dattri sums the solutions as in
/// [`ExactDattri`](super::exact::ExactDattri).
///
/// Source: dattri 0.3.0, `hessian.ihvp_at_x_cg`, on a loss whose Hessian is F. Its default regularisation is 0;
/// the default here is our λ_l. Cost: 4·(k + 1)·m·n·d to apply; 4·m·d numbers. Evidence as of
/// [`Lissa`](crate::influence::lissa::Lissa).
#[derive(Clone, Debug, PartialEq)]
pub struct ConjugateGradientDattri {
    /// Steps k, at least 1.
    pub iterations: usize,
    /// λ.
    pub damping: Damping,
}

impl Listed for ConjugateGradientDattri {
    const INFO: MethodInfo = MethodInfo {
        name: "conjugate_gradient_dattri",
        summary: "dattri's conjugate gradients: a fixed number of steps from the query itself",
        formula: "k steps on (F + λI)x = v from x = v",
        cost: "k n d",
        memory: "4 m d",
        passes: "k + 2",
        damping: "λ_l, or one constant as in the library",
        source: "dattri 0.3.0",
        when: "to explain figures published with dattri",
        options: &[steps("10"), damping_option("auto")],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            iterations: values.count("iterations"),
            damping: Damping::from_values(values),
        }
    }
}

impl InfluenceMethod for ConjugateGradientDattri {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(Conjugate {
            block,
            lambda: self.damping.of(lambda),
            iterations: self.iterations,
        }))
    }

    fn measure_residual(&self) -> bool {
        true
    }
}

struct Conjugate<'a> {
    block: &'a Block<'a>,
    lambda: f64,
    iterations: usize,
}

impl Conjugate<'_> {
    /// (F + λI) P.
    fn damped_times(&self, p: &Mat<f64>) -> Mat<f64> {
        let mut product = self.block.fisher_times(p);
        combine(p, &mut product, |p, f| f + self.lambda * p);
        product
    }
}

impl Preconditioner for Conjugate<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = v.clone();
        let mut r = self.damped_times(&x);
        combine(v, &mut r, |v, a| v - a);
        let mut p = r.clone();
        for _ in 0..self.iterations {
            let ap = self.damped_times(&p);
            for j in 0..v.ncols() {
                let (x, r, p) = (
                    contiguous_mut(x.as_mut().col_mut(j)),
                    contiguous_mut(r.as_mut().col_mut(j)),
                    contiguous_mut(p.as_mut().col_mut(j)),
                );
                let ap = column(ap.as_ref(), j);
                let before = sum_of_squares(r);
                let curvature: f64 = p.iter().zip(ap).map(|(p, ap)| p * ap).sum();
                if before == 0.0 {
                    continue;
                }
                let alpha = before / curvature;
                for ((x, p), (r, ap)) in x.iter_mut().zip(&*p).zip(r.iter_mut().zip(ap)) {
                    *x += alpha * p;
                    *r -= alpha * ap;
                }
                let beta = sum_of_squares(r) / before;
                for (p, r) in p.iter_mut().zip(&*r) {
                    *p = r + beta * *p;
                }
            }
        }
        let evidence = Evidence {
            iterations: Some(self.iterations),
            ..Evidence::default()
        };
        Ok(Applied { x, evidence })
    }
}
