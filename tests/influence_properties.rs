//! What must hold of the methods for any gradients, against dense oracles that invert d×d matrices.
//!
//! Tolerances are relative to the largest entry compared and grow with sizes and with the condition of
//! F + λI, which is at most 1 + d/c for λ = c·tr(F)/d.

use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use infbench::gradients::checkpoints::Checkpoint;
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::hessian::{HessianGroup, Hessians};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::influence::{
    BlockLayout, Companions, GRADIENT_METHODS, Influence, Parts, Queries, RunOptions, Sampled,
    damping, run_method,
};
use infbench::influence::{Blocks, Precision};
use infbench::random::rng;
use ndarray::Array2;
use proptest::prelude::*;
use rand_distr::{Distribution, StandardNormal};

const DAMPING: f64 = 0.1;

/// A case: sizes, a scale, how far norms and columns spread.
#[derive(Clone, Debug)]
struct Case {
    n: usize,
    dims: Vec<usize>,
    m: usize,
    scale: f64,
    spread: f64,
    seed: u64,
}

fn case(max_n: usize, max_dim: usize, blocks: usize) -> impl Strategy<Value = Case> {
    let dims = proptest::collection::vec(1..=max_dim, 1..=blocks);
    (
        1..=max_n,
        dims,
        1..=4usize,
        -6..=6i32,
        0.0..1.5f64,
        any::<u64>(),
    )
        .prop_map(|(n, dims, m, exponent, spread, seed)| Case {
            n,
            dims,
            m,
            scale: 10f64.powi(exponent),
            spread,
            seed,
        })
}

fn one_block() -> impl Strategy<Value = Case> {
    case(24, 20, 1)
}

impl Case {
    fn matrix(&self, purpose: &str, rows: usize, d: usize) -> Vec<f32> {
        let mut random = rng(self.seed, "properties", purpose);
        let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
        let mut values = Vec::with_capacity(rows * d);
        for _ in 0..rows {
            let norm = (self.spread * draw()).exp() * self.scale;
            values.extend((0..d).map(|j| (norm * draw() / (1.0 + j as f64).powf(0.5)) as f32));
        }
        values
    }

    fn store(&self, purpose: &str, rows: usize) -> GradientStore {
        let tensor = |(b, &d): (usize, &usize)| {
            (
                TensorInfo::new(format!("t{b}"), [d]),
                self.matrix(&format!("{purpose}{b}"), rows, d),
            )
        };
        GradientStore::from_memory(rows, self.dims.iter().enumerate().map(tensor).collect())
            .unwrap()
    }

    fn train(&self) -> GradientStore {
        self.store("train", self.n)
    }

    fn query(&self) -> GradientStore {
        self.store("query", self.m)
    }

    /// Rounding allowed, relative to the largest score.
    fn tolerance(&self) -> f64 {
        let d: usize = self.dims.iter().sum();
        100.0 * f64::EPSILON * (self.n + d) as f64 * (1.0 + d as f64 / DAMPING)
    }
}

fn run_with(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    blocks: Blocks,
    precision: Precision,
) -> Influence {
    run_options(method, train, query, (blocks, precision), None, 0)
}

/// A method with its own training examples as parts, and the first `keep` queries kept.
fn run_keeping(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    keep: usize,
) -> Influence {
    let owners: Vec<usize> = (0..train.rows()).collect();
    let parts = Parts {
        gradients: train,
        examples: &owners,
    };
    let defaults = (Blocks::PerMatrix, Precision::F64);
    run_options(method, train, query, defaults, Some(parts), keep)
}

fn run_options(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    (blocks, precision): (Blocks, Precision),
    parts: Option<Parts<'_>>,
    keep: usize,
) -> Influence {
    let layout = BlockLayout::new(train.tensors(), blocks);
    let lambda = damping(train, &layout, DAMPING).unwrap();
    let all = |store: &GradientStore| reordered(store, &(0..store.rows()).collect::<Vec<_>>());
    let factors = factors(train);
    let hessians = hessians(train);
    let checkpoint = |learning_rate| Checkpoint {
        learning_rate,
        train: all(train),
        query: all(query),
    };
    let options = RunOptions {
        precision,
        queries: Queries::Each,
        seed: 9,
        companions: Companions {
            factors: Some(&factors),
            sampled: Some(Sampled {
                gradients: train,
                factors: &factors,
            }),
            hessians: Some(&hessians),
            checkpoints: &[checkpoint(0.5), checkpoint(0.125)],
            ..Companions::default()
        },
        parts,
        keep,
    };
    run_method(
        &method.parse().unwrap(),
        train,
        query,
        &layout,
        &lambda,
        &options,
    )
    .unwrap()
}

