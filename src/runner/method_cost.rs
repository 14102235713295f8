//! What a method's algebra costs, from its formula: for forecasts, and as the slopes that measured times are
//! held against.

use crate::gradients::store::TensorInfo;
use crate::influence::conjugate_gradient::Conditioning;
use crate::influence::exact::Solver;
use crate::influence::hyperinf::Variant;
use crate::influence::{BlockLayout, Method};

/// Operations of a method on all blocks, the contraction included, and the largest workspace of a block in bytes:
/// n examples and m queries.
pub(super) fn total(
    method: &Method,
    tensors: &[TensorInfo],
    layout: &BlockLayout,
    n: f64,
    m: f64,
) -> (f64, f64) {
    let (mut operations, mut largest) = (0.0, 0.0f64);
    for block in layout.blocks() {
        let d = block.dim as f64;
        // [out, in] of the largest matrix of the block, out + in; d + 1 of what is no matrix
        let shapes = block.segments.iter().map(|s| &tensors[s.tensor].shape);
        let sides = shapes.map(|shape| match shape[..] {
            [outputs, inputs] => outputs + inputs,
            _ => 1 + shape.iter().product::<usize>(),
        });
        let side = sides.max().unwrap_or(0) as f64;
        let (flops, bytes) = cost(method, n, m, d, side);
        // projections contract in fewer dimensions
        let width = match method {
            Method::RandomProjection(method) => (method.dim as f64).min(d),
            Method::Logra(method) => ((method.out * method.inputs) as f64).min(d),
            _ => d,
        };
        operations += flops + 2.0 * m * n * width;
        largest = largest.max(bytes + 16.0 * m * d);
    }
    (operations, largest + 8.0 * m * n)
}

