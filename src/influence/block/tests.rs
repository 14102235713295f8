//! Every product against plain loops, in both precisions, over one and several tensors, whatever the panels.

use faer::{Mat, Par};
use rand_distr::{Distribution, StandardNormal};

use super::columns::{column, parallel};
use super::layout::{BlockLayout, Blocks};
use super::precision::Precision;
use super::view::{Block, Tiles};
use crate::gradients::store::{GradientStore, TensorInfo};
use crate::random::rng;

const N: usize = 37;
const DIMS: [usize; 3] = [5, 1, 13];
const D: usize = 19;

fn normal(purpose: &str, count: usize) -> Vec<f64> {
    let mut random = rng(1, "kernels", purpose);
    (0..count)
        .map(|_| StandardNormal.sample(&mut random))
        .collect()
}

fn store() -> GradientStore {
    let matrices = DIMS.iter().map(|&d| {
        let name = format!("t{d}");
        let values = normal(&name, N * d).into_iter().map(|v| v as f32).collect();
        (TensorInfo::new(name, [d]), values)
    });
    GradientStore::from_memory(N, matrices.collect()).unwrap()
}

/// G as plain rows.
fn dense(store: &GradientStore) -> Vec<Vec<f64>> {
    let row = |i| {
        (0..DIMS.len()).flat_map(move |t| {
            store
                .tensor_rows(t, i..i + 1)
                .iter()
                .map(|&v| f64::from(v))
                .collect::<Vec<_>>()
        })
    };
    (0..N).map(|i| row(i).collect()).collect()
}

/// Tiles and precisions to try; the default first.
fn settings() -> Vec<(Precision, Tiles)> {
    let tiles = |project_rows, project_columns, expand_columns, expand_rows, tasks| Tiles {
        project_rows,
        project_panel: 1 + project_columns / 3,
        project_columns,
        expand_columns,
        expand_panel: 1 + expand_rows / 3,
        expand_rows,
        tasks,
        // both ways of a handful of queries
        few: tasks % 5,
        // chunks of a few rows
        view_bytes: 11 * D * 4,
        widened_bytes: 5 * D * 8,
    };
    let all = [
        Tiles::default(),
        tiles(1, 3, 4, 5, 1),
        tiles(7, 4, 3, 11, 100),
        tiles(N, 1, D, 1, 3),
        tiles(N, D, D, N, 1),
    ];
    all.into_iter()
        .flat_map(|tiles| [(Precision::F64, tiles), (Precision::F32, tiles)])
        .collect()
}

/// Largest deviation allowed: the unit of rounding, times the length of the sums, times their size.
fn tolerance(precision: Precision, terms: usize, size: f64) -> f64 {
    let epsilon = if precision == Precision::F32 {
        f64::from(f32::EPSILON)
    } else {
        f64::EPSILON
    };
    2.0 * epsilon * terms as f64 * size
}

