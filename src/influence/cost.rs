//! What a method's algebra costs, from its formula: for forecasts, as the slopes that measured times are held against,
//! and as the work in a measured rate.

use super::layout::{BlockLayout, BlockShape};
use super::lissa::Scale;
use super::method::Method;
use super::{arnoldi, conjugate_gradient, exact, hyperinf, krylov, lanczos, nystrom};
use crate::gradients::store::TensorInfo;

/// Sizes of one block and of what is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSize {
    /// Training examples n.
    pub examples: f64,
    /// Query gradients m.
    pub queries: f64,
    /// Size d.
    pub dim: f64,
    /// `[out, in]` of every tensor; one row of what is no matrix.
    pub matrices: Vec<[f64; 2]>,
}

impl BlockSize {
    /// Of a block of `tensors`.
    pub fn of(block: &BlockShape, tensors: &[TensorInfo], examples: f64, queries: f64) -> Self {
        let shapes = block.segments.iter().map(|s| &tensors[s.tensor].shape);
        let matrices = shapes.map(|shape| match shape[..] {
            [outputs, inputs] => [outputs as f64, inputs as f64],
            _ => [1.0, shape.iter().product::<usize>() as f64],
        });
        Self {
            examples,
            queries,
            dim: block.dim as f64,
            matrices: matrices.collect(),
        }
    }

    /// Σ over the tensors.
    fn sum(&self, of: impl Fn(f64, f64) -> f64) -> f64 {
        self.matrices.iter().map(|&[o, i]| of(o, i)).sum()
    }
}

/// Floating-point operations and memory of a method on one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Operations whatever the number of iterations: prepare, apply, and the contraction with the training gradients.
    pub fixed: f64,
    /// Operations of an iteration or refinement step.
    pub step: f64,
    /// Iterations to be expected; none where the method has none. What a run needed is in its
    /// [`Evidence`](super::Evidence).
    pub steps: f64,
    /// Largest workspace, bytes: beside gradients and scores, the queries and their answers included.
    pub bytes: f64,
}

impl Cost {
    /// Operations with the iterations to be expected.
    pub fn operations(&self) -> f64 {
        self.fixed + self.steps * self.step
    }
}

/// Operations of a method on all blocks, with the iterations to be expected, and the largest workspace of a block and
/// the scores in bytes: n examples and m queries.
pub fn total(
    method: &Method,
    tensors: &[TensorInfo],
    layout: &BlockLayout,
    n: f64,
    m: f64,
) -> (f64, f64) {
    let costs = layout
        .blocks()
        .iter()
        .map(|block| cost(method, &BlockSize::of(block, tensors, n, m)));
    let (operations, largest) = costs.fold((0.0, 0.0f64), |(operations, largest), cost| {
        (operations + cost.operations(), largest.max(cost.bytes))
    });
    (operations, largest + 8.0 * m * n)
}

