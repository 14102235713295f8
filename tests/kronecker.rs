//! `kfac` and `ekfac` against dense oracles, and `tracin` against a loop.
//!
//! On gradients δxᵀ with δ and x independent of one another the Fisher is the Kronecker product of the two
//! factors, so that both methods are exact influence.

use faer::{Mat, Side};
use infbench::gradients::checkpoints::Checkpoint;
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::influence::{
    BlockLayout, Companions, Influence, InfluenceError, RunOptions, Sampled, damping, run_method,
};
use infbench::influence::{Blocks, Precision};
use infbench::random::rng;
use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

const DAMPING: f64 = 0.1;

fn run_with(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    blocks: Blocks,
    precision: Precision,
    companions: Companions<'_>,
) -> Result<Influence, InfluenceError> {
    let layout = BlockLayout::new(train.tensors(), blocks);
    let lambda = damping(train, &layout, DAMPING).unwrap();
    let options = RunOptions {
        precision,
        companions,
        ..RunOptions::default()
    };
    let spec = method.parse().unwrap();
    run_method(&spec, train, query, &layout, &lambda, &options)
}

/// With empirical factors, in f64, one block a tensor.
fn run(
    method: &str,
    train: &GradientStore,
    query: &GradientStore,
    factors: &KroneckerFactors,
) -> Array2<f64> {
    let companions = Companions {
        factors: Some(factors),
        ..Companions::default()
    };
    let (blocks, precision) = (Blocks::PerMatrix, Precision::F64);
    run_with(method, train, query, blocks, precision, companions)
        .unwrap()
        .scores
}

/// ‖a − b‖/‖b‖.
fn difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let norm = |values: Array2<f64>| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    norm(a - b) / norm(b.clone())
}

fn normal(purpose: &str, count: usize) -> Vec<f64> {
    let mut random = rng(11, "kronecker", purpose);
    (0..count)
        .map(|_| StandardNormal.sample(&mut random))
        .collect()
}

/// Small whole numbers, whose products f32 holds exactly.
fn whole(purpose: &str, count: usize) -> Vec<f64> {
    normal(purpose, count)
        .iter()
        .map(|v| (8.0 * v).round())
        .collect()
}

fn second_moment(rows: &[f64], width: usize) -> Mat<f64> {
    let n = rows.len() / width;
    Mat::from_fn(width, width, |i, j| {
        (0..n)
            .map(|k| rows[k * width + i] * rows[k * width + j])
            .sum::<f64>()
            / n as f64
    })
}

/// A linear model on single tokens whose errors do not depend on its inputs: every δ with every x.
fn independent(outputs: usize, inputs: usize) -> (GradientStore, KroneckerFactors) {
    let (deltas, xs) = (7, 9);
    let delta = whole("delta", deltas * outputs);
    let x = whole("x", xs * inputs);
    let mut values = Vec::new();
    for d in delta.chunks_exact(outputs) {
        for x in x.chunks_exact(inputs) {
            values.extend(d.iter().flat_map(|d| x.iter().map(move |x| (d * x) as f32)));
        }
    }
    let info = TensorInfo::new("w", [outputs, inputs]);
    let store = GradientStore::from_memory(deltas * xs, vec![(info, values)]).unwrap();
    let factors = TensorFactors {
        name: "w".to_owned(),
        inputs: second_moment(&x, inputs),
        outputs: second_moment(&delta, outputs),
        tokens: Some(1.0),
    };
    let tensors = vec![factors];
    (store, KroneckerFactors { tensors })
}

fn queries(m: usize, shape: [usize; 2]) -> GradientStore {
    let values = normal("query", m * shape[0] * shape[1]);
    let values = values.into_iter().map(|v| v as f32).collect();
    GradientStore::from_memory(m, vec![(TensorInfo::new("w", shape), values)]).unwrap()
}

fn eigen(matrix: &Mat<f64>) -> (Mat<f64>, Vec<f64>) {
    let found = matrix.self_adjoint_eigen(Side::Lower).unwrap();
    let values = (0..matrix.nrows()).map(|i| found.S()[i]).collect();
    (found.U().to_owned(), values)
}

