//! The iterative and low-rank solvers against a dense oracle: they come to exact as their knob grows, whatever the
//! spectrum, the damping and the scale, and what they say of themselves is true.
//!
//! Tolerances. An answer x with the residual ρ = ‖(F+λI)x − v‖/‖v‖ gives scores within ρ·‖v‖·‖(F+λI)⁻¹g‖ of
//! exact (Cauchy and Schwarz). Rounding adds ε·(n + d)·κ relative to ‖v‖·‖(F+λI)⁻¹g‖, with κ the condition of
//! F + λI, at most 1 + d/c for λ = c·tr(F)/d.

use faer::Mat;
use faer::linalg::solvers::{DenseSolveCore, Solve};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::influence::registry::{Allowed, MethodInfo};
use infbench::influence::{
    BlockLayout, GRADIENT_METHODS, Influence, InfluenceError, Queries, RunOptions, damping,
    run_method,
};
use infbench::influence::{Blocks, Precision};
use infbench::random::rng;
use proptest::prelude::*;
use rand_distr::{Distribution, StandardNormal};

/// How the gradients are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spectrum {
    /// Every eigenvalue the same.
    Flat,
    /// Columns that fall like 1/j.
    Power,
    /// Columns that fall like 2^−j.
    Geometric,
    /// Integers of rank 3, exactly.
    Deficient,
    /// Fewer examples than dimensions.
    Wide,
    /// Every example four times.
    Repeated,
    /// Every other example zero.
    Zeros,
    /// One example.
    One,
    /// Every example the same: rank one.
    Same,
}

const SPECTRA: [Spectrum; 9] = [
    Spectrum::Flat,
    Spectrum::Power,
    Spectrum::Geometric,
    Spectrum::Deficient,
    Spectrum::Wide,
    Spectrum::Repeated,
    Spectrum::Zeros,
    Spectrum::One,
    Spectrum::Same,
];

const D: usize = 12;

fn normal(seed: u64, purpose: &str, count: usize) -> Vec<f64> {
    let mut random = rng(seed, "solvers", purpose);
    (0..count)
        .map(|_| StandardNormal.sample(&mut random))
        .collect()
}

/// Rows of gradients, `[n, D]`.
fn rows(spectrum: Spectrum, seed: u64) -> Vec<Vec<f64>> {
    let n = match spectrum {
        Spectrum::One => 1,
        Spectrum::Wide => 5,
        _ => 24,
    };
    let z = normal(seed, "train", n * D);
    let entry = |i: usize, j: usize| -> f64 {
        let sign = |x: f64| (3.0 * x).round().clamp(-6.0, 6.0);
        match spectrum {
            Spectrum::Flat => f64::from(u8::from(i % D == j)),
            Spectrum::Power => z[i * D + j] / (1.0 + j as f64),
            Spectrum::Geometric => z[i * D + j] * 0.5f64.powi(j as i32),
            Spectrum::Deficient => (0..3)
                .map(|k| sign(z[i * D + k]) * sign(z[(k + 3) * D + j]))
                .sum(),
            Spectrum::Repeated => z[(i / 4) * D + j],
            Spectrum::Zeros if i % 2 == 1 => 0.0,
            Spectrum::Same => z[j],
            _ => z[i * D + j],
        }
    };
    (0..n)
        .map(|i| (0..D).map(|j| entry(i, j)).collect())
        .collect()
}

/// A store of the rows times `scale`, cut into tensors of the given shapes.
fn store(rows: &[Vec<f64>], shapes: &[(&str, Vec<usize>)], scale: f64) -> GradientStore {
    let mut offset = 0;
    let tensors = shapes
        .iter()
        .map(|(name, shape)| {
            let dim: usize = shape.iter().product();
            let values = rows
                .iter()
                .flat_map(|row| row[offset..offset + dim].iter().map(|v| (v * scale) as f32))
                .collect();
            offset += dim;
            (TensorInfo::new(*name, shape.clone()), values)
        })
        .collect();
    GradientStore::from_memory(rows.len(), tensors).unwrap()
}

fn one_tensor(rows: &[Vec<f64>], scale: f64) -> GradientStore {
    store(rows, &[("t", vec![rows[0].len()])], scale)
}

/// Queries: two random ones of different size, one that repeats, one of zeros, one in the span of the gradients.
fn queries(train: &[Vec<f64>], seed: u64) -> Vec<Vec<f64>> {
    let d = train[0].len();
    let z = normal(seed, "query", 2 * d);
    let first = z[..d].to_vec();
    vec![
        first.clone(),
        z[d..].iter().map(|v| 1e-3 * v).collect(),
        first,
        vec![0.0; d],
        train[0].clone(),
    ]
}

fn dense(store: &GradientStore) -> Mat<f64> {
    let width: Vec<usize> = store.tensors().iter().map(TensorInfo::dim).collect();
    let mut all = Mat::zeros(store.rows(), width.iter().sum());
    let mut offset = 0;
    for (t, width) in width.into_iter().enumerate() {
        let values = store.tensor_rows(t, 0..store.rows());
        for i in 0..store.rows() {
            for j in 0..width {
                all[(i, offset + j)] = f64::from(values[i * width + j]);
            }
        }
        offset += width;
    }
    all
}