/// What a method costs on one block.
pub fn cost(method: &Method, size: &BlockSize) -> Cost {
    let (n, m, d) = (size.examples, size.queries, size.dim);
    // G times m vectors, or their contraction
    let product = 2.0 * m * n * d;
    // (operations of prepare and apply, of a step, steps), numbers held
    let (work, numbers) = match method {
        Method::Exact(method) => exact(method, n, m, d),
        Method::ExactPydvl(_) => exact(&exact::Exact::default(), n, m, d),
        Method::DataInf(method) if method.group_size == 1 => {
            (once(2.0 * n * d + 2.0 * product), n + m * n)
        }
        Method::DataInf(method) => grouped(n, m, d, method.group_size),
        Method::ExactDattri(method) => grouped(n, m, d, method.batch_size),
        Method::DataInfDattri(_) | Method::DataInfPydvl(_) => {
            (once(2.0 * n * d + 2.0 * product), n + m * n)
        }
        Method::Lissa(method) => {
            // power iterations of four vectors, and the trace
            let scale = match method.scale {
                Scale::Auto => 20.0 * 4.0 * 4.0 * n * d + 2.0 * n * d,
                Scale::Fixed(_) => 0.0,
            };
            let steps = method.iterations as f64;
            ((scale, 2.0 * product, steps), m * n + m * d)
        }
        Method::LissaDattri(method) => (
            (0.0, 2.0 * product, method.iterations as f64),
            m * n + m * d,
        ),
        Method::LissaPydvl(method) => (
            (0.0, 2.0 * product, method.iterations as f64),
            m * n + m * d,
        ),
        // a step with all queries open, and the residual at the end
        Method::ConjugateGradient(method) => {
            let (prepare, held) = match method.preconditioner {
                conjugate_gradient::Conditioning::None => (0.0, 0.0),
                conjugate_gradient::Conditioning::Diagonal => (2.0 * n * d, d),
                conjugate_gradient::Conditioning::Nystrom { rank } => sketch(n, d, rank),
            };
            let steps = conjugate_steps(n, d).min(method.iterations as f64);
            (
                (prepare + 2.0 * product, 2.0 * product, steps),
                held + m * n + 4.0 * m * d,
            )
        }
        Method::ConjugateGradientDattri(method) => (
            (2.0 * product, 2.0 * product, method.iterations as f64),
            m * n + 3.0 * m * d,
        ),
        // what keeps the whole block solves it exactly
        Method::Nystrom(nystrom::Nystrom { rank })
        | Method::Lanczos(lanczos::Lanczos { rank, .. })
        | Method::Arnoldi(arnoldi::Arnoldi { rank, .. })
            if *rank as f64 >= n.min(d) =>
        {
            exact(&exact::Exact::default(), n, m, d)
        }
        Method::RandomProjection(_) | Method::Logra(_) if !projects(method, size) => {
            exact(&exact::Exact::default(), n, m, d)
        }
        Method::Nystrom(method) => {
            let k = method.rank as f64;
            let (operations, held) = sketch(n, d, method.rank);
            (once(operations + 4.0 * m * k * d), held + m * d)
        }
        // orthogonalised twice against all, and once
        Method::Lanczos(method) => krylov(n, m, d, method.rank, method.iterations, 4.0),
        Method::Arnoldi(method) => krylov(n, m, d, method.rank, method.iterations, 2.0),
        Method::HyperInf(method) => schulz(method, size),
        Method::DiagonalFisher(_) | Method::DiagonalKronfluence(_) => {
            (once(2.0 * n * d + m * d), d)
        }
        Method::GradCos(_) => (once(2.0 * n * d), 0.0),
        Method::HessianFree(_) | Method::TracIn(_) => (once(0.0), 0.0),
        Method::HessianFreeBlockWeighted(_) => (once(m * d), 0.0),
        Method::RandomProjection(method) => {
            let k = method.dim as f64;
            projected(n, m, d, k, 2.0 * (n + m) * d * k)
        }
        Method::Logra(method) => {
            let kept = |o: f64, i: f64| (o.min(method.out as f64), i.min(method.inputs as f64));
            let k = size.sum(|o, i| kept(o, i).0 * kept(o, i).1);
            // the inner side first
            let projection = size.sum(|o, i| {
                let (kept_o, kept_i) = kept(o, i);
                2.0 * (n + m) * (o * i * kept_i + o * kept_i * kept_o)
            });
            projected(n, m, d, k, projection)
        }
        // the Hessian itself is counted with the gradients
        Method::TrueHessian(_) => (once(EIGEN * d.powi(3) + 6.0 * m * d * d), 3.0 * d * d),
        Method::Kfac(_) | Method::KfacKronfluence(_) => {
            let weigh = size.sum(|o, i| 4.0 * m * o * i * (o + i));
            (once(eigenbases(size) + weigh), eigenvectors(size))
        }
        Method::Ekfac(_) | Method::EkfacKronfluence(_) => {
            let rotate = size.sum(|o, i| (2.0 * n + 4.0 * m) * o * i * (o + i));
            (
                once(eigenbases(size) + rotate),
                eigenvectors(size) + 64.0 * d,
            )
        }
    };
    let (fixed, step, steps) = work;
    // projections contract in fewer dimensions, which is counted with them
    let contraction = match method {
        Method::RandomProjection(_) | Method::Logra(_) if projects(method, size) => 0.0,
        _ => product,
    };
    Cost {
        fixed: fixed + contraction,
        step,
        steps,
        bytes: 8.0 * (numbers + 2.0 * m * d),
    }
}

/// Whether a projection leaves fewer dimensions than the block has.
fn projects(method: &Method, size: &BlockSize) -> bool {
    match method {
        Method::RandomProjection(method) => size.dim > method.dim as f64,
        Method::Logra(method) => {
            let cut = |&[o, i]: &[f64; 2]| o > method.out as f64 || i > method.inputs as f64;
            size.matrices.iter().any(cut)
        }
        _ => false,
    }
}

/// Operations without iterations, operations of one, iterations to be expected.
type Work = (f64, f64, f64);

/// All eigenvectors of a symmetric matrix cost about this many times its cube.
const EIGEN: f64 = 9.0;

fn once(operations: f64) -> Work {
    (operations, 0.0, 0.0)
}