/// (L ⊗ R), for gradients `[out, in]` flattened row-major.
fn kronecker(left: &Mat<f64>, right: &Mat<f64>) -> Mat<f64> {
    let (a, b) = (left.nrows(), right.nrows());
    Mat::from_fn(a * b, a * b, |i, j| {
        left[(i / b, j / b)] * right[(i % b, j % b)]
    })
}

fn dense(store: &GradientStore, tensor: usize) -> Mat<f64> {
    let d = store.tensors()[tensor].dim();
    let values = store.tensor_rows(tensor, 0..store.rows());
    Mat::from_fn(store.rows(), d, |i, j| f64::from(values[i * d + j]))
}

/// −V Q (Λ + λ)⁻¹ Qᵀ Gᵀ.
fn scores_in_basis(
    basis: &Mat<f64>,
    curvature: &[f64],
    lambda: f64,
    train: &Mat<f64>,
    query: &Mat<f64>,
) -> Array2<f64> {
    let (g, mut v) = (train * basis, query * basis);
    for (j, curvature) in curvature.iter().enumerate() {
        for q in 0..v.nrows() {
            v[(q, j)] /= curvature + lambda;
        }
    }
    let scores = &v * g.transpose();
    Array2::from_shape_fn((v.nrows(), g.nrows()), |(q, k)| -scores[(q, k)])
}

#[test]
fn both_are_exact_where_inputs_and_errors_are_independent() {
    // long on either side, so that both orders of the products are met
    for (outputs, inputs) in [(3, 6), (6, 3), (1, 5), (5, 1)] {
        let (train, factors) = independent(outputs, inputs);
        let query = queries(5, [outputs, inputs]);
        let exact = run("exact", &train, &query, &factors);
        let d = (outputs * inputs) as f64;
        // rounding of sums over n and d, times the condition of F + λI
        let tolerance = 50.0 * f64::EPSILON * (train.rows() as f64 + d) * (1.0 + d / DAMPING);
        for method in ["kfac", "ekfac"] {
            let found = difference(&run(method, &train, &query, &factors), &exact);
            assert!(
                found <= tolerance,
                "{method} [{outputs}, {inputs}]: {found:e} above {tolerance:e}"
            );
        }
    }
}

#[test]
fn rotating_with_the_transposes_the_wrong_way_round_would_be_noticed() {
    let (train, factors) = independent(3, 6);
    let query = queries(5, [3, 6]);
    let exact = run("exact", &train, &query, &factors);
    let (g, v) = (dense(&train, 0), dense(&query, 0));
    let lambda = DAMPING * (g.transpose() * &g).diagonal().column_vector().sum()
        / (18.0 * train.rows() as f64);
    let ((q_s, l_s), (q_a, l_a)) = {
        let factors = &factors.tensors[0];
        (eigen(&factors.outputs), eigen(&factors.inputs))
    };
    let curvature: Vec<f64> = l_s
        .iter()
        .flat_map(|s| l_a.iter().map(move |a| s * a))
        .collect();
    let right = scores_in_basis(&kronecker(&q_s, &q_a), &curvature, lambda, &g, &v);
    assert!(difference(&right, &exact) < 1e-10);
    let turned = kronecker(&q_s.transpose().to_owned(), &q_a.transpose().to_owned());
    let wrong = scores_in_basis(&turned, &curvature, lambda, &g, &v);
    assert!(
        difference(&wrong, &exact) > 0.1,
        "the test above tells Q from Qᵀ: {}",
        difference(&wrong, &exact)
    );
}