fn close(found: &Mat<f64>, expected: impl Fn(usize, usize) -> f64, tolerance: f64, what: &str) {
    for j in 0..found.ncols() {
        for i in 0..found.nrows() {
            let (found, expected) = (found[(i, j)], expected(i, j));
            assert!(
                (found - expected).abs() <= tolerance,
                "{what} ({i}, {j}): {found} against {expected}, tolerance {tolerance:e}"
            );
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn products_equal_plain_loops() {
    let store = store();
    let g = dense(&store);
    let layout = BlockLayout::new(store.tensors(), Blocks::Whole);
    // a handful, by rows; one panel; several
    for m in [4, 7, 70] {
        products_of(m, &store, &g, &layout);
    }
}

fn products_of(m: usize, store: &GradientStore, g: &[Vec<f64>], layout: &BlockLayout) {
    let v = normal("v", D * m);
    let v = Mat::from_fn(D, m, |i, j| v[i + D * j]);
    let c = normal("c", m * N);
    let c = Mat::from_fn(N, m, |k, q| c[k + N * q]);
    let query = |q: usize| column(v.as_ref(), q).to_vec();
    for (precision, tiles) in settings() {
        let block = Block::new(store, &layout.blocks()[0], precision, m, 0).with_tiles(tiles);
        let what = format!("{m} {precision:?} {tiles:?}");
        close(
            &block.matvec(&v),
            |k, q| dot(&query(q), &g[k]),
            tolerance(precision, D, 10.0),
            &what,
        );
        let mut scores = c.clone();
        block.add_scores(&v, -2.0, scores.as_mut());
        close(
            &scores,
            |k, q| c[(k, q)] - 2.0 * dot(&query(q), &g[k]),
            tolerance(precision, D, 20.0),
            &what,
        );
        close(
            &block.rmatvec(&c),
            |i, q| (0..N).map(|k| c[(k, q)] * g[k][i]).sum(),
            tolerance(precision, N, 10.0),
            &what,
        );
        let expected = |i: usize, q: usize| {
            (0..N).map(|k| dot(&query(q), &g[k]) * g[k][i]).sum::<f64>() / N as f64
        };
        close(
            &block.fisher_vector_product(&v),
            expected,
            tolerance(precision, N + D, 10.0),
            &what,
        );

        let rows = [3, 36, 0, 11, 12];
        let gram = block.gram(&rows, Par::Seq);
        let lower = |a: usize, b: usize| {
            if a >= b {
                dot(&g[rows[a]], &g[rows[b]])
            } else {
                gram[(a, b)]
            }
        };
        close(&gram, lower, tolerance(precision, D, 40.0), &what);
        assert_eq!(block.gram(&rows, parallel()), gram, "{what}");
    }
}

#[test]
fn fisher_norms_and_columns_equal_plain_loops() {
    let store = store();
    let g = dense(&store);
    let layout = BlockLayout::new(store.tensors(), Blocks::Whole);
    let block = Block::new(&store, &layout.blocks()[0], Precision::F64, 1, 0);
    let fisher = block.fisher();
    let entry = |i: usize, j: usize| (0..N).map(|k| g[k][i] * g[k][j]).sum::<f64>() / N as f64;
    close(
        &fisher,
        |i, j| if i >= j { entry(i, j) } else { fisher[(i, j)] },
        tolerance(Precision::F64, N, 3.0),
        "fisher",
    );
    for (k, norm) in block.squared_norms().into_iter().enumerate() {
        assert!(
            (norm - dot(&g[k], &g[k])).abs() <= tolerance(Precision::F64, D, 50.0),
            "{k}"
        );
    }
    for (j, sum) in block.column_squares().into_iter().enumerate() {
        assert!(
            (sum / N as f64 - entry(j, j)).abs() <= tolerance(Precision::F64, N, 3.0),
            "{j}"
        );
    }
}

#[test]
fn residuals_are_those_of_the_definition() {
    let store = store();
    let g = dense(&store);
    let layout = BlockLayout::new(store.tensors(), Blocks::Whole);
    let block = Block::new(&store, &layout.blocks()[0], Precision::F32, 1, 0);
    let v = Mat::from_fn(D, 1, |i, _| (i as f64).cos());
    let x = Mat::from_fn(D, 1, |i, _| (i as f64).sin());
    let (r, relative) = block.residual(&v, &x, 0.5);
    let image: Vec<f64> = g
        .iter()
        .map(|row| dot(row, column(x.as_ref(), 0)) / N as f64)
        .collect();
    let expected =
        |i: usize, _| v[(i, 0)] - 0.5 * x[(i, 0)] - (0..N).map(|k| image[k] * g[k][i]).sum::<f64>();
    close(
        &r,
        expected,
        tolerance(Precision::F64, N + D, 10.0),
        "in f64 whatever the block's precision",
    );
    assert!((relative - r.norm_l2() / v.norm_l2()).abs() < 1e-14);
    let nothing = Mat::zeros(D, 1);
    assert_eq!(block.residual(&nothing, &nothing, 0.5).1, 0.0);
    assert!(
        block
            .residual(&v, &Mat::from_fn(D, 1, |_, _| f64::NAN), 0.5)
            .1
            .is_nan()
    );
}