/// Kronecker factors of every tensor as if it were one row: 1 ⊗ GᵀG/n.
fn factors(store: &GradientStore) -> KroneckerFactors {
    let of = |(t, info): (usize, &TensorInfo)| {
        let (values, n) = (store.tensor_rows(t, 0..store.rows()), store.rows());
        let g = Mat::from_fn(n, info.dim(), |i, j| f64::from(values[i * info.dim() + j]));
        TensorFactors {
            name: info.name.clone(),
            inputs: fisher(&g),
            outputs: Mat::identity(1, 1),
            tokens: Some(1.0),
        }
    };
    KroneckerFactors {
        tensors: store.tensors().iter().enumerate().map(of).collect(),
    }
}

/// The Fisher of all tensors together in place of their Hessian.
fn hessians(store: &GradientStore) -> Hessians {
    let tensor = |info: &TensorInfo| (info.name.clone(), info.dim());
    let group = HessianGroup {
        tensors: store.tensors().iter().map(tensor).collect(),
        matrix: fisher(&dense(store)),
    };
    Hessians {
        groups: vec![group],
    }
}

fn run(method: &str, train: &GradientStore, query: &GradientStore) -> Array2<f64> {
    run_with(method, train, query, Blocks::PerMatrix, Precision::F64).scores
}

/// Whether two score matrices agree, to `tolerance` of the larger one's largest entry.
fn assert_close(
    a: &Array2<f64>,
    b: &Array2<f64>,
    tolerance: f64,
    what: &str,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.shape(), b.shape());
    let size = a.iter().chain(b).fold(0.0f64, |max, v| max.max(v.abs()));
    let worst = a
        .iter()
        .zip(b)
        .fold(0.0f64, |max, (a, b)| max.max((a - b).abs()));
    prop_assert!(
        worst <= tolerance * size,
        "{}: {:e} of {:e} above {:e}",
        what,
        worst,
        size,
        tolerance
    );
    Ok(())
}

fn rows_of(store: &GradientStore, t: usize, order: &[usize]) -> (TensorInfo, Vec<f32>) {
    let values = order
        .iter()
        .flat_map(|&row| store.tensor_rows(t, row..row + 1).into_owned())
        .collect();
    (store.tensors()[t].clone(), values)
}

/// The store with its rows in another order (or repeated, or left out).
fn reordered(store: &GradientStore, order: &[usize]) -> GradientStore {
    GradientStore::from_memory(
        order.len(),
        (0..store.tensors().len())
            .map(|t| rows_of(store, t, order))
            .collect(),
    )
    .unwrap()
}

/// All tensors side by side, as f64.
fn dense(store: &GradientStore) -> Mat<f64> {
    let rows: Vec<Vec<f64>> = (0..store.rows())
        .map(|i| {
            (0..store.tensors().len())
                .flat_map(|t| {
                    store
                        .tensor_rows(t, i..i + 1)
                        .iter()
                        .map(|&v| f64::from(v))
                        .collect::<Vec<_>>()
                })
                .collect()
        })
        .collect();
    Mat::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn fisher(g: &Mat<f64>) -> Mat<f64> {
    g.transpose() * g * faer::Scale(1.0 / g.nrows() as f64)
}

fn trace(a: &Mat<f64>) -> f64 {
    (0..a.nrows()).map(|i| a[(i, i)]).sum()
}

fn plus_identity(a: &Mat<f64>, lambda: f64) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols(), |i, j| {
        a[(i, j)] + if i == j { lambda } else { 0.0 }
    })
}

fn inverse(a: &Mat<f64>) -> Mat<f64> {
    a.partial_piv_lu().inverse()
}

/// A⁻¹ by Gauss elimination with pivoting, written out: independent of the library that the crate uses.
fn gauss_inverse(a: &Mat<f64>) -> Mat<f64> {
    let d = a.nrows();
    let mut rows: Vec<Vec<f64>> = (0..d)
        .map(|i| {
            (0..2 * d)
                .map(|j| {
                    if j < d {
                        a[(i, j)]
                    } else {
                        f64::from(u8::from(j - d == i))
                    }
                })
                .collect()
        })
        .collect();
    for k in 0..d {
        let pivot = (k..d)
            .max_by(|&x, &y| rows[x][k].abs().total_cmp(&rows[y][k].abs()))
            .unwrap();
        rows.swap(k, pivot);
        let pivot_row: Vec<f64> = rows[k].iter().map(|v| v / rows[k][k]).collect();
        for (i, row) in rows.iter_mut().enumerate() {
            let factor = row[k];
            if i != k {
                row.iter_mut()
                    .zip(&pivot_row)
                    .for_each(|(v, p)| *v -= factor * p);
            }
        }
        rows[k] = pivot_row;
    }
    Mat::from_fn(d, d, |i, j| rows[i][d + j])
}