/// The problem as dense matrices.
struct Oracle {
    g: Mat<f64>,
    v: Mat<f64>,
    damped: Mat<f64>,
    /// Scores, `[m, n]`.
    scores: Mat<f64>,
    /// ‖v_q‖·‖(F+λI)⁻¹g_k‖, `[m, n]`.
    reach: Mat<f64>,
    /// ε·(n + d)·κ.
    rounding: f64,
    /// What a complement that is dropped may cost a query of norm 1: see [`Oracle::check`].
    dropped: f64,
}

impl Oracle {
    fn new(train: &GradientStore, query: &GradientStore, factor: f64) -> Self {
        let (g, v) = (dense(train), dense(query));
        let (n, d) = (g.nrows(), g.ncols());
        let fisher = g.transpose() * &g * faer::Scale(1.0 / n as f64);
        let trace: f64 = (0..d).map(|j| fisher[(j, j)]).sum();
        let lambda = factor * trace / d as f64;
        let damped = Mat::from_fn(d, d, |i, j| {
            fisher[(i, j)] + if i == j { lambda } else { 0.0 }
        });
        // at unit scale, so that the oracle's own pivots are of ordinary size
        let unit = Mat::from_fn(d, d, |i, j| damped[(i, j)] / lambda);
        let solved = unit.partial_piv_lu().solve(g.transpose()) * faer::Scale(1.0 / lambda);
        let scores = &v * &solved * faer::Scale(-1.0);
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let reach = Mat::from_fn(v.nrows(), n, |q, k| {
            norm(&mut (0..d).map(|j| v[(q, j)])) * norm(&mut (0..d).map(|j| solved[(j, k)]))
        });
        // an eigenvalue of F below 10·ε·(n + d)·tr F is not told from zero, though the gradients reach as far as
        // its root there: Σ_k (g_kᵀu)² = n·σ. Dropped, that misses ‖v‖·‖g⊥‖/λ
        let missed = 10.0 * f64::EPSILON * (n + d) as f64 * trace * n as f64;
        Self {
            dropped: missed.sqrt() / lambda,
            rounding: f64::EPSILON * (n + d) as f64 * (1.0 + d as f64 / factor),
            g,
            v,
            damped,
            scores,
            reach,
        }
    }

    /// Scores within `residual` and rounding of exact.
    fn check(&self, found: &Influence, residual: f64, what: &str) {
        self.check_to(found, residual + 8.0 * self.rounding, false, what);
    }

    /// Scores within `relative` of exact. Where the complement is dropped, so are the directions that rounding
    /// cannot tell from F's null space.
    fn check_to(&self, found: &Influence, relative: f64, drops: bool, what: &str) {
        for q in 0..self.v.nrows() {
            let size = (0..self.v.ncols())
                .map(|j| self.v[(q, j)].powi(2))
                .sum::<f64>()
                .sqrt();
            let dropped = if drops { size * self.dropped } else { 0.0 };
            for k in 0..self.g.nrows() {
                let error = (found.scores[(q, k)] - self.scores[(q, k)]).abs();
                let allowed = relative * self.reach[(q, k)] + dropped;
                assert!(
                    error <= allowed,
                    "{what}: query {q}, example {k}: {error:e} above {allowed:e} ({:e} for {:e})",
                    found.scores[(q, k)],
                    self.scores[(q, k)]
                );
            }
        }
    }

    /// The residual of every query, of the x that the scores −xᵀg came from: for gradients of full rank.
    fn residuals(&self, found: &Influence) -> Vec<f64> {
        let (m, d) = (self.v.nrows(), self.v.ncols());
        let right = Mat::from_fn(self.g.nrows(), m, |k, q| -found.scores[(q, k)]);
        let gram = self.g.transpose() * &self.g;
        let x = gram.partial_piv_lu().inverse() * (self.g.transpose() * &right);
        let image = &self.damped * &x;
        let size = |values: Vec<f64>| values.iter().map(|v| v * v).sum::<f64>().sqrt();
        (0..m)
            .map(|q| {
                let r = size((0..d).map(|j| image[(j, q)] - self.v[(q, j)]).collect());
                let v = size((0..d).map(|j| self.v[(q, j)]).collect());
                if v == 0.0 { 0.0 } else { r / v }
            })
            .collect()
    }
}

fn run(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    blocks: Blocks,
    factor: f64,
    precision: Precision,
) -> Result<Influence, InfluenceError> {
    let layout = BlockLayout::new(train.tensors(), blocks);
    let lambda = damping(train, &layout, factor)?;
    let options = RunOptions {
        precision,
        queries: Queries::Each,
        seed: 11,
        ..RunOptions::default()
    };
    run_method(
        &method.parse().unwrap(),
        train,
        query,
        &layout,
        &lambda,
        &options,
    )
}

