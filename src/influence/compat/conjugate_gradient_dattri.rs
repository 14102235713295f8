//! Conjugate gradients as dattri has them.

use faer::Mat;

use super::settings::{Damping, damping_option, steps};
use crate::influence::block::columns::{column, combine, contiguous_mut};
use crate::influence::block::reduce::sum_of_squares;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};

/// dattri's conjugate gradients: always k steps on F + λI, **from x₀ = v** and with no test, so that a query is
/// answered with v's own scale where gradients are small, and with what rounding leaves where it had converged. (A
/// residual of exactly zero ends it here; there the next step is 0/0.)
///
/// All examples are one batch here; over more, dattri sums the solutions as in
/// [`ExactDattri`](super::exact_dattri::ExactDattri).
///
/// Source: dattri 0.3.0, `hessian.ihvp_at_x_cg`, on a loss whose Hessian is F. Its default regularisation is 0;
/// the default here is our λ_l. Cost: 4·(k + 1)·m·n·d to apply; 4·m·d numbers. SolverDiagnostics as of
/// [`Lissa`](crate::influence::methods::lissa::Lissa).
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
        title: "CG as in dattri",
        look: None,
        variant: plain,
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

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let product = size.product();
        let work = (2.0 * product, 2.0 * product, self.iterations as f64);
        Cost::iterated(size, work, m * n + 3.0 * m * d)
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
        let mut product = self.block.fisher_vector_product(p);
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
        let evidence = SolverDiagnostics {
            iterations: Some(self.iterations),
            ..SolverDiagnostics::default()
        };
        Ok(Applied { x, evidence })
    }
}