/// Operations of preparing and applying a method on one block, and the bytes it holds; `side` is in + out of
/// its largest matrix.
fn cost(method: &Method, n: f64, m: f64, d: f64, side: f64) -> (f64, f64) {
    let both_products = 4.0 * m * n * d;
    match method {
        Method::Exact(exact) if exact.choose(n as usize, d as usize, m as usize) == Solver::Cg => {
            let s = m.min(d);
            let step = 4.0 * s * n * d + 8.0 * s * s * d + 2.0 * m * s * d;
            (conjugate_steps(n, d) * step, 8.0 * (5.0 * m * d + m * n))
        }
        Method::Exact(_) | Method::ExactPydvl(_) => {
            let k = n.min(d);
            // half of a symmetric product, a factorisation, two solves, and the residual's products
            (
                n * d * k + k.powi(3) / 3.0 + 2.0 * m * k * k + 2.0 * both_products,
                8.0 * (k * k + m * n),
            )
        }
        Method::DataInf(method) => {
            let b = (method.group_size as f64).min(n);
            let groups = if b > 1.0 {
                n * b * d + n * b * b / 3.0
            } else {
                2.0 * n * d
            };
            (both_products + groups, 8.0 * (n * b + m * n))
        }
        Method::Lissa(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::ConjugateGradient(method) => {
            let steps = conjugate_steps(n, d).min(method.iterations as f64);
            let (flops, bytes) = match method.preconditioner {
                Conditioning::None => (0.0, 0.0),
                Conditioning::Diagonal => (2.0 * n * d, 8.0 * d),
                Conditioning::Nystrom { rank } => sketch(n, d, rank),
            };
            (
                steps * both_products + flops,
                bytes + 8.0 * (m * n + 4.0 * m * d),
            )
        }
        Method::Nystrom(method) => {
            let k = (method.rank as f64).min(d);
            let (flops, bytes) = sketch(n, d, method.rank);
            (flops + 4.0 * m * k * d, bytes + 8.0 * m * d)
        }
        Method::Lanczos(method) => krylov(n, m, d, method.rank, method.iterations),
        Method::Arnoldi(method) => krylov(n, m, d, method.rank, method.iterations),
        Method::HyperInf(method) => match method.variant {
            // from a condition of 1 + d/0.1 to ten digits
            Variant::Converged => (
                n * d * d + 4.0 * d.powi(3) * ((10.0 * d).log2() + 6.0) + 2.0 * m * d * d,
                8.0 * (4.0 * d * d + m * n),
            ),
            // sides are not known here: as of a square matrix
            Variant::Published | Variant::Code => {
                let r = d.sqrt();
                (2.0 * (n + m) * r * d, 8.0 * (16.0 * r * r + m * d))
            }
        },
        Method::DataInfDattri(_) | Method::DataInfPydvl(_) => {
            (both_products + 2.0 * n * d, 8.0 * (n + m * n))
        }
        Method::ExactDattri(method) => {
            let b = (method.batch_size as f64).min(n);
            (
                both_products + n * b * d + n * b * b / 3.0 + 2.0 * m * n * b,
                8.0 * (n * b + m * n),
            )
        }
        Method::LissaDattri(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::LissaPydvl(method) => (
            both_products * method.iterations as f64,
            8.0 * (m * n + m * d),
        ),
        Method::ConjugateGradientDattri(method) => (
            both_products * (method.iterations + 1) as f64,
            8.0 * (m * n + 3.0 * m * d),
        ),
        Method::DiagonalFisher(_) => (2.0 * n * d, 8.0 * d),
        Method::GradCos(_) => (2.0 * n * d, 0.0),
        Method::RandomProjection(method) => {
            projected(n, m, d, method.dim as f64, 2.0 * n * d * method.dim as f64)
        }
        // the sides of the tensors are not known here: as if both were larger than what is kept
        Method::Logra(method) => {
            let (out, inputs) = (method.out as f64, method.inputs as f64);
            projected(n, m, d, (out * inputs).min(d), 2.0 * n * d * (out + inputs))
        }
        Method::HessianFree(_) | Method::HessianFreeBlockWeighted(_) | Method::TracIn(_) => {
            (0.0, 0.0)
        }
        // the Hessian itself is counted with the gradients
        Method::TrueHessian(_) => (9.0 * d.powi(3) + 6.0 * m * d * d, 24.0 * d * d),
        // all eigenvectors of a symmetric matrix cost about nine times its cube
        Method::Kfac(_) => (9.0 * side.powi(3) + 4.0 * m * d * side, 32.0 * side * side),
        Method::Ekfac(_) => (
            9.0 * side.powi(3) + (2.0 * n + 4.0 * m) * d * side,
            32.0 * side * side + 512.0 * d,
        ),
    }
}

/// Exact influence among k projected dimensions, with the operations of the projection.
fn projected(n: f64, m: f64, d: f64, k: f64, projection: f64) -> (f64, f64) {
    let small = n.min(k);
    (
        projection + n * k * small + small.powi(3) / 3.0 + 2.0 * m * small * small,
        8.0 * (k * (d + n) + small * small),
    )
}

/// Iterations of conjugate gradients to six digits and more: as many as eigenvalues, or √κ·ln(10⁶) with the
/// condition κ = 1 + d/0.1.
fn conjugate_steps(n: f64, d: f64) -> f64 {
    n.min(d).min(7.0 * (1.0 + 10.0 * d).sqrt())
}

/// Operations and bytes of a randomised rank-k Fisher.
fn sketch(n: f64, d: f64, rank: usize) -> (f64, f64) {
    let k = (rank as f64).min(d);
    (
        4.0 * k * n * d + 8.0 * k * k * d,
        8.0 * (3.0 * k * d + k * n),
    )
}

/// Operations and bytes of k Ritz pairs.
fn krylov(n: f64, m: f64, d: f64, rank: usize, steps: Option<usize>) -> (f64, f64) {
    let k = (rank as f64).min(n).min(d);
    let s = steps.map_or(k + k.max(20.0), |s| s as f64).max(k).min(d);
    (
        4.0 * s * n * d + 4.0 * s * s * d + 2.0 * s * k * d + 4.0 * m * k * d,
        8.0 * ((s + k) * d + m * d + n),
    )
}