/// Gradients and factors of two tensors that have nothing to do with one another.
fn anything(n: usize, purpose: &str) -> (GradientStore, KroneckerFactors) {
    let shapes = [("a", [4, 5]), ("b", [7, 2])];
    let tensors = shapes.map(|(name, [o, i])| {
        let values = normal(&format!("{purpose} {name}"), n * o * i);
        let values = values.into_iter().map(|v| v as f32).collect();
        (TensorInfo::new(name, [o, i]), values)
    });
    let factors = shapes.map(|(name, [o, i])| {
        let moment = |side: &str, size: usize| {
            second_moment(
                &normal(&format!("{purpose} {name} {side}"), 20 * size),
                size,
            )
        };
        TensorFactors {
            name: name.to_owned(),
            inputs: moment("in", i),
            outputs: moment("out", o),
            tokens: Some(2.5),
        }
    });
    (
        GradientStore::from_memory(n, tensors.into()).unwrap(),
        KroneckerFactors {
            tensors: factors.into(),
        },
    )
}

/// `ekfac` of `moments` in the basis of `factors`, tensor by tensor; λ by tensor.
fn dense_ekfac(
    [train, query, moments]: [&GradientStore; 3],
    place: &[usize],
    factors: &KroneckerFactors,
    lambda: &[f64],
) -> Array2<f64> {
    let mut sum = Array2::zeros((query.rows(), train.rows()));
    for (tensor, info) in train.tensors().iter().enumerate() {
        let factors = factors.get(&info.name).unwrap();
        let basis = kronecker(&eigen(&factors.outputs).0, &eigen(&factors.inputs).0);
        let rotated = dense(moments, place[tensor]) * &basis;
        let curvature: Vec<f64> = (0..info.dim())
            .map(|j| rotated.col(j).squared_norm_l2() / moments.rows() as f64)
            .collect();
        sum += &scores_in_basis(
            &basis,
            &curvature,
            lambda[tensor],
            &dense(train, tensor),
            &dense(query, tensor),
        );
    }
    sum
}

#[test]
fn ekfac_is_the_fishers_diagonal_in_the_eigenbasis() {
    // more rows than one thread takes at a time
    let (train, factors) = anything(1500, "train");
    let (query, _) = anything(3, "query");
    let companions = Companions {
        factors: Some(&factors),
        ..Companions::default()
    };
    for blocks in [Blocks::PerMatrix, Blocks::Whole] {
        let layout = BlockLayout::new(train.tensors(), blocks);
        let lambda = damping(&train, &layout, DAMPING).unwrap();
        // tensors of one block share its λ
        let lambda = [lambda[0], lambda[lambda.len() - 1]];
        let expected = dense_ekfac([&train, &query, &train], &[0, 1], &factors, &lambda);
        for (precision, epsilon) in [
            (Precision::F64, f64::EPSILON),
            (Precision::F32, f64::from(f32::EPSILON)),
        ] {
            let found = run_with("ekfac", &train, &query, blocks, precision, companions).unwrap();
            let found = difference(&found.scores, &expected);
            // coordinates are sums of at most 7 + 5 products; the spread of Λ is that of random gradients, small
            let tolerance = 200.0 * epsilon;
            assert!(found <= tolerance, "{blocks:?} {precision:?}: {found:e}");
        }
    }
}

#[test]
fn sampled_labels_bring_factors_and_moments_of_their_own() {
    let (train, factors) = anything(40, "train");
    let (query, _) = anything(3, "query");
    let (gradients, sampled) = anything(60, "sampled");
    // in another order, as a file may have them
    let turned = [1, 0].map(|t| {
        let values = gradients.tensor_rows(t, 0..60).into_owned();
        (gradients.tensors()[t].clone(), values)
    });
    let gradients = GradientStore::from_memory(60, turned.into()).unwrap();
    let companions = Companions {
        factors: Some(&factors),
        sampled: Some(Sampled {
            gradients: &gradients,
            factors: &sampled,
        }),
        ..Companions::default()
    };
    let run = |method: &str, companions| {
        let (blocks, precision) = (Blocks::PerMatrix, Precision::F64);
        run_with(method, &train, &query, blocks, precision, companions)
            .unwrap()
            .scores
    };
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, DAMPING).unwrap();
    let expected = dense_ekfac([&train, &query, &gradients], &[1, 0], &sampled, &lambda);
    let found = run("ekfac:labels=sampled", companions);
    assert!(difference(&found, &expected) <= 200.0 * f64::EPSILON);
    assert!(difference(&run("ekfac", companions), &expected) > 0.01);
    let swapped = Companions {
        factors: Some(&sampled),
        ..Companions::default()
    };
    assert_eq!(run("kfac:labels=sampled", companions), run("kfac", swapped));
    assert_ne!(run("kfac", companions), run("kfac", swapped));
}