/// The mean over groups of consecutive examples of the dense inverse of each group's damped Fisher.
fn grouped_operator(g: &Mat<f64>, lambda: f64, size: usize) -> Mat<f64> {
    let (n, d) = (g.nrows(), g.ncols());
    let mut sum = Mat::<f64>::zeros(d, d);
    for first in (0..n).step_by(size) {
        let h = g.subrows(first, size.min(n - first)).to_owned();
        sum +=
            inverse(&plus_identity(&fisher(&h), lambda)) * faer::Scale(h.nrows() as f64 / n as f64);
    }
    sum
}

fn smallest_eigenvalue(a: &Mat<f64>) -> f64 {
    let symmetric = Mat::from_fn(a.nrows(), a.ncols(), |i, j| 0.5 * (a[(i, j)] + a[(j, i)]));
    symmetric.self_adjoint_eigenvalues(Side::Lower).unwrap()[0]
}

/// Scores by a dense operator.
fn dense_scores(operator: &Mat<f64>, g: &Mat<f64>, v: &Mat<f64>) -> Array2<f64> {
    let scores = v * operator * g.transpose();
    Array2::from_shape_fn((v.nrows(), g.nrows()), |(q, k)| -scores[(q, k)])
}

/// Scores of the training rows on themselves: [n, n], with vᵀPv on the diagonal, negated.
fn self_scores(method: &str, train: &GradientStore) -> Array2<f64> {
    run(method, train, train)
}

/// How the scores of a method change when all gradients are multiplied by s.
struct Law {
    /// The method for gradients times s, given s², with the constants that have a unit changed accordingly.
    label: Box<dyn Fn(f64) -> String>,
    /// Scores become s^power times as large.
    power: i32,
    /// Whether every block may have an s of its own.
    by_block: bool,
}

/// What every method must obey; `None` for those that obey nothing, with the reason.
fn law(name: &str) -> Option<Law> {
    let constant = |label: &'static str| Law {
        label: Box::new(move |_| label.to_owned()),
        power: 0,
        by_block: true,
    };
    // one constant for all blocks, in units of F
    let with_unit = |label: &'static str, at_one: f64| Law {
        label: Box::new(move |square| format!("{label}={:e}", at_one * square)),
        power: 0,
        by_block: false,
    };
    Some(match name {
        "hessian_free" | "tracin" => Law {
            power: 2,
            by_block: false,
            ..constant(if name == "tracin" {
                "tracin"
            } else {
                "hessian_free"
            })
        },
        "lissa" => with_unit("lissa:scale", 300.0),
        // the norms are of whole gradients
        "grad_cos" => Law {
            by_block: false,
            ..constant("grad_cos")
        },
        "random_projection" => constant("random_projection:dim=3"),
        "logra" => constant("logra:in=3"),
        "conjugate_gradient" => constant("conjugate_gradient:must_converge=false"),
        "lanczos" => constant("lanczos:rank=3"),
        "arnoldi" => constant("arnoldi:rank=3"),
        "nystrom" => constant("nystrom:rank=3"),
        "datainf_dattri" => with_unit("datainf_dattri:damping", 0.1),
        "datainf_pydvl" => constant("datainf_pydvl:batch_size=5"),
        "exact_dattri" => constant("exact_dattri:batch_size=5"),
        "exact_pydvl" => constant("exact_pydvl:solver=iterative"),
        "lissa_dattri" => with_unit("lissa_dattri:iterations=20,scale", 300.0),
        "lissa_pydvl" => with_unit("lissa_pydvl:iterations=20,damping=auto,scale", 300.0),
        // it starts from x = v, which has another unit than (F + λI)⁻¹v
        "conjugate_gradient_dattri" => return None,
        "ekfac_kronfluence" => constant("ekfac_kronfluence:damping=heuristic"),
        "kfac_kronfluence" => with_unit("kfac_kronfluence:damping", 1e-3),
        "diagonal_kronfluence" => constant("diagonal_kronfluence:damping=heuristic"),
        // (F + λI)⁻¹ or what stands for it, without a constant that has a unit
        other => Law {
            label: Box::new({
                let other = other.to_owned();
                move |_| other.clone()
            }),
            ..constant("")
        },
    })
}

