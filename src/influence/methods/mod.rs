//! The methods, a file each: settings, what is said of it, what it costs, how it solves.
//!
//! A new one is a file here and a line below. No file imports another: what several need is in
//! [`solve`](super::solve).

use crate::influence::registry::methods;

methods! {
    exact: Exact,
    datainf: DataInf,
    hessian_free: HessianFree,
    hessian_free_block_weighted: HessianFreeBlockWeighted,
    diagonal_fisher: DiagonalFisher,
    lissa: Lissa,
    grad_cos: GradCos,
    random_projection: RandomProjection,
    logra: Logra,
    conjugate_gradient: ConjugateGradient,
    lanczos: Lanczos,
    arnoldi: Arnoldi,
    nystrom: Nystrom,
    hyperinf: HyperInf,
    kfac: Kfac,
    ekfac: Ekfac,
    true_hessian: TrueHessian,
    tracin: TracIn,
}