fn double(method: &str, train: &GradientStore, query: &GradientStore, factor: f64) -> Influence {
    run(method, train, query, Blocks::Whole, factor, Precision::F64)
        .unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// Every solver with its knob at the end. Those of `residual` stop there; the others are exact by algebra.
fn complete(n: usize, d: usize, residual: f64) -> Vec<(String, f64)> {
    let cg = |conditioner: &str| {
        format!(
            "conjugate_gradient:tolerance={residual:e},must_converge=false,iterations=5000,preconditioner={conditioner}"
        )
    };
    let k = n.min(d);
    vec![
        ("exact:solver=primal".to_owned(), 0.0),
        ("exact:solver=dual".to_owned(), 0.0),
        ("exact:solver=cg".to_owned(), 1e-10),
        (cg("none"), residual),
        (cg("diagonal"), residual),
        (cg("nystrom,rank=3"), residual),
        (cg("nystrom,rank=100"), residual),
        (format!("hyperinf:tolerance={residual:e}"), residual),
        (format!("nystrom:rank={k}"), 0.0),
        (format!("lanczos:rank={k}"), 0.0),
        (format!("arnoldi:rank={k}"), 0.0),
    ]
}

/// The labels of a method with every [`Allowed::Size`] at `size(smallest exact value)`, in all combinations of its
/// words; none when it has no such option.
fn sized(
    info: &MethodInfo,
    n: usize,
    shapes: &[[usize; 2]],
    size: impl Fn(usize) -> usize,
) -> Vec<String> {
    let has_size = |allowed: Allowed| matches!(allowed, Allowed::Size(_));
    if !info.options.iter().any(|option| has_size(option.allowed)) {
        return Vec::new();
    }
    let mut labels = vec![String::new()];
    for option in info.options {
        let values: Vec<String> = match option.allowed {
            Allowed::Size(at) => vec![size(at.of(n, shapes)).to_string()],
            Allowed::Word(words) => words.iter().map(|&word| word.to_owned()).collect(),
            Allowed::Switch => vec!["true".to_owned(), "false".to_owned()],
            _ => continue,
        };
        labels = labels
            .iter()
            .flat_map(|label| {
                let more = values.iter().map(|value| format!("{}={value}", option.key));
                more.map(move |more| format!("{label},{more}"))
            })
            .collect();
    }
    labels
        .iter()
        .map(|label| format!("{}:{}", info.name, &label[1..]))
        .collect()
}

/// What counts examples, steps or bytes and is no part of a block that a method keeps. An option that is must be an
/// [`Allowed::Size`], so that the tests below find it.
#[test]
fn every_count_that_is_no_size_is_known() {
    for (info, _) in GRADIENT_METHODS {
        for option in info.options {
            if option.allowed == Allowed::Count {
                assert!(
                    [
                        ("exact", "memory_mib"),
                        ("lissa", "iterations"),
                        ("conjugate_gradient", "iterations"),
                        // of the preconditioner: the answer has the tolerance at any rank
                        ("conjugate_gradient", "rank"),
                        ("true_hessian", "limit"),
                        // at n it is DataInf over the number of queries, and a division by zero
                        ("datainf_pydvl", "batch_size"),
                        ("exact_pydvl", "batch_size"),
                        ("lissa_dattri", "iterations"),
                        ("lissa_pydvl", "iterations"),
                        ("conjugate_gradient_dattri", "iterations"),
                    ]
                    .contains(&(info.name, option.key)),
                    "{}: is {} the size of what it keeps of a block?",
                    info.name,
                    option.key
                );
            }
        }
    }
}

#[test]
fn half_a_block_is_not_exact() {
    let rows = rows(Spectrum::Power, 15);
    let queries = queries(&rows, 15);
    let shapes = [("a", vec![2, 4]), ("b", vec![2, 2])];
    let (train, query) = (store(&rows, &shapes, 1.0), store(&queries, &shapes, 1.0));
    let oracle = Oracle::new(&train, &query, 0.1);
    let exact = double("exact", &train, &query, 0.1).scores;
    let size = exact.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    let mut methods = Vec::new();
    for (info, _) in GRADIENT_METHODS {
        for method in sized(info, rows.len(), &[[2, 4], [2, 2]], |size| size / 2) {
            let found = double(&method, &train, &query, 0.1).scores;
            let error = (&found - &exact)
                .iter()
                .fold(0.0f64, |max, v| max.max(v.abs()));
            assert!(error > 1e4 * oracle.rounding * size, "{method}: {error:e}");
            methods.push(info.name);
        }
    }
    methods.dedup();
    let expected = [
        "datainf",
        "random_projection",
        "logra",
        "lanczos",
        "arnoldi",
        "nystrom",
        "exact_dattri",
    ];
    assert_eq!(methods, expected);
}

/// Of `arnoldi`, one pass of modified Gram–Schmidt keeps a digit less of orthogonality, by construction; of
/// `nystrom`, the shift of the size of rounding is amplified by about d over the spare columns.
#[test]
fn as_many_directions_as_f_has_are_enough() {
    for (spectrum, rank) in [
        (Spectrum::Deficient, 3),
        (Spectrum::Same, 1),
        (Spectrum::Repeated, 6),
    ] {
        let rows = rows(spectrum, 16);
        let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&queries(&rows, 16), 1.0));
        for factor in [1e-6, 0.1, 1e3] {
            let oracle = Oracle::new(&train, &query, factor);
            for (method, digits) in [
                (format!("nystrom:rank={}", D - 1), 80.0),
                (format!("lanczos:rank={rank}"), 8.0),
                (format!("lanczos:rank={rank},complement=drop"), 8.0),
                (format!("arnoldi:rank={rank}"), 80.0),
                (format!("arnoldi:rank={rank},complement=damp"), 80.0),
            ] {
                let found = double(&method, &train, &query, factor);
                let drops = found.evidence.residual.unwrap() > 0.1;
                let what = format!("{method} {spectrum:?} c={factor:e}");
                oracle.check_to(&found, digits * oracle.rounding, drops, &what);
            }
        }
    }
}