/// The laws of all methods, and of those whose options lead to another computation.
fn laws() -> Vec<(&'static str, Law)> {
    let names = GRADIENT_METHODS.iter().map(|(info, _)| info.name);
    let names = names.chain(["datainf:group_size=3"]);
    names.filter_map(|name| Some((name, law(name)?))).collect()
}

/// The store with its first tensor times 2^exponents[0], and the others times 2^exponents[1].
fn scaled(store: &GradientStore, exponents: [i32; 2]) -> GradientStore {
    let tensor = |(t, info): (usize, &TensorInfo)| {
        let factor = 2f64.powi(exponents[t.min(1)]);
        let values = store.tensor_rows(t, 0..store.rows());
        // an exact product, by way of f64 where the factor is beyond f32
        let values = values.iter().map(|&v| (f64::from(v) * factor) as f32);
        (info.clone(), values.collect())
    };
    let tensors = store.tensors().iter().enumerate().map(tensor).collect();
    GradientStore::from_memory(store.rows(), tensors).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn exact_is_the_dense_inverse_primal_and_dual(case in case(24, 8, 3)) {
        let (train, query) = (case.train(), case.query());
        let (g, v) = (dense(&train), dense(&query));
        let f = fisher(&g);
        let d = f.nrows() as f64;
        let expected = dense_scores(&gauss_inverse(&plus_identity(&f, DAMPING * trace(&f) / d)), &g, &v);
        for solver in ["auto", "primal", "dual"] {
            let found = run_with(&format!("exact:solver={solver}"), &train, &query, Blocks::Whole, Precision::F64);
            assert_close(&found.scores, &expected, case.tolerance(), solver)?;
            let residual = found.evidence.residual.unwrap();
            prop_assert!(residual < 1e-10 && found.evidence.not_converged == 0, "{} {:e}", solver, residual);
        }
    }

    #[test]
    fn groups_are_means_of_dense_inverses(case in one_block(), size in 1..10usize) {
        let (train, query) = (case.train(), case.query());
        let (g, v) = (dense(&train), dense(&query));
        let lambda = DAMPING * trace(&fisher(&g)) / g.ncols() as f64;
        let expected = dense_scores(&grouped_operator(&g, lambda, size), &g, &v);
        let found = run(&format!("datainf:group_size={size},shuffle=false"), &train, &query);
        assert_close(&found, &expected, case.tolerance(), "groups")?;
    }

    #[test]
    fn groups_reach_from_datainf_to_exact(case in case(24, 12, 2)) {
        let (train, query) = (case.train(), case.query());
        let n = case.n;
        let one = run("datainf", &train, &query);
        // through the closed form and through 1×1 groups alike, shuffled or not
        for shuffle in ["true", "false"] {
            assert_close(&run(&format!("datainf:group_size=1,shuffle={shuffle}"), &train, &query), &one, 0.0, "1")?;
            let all = run(&format!("datainf:group_size={n},shuffle={shuffle}"), &train, &query);
            let exact = run("exact", &train, &query);
            if n > 1 {
                assert_close(&all, &exact, case.tolerance(), "n")?;
            }
            let beyond = run(&format!("datainf:group_size={},shuffle={shuffle}", 2 * n + 1), &train, &query);
            assert_close(&beyond, &exact, case.tolerance(), "more than n")?;
        }
    }

    #[test]
    fn datainf_lies_above_exact(case in one_block()) {
        let train = case.train();
        let g = dense(&train);
        let lambda = DAMPING * trace(&fisher(&g)) / g.ncols() as f64;
        // the operators
        let e = inverse(&plus_identity(&fisher(&g), lambda));
        let d = grouped_operator(&g, lambda, 1);
        let floor = -case.tolerance() / lambda;
        prop_assert!(smallest_eigenvalue(&(&d - &e)) >= floor);
        // what the program makes of them: vᵀDv ≥ vᵀEv for every training row as a query, so the negated
        // scores on the diagonal are ordered; and D − E on the span of G is positive semidefinite
        let (above, exact) = (self_scores("datainf", &train), self_scores("exact", &train));
        let size = above.iter().chain(&exact).fold(0.0f64, |max, v| max.max(v.abs()));
        for k in 0..case.n {
            prop_assert!(-above[(k, k)] + exact[(k, k)] >= -case.tolerance() * size, "{}", k);
        }
        let difference = Mat::from_fn(case.n, case.n, |i, j| exact[(i, j)] - above[(i, j)]);
        prop_assert!(smallest_eigenvalue(&difference) >= -case.tolerance() * size * case.n as f64);
    }

    #[test]
    fn nested_groups_come_down_to_exact(case in case(1, 12, 1), quarters in 1..5usize) {
        let case = Case { n: 8 * quarters, ..case };
        let train = case.train();
        let chain: Vec<_> = [1, 2, 4, 8, 8 * quarters]
            .map(|size| self_scores(&format!("datainf:group_size={size},shuffle=false"), &train))
            .to_vec();
        for (finer, coarser) in chain.iter().zip(&chain[1..]) {
            let size = finer.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            let difference = Mat::from_fn(case.n, case.n, |i, j| coarser[(i, j)] - finer[(i, j)]);
            prop_assert!(smallest_eigenvalue(&difference) >= -case.tolerance() * size * case.n as f64);
        }
    }

    #[test]
    fn the_order_of_examples_does_not_matter(case in case(20, 10, 2)) {
        let (train, query) = (case.train(), case.query());
        let order: Vec<usize> = (0..case.n).map(|i| (i * 7 + 3) % case.n).collect();
        // 7 and n share no factor, or the map is no permutation
        prop_assume!(case.n % 7 != 0);
        let shuffled = reordered(&train, &order);
        let n = case.n;
        for method in ["exact".to_owned(), "datainf".to_owned(), format!("datainf:group_size={n},shuffle=false"), "diagonal_fisher".to_owned()] {
            let (straight, moved) = (run(&method, &train, &query), run(&method, &shuffled, &query));
            let back = Array2::from_shape_fn(moved.raw_dim(), |(q, k)| straight[(q, order[k])]);
            assert_close(&moved, &back, case.tolerance(), &method)?;
        }
    }

    #[test]
    fn kept_queries_score_examples_as_the_method_itself(case in case(20, 10, 2)) {
        let (train, query) = (case.train(), case.query());
        let owners: Vec<usize> = (0..case.n).collect();
        let parts = Parts { gradients: &train, examples: &owners };
        for (info, _) in GRADIENT_METHODS {
            let found = run_keeping(info.name, &train, &query, 2);
            // the same methods have scores of parts
            prop_assert_eq!(found.preconditioned.is_some(), found.parts.is_some(), "{}", info.name);
            let Some(kept) = &found.preconditioned else { continue };
            let again = kept.scores(&train, parts).unwrap();
            prop_assert_eq!(again.dim(), (2.min(case.m), case.n));
            let scale = found.scores.iter().filter(|v| v.is_finite()).fold(0.0f64, |max, v| max.max(v.abs()));
            for ((q, k), &value) in again.indexed_iter() {
                let own = found.scores[(q, k)];
                prop_assert!((value - own).abs() <= case.tolerance() * scale || !own.is_finite(), "{}: {value} {own}", info.name);
            }
        }
    }

    #[test]
    fn queries_do_not_see_one_another(case in case(20, 10, 2)) {
        let (train, query) = (case.train(), case.query());
        let order: Vec<usize> = (0..case.m).rev().collect();
        let turned = reordered(&query, &order);
        for (info, _) in GRADIENT_METHODS {
            // rounding decides which iteration is the last, and the answers differ by what the last one gains
            let method = match info.name {
                "conjugate_gradient" => "conjugate_gradient:tolerance=1e-13,must_converge=false",
                // pyDVL's do: by the number of queries, and by stopping all of them at once; and dattri's
                // conjugate gradients start from v, whose rounding is all that is left where the solution is far
                // smaller
                "datainf_pydvl" | "lissa_pydvl" | "conjugate_gradient_dattri" => continue,
                // a constant makes any condition possible
                "datainf_dattri" => "datainf_dattri:damping=auto",
                "ekfac_kronfluence" => "ekfac_kronfluence:damping=auto",
                "kfac_kronfluence" => "kfac_kronfluence:damping=auto",
                "diagonal_kronfluence" => "diagonal_kronfluence:damping=auto",
                name => name,
            };
            let (straight, moved) = (run(method, &train, &query), run(method, &train, &turned));
            let alone = run(method, &train, &reordered(&query, &[0]));
            for k in 0..case.n {
                let scale = straight.iter().filter(|v| v.is_finite()).fold(0.0f64, |max, v| max.max(v.abs()));
                let near = |a: f64, b: f64| (a - b).abs() <= case.tolerance() * scale || (!a.is_finite() && !b.is_finite());
                prop_assert!(near(alone[(0, k)], straight[(0, k)]), "{}", info.name);
                prop_assert!((0..case.m).all(|q| near(moved[(q, k)], straight[(order[q], k)])), "{}", info.name);
            }
        }
    }

    #[test]
    fn single_precision_differs_by_its_rounding(case in case(24, 12, 2)) {
        let (train, query) = (case.train(), case.query());
        let d: usize = case.dims.iter().sum();
        // rounding of f32 sums, amplified by what the method inverts
        let plain = 8.0 * f64::from(f32::EPSILON) * (case.n + d) as f64;
        let amplified = plain * (1.0 + d as f64 / DAMPING);
        for (method, tolerance) in [
            ("hessian_free", plain),
            ("hessian_free_block_weighted", plain),
            ("diagonal_fisher", plain),
            ("datainf", amplified),
            ("datainf:group_size=5", amplified),
            ("exact", 0.0),
        ] {
            let single = run_with(method, &train, &query, Blocks::PerMatrix, Precision::F32).scores;
            assert_close(&single, &run(method, &train, &query), tolerance, method)?;
        }
    }

    #[test]
    fn scores_scale_as_their_formulas(case in case(24, 12, 2)) {
        // about 1: the constants of the laws are such that nothing diverges there
        let case = Case { scale: 1.0, spread: case.spread / 3.0, ..case };
        let (train, query) = (case.train(), case.query());
        for (name, law) in laws() {
            for precision in [Precision::F64, Precision::F32] {
                let scores = |exponents: [i32; 2]| {
                    let (train, query) = (scaled(&train, exponents), scaled(&query, exponents));
                    let label = (law.label)(4f64.powi(exponents[0]));
                    run_with(&label, &train, &query, Blocks::PerMatrix, precision).scores
                };
                let unit = scores([0, 0]);
                // 1e-24 and 1e24: powers of two, so that no bit may change
                let power = |exponent| unit.mapv(|v| v * 2f64.powi(law.power * exponent));
                for exponent in [-80, 80] {
                    let found = scores([exponent, exponent]);
                    prop_assert_eq!(
                        &found, &power(exponent),
                        "{} {:?} times 2^{}", name, precision, exponent
                    );
                }
                if law.by_block {
                    prop_assert_eq!(&scores([-80, 80]), &unit, "{} {:?}", name, precision);
                }
            }
        }
    }

    #[test]
    fn single_precision_carries_examples_of_any_size(case in one_block()) {
        // every example of another size, from 1e-24 to 1e24
        let exponent = |row: usize| -80 + (row * 37 % 161) as i32;
        let (train, query) = (case.train(), case.query());
        let d = case.dims[0];
        let values = train.tensor_rows(0, 0..case.n);
        let values = values.iter().enumerate().map(|(at, v)| v * 2f32.powi(exponent(at / d)));
        let values = values.map(|v| v / case.scale as f32).collect();
        let train = GradientStore::from_memory(case.n, vec![(train.tensors()[0].clone(), values)]).unwrap();
        let tolerance = 8.0 * f64::from(f32::EPSILON) * (case.n + d) as f64 * (1.0 + d as f64 / DAMPING);
        for (name, law) in laws() {
            let label = (law.label)(1.0);
            // of a size of its own, at which it diverges here
            if label.contains("scale=") {
                continue;
            }
            let of = |precision| run_with(&label, &train, &query, Blocks::PerMatrix, precision).scores;
            let (single, double) = (of(Precision::F32), of(Precision::F64));
            for (single, double) in single.rows().into_iter().zip(double.rows()) {
                // per unit of the example's norm
                let per_norm = |scores: ndarray::ArrayView1<'_, f64>| -> Vec<f64> {
                    let norms = (0..case.n).map(|row| if name == "grad_cos" { 1.0 } else { 2f64.powi(exponent(row)) });
                    scores.iter().zip(norms).map(|(score, norm)| score / norm).collect()
                };
                let (single, double) = (per_norm(single), per_norm(double));
                let size = double.iter().fold(0.0f64, |max, v| max.max(v.abs()));
                let worst = single.iter().zip(&double).fold(0.0f64, |max, (a, b)| max.max((a - b).abs()));
                prop_assert!(worst <= tolerance * size, "{}: {:e} of {:e}", label, worst, size);
            }
        }
    }

    #[test]
    fn repeated_examples_and_single_tensors(case in one_block(), copies in 1..4usize) {
        let (train, query) = (case.train(), case.query());
        // every example several times: the same F, so the same scores, several times
        let order: Vec<usize> = (0..case.n * copies).map(|i| i % case.n).collect();
        let repeated = reordered(&train, &order);
        for method in ["exact", "datainf", "diagonal_fisher", "hessian_free"] {
            let found = run(method, &repeated, &query);
            let expected = run(method, &train, &query);
            let expected = Array2::from_shape_fn(found.raw_dim(), |(q, k)| expected[(q, k % case.n)]);
            assert_close(&found, &expected, case.tolerance() * copies as f64, method)?;
            // with a single tensor all groupings are one
            for blocks in [Blocks::PerLayer, Blocks::Whole] {
                let other = run_with(method, &repeated, &query, blocks, Precision::F64).scores;
                prop_assert_eq!(&other, &found);
            }
        }
    }
}

