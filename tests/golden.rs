//! Scores against references computed elsewhere, straight from the formulas, in float64 NumPy
//! (`scripts/golden.py`), and against a run of the paper's public code on a real fine-tune.
//!
//! The small fixtures stand in `tests/fixtures`; a larger set is read from `$INFBENCH_SHARED/golden`, or from
//! `shared/golden` in a folder above this one, and left out, saying so, when there is none.

use std::path::{Path, PathBuf};

use infbench::gradients::store::GradientStore;
use infbench::influence::{BlockLayout, Influence, Queries, RunOptions, damping, run_method};
use infbench::influence::{Blocks, Precision};

/// Our name for a method of the reference files.
fn method_of(reference: &str) -> String {
    if let Some(size) = reference.strip_prefix("datainf_groups_of_") {
        return format!("datainf:group_size={size},shuffle=false");
    }
    match reference
        .strip_prefix("lissa_")
        .and_then(|rest| rest.split_once('_'))
    {
        Some((variant, iterations)) => format!("lissa:variant={variant},iterations={iterations}"),
        None => reference.to_owned(),
    }
}

/// A float64 matrix of a safetensors file.
struct Reference {
    name: String,
    rows: usize,
    values: Vec<f64>,
}

fn references(path: &Path) -> Vec<Reference> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<Reference> = file
        .iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F64);
            let values = view
                .data()
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect();
            Reference {
                name: name.to_owned(),
                rows: view.shape()[0],
                values,
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn scores(folder: &Path, method: &str, queries: Queries, precision: Precision) -> Influence {
    let open = |name: &str| GradientStore::open(&folder.join(name)).unwrap();
    let (train, query) = (open("train.safetensors"), open("query.safetensors"));
    let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let options = RunOptions {
        precision,
        queries,
        seed: 0,
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
}

/// max |found − expected| / max |expected|.
fn deviation(found: &Influence, expected: &Reference) -> f64 {
    assert_eq!(found.scores.nrows(), expected.rows, "{}", expected.name);
    let size = expected
        .values
        .iter()
        .fold(0.0f64, |max, v| max.max(v.abs()));
    let worst = found
        .scores
        .iter()
        .zip(&expected.values)
        .fold(0.0f64, |max, (a, b)| max.max((a - b).abs()));
    assert_eq!(
        found.scores.len(),
        expected.values.len(),
        "{}",
        expected.name
    );
    worst / size
}

/// Every matrix of `scores.safetensors`, to `tolerance(name)` of its largest entry.
fn compare(folder: &Path, file: &str, precision: Precision, tolerance: impl Fn(&str) -> f64) {
    let references = references(&folder.join(file));
    assert!(!references.is_empty());
    for reference in references {
        let (name, queries) = match reference.name.strip_suffix(".mean") {
            Some(name) => (name, Queries::Mean),
            None => (reference.name.as_str(), Queries::Each),
        };
        let found = scores(folder, &method_of(name), queries, precision);
        let (deviation, allowed) = (deviation(&found, &reference), tolerance(name));
        println!(
            "{:50} {deviation:.1e} of {allowed:.0e}",
            format!(
                "{} {}",
                folder.file_name().unwrap().display(),
                reference.name
            )
        );
        assert!(
            deviation <= allowed,
            "{}: {deviation:e} above {allowed:e}",
            reference.name
        );
    }
}

fn double(name: &str) -> f64 {
    if name.starts_with("lissa") {
        1e-7
    } else {
        1e-9
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The larger set, when it is there.
fn shared(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared"));
    let found = given
        .into_iter()
        .chain(above)
        .map(|shared| shared.join("golden").join(name))
        .find(|path| path.is_dir());
    if found.is_none() {
        println!(
            "SKIPPED: no golden/{name} under $INFBENCH_SHARED or a shared/ folder above this crate"
        );
    }
    found
}

#[test]
fn fixtures_more_examples_than_dimensions() {
    compare(
        &fixture("tall"),
        "scores.safetensors",
        Precision::F64,
        double,
    );
}

#[test]
fn fixtures_fewer_examples_than_dimensions() {
    compare(
        &fixture("wide"),
        "scores.safetensors",
        Precision::F64,
        double,
    );
}

#[test]
fn fixtures_in_single_precision() {
    // products in f32: its rounding, over sums of some hundred terms
    compare(
        &fixture("tall"),
        "scores.safetensors",
        Precision::F32,
        |_| 2e-5,
    );
    compare(
        &fixture("wide"),
        "scores.safetensors",
        Precision::F32,
        |_| 2e-5,
    );
}

#[test]
fn the_mean_query_is_the_last_row() {
    let both = scores(
        &fixture("wide"),
        "datainf",
        Queries::EachAndMean,
        Precision::F64,
    );
    let mean = scores(&fixture("wide"), "datainf", Queries::Mean, Precision::F64);
    let last = both.scores.row(both.scores.nrows() - 1);
    let size = mean.scores.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    assert!(
        last.iter()
            .zip(mean.scores.row(0))
            .all(|(a, b)| (a - b).abs() <= 1e-13 * size)
    );
    // scores are linear in the query
    let rows = both.scores.nrows() - 1;
    for (k, last) in last.iter().enumerate() {
        let mean = (0..rows).map(|q| both.scores[(q, k)]).sum::<f64>() / rows as f64;
        assert!((mean - last).abs() <= 1e-12 * size, "{k}");
    }
}

#[test]
fn shared_small_and_wide() {
    for name in ["small", "wide"] {
        if let Some(folder) = shared(name) {
            compare(&folder, "scores.safetensors", Precision::F64, double);
        }
    }
}

/// Gradients of a real fine-tune, and what the paper's public engine makes of them. The engine has our sign
/// (positive = harmful). Its `exact` goes through a non-symmetric eigensolver in float32; its other methods
/// are float32 too, and its LiSSA has the damping's sign reversed (`variant=code`).
#[test]
fn shared_public_engine_on_a_real_fine_tune() {
    if let Some(folder) = shared("minilm_rte_r4") {
        compare(
            &folder,
            "published_engine_scores.safetensors",
            Precision::F64,
            |name| if name == "exact" { 1e-3 } else { 1e-6 },
        );
        let exact = scores(&folder, "exact", Queries::Mean, Precision::F64);
        let residual = exact.evidence.residual.unwrap();
        assert!(residual < 1e-11, "{residual:e}");
        assert_eq!(exact.evidence.solver.as_deref(), Some("dual"));
    }
}
