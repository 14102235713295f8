//! Our variants of other libraries' conventions against scores made by the libraries themselves.
//!
//! `scripts/peers.py` wrote the fixtures: scores named by our method, positive = helpful as the libraries have
//! them, float64 where the library was run in double precision and float32 where it takes single alone.

use std::path::{Path, PathBuf};

use infbench::config::influence::{Blocks, Precision};
use infbench::gradients::store::GradientStore;
use infbench::influence::{BlockLayout, Influence, RunOptions, damping, run_method};
use safetensors::Dtype;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peers")
}

fn run(method: &str, precision: Precision) -> Influence {
    let open = |name: &str| GradientStore::open(&folder().join(name)).unwrap();
    let (train, query) = (open("train.safetensors"), open("query.safetensors"));
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let options = RunOptions {
        precision,
        ..RunOptions::default()
    };
    let method = method.parse().unwrap();
    run_method(&method, &train, &query, &layout, &lambda, &options).unwrap()
}

/// Largest difference from the library's scores, relative to the largest of them, and the rounding allowed:
/// the precision it was run in, times sizes, times the condition of F + λI, at most 1 + tr(F)/λ where the least λ
/// in use is 0.01 and tr(F) below 10.
fn differences() -> Vec<(String, f64, f64)> {
    let bytes = std::fs::read(folder().join("scores.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let compare = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        let (library, epsilon): (Vec<f64>, f64) = match view.dtype() {
            Dtype::F64 => {
                let values = view.data().as_chunks::<8>().0;
                (
                    values.iter().map(|b| f64::from_le_bytes(*b)).collect(),
                    f64::EPSILON,
                )
            }
            Dtype::F32 => {
                let values = view.data().as_chunks::<4>().0;
                let values = values.iter().map(|b| f64::from(f32::from_le_bytes(*b)));
                (values.collect(), f64::from(f32::EPSILON))
            }
            other => panic!("{name} is {other:?}"),
        };
        let found = run(name, Precision::F64).scores;
        assert_eq!(view.shape(), found.shape(), "{name}");
        let size = library.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        let worst = found
            .iter()
            .zip(&library)
            .fold(0.0f64, |max, (ours, library)| {
                let difference = (ours + library).abs();
                if difference.is_nan() {
                    f64::INFINITY
                } else {
                    max.max(difference)
                }
            });
        (name.to_owned(), worst / size, 32.0 * 1e3 * epsilon)
    };
    file.iter().map(compare).collect()
}

#[test]
fn scores_are_the_librarys_own() {
    let all = differences();
    assert_eq!(all.len(), 20, "the fixtures are there");
    let far: Vec<_> = all
        .iter()
        .filter(|(_, difference, allowed)| difference > allowed)
        .collect();
    assert!(far.is_empty(), "{far:#?}");
}

#[test]
fn where_the_conventions_meet_ours_so_do_the_scores() {
    let close = |a: &str, b: &str, factor: f64| {
        let (a, b) = (run(a, Precision::F64).scores, run(b, Precision::F64).scores);
        let size = b.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        a.iter()
            .zip(&b)
            .all(|(a, b)| (a * factor - b).abs() <= 1e-11 * size)
    };
    // five queries in the fixture
    assert!(close("datainf_dattri:damping=auto", "datainf", 1.0));
    assert!(close("datainf_pydvl:batch_size=20", "datainf", 5.0));
    assert!(close("exact_dattri:batch_size=20", "exact", 1.0));
    assert!(close(
        "lissa_dattri:iterations=10,scale=1,damping=auto",
        "lissa",
        1.0
    ));
    assert!(close(
        "lissa_pydvl:iterations=10,scale=2,damping=auto,tolerance=1e-300",
        "lissa:scale=2",
        1.0
    ));
    // more steps than dimensions, which rounding asks for
    assert!(close(
        "conjugate_gradient_dattri:iterations=18",
        "exact",
        1.0
    ));
    // and the conventions themselves are no small matter
    assert!(!close("datainf_dattri", "datainf", 1.0));
    assert!(!close("exact_dattri:batch_size=8", "exact", 1.0));
    assert!(!close("exact_pydvl:batch_size=10", "exact", 1.0));
}

#[test]
fn one_batch_of_pydvls_gauss_newton_is_nan_and_shows() {
    let influence = run("exact_pydvl:batch_size=20", Precision::F64);
    assert!(influence.scores.iter().all(|score| score.is_nan()));
}