fn store(rows: usize, d: usize, values: Vec<f32>) -> GradientStore {
    GradientStore::from_memory(rows, vec![(TensorInfo::new("t", [d]), values)]).unwrap()
}

#[test]
fn one_example_makes_datainf_exact() {
    let train = store(1, 3, vec![1.0, -2.0, 0.5]);
    let query = store(2, 3, vec![0.3, 0.1, -1.0, 2.0, 0.0, 1.0]);
    let (exact, datainf) = (run("exact", &train, &query), run("datainf", &train, &query));
    assert!(
        exact
            .iter()
            .zip(&datainf)
            .all(|(a, b)| (a - b).abs() <= 1e-13 * a.abs())
    );
    // by hand: −v·g/(λ + ‖g‖²), λ = 0.1·5.25/3
    let expected = -(0.3 - 0.2 - 0.5) / (0.175 + 5.25);
    assert!(
        (exact[(0, 0)] - expected).abs() < 1e-8,
        "{} {expected}",
        exact[(0, 0)]
    );
    assert!(
        exact[(0, 0)] > 0.0,
        "a training gradient against the query's is harmful, hence positive"
    );
}

#[test]
fn zeros_contribute_nothing() {
    for (info, _) in GRADIENT_METHODS {
        let method = match info.name {
            // the other divides by zero when all is one batch
            "exact_pydvl" => "exact_pydvl:solver=iterative",
            name => name,
        };
        // some zero rows among others
        let train = store(3, 2, vec![1.0, 2.0, 0.0, 0.0, -1.0, 0.5]);
        let query = store(2, 2, vec![1.0, 1.0, 0.0, 0.0]);
        let scores = run(method, &train, &query);
        assert!(scores.iter().all(|v| v.is_finite()), "{}", info.name);
        assert!(
            scores
                .column(1)
                .iter()
                .chain(scores.row(1))
                .all(|&v| v == 0.0),
            "{}: {scores}",
            info.name
        );
        // a whole block of zeros
        let nothing = run(method, &store(3, 2, vec![0.0; 6]), &query);
        assert!(nothing.iter().all(|&v| v == 0.0), "{}", info.name);
        // beside another block, which is as if it were alone
        let both = |values: Vec<f32>, rows| {
            let block = |name: &str, values| (TensorInfo::new(name, [2]), values);
            GradientStore::from_memory(
                rows,
                vec![block("t", values), block("b", vec![0.0; 2 * rows])],
            )
            .unwrap()
        };
        let beside = run(
            method,
            &both(vec![1.0, 2.0, 0.0, 0.0, -1.0, 0.5], 3),
            &both(vec![1.0, 1.0, 0.0, 0.0], 2),
        );
        assert_eq!(beside, scores, "{}", info.name);
    }
}