/// The smaller factorisation and one residual, and another of both a refinement step, which is rarely taken; a step of
/// block conjugate gradients is one product with F of the block, a QR and three products of it with small matrices.
fn exact(method: &exact::Exact, n: f64, m: f64, d: f64) -> (Work, f64) {
    let product = 2.0 * m * n * d;
    match method.choose(n as usize, d as usize, m as usize) {
        exact::Solver::Cg => {
            let s = m.min(d);
            let step = 4.0 * s * n * d + 8.0 * s * s * d + 2.0 * m * s * d;
            (
                (2.0 * product, step, conjugate_steps(n, d)),
                5.0 * m * d + m * n,
            )
        }
        exact::Solver::Dual => {
            let apply = 4.0 * product + 2.0 * m * n * n;
            let prepare = n * n * d + n.powi(3) / 3.0;
            ((prepare + apply, apply, 0.0), n * n + m * n)
        }
        exact::Solver::Primal | exact::Solver::Auto => {
            let apply = 2.0 * product + 2.0 * m * d * d;
            let prepare = n * d * d + d.powi(3) / 3.0;
            ((prepare + apply, apply, 0.0), d * d + m * n)
        }
    }
}

/// Every group of b examples by its b×b dual.
fn grouped(n: f64, m: f64, d: f64, group: usize) -> (Work, f64) {
    let b = (group as f64).min(n);
    let prepare = n * b * d + n * b * b / 3.0;
    let apply = 4.0 * m * n * d + 2.0 * m * n * b;
    (once(prepare + apply), n * b + m * n)
}

/// Schulz's iteration: two products of square matrices a step.
fn schulz(method: &hyperinf::HyperInf, size: &BlockSize) -> (Work, f64) {
    let (n, m, d) = (size.examples, size.queries, size.dim);
    let asked = |default: f64| method.iterations.map_or(default, |steps| steps as f64);
    let sided = |side: fn(f64, f64) -> f64| {
        let fixed = size.sum(|o, i| 2.0 * (n + m) * o * i * side(o, i));
        let step = size.sum(|o, i| 4.0 * side(o, i).powi(3));
        let held = size.sum(|o, i| 4.0 * side(o, i).powi(2));
        ((fixed, step, asked(15.0)), held)
    };
    match method.variant {
        // from a condition of 1 + d/0.1 to ten digits; the residual within the clock
        hyperinf::Variant::Converged => (
            (
                n * d * d + 2.0 * m * d * d + 4.0 * m * n * d,
                4.0 * d.powi(3),
                ((10.0 * d).log2() + 6.0).min(asked(100.0)),
            ),
            4.0 * d * d + m * n,
        ),
        hyperinf::Variant::Published => sided(f64::min),
        hyperinf::Variant::Code => sided(f64::max),
    }
}

/// Exact influence among k projected dimensions, with the operations of the projection and the contraction there.
fn projected(n: f64, m: f64, d: f64, k: f64, projection: f64) -> (Work, f64) {
    let small = n.min(k);
    let solve = n * k * small + small.powi(3) / 3.0 + 2.0 * m * small * small;
    (
        once(projection + solve + 2.0 * m * n * k),
        k * (d + n) + small * small,
    )
}

/// The eigenbases of both factors of every tensor.
fn eigenbases(size: &BlockSize) -> f64 {
    size.sum(|o, i| EIGEN * (o.powi(3) + i.powi(3)))
}

/// Numbers of eigenvectors, factors and their decomposition's workspace.
fn eigenvectors(size: &BlockSize) -> f64 {
    size.sum(|o, i| 4.0 * (o * o + i * i))
}

/// Iterations of conjugate gradients to six digits and more: as many as eigenvalues, or √κ·ln(10⁶) with the
/// condition κ = 1 + d/0.1.
fn conjugate_steps(n: f64, d: f64) -> f64 {
    n.min(d).min(7.0 * (1.0 + 10.0 * d).sqrt())
}

/// Operations of a randomised rank-k Fisher, and the numbers that it holds.
fn sketch(n: f64, d: f64, rank: usize) -> (f64, f64) {
    let k = (rank as f64).min(d);
    (4.0 * k * n * d + 8.0 * k * k * d, 3.0 * k * d + k * n)
}

