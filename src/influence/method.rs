//! What a method is, and the closed set of them.

use faer::Mat;

use super::block::Block;
use super::companions::Need;
use super::error::InfluenceError;
use super::evidence::Evidence;
use super::registry::{Listed, MethodInfo, Values};
use super::{
    arnoldi, conjugate_gradient, datainf, diagonal_fisher, ekfac, exact, faithful, grad_cos,
    hessian_free, hyperinf, kfac, lanczos, lissa, logra, nystrom, random_projection, tracin,
    true_hessian,
};
use crate::config::influence::Precision;

/// An approximation of (F + λI)⁻¹ on one block of gradients.
pub trait InfluenceMethod: Send + Sync {
    /// Query-independent work on one block with damping `lambda` > 0.
    ///
    /// # Errors
    /// A factorisation that breaks down; the message names the block, its size and λ.
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError>;

    /// Precision of the products, the contraction with the training gradients included, when `asked` is
    /// what the settings say.
    fn precision(&self, asked: Precision) -> Precision {
        asked
    }

    /// Whether the residual of an answer that does not come with one is to be measured, outside the clock.
    fn measure_residual(&self) -> bool {
        false
    }

    /// What it needs beside the gradients of the fine-tuned model.
    fn need(&self) -> Need {
        Need::Nothing
    }

    /// Whether its scores are divided by the norms of both whole gradients, over all blocks.
    fn cosine(&self) -> bool {
        false
    }

    /// What its answers would be if it were carried to convergence.
    fn limit(&self) -> Limit {
        Limit::Own
    }
}

/// What a method's answers would be if it were carried to convergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// (F + λI)⁻¹v.
    Exact,
    /// A mean of inverses in place of the inverse of a mean.
    Swapped,
    /// An approximation of its own.
    Own,
}

/// What [`InfluenceMethod::prepare`] leaves.
pub trait Preconditioner {
    /// X ≈ (F + λI)⁻¹V for queries V `[d, m]`, one query a column; of methods that project, what stands for
    /// it in the projection.
    ///
    /// # Errors
    /// As of [`InfluenceMethod::prepare`].
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError>;

    /// Of methods that project: the training gradients there, `[n, k]`, whose products with the answers of
    /// [`apply`](Self::apply), `[k, m]`, are the scores.
    fn features(&self) -> Option<&Mat<f64>> {
        None
    }
}

/// The answer to [`Preconditioner::apply`].
pub struct Applied {
    /// X, `[d, m]`.
    pub x: Mat<f64>,
    /// What the solver says of it.
    pub evidence: Evidence,
}

impl From<Mat<f64>> for Applied {
    /// An answer in closed form, without evidence.
    fn from(x: Mat<f64>) -> Self {
        Self {
            x,
            evidence: Evidence::default(),
        }
    }
}

/// The closed set of methods: one line each.
macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident($settings:path)),+ $(,)?) => {
        /// A method with its options.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Method {
            $($(#[$doc])* $variant($settings)),+
        }

        impl Method {
            /// Its entry in [`METHODS`].
            pub fn info(&self) -> &'static MethodInfo {
                match self {
                    $(Self::$variant(_) => &<$settings as Listed>::INFO),+
                }
            }

            /// The method that can run.
            pub fn build(&self) -> &dyn InfluenceMethod {
                match self {
                    $(Self::$variant(settings) => settings),+
                }
            }
        }

        /// Every method: what the command line lists, what settings may name, what tests go through.
        pub static METHODS: &[(&MethodInfo, fn(&Values) -> Method)] = &[
            $((&<$settings as Listed>::INFO, |values| Method::$variant(Listed::from_values(values)))),+
        ];
    };
}

methods! {
    /// See [`exact`].
    Exact(exact::Exact),
    /// See [`datainf`].
    DataInf(datainf::DataInf),
    /// See [`hessian_free`].
    HessianFree(hessian_free::HessianFree),
    /// See [`hessian_free`].
    HessianFreeBlockWeighted(hessian_free::HessianFreeBlockWeighted),
    /// See [`diagonal_fisher`].
    DiagonalFisher(diagonal_fisher::DiagonalFisher),
    /// See [`lissa`].
    Lissa(lissa::Lissa),
    /// See [`grad_cos`].
    GradCos(grad_cos::GradCos),
    /// See [`random_projection`].
    RandomProjection(random_projection::RandomProjection),
    /// See [`logra`].
    Logra(logra::Logra),
    /// See [`conjugate_gradient`].
    ConjugateGradient(conjugate_gradient::ConjugateGradient),
    /// See [`lanczos`].
    Lanczos(lanczos::Lanczos),
    /// See [`arnoldi`].
    Arnoldi(arnoldi::Arnoldi),
    /// See [`nystrom`].
    Nystrom(nystrom::Nystrom),
    /// See [`hyperinf`].
    HyperInf(hyperinf::HyperInf),
    /// See [`kfac`].
    Kfac(kfac::Kfac),
    /// See [`ekfac`].
    Ekfac(ekfac::Ekfac),
    /// See [`true_hessian`].
    TrueHessian(true_hessian::TrueHessian),
    /// See [`tracin`].
    TracIn(tracin::TracIn),
    /// See [`faithful`].
    DataInfDattri(faithful::datainf::DataInfDattri),
    /// See [`faithful`].
    DataInfPydvl(faithful::datainf::DataInfPydvl),
    /// See [`faithful`].
    ExactDattri(faithful::exact::ExactDattri),
    /// See [`faithful`].
    ExactPydvl(faithful::exact::ExactPydvl),
    /// See [`faithful`].
    LissaDattri(faithful::iterations::LissaDattri),
    /// See [`faithful`].
    LissaPydvl(faithful::iterations::LissaPydvl),
    /// See [`faithful`].
    ConjugateGradientDattri(faithful::iterations::ConjugateGradientDattri),
    /// See [`faithful`].
    EkfacKronfluence(faithful::kronfluence::EkfacKronfluence),
    /// See [`faithful`].
    KfacKronfluence(faithful::kronfluence::KfacKronfluence),
    /// See [`faithful`].
    DiagonalKronfluence(faithful::kronfluence::DiagonalKronfluence),
}