#[test]
fn tracin_is_the_sum_of_dot_products_with_their_learning_rates() {
    let rates = [0.3, 1e-3, 0.05];
    let checkpoints: Vec<Checkpoint> = rates
        .iter()
        .enumerate()
        .map(|(c, &learning_rate)| Checkpoint {
            learning_rate,
            train: anything(11, &format!("train {c}")).0,
            query: anything(4, &format!("query {c}")).0,
        })
        .collect();
    let (train, query) = (anything(11, "train").0, anything(4, "query").0);
    let companions = Companions {
        checkpoints: &checkpoints,
        ..Companions::default()
    };
    let found = run_with(
        "tracin",
        &train,
        &query,
        Blocks::PerMatrix,
        Precision::F64,
        companions,
    )
    .unwrap();
    let expected = Array2::from_shape_fn((4, 11), |(q, k)| {
        let at = |c: &Checkpoint| -> f64 {
            let dot = |t: usize| -> f64 {
                let (v, g) = (
                    c.query.tensor_rows(t, q..q + 1),
                    c.train.tensor_rows(t, k..k + 1),
                );
                v.iter()
                    .zip(g.iter())
                    .map(|(v, g)| f64::from(*v) * f64::from(*g))
                    .sum()
            };
            c.learning_rate * (dot(0) + dot(1))
        };
        -checkpoints.iter().map(at).sum::<f64>()
    });
    assert!(difference(&found.scores, &expected) <= 100.0 * f64::EPSILON);
    // two tensors at three checkpoints
    assert_eq!(found.block_evidence.len(), 6);
    assert!(companions.fit(&train, &query).is_ok());
    let error = companions
        .fit(&anything(12, "train").0, &query)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `a`: 11 examples at a checkpoint in memory, 12 in memory"
    );
}

#[test]
fn what_is_missing_or_foreign_is_named() {
    let (train, factors) = anything(6, "train");
    let (query, _) = anything(2, "query");
    let error = |method: &str, companions| {
        let (blocks, precision) = (Blocks::PerMatrix, Precision::F64);
        run_with(method, &train, &query, blocks, precision, companions)
            .unwrap_err()
            .to_string()
    };
    let nothing = Companions::default();
    for (method, message) in [
        (
            "kfac",
            "`kfac` needs Kronecker factors, collected with the gradients, which are not there",
        ),
        (
            "ekfac:labels=sampled",
            "`ekfac` needs gradients and Kronecker factors at labels drawn from the model's predictions, which are not there",
        ),
        (
            "tracin",
            "`tracin` needs gradients at checkpoints of the fine-tune, which are not there",
        ),
    ] {
        assert_eq!(error(method, nothing), message);
    }
    let (_, foreign) = independent(3, 6);
    let foreign = Companions {
        factors: Some(&foreign),
        ..nothing
    };
    let message = "tensor `a`: has no Kronecker factors among those given";
    assert_eq!(error("ekfac", foreign), message);
    assert_eq!(
        foreign.fit(&train, &query).unwrap_err().to_string(),
        message
    );
    // NaN among the sampled gradients is found, not averaged
    let bad = train.tensors().iter().map(|info| {
        let mut values = vec![1.0; 2 * info.dim()];
        values[info.dim() + 3] = f32::NAN;
        (info.clone(), values)
    });
    let bad = GradientStore::from_memory(2, bad.collect()).unwrap();
    let sampled = Companions {
        sampled: Some(Sampled {
            gradients: &bad,
            factors: &factors,
        }),
        ..nothing
    };
    assert_eq!(
        error("ekfac:labels=sampled", sampled),
        "memory: tensor `a` holds NaN at row 1, column 3"
    );
}