#[test]
fn lissa_diverges_countably_and_converges_with_a_scale() {
    let case = Case {
        n: 30,
        dims: vec![12, 5],
        m: 3,
        scale: 100.0,
        spread: 0.5,
        seed: 3,
    };
    let (train, query) = (case.train(), case.query());
    // ‖F‖ far above 2: the paper's form diverges, and is counted, not refused
    let wild = run_with(
        "lissa:iterations=200",
        &train,
        &query,
        Blocks::PerMatrix,
        Precision::F64,
    );
    assert_eq!(wild.evidence.not_converged, 2);
    assert!(wild.scores.iter().any(|v| !v.is_finite()));
    let exact = run("exact", &train, &query);
    let size = exact.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    let error = |iterations: usize| {
        let found = run_with(
            &format!("lissa:scale=auto,iterations={iterations}"),
            &train,
            &query,
            Blocks::PerMatrix,
            Precision::F64,
        );
        let worst = found
            .scores
            .iter()
            .zip(&exact)
            .fold(0.0f64, |max, (a, b)| max.max((a - b).abs()))
            / size;
        assert_eq!(found.evidence.not_converged, 0);
        (worst, found.evidence.residual.unwrap())
    };
    let (few, many, more) = (error(10), error(200), error(4000));
    assert!(
        many.0 < few.0 && more.0 < 1e-9 && more.1 < 1e-9,
        "{few:?} {many:?} {more:?}"
    );
}

