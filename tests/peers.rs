//! Our variants of other libraries' conventions against scores made by the libraries themselves.
//!
//! `scripts/peers.py` and `scripts/peers_kronfluence.py` wrote the fixtures: scores named by our method, positive =
//! helpful as the libraries have them, float64 where the library was run in double precision and float32 where it
//! takes single alone.

use std::path::{Path, PathBuf};

use infbench::gradients::factors::KroneckerFactors;
use infbench::gradients::store::GradientStore;
use infbench::influence::{
    BlockLayout, Companions, Influence, InfluenceError, RunOptions, Sampled, damping, run_method,
};
use infbench::influence::{Blocks, Precision};
use safetensors::Dtype;

/// What a library's scores were made of: gradients, and what some methods need beside them.
struct Peers {
    folder: PathBuf,
    train: GradientStore,
    query: GradientStore,
    beside: Option<[KroneckerFactors; 2]>,
    sampled: Option<GradientStore>,
}

/// dattri and pyDVL, on gradients that were drawn.
fn drawn() -> Peers {
    let folder = fixtures().join("peers");
    let open = |name: &str| GradientStore::open(&folder.join(name)).unwrap();
    Peers {
        train: open("train.safetensors"),
        query: open("query.safetensors"),
        beside: None,
        sampled: None,
        folder,
    }
}

/// kronfluence, on gradients of a small network.
fn network() -> Peers {
    let folder = fixtures().join("kronfluence");
    let open = |name: &str| GradientStore::open(&folder.join(name)).unwrap();
    let factors = |name: &str| KroneckerFactors::load(&folder.join(name)).unwrap();
    Peers {
        train: open("train.safetensors"),
        query: open("query.safetensors"),
        beside: Some([
            factors("factors.safetensors"),
            factors("sampled.factors.safetensors"),
        ]),
        sampled: Some(open("sampled.safetensors")),
        folder,
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

impl Peers {
    fn run(&self, method: &str, precision: Precision) -> Influence {
        self.try_run(method, precision).unwrap()
    }

    fn try_run(&self, method: &str, precision: Precision) -> Result<Influence, InfluenceError> {
        let layout = BlockLayout::new(self.train.tensors(), Blocks::PerMatrix);
        let lambda = damping(&self.train, &layout, 0.1).unwrap();
        let sampled = self.sampled.as_ref().zip(self.beside.as_ref());
        let options = RunOptions {
            precision,
            companions: Companions {
                factors: self.beside.as_ref().map(|[own, _]| own),
                sampled: sampled.map(|(gradients, [_, factors])| Sampled { gradients, factors }),
                ..Companions::default()
            },
            ..RunOptions::default()
        };
        let method = method.parse().unwrap();
        run_method(
            &method,
            &self.train,
            &self.query,
            &layout,
            &lambda,
            &options,
        )
    }

    /// Largest difference from the library's scores, relative to the largest of them, and the rounding allowed: the
    /// precision the library was run in, times sizes, times the `condition` of what is inverted.
    fn differences(&self, condition: impl Fn(&str) -> f64) -> Vec<(String, f64, f64)> {
        let bytes = std::fs::read(self.folder.join("scores.safetensors")).unwrap();
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
            let found = self.run(name, Precision::F64).scores;
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
            (
                name.to_owned(),
                worst / size,
                32.0 * condition(name) * epsilon,
            )
        };
        file.iter().map(compare).collect()
    }
}

fn none_is_far(all: &[(String, f64, f64)]) {
    let far: Vec<_> = all
        .iter()
        .filter(|(_, difference, allowed)| difference > allowed)
        .collect();
    assert!(far.is_empty(), "{far:#?}");
}

#[test]
fn scores_are_the_librarys_own() {
    // of F + λI: at most 1 + tr(F)/λ, where the least λ in use is 0.01 and tr(F) below 10
    let all = drawn().differences(|_| 1e3);
    assert_eq!(all.len(), 20, "the fixtures are there");
    none_is_far(&all);
}

#[test]
fn scores_are_kronfluences_own() {
    let all = network().differences(condition);
    assert_eq!(all.len(), 19, "the fixtures are there");
    none_is_far(&all);
}

/// Of Λ + λ: at most 1 + tr(F)/λ, where tr(F) is below 1 and λ constant, or 0.1 times the mean of at most 30 eigenvalues.
fn condition(name: &str) -> f64 {
    if name.contains("heuristic") || name == "hessian_free" {
        1.0 + 10.0 * 30.0
    } else if name.contains("0.003") {
        1.0 + 1.0 / 0.003
    } else {
        1.0 + 1.0 / 1e-8
    }
}

#[test]
fn where_kronfluence_meets_ours_and_where_it_does_not() {
    let peers = network();
    let scores = |method: &str| peers.run(method, Precision::F64).scores;
    let apart = |a: &str, b: &str| {
        let (a, b) = (scores(a), scores(b));
        let size = b.iter().fold(0.0f64, |max, v| max.max(v.abs()));
        (a - b).iter().fold(0.0f64, |max, v| max.max(v.abs())) / size
    };
    // the mean of the eigenvalues is tr(F)/d
    let at_the_data = "labels=empirical,damping=heuristic";
    assert!(apart(&format!("ekfac_kronfluence:{at_the_data}"), "ekfac") < 1e-11);
    let diagonal = format!("diagonal_kronfluence:{at_the_data}");
    assert!(apart(&diagonal, "diagonal_fisher") < 1e-11);
    // with our λ, and in its own labels
    let ours = "ekfac_kronfluence:damping=auto";
    assert!(apart(ours, "ekfac:labels=sampled") < 1e-11);
    // the other count and the other damping are no small matter, nor are the labels
    assert!(apart("kfac_kronfluence:labels=empirical,damping=auto", "kfac") > 0.1);
    assert!(apart("ekfac_kronfluence:labels=empirical", "ekfac") > 0.5);
    assert!(apart("ekfac_kronfluence:damping=auto", "ekfac") > 0.1);
}

#[test]
fn kronfluences_kfac_needs_to_know_how_many_tokens_there_are() {
    let mut peers = network();
    peers.beside.iter_mut().flatten().for_each(|factors| {
        factors.tensors[1].tokens = None;
    });
    let error = peers.try_run("kfac_kronfluence", Precision::F64);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("do not say how many tokens an example has"),
        "{error}"
    );
}

#[test]
fn where_the_conventions_meet_ours_so_do_the_scores() {
    let peers = drawn();
    let run = |method: &str| peers.run(method, Precision::F64).scores;
    let close = |a: &str, b: &str, factor: f64| {
        let (a, b) = (run(a), run(b));
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
    let influence = drawn().run("exact_pydvl:batch_size=20", Precision::F64);
    assert!(influence.scores.iter().all(|score| score.is_nan()));
}