/// k Ritz pairs of s steps: a step is a product with F of one vector, and `orthogonalise`·s·d operations on the mean.
fn krylov(
    n: f64,
    m: f64,
    d: f64,
    rank: usize,
    steps: Option<usize>,
    orthogonalise: f64,
) -> (Work, f64) {
    let k = (rank as f64).min(n).min(d);
    let default = || krylov::default_steps(k as usize);
    let s = (steps.unwrap_or_else(default) as f64).max(k).min(d);
    (
        (
            2.0 * s * k * d + 4.0 * m * k * d,
            4.0 * n * d + orthogonalise * s * d,
            s,
        ),
        (s + k) * d + n,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::influence::Blocks;
    use crate::influence::METHODS;
    use crate::influence::registry::Values;

    fn size(n: f64, m: f64, matrices: &[[f64; 2]]) -> BlockSize {
        BlockSize {
            examples: n,
            queries: m,
            dim: matrices.iter().map(|[o, i]| o * i).sum(),
            matrices: matrices.to_vec(),
        }
    }

    fn of(label: &str, size: &BlockSize) -> Cost {
        let spec: crate::config::method::MethodSpec = label.parse().unwrap();
        cost(&spec.method, size)
    }

    #[test]
    fn every_method_costs_at_least_its_contraction_and_more_on_more_examples() {
        for (info, build) in METHODS {
            let method = build(&Values::new(info, &[]));
            let [small, large] = [500.0, 1000.0].map(|n| {
                let found = cost(&method, &size(n, 10.0, &[[4.0, 300.0], [300.0, 4.0]]));
                assert!(found.step >= 0.0 && found.steps >= 0.0, "{}", info.name);
                assert!(found.bytes > 0.0 && found.bytes.is_finite());
                found.operations()
            });
            // projections contract in no more dimensions than they keep
            let kept = match info.name {
                "random_projection" => 64.0,
                "logra" => 2.0 * 4.0 * 16.0,
                _ => 2400.0,
            };
            assert!(small >= 2.0 * 10.0 * 500.0 * kept, "{}", info.name);
            assert!(large > small, "{}", info.name);
        }
    }

    #[test]
    fn formulas_by_hand() {
        let block = size(100.0, 5.0, &[[8.0, 4.0]]);
        let product = 2.0 * 5.0 * 100.0 * 32.0;
        let free = of("hessian_free", &block);
        assert_eq!((free.operations(), free.bytes), (product, 8.0 * 320.0));
        assert_eq!(
            of("datainf", &block).operations(),
            3.0 * product + 2.0 * 100.0 * 32.0
        );
        let lissa = of("lissa:iterations=7", &block);
        assert_eq!((lissa.fixed, lissa.steps), (product, 7.0));
        assert_eq!(lissa.operations(), 15.0 * product);
        // two products for the residual and the contraction
        let primal = of("exact:solver=primal", &block);
        let (d, m) = (32.0f64, 5.0);
        let expected = 100.0 * d * d + d.powi(3) / 3.0 + 2.0 * m * d * d + 3.0 * product;
        assert!((primal.operations() - expected).abs() < 1e-6);
        // factors are of the matrix, not of the block
        assert_eq!(
            of("kfac", &block).operations(),
            9.0 * (512.0 + 64.0) + 4.0 * 5.0 * 32.0 * 12.0 + product
        );
        assert_eq!(
            of("ekfac", &block).operations() - of("kfac", &block).operations(),
            2.0 * 100.0 * 32.0 * 12.0
        );
        // [4, 4] as published, [8, 8] in the code
        assert_eq!(of("hyperinf:variant=published", &block).step, 4.0 * 64.0);
        assert_eq!(of("hyperinf:variant=code", &block).step, 4.0 * 512.0);
        // fewer steps than the dimension has
        assert_eq!(of("lanczos:rank=3,iterations=9", &block).steps, 9.0);
        assert_eq!(of("lanczos:rank=30", &block).steps, 32.0);
        // what keeps the whole block is exact, and contracts in all of its dimensions
        let exact = of("exact", &block);
        for label in [
            "lanczos",
            "arnoldi:rank=40",
            "nystrom",
            "random_projection",
            "logra",
        ] {
            assert_eq!(of(label, &block), exact, "{label}");
        }
        assert_ne!(of("logra:in=3", &block), exact);
    }

    #[test]
    fn a_layout_adds_up_operations_and_takes_the_largest_workspace() {
        let tensors = [TensorInfo::new("a", [2, 6]), TensorInfo::new("b", [20])];
        let layout = BlockLayout::new(&tensors, Blocks::PerMatrix);
        let method: crate::config::method::MethodSpec = "hessian_free".parse().unwrap();
        let (operations, bytes) = total(&method.method, &tensors, &layout, 100.0, 5.0);
        assert_eq!(operations, 2.0 * 5.0 * 100.0 * 32.0);
        assert_eq!(bytes, 8.0 * (2.0 * 5.0 * 20.0 + 5.0 * 100.0));
        let sizes = BlockSize::of(&layout.blocks()[1], &tensors, 100.0, 5.0);
        assert_eq!(sizes.matrices, [[1.0, 20.0]]);
    }
}