#[test]
fn shuffled_groups_follow_the_seed_only() {
    let case = Case {
        n: 20,
        dims: vec![9],
        m: 2,
        scale: 1.0,
        spread: 0.5,
        seed: 4,
    };
    let (train, query) = (case.train(), case.query());
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, DAMPING).unwrap();
    let scores = |seed, method: &str| {
        let options = RunOptions {
            seed,
            ..RunOptions::default()
        };
        run_method(
            &method.parse().unwrap(),
            &train,
            &query,
            &layout,
            &lambda,
            &options,
        )
        .unwrap()
        .scores
    };
    assert_eq!(
        scores(1, "datainf:group_size=4"),
        scores(1, "datainf:group_size=4")
    );
    assert_ne!(
        scores(1, "datainf:group_size=4"),
        scores(2, "datainf:group_size=4")
    );
    let in_order = "datainf:group_size=4,shuffle=false";
    assert_eq!(scores(1, in_order), scores(2, in_order));
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    // large enough for several tiles, panels and groups
    let case = Case {
        n: 700,
        dims: vec![300, 40],
        m: 5,
        scale: 0.1,
        spread: 0.5,
        seed: 5,
    };
    let (train, query) = (case.train(), case.query());
    for (info, _) in GRADIENT_METHODS {
        for method in [info.name.to_owned()]
            .into_iter()
            .chain((info.name == "datainf").then(|| "datainf:group_size=16".to_owned()))
        {
            for precision in [Precision::F32, Precision::F64] {
                let on = |threads| {
                    let pool = rayon::ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .unwrap();
                    pool.install(|| {
                        run_with(&method, &train, &query, Blocks::PerMatrix, precision).scores
                    })
                };
                assert_eq!(on(1), on(3), "{method} {precision:?}");
            }
        }
    }
}