#[test]
fn every_solver_is_exact_at_the_end_of_its_knob() {
    for spectrum in SPECTRA {
        let rows = rows(spectrum, 1);
        let queries = queries(&rows, 1);
        for factor in [1e-6, 0.1, 1e3] {
            for scale in [1e-12, 1.0, 1e12] {
                let (train, query) = (one_tensor(&rows, scale), one_tensor(&queries, scale));
                let oracle = Oracle::new(&train, &query, factor);
                for (method, residual) in complete(train.rows(), D, 1e-9) {
                    let what = format!("{method} {spectrum:?} c={factor:e} scale={scale:e}");
                    let found = double(&method, &train, &query, factor);
                    oracle.check(&found, residual, &what);
                    // those that iterate to a residual reach it, or what rounding leaves of it
                    if residual > 0.0 {
                        let reached = found.evidence.residual.unwrap();
                        let floor = residual.max(oracle.rounding);
                        assert!(reached <= floor, "{what}: {reached:e} above {floor:e}");
                        let counted = usize::from(reached > residual.min(1e-9));
                        assert!(found.evidence.not_converged <= counted, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn lissa_converges_with_its_automatic_scale_on_every_spectrum() {
    for spectrum in SPECTRA {
        let rows = rows(spectrum, 2);
        let queries = queries(&rows, 2);
        for (factor, scale) in [
            (0.1, 1e-12),
            (0.1, 1.0),
            (0.1, 1e12),
            (1e3, 1.0),
            (1e-2, 1.0),
        ] {
            let (train, query) = (one_tensor(&rows, scale), one_tensor(&queries, scale));
            let oracle = Oracle::new(&train, &query, factor);
            // the slowest part falls like (1 − λ/s)^k, and s ≤ tr F + λ: λ/s is 1/(1 + d/c) at least
            let rate = 1.0 / (1.0 + D as f64 / factor);
            let steps = (1e-9f64.ln() / (-rate).ln_1p()).ceil() as usize + 1;
            let what = format!("{spectrum:?} c={factor:e} scale={scale:e}");
            let found = double(
                &format!("lissa:scale=auto,iterations={steps}"),
                &train,
                &query,
                factor,
            );
            oracle.check(&found, 1e-9, &what);
            assert!(found.evidence.residual.unwrap() <= 1e-9, "{what}");
            // never up, but for rounding near the end
            let history = &found.evidence.history;
            for (before, after) in history.iter().zip(&history[1..]) {
                assert!(
                    *after <= before * (1.0 + 1e-9) + oracle.rounding,
                    "{what}: {before:e} to {after:e}"
                );
            }
        }
    }
}

#[test]
fn a_larger_knob_comes_down_to_exact() {
    // vᵀXv for the training gradients as queries: F̂ ≤ F grows with the sketch, as the sketches are nested, and with
    // the Ritz pairs, so that what is left above exact falls, and never below it
    for spectrum in [
        Spectrum::Power,
        Spectrum::Geometric,
        Spectrum::Deficient,
        Spectrum::Wide,
    ] {
        let rows = rows(spectrum, 3);
        let train = one_tensor(&rows, 1.0);
        let exact = double("exact", &train, &train, 0.01);
        let rounding = 8.0 * Oracle::new(&train, &train, 0.01).rounding;
        for (name, more) in [("nystrom", ""), ("lanczos", ",iterations=100")] {
            let mut above: Option<Vec<f64>> = None;
            for k in [1, 2, 3, 5, 8, 12] {
                let found = double(&format!("{name}:rank={k}{more}"), &train, &train, 0.01);
                let excess: Vec<f64> = (0..train.rows())
                    .map(|i| exact.scores[(i, i)] - found.scores[(i, i)])
                    .collect();
                for (i, excess) in excess.iter().enumerate() {
                    let slack = rounding * exact.scores[(i, i)].abs();
                    let before = above.as_ref().map_or(f64::INFINITY, |above| above[i]);
                    assert!(
                        *excess >= -slack && *excess <= before + slack,
                        "{name} {spectrum:?} k={k}, example {i}: {before:e} to {excess:e}"
                    );
                }
                above = Some(excess);
            }
        }
    }
}

#[test]
fn what_is_dropped_and_what_is_damped() {
    // against the dense eigenpairs: k of them, and for the rest nothing or 1/λ
    let rows = rows(Spectrum::Power, 4);
    let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&queries(&rows, 4), 1.0));
    let (g, v) = (dense(&train), dense(&query));
    let fisher = g.transpose() * &g * faer::Scale(1.0 / g.nrows() as f64);
    let lambda = 0.1 * (0..D).map(|j| fisher[(j, j)]).sum::<f64>() / D as f64;
    let eigen = fisher.self_adjoint_eigen(faer::Side::Lower).unwrap();
    for (rest, value) in [("drop", 0.0), ("damp", 1.0 / lambda)] {
        let weight = |j: usize| {
            // rising order: the last four are kept
            if j >= D - 4 {
                1.0 / (eigen.S().column_vector()[j] + lambda)
            } else {
                value
            }
        };
        let u = eigen.U();
        let weighted = Mat::from_fn(D, D, |i, j| u[(i, j)] * weight(j));
        let scores = &v * &weighted * u.transpose() * g.transpose();
        for name in ["lanczos", "arnoldi"] {
            let method = format!("{name}:rank=4,iterations=12,complement={rest}");
            let found = double(&method, &train, &query, 0.1);
            let size = found.scores.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            // eigenvectors are known to rounding over the gap to the next eigenvalue, some hundredths of the top
            let tolerance = 1e3 * f64::EPSILON * (D + 24) as f64 * (1.0 + D as f64 / 0.1) * size;
            for q in 0..v.nrows() {
                for k in 0..g.nrows() {
                    let error = (found.scores[(q, k)] + scores[(q, k)]).abs();
                    assert!(
                        error <= tolerance,
                        "{method}: {error:e} above {tolerance:e}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_residuals_are_those_of_the_answers() {
    for spectrum in [Spectrum::Power, Spectrum::Flat] {
        let rows = rows(spectrum, 5);
        let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&queries(&rows, 5), 1.0));
        let oracle = Oracle::new(&train, &query, 0.1);
        // x is recovered from the scores through G, whose condition squared is some thousands
        let slack = 1e-9;
        for method in [
            "exact:solver=cg",
            "exact:solver=dual",
            "conjugate_gradient:tolerance=1e-1",
            "conjugate_gradient:iterations=3,must_converge=false",
            "conjugate_gradient:tolerance=1e-3,preconditioner=diagonal",
            "conjugate_gradient:tolerance=1e-2,preconditioner=nystrom,rank=2",
            "hyperinf:tolerance=1e-2",
            "hyperinf:iterations=4",
            "hyperinf:variant=published",
            "nystrom:rank=3",
            "lanczos:rank=3",
            "arnoldi:rank=3",
            "lissa:scale=auto,iterations=7",
        ] {
            let found = double(method, &train, &query, 0.1);
            let expected = oracle.residuals(&found);
            let worst = expected.iter().fold(0.0f64, |max, &v| max.max(v));
            let said = found.evidence.residual.unwrap();
            assert!(
                (said - worst).abs() <= 1e-6 * worst + slack,
                "{method} {spectrum:?}: {said:e} for {worst:e}"
            );
            let each = &found.evidence.residuals;
            if method.starts_with("exact") || method.starts_with("conj") {
                assert_eq!(each.len(), expected.len(), "{method}");
            }
            for (q, (said, expected)) in each.iter().zip(&expected).enumerate() {
                assert!(
                    (said - expected).abs() <= 1e-6 * expected + slack,
                    "{method} {spectrum:?}, query {q}: {said:e} for {expected:e}"
                );
            }
        }
    }
}

#[test]
fn the_history_is_what_shorter_runs_end_with() {
    let rows = rows(Spectrum::Power, 6);
    let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&queries(&rows, 6), 1.0));
    for (name, options) in [
        ("lissa", "scale=auto"),
        ("lissa", "scale=3,variant=code"),
        ("conjugate_gradient", "must_converge=false,tolerance=1e-12"),
        (
            "conjugate_gradient",
            "must_converge=false,tolerance=1e-12,preconditioner=diagonal",
        ),
    ] {
        let of = |steps: usize| {
            double(
                &format!("{name}:{options},iterations={steps}"),
                &train,
                &query,
                0.1,
            )
            .evidence
        };
        let long = of(6);
        for steps in 1..6 {
            let (found, expected) = (long.history[steps - 1], of(steps).residual.unwrap());
            assert!(
                (found - expected).abs() <= 1e-10 * expected,
                "{name}:{options} {steps}: {found:e} for {expected:e}"
            );
        }
        assert_eq!(long.iterations, Some(6));
    }
}

#[test]
fn blocks_of_several_tensors() {
    let d = 2 * 4 + 5 * 2 + 3;
    let z = normal(7, "blocks", 30 * d);
    let rows: Vec<Vec<f64>> = z.chunks(d).map(<[f64]>::to_vec).collect();
    let shapes = [
        ("l.lora_A.weight", vec![2, 4]),
        ("l.lora_B.weight", vec![5, 2]),
        ("head", vec![3]),
    ];
    let (train, query) = (
        store(&rows, &shapes, 0.1),
        store(&queries(&rows, 7), &shapes, 0.1),
    );
    for blocks in [Blocks::PerMatrix, Blocks::PerLayer, Blocks::Whole] {
        let exact = run("exact", &train, &query, blocks, 0.1, Precision::F64).unwrap();
        let size = exact.scores.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        for (method, residual) in complete(30, d, 1e-10) {
            let found = run(&method, &train, &query, blocks, 0.1, Precision::F64).unwrap();
            // each block's own condition is at most that of the whole: residual times condition bounds the error
            let tolerance = (residual.max(1e-13) * (1.0 + d as f64 / 0.1)) * size;
            for (found, exact) in found.scores.iter().zip(&exact.scores) {
                assert!((found - exact).abs() <= tolerance, "{method} {blocks:?}");
            }
            assert_eq!(
                found.block_evidence.len(),
                [3, 2, 1][blocks as usize],
                "{method}"
            );
        }
    }
}

/// Plain loops: [r, k]·[k, c].
fn times(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    a.iter()
        .map(|row| {
            (0..b[0].len())
                .map(|j| row.iter().zip(b).map(|(x, b)| x * b[j]).sum())
                .collect()
        })
        .collect()
}

fn transposed(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a[0].len())
        .map(|j| a.iter().map(|row| row[j]).collect())
        .collect()
}

#[test]
fn the_published_hyperinf_by_plain_loops() {
    for shape in [vec![2, 5], vec![5, 2], vec![7]] {
        let d: usize = shape.iter().product();
        // large enough for 15 steps from 5e-5 to come near the inverse, and to leave a part of it
        let z = normal(8, "published", 9 * d);
        let rows: Vec<Vec<f64>> = z.chunks(d).map(<[f64]>::to_vec).collect();
        let shapes = [("t", shape.clone())];
        let (train, query) = (store(&rows, &shapes, 0.7), store(&rows[..2], &shapes, 0.7));
        let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
        let lambda = damping(&train, &layout, 0.1).unwrap()[0];
        let (r, c) = if shape.len() == 1 {
            (1, d)
        } else {
            (shape[0], shape[1])
        };
        let matrix = |values: &[f32]| -> Vec<Vec<f64>> {
            let all: Vec<Vec<f64>> = values
                .chunks(c)
                .map(|row| row.iter().map(|&v| f64::from(v)).collect())
                .collect();
            if r > c { transposed(&all) } else { all }
        };
        let gradients: Vec<_> = (0..9)
            .map(|i| matrix(&train.tensor_rows(0, i..i + 1)))
            .collect();
        for (variant, left) in [("published", true), ("code", false)] {
            let moments = gradients.iter().map(|g| {
                if left {
                    times(g, &transposed(g))
                } else {
                    times(&transposed(g), g)
                }
            });
            let size = if left { r.min(c) } else { r.max(c) };
            let mut m = vec![vec![0.0; size]; size];
            for moment in moments {
                for i in 0..size {
                    for j in 0..size {
                        m[i][j] += moment[i][j] / 9.0;
                    }
                }
            }
            let identity = |factor: f64| -> Vec<Vec<f64>> {
                (0..size)
                    .map(|i| {
                        (0..size)
                            .map(|j| if i == j { factor } else { 0.0 })
                            .collect()
                    })
                    .collect()
            };
            for (i, row) in m.iter_mut().enumerate() {
                row[i] += lambda;
            }
            for steps in [15, 3] {
                let mut x = identity(5e-5);
                for _ in 0..steps {
                    let mx = times(&m, &x);
                    let two = identity(2.0);
                    let inner: Vec<Vec<f64>> = two
                        .iter()
                        .zip(&mx)
                        .map(|(two, mx)| two.iter().zip(mx).map(|(a, b)| a - b).collect())
                        .collect();
                    x = times(&x, &inner);
                }
                // 15 is the default
                let option = if steps == 15 {
                    String::new()
                } else {
                    format!(",iterations={steps}")
                };
                let method = format!("hyperinf:variant={variant}{option}");
                let found = double(&method, &train, &query, 0.1);
                assert_eq!(found.evidence.iterations, Some(steps));
                for q in 0..2 {
                    let v = matrix(&query.tensor_rows(0, q..q + 1));
                    let image = if left { times(&x, &v) } else { times(&v, &x) };
                    for (k, g) in gradients.iter().enumerate() {
                        let score: f64 = -image
                            .iter()
                            .flatten()
                            .zip(g.iter().flatten())
                            .map(|(a, b)| a * b)
                            .sum::<f64>();
                        let error = (found.scores[(q, k)] - score).abs();
                        let reach: f64 = image.iter().flatten().map(|v| v.abs()).sum::<f64>();
                        assert!(
                            error <= 1e-12 * reach * 10.0,
                            "{method} {shape:?}: {error:e}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn dependent_queries_cost_block_cg_nothing() {
    // 200 dimensions, with the mean of the queries as one more, which is what the bench asks for
    let d = 200;
    let z = normal(9, "dependent", 300 * d);
    let rows: Vec<Vec<f64>> = z
        .chunks(d)
        .map(|row| {
            row.iter()
                .enumerate()
                .map(|(j, v)| v / (1.0 + j as f64))
                .collect()
        })
        .collect();
    let mut asked = rows[..6].to_vec();
    asked.push(rows[0].clone());
    asked.push(vec![0.0; d]);
    asked.push((0..d).map(|j| rows[1][j] - 2.0 * rows[2][j]).collect());
    let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&asked, 1.0));
    let layout = BlockLayout::new(train.tensors(), Blocks::Whole);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let of = |method: &str, queries: Queries| {
        let options = RunOptions {
            precision: Precision::F32,
            queries,
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
    };
    for which in [Queries::Each, Queries::Mean, Queries::EachAndMean] {
        let (exact, cg) = (
            of("exact:solver=primal", which),
            of("exact:solver=cg", which),
        );
        assert_eq!(cg.evidence.solver.as_deref(), Some("cg"));
        assert_eq!(cg.evidence.not_converged, 0);
        assert_eq!(cg.evidence.residuals.len(), which.rows(9));
        assert!(
            cg.evidence.residual.unwrap() <= 1e-10,
            "{:?}",
            cg.evidence.residual
        );
        let steps = cg.evidence.iterations.unwrap();
        assert_eq!(cg.evidence.history.len(), steps);
        assert!(steps <= d, "{steps}");
        let size = exact.scores.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        for (cg, exact) in cg.scores.iter().zip(&exact.scores) {
            assert!((cg - exact).abs() <= 1e-10 * (1.0 + d as f64 / 0.1) * size);
        }
    }
    // more queries in one space: fewer steps
    let one = of("exact:solver=cg", Queries::Mean)
        .evidence
        .iterations
        .unwrap();
    let nine = of("exact:solver=cg", Queries::Each)
        .evidence
        .iterations
        .unwrap();
    assert!(nine < one, "{nine} {one}");
    // what does not fit into memory is iterated: 8·200² bytes do, 8·400² do not
    let auto = of("exact:memory_mib=1", Queries::Mean);
    assert_eq!(auto.evidence.solver.as_deref(), Some("primal"));
    let z = normal(9, "large", 400 * 400);
    let large: Vec<Vec<f64>> = z.chunks(400).map(<[f64]>::to_vec).collect();
    let (train, query) = (one_tensor(&large, 1.0), one_tensor(&large[..2], 1.0));
    let auto = double("exact:memory_mib=1", &train, &query, 0.1);
    assert_eq!(auto.evidence.solver.as_deref(), Some("cg"));
    assert!(auto.evidence.residual.unwrap() <= 1e-10);
}

#[test]
fn single_precision_products_do_not_keep_conjugate_gradients_from_the_tolerance() {
    let rows = rows(Spectrum::Power, 10);
    let (train, query) = (
        one_tensor(&rows, 1e-3),
        one_tensor(&queries(&rows, 10), 1e-3),
    );
    let oracle = Oracle::new(&train, &query, 0.1);
    for conditioner in ["none", "diagonal", "nystrom"] {
        let method = format!("conjugate_gradient:tolerance=1e-10,preconditioner={conditioner}");
        let found = run(&method, &train, &query, Blocks::Whole, 0.1, Precision::F32).unwrap();
        assert!(found.evidence.residual.unwrap() <= 1e-10, "{method}");
        // the score itself is contracted in f32
        oracle.check(&found, 1e-10 + 100.0 * f64::from(f32::EPSILON), &method);
    }
}

#[test]
fn a_preconditioner_saves_iterations() {
    // ten large eigenvalues above a flat rest
    let d = 100;
    let z = normal(11, "steps", 150 * d);
    let weight = |j: usize| {
        if j < 10 {
            100.0 / (1.0 + j as f64)
        } else {
            1.0
        }
    };
    let rows: Vec<Vec<f64>> = z
        .chunks(d)
        .map(|row| row.iter().enumerate().map(|(j, v)| v * weight(j)).collect())
        .collect();
    let train = one_tensor(&rows, 1.0);
    let query = one_tensor(&[normal(11, "v", d)], 1.0);
    let steps = |conditioner: &str| {
        let method = format!("conjugate_gradient:preconditioner={conditioner}");
        double(&method, &train, &query, 1e-3)
            .evidence
            .iterations
            .unwrap()
    };
    let (none, diagonal, nystrom) = (steps("none"), steps("diagonal"), steps("nystrom,rank=20"));
    assert!(
        diagonal < none && nystrom < none,
        "{none} {diagonal} {nystrom}"
    );
}

#[test]
fn what_does_not_converge_is_an_error_or_counted() {
    let rows = rows(Spectrum::Power, 12);
    let (train, query) = (one_tensor(&rows, 1.0), one_tensor(&queries(&rows, 12), 1.0));
    let ask = |method: &str| run(method, &train, &query, Blocks::Whole, 0.1, Precision::F64);
    let error = ask("conjugate_gradient:iterations=2").unwrap_err();
    assert!(
        matches!(&error, InfluenceError::NotConverged { block, iterations: 2, tolerance, residual }
            if block == "whole" && *tolerance == 1e-6 && *residual > 1e-6),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("after 2 iterations, 1.0e-6 was asked"),
        "{error}"
    );
    let counted = ask("conjugate_gradient:iterations=2,must_converge=false").unwrap();
    assert_eq!(counted.evidence.not_converged, 1);
    assert_eq!(counted.evidence.history.len(), 2);
    let counted = ask("hyperinf:iterations=2").unwrap();
    assert_eq!(
        (counted.evidence.not_converged, counted.evidence.iterations),
        (1, Some(2))
    );
    assert_eq!(ask("hyperinf").unwrap().evidence.not_converged, 0);
}

#[test]
fn a_matrix_too_large_is_refused_and_the_low_rank_form_is_not() {
    let d = 16_385;
    let row = vec![(0..d).map(|j| 1.0 / (1.0 + j as f64)).collect::<Vec<f64>>()];
    let train = one_tensor(&row, 1.0);
    let error = run(
        "hyperinf",
        &train,
        &train,
        Blocks::Whole,
        0.1,
        Precision::F64,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "block `whole`: `hyperinf` inverts a dense 16385×16385 matrix, 16384 is the largest allowed"
    );
    assert!(double("hyperinf:variant=published", &train, &train, 0.1).scores[(0, 0)].is_finite());
}

#[test]
fn nan_and_infinity_are_named_with_their_place() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut rows = rows(Spectrum::Power, 13);
        let query = one_tensor(&queries(&rows, 13), 1.0);
        rows[17][5] = bad;
        let train = one_tensor(&rows, 1.0);
        for (method, _) in complete(24, D, 1e-9) {
            let error = run(
                &method,
                &train,
                &query,
                Blocks::PerMatrix,
                0.1,
                Precision::F64,
            );
            let text = error.unwrap_err().to_string();
            assert!(
                text.contains("tensor `t`") && text.contains("at row 17, column 5"),
                "{method}: {text}"
            );
        }
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let d = 150;
    let z = normal(14, "threads", 400 * d);
    let rows: Vec<Vec<f64>> = z.chunks(d).map(<[f64]>::to_vec).collect();
    let shapes = [("a", vec![10, 12]), ("b", vec![30])];
    let (train, query) = (store(&rows, &shapes, 0.1), store(&rows[..20], &shapes, 0.1));
    for method in [
        "exact:solver=cg",
        "conjugate_gradient:preconditioner=nystrom",
        "conjugate_gradient:preconditioner=diagonal",
        "lissa:scale=auto",
        "lanczos",
        "arnoldi",
        "nystrom",
        "hyperinf",
        "hyperinf:variant=code",
        "hyperinf:variant=published",
    ] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| double(method, &train, &query, 0.1).scores)
        };
        assert_eq!(on(1), on(3), "{method}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn methods_that_keep_the_whole_block_are_exact(
        n in 1..20usize,
        sides in proptest::collection::vec((1..4usize, 1..5usize), 1..4),
        exponent in -12..=12i32,
        factor in -3..=1i32,
        seed in any::<u64>(),
    ) {
        let names: Vec<String> = (0..sides.len()).map(|t| format!("t{t}")).collect();
        let shapes: Vec<(&str, Vec<usize>)> =
            names.iter().zip(&sides).map(|(name, &(o, i))| (name.as_str(), vec![o, i])).collect();
        let sides: Vec<[usize; 2]> = sides.iter().map(|&(o, i)| [o, i]).collect();
        let d: usize = sides.iter().map(|[o, i]| o * i).sum();
        let z = normal(seed, "whole", n * d);
        let rows: Vec<Vec<f64>> = z.chunks(d).map(<[f64]>::to_vec).collect();
        let scale = 10f64.powi(exponent);
        let (train, query) =
            (store(&rows, &shapes, scale), store(&queries(&rows, seed), &shapes, scale));
        let factor = 10f64.powi(factor);
        let oracle = Oracle::new(&train, &query, factor);
        for (info, _) in GRADIENT_METHODS {
            for size in [|size: usize| size, |size: usize| size + 1, |size: usize| 50 * size] {
                for method in sized(info, n, &sides, size) {
                    for (precision, unit) in [(Precision::F64, 1.0), (Precision::F32, 2f64.powi(29))] {
                        let found = run(&method, &train, &query, Blocks::Whole, factor, precision).unwrap();
                        let what = format!("{method} {precision:?}");
                        oracle.check_to(&found, 8.0 * unit * oracle.rounding, false, &what);
                    }
                }
            }
        }
    }

    #[test]
    fn any_gradients_any_damping(
        n in 1..30usize,
        d in 1..24usize,
        rank in 1..24usize,
        fall in 0.0..2.0f64,
        exponent in -12..=12i32,
        factor in -3..=3i32,
        seed in any::<u64>(),
    ) {
        // rank at most `rank`, columns that fall like j^−fall, some rows zero
        let (left, right) = (normal(seed, "left", n * rank), normal(seed, "right", rank * d));
        let entry = |i: usize, j: usize| -> f64 {
            let sum: f64 = (0..rank).map(|k| left[i * rank + k] * right[k * d + j]).sum();
            if i % 5 == 4 { 0.0 } else { sum / (1.0 + j as f64).powf(fall) }
        };
        let rows: Vec<Vec<f64>> = (0..n).map(|i| (0..d).map(|j| entry(i, j)).collect()).collect();
        let scale = 10f64.powi(exponent);
        let (train, query) = (one_tensor(&rows, scale), one_tensor(&queries(&rows, seed), scale));
        let factor = 10f64.powi(factor);
        let oracle = Oracle::new(&train, &query, factor);
        for (method, residual) in complete(n, d, 1e-8) {
            let found = double(&method, &train, &query, factor);
            oracle.check(&found, residual, &method);
            if residual > 0.0 {
                let reached = found.evidence.residual.unwrap();
                prop_assert!(reached <= residual.max(oracle.rounding), "{}: {:e}", method, reached);
            }
        }
    }
}