#[test]
fn mismatches_and_bad_numbers_are_errors_with_numbers_in_them() {
    let (train, query) = (store(2, 2, vec![1.0; 4]), store(1, 2, vec![1.0, f32::NAN]));
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, DAMPING).unwrap();
    let message = |query: &GradientStore, lambda: &[f64]| {
        run_method(
            &"exact".parse().unwrap(),
            &train,
            query,
            &layout,
            lambda,
            &RunOptions::default(),
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(
        message(&query, &lambda),
        "memory: tensor `t` holds NaN at row 0, column 1"
    );
    assert!(
        message(&store(1, 3, vec![0.0; 3]), &lambda)
            .contains("has 3 numbers an example in memory, 2 in memory")
    );
    assert!(message(&store(1, 2, vec![0.0; 2]), &[]).contains("0 values of λ for 1 blocks"));
    assert!(message(&store(1, 2, vec![0.0; 2]), &[-1.0]).contains("λ is -1"));
}

#[test]
fn no_damping_is_for_blocks_of_zeros_alone() {
    let (train, query) = (
        store(2, 2, vec![0.0, 0.0, 0.0, 1e-45]),
        store(1, 2, vec![1.0; 2]),
    );
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let run = |train: &GradientStore, method: &str, lambda: f64| {
        let (spec, options) = (method.parse().unwrap(), RunOptions::default());
        run_method(&spec, train, &query, &layout, &[lambda], &options)
    };
    for method in ["exact", "datainf", "hessian_free", "grad_cos", "nystrom"] {
        let error = run(&train, method, 0.0).unwrap_err().to_string();
        assert_eq!(
            error,
            "block `t`: λ is 0, expected a positive finite number (0 only where all gradients of the block are zero)"
        );
        let zeros = store(2, 2, vec![0.0; 4]);
        assert_eq!(
            run(&zeros, method, 0.0).unwrap().scores,
            Array2::<f64>::zeros((1, 2))
        );
    }
    assert!(damping(&train, &layout, DAMPING).unwrap()[0] > 0.0);
}
