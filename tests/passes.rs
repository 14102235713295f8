//! How often every method fetches the gradients, counted where they are fetched.

use faer::Mat;
use infbench::gradients::checkpoints::Checkpoint;
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::hessian::{HessianGroup, Hessians};
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::influence::{
    BlockLayout, Companions, Queries, RunOptions, Sampled, damping, run_method,
};
use infbench::influence::{Blocks, Precision};
use infbench::random::rng;
use rand_distr::{Distribution, StandardNormal};

const N: usize = 40;
const SHAPES: [[usize; 2]; 2] = [[4, 9], [2, 7]];

fn store(purpose: &str, rows: usize) -> GradientStore {
    let tensor = |(t, shape): (usize, &[usize; 2])| {
        let mut random = rng(5, "passes", &format!("{purpose}{t}"));
        let size = rows * shape[0] * shape[1];
        let values = (0..size).map(|_| {
            let value: f64 = StandardNormal.sample(&mut random);
            value as f32
        });
        (TensorInfo::new(format!("t{t}"), *shape), values.collect())
    };
    GradientStore::from_memory(rows, SHAPES.iter().enumerate().map(tensor).collect()).unwrap()
}

/// Factors of every tensor, which are no matter here.
fn factors(store: &GradientStore) -> KroneckerFactors {
    let of = |info: &TensorInfo| TensorFactors {
        name: info.name.clone(),
        inputs: Mat::identity(info.shape[1], info.shape[1]),
        outputs: Mat::identity(info.shape[0], info.shape[0]),
        tokens: Some(3.0),
    };
    KroneckerFactors {
        tensors: store.tensors().iter().map(of).collect(),
    }
}

/// Passes of a method over the training gradients, with its iterations.
fn passes(label: &str, queries: usize, precision: Precision) -> (f64, usize) {
    let (train, query) = (store("train", N), store("query", queries));
    let layout = BlockLayout::new(train.tensors(), Blocks::Whole);
    let lambda = damping(&train, &layout, 0.1).unwrap();
    let size = train.tensors().iter().map(TensorInfo::dim).sum();
    let tensors = train.tensors().iter().map(|t| (t.name.clone(), t.dim()));
    let hessians = Hessians {
        groups: vec![HessianGroup {
            tensors: tensors.collect(),
            matrix: Mat::identity(size, size),
        }],
    };
    let factors = factors(&train);
    let sampled = store("sampled", N);
    let checkpoint = |c: usize| Checkpoint {
        learning_rate: 0.1,
        train: store(&format!("train {c}"), N),
        query: store(&format!("query {c}"), queries),
    };
    let options = RunOptions {
        precision,
        queries: Queries::Each,
        seed: 1,
        companions: Companions {
            factors: Some(&factors),
            sampled: Some(Sampled {
                gradients: &sampled,
                factors: &factors,
            }),
            hessians: Some(&hessians),
            checkpoints: &[checkpoint(1), checkpoint(2), checkpoint(3)],
            ..Companions::default()
        },
        parts: None,
        keep: 0,
    };
    let spec = label.parse().unwrap();
    let found = run_method(&spec, &train, &query, &layout, &lambda, &options).unwrap();
    let iterations = found.evidence.iterations.unwrap_or(0);
    (found.bytes_read as f64 / train.bytes() as f64, iterations)
}

/// Passes, and passes for each iteration, as the table of methods states them.
const STATED: [(&str, f64, f64); 38] = [
    ("exact:solver=primal", 3.0, 3.0),
    ("exact:solver=dual", 5.0, 3.0),
    ("exact:solver=cg", 2.0, 1.0),
    ("datainf", 2.0, 0.0),
    ("datainf:group_size=8", 4.0, 0.0),
    ("hessian_free", 1.0, 0.0),
    ("hessian_free_block_weighted", 1.0, 0.0),
    ("diagonal_fisher", 2.0, 0.0),
    ("grad_cos", 2.0, 0.0),
    ("lissa:iterations=7", 1.0, 1.0),
    ("lissa:iterations=7,scale=auto", 22.0, 1.0),
    ("random_projection:dim=5", 1.0, 0.0),
    ("logra:in=3,out=2", 1.0, 0.0),
    // a tolerance that f32 products reach without a restart
    ("conjugate_gradient:tolerance=1e-3", 2.0, 1.0),
    (
        "conjugate_gradient:tolerance=1e-3,preconditioner=diagonal",
        3.0,
        1.0,
    ),
    (
        "conjugate_gradient:tolerance=1e-3,preconditioner=nystrom,rank=5",
        3.0,
        1.0,
    ),
    ("nystrom:rank=5", 2.0, 0.0),
    ("hyperinf", 3.0, 0.0),
    ("hyperinf:variant=published", 2.0, 0.0),
    ("hyperinf:variant=code", 2.0, 0.0),
    ("datainf_dattri", 2.0, 0.0),
    ("datainf_pydvl", 2.0, 0.0),
    ("exact_dattri:batch_size=8", 4.0, 0.0),
    ("exact_pydvl:batch_size=8", 5.0, 3.0),
    ("lissa_dattri:iterations=7", 1.0, 1.0),
    ("lissa_pydvl:iterations=7", 1.0, 1.0),
    ("conjugate_gradient_dattri:iterations=7", 2.0, 1.0),
    ("true_hessian", 1.0, 0.0),
    ("kfac", 1.0, 0.0),
    ("kfac:labels=sampled", 1.0, 0.0),
    ("ekfac", 2.0, 0.0),
    // one of the gradients at sampled labels, one of the training gradients
    ("ekfac:labels=sampled", 2.0, 0.0),
    // one at each of three checkpoints
    ("tracin", 3.0, 0.0),
    ("kfac_kronfluence", 1.0, 0.0),
    ("ekfac_kronfluence", 2.0, 0.0),
    ("ekfac_kronfluence:labels=empirical", 2.0, 0.0),
    ("diagonal_kronfluence", 2.0, 0.0),
    ("diagonal_kronfluence:labels=empirical", 2.0, 0.0),
];

#[test]
fn every_method_reads_as_often_as_it_states() {
    let mut wrong = Vec::new();
    for (label, fixed, each) in STATED {
        for (queries, precision) in [
            (1, Precision::F32),
            (1, Precision::F64),
            (9, Precision::F32),
            (9, Precision::F64),
        ] {
            let (found, iterations) = passes(label, queries, precision);
            let stated = fixed + each * iterations as f64;
            if found != stated {
                wrong.push(format!(
                    "{label}, {queries} queries, {precision:?}: {found}, stated {stated}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One vector at a time, as many as steps, which a Krylov space is built of.
#[test]
fn krylov_spaces_cost_a_pass_a_step() {
    for (label, start) in [
        ("lanczos:rank=4,iterations=11", 1.0),
        ("arnoldi:rank=4,iterations=11", 0.0),
    ] {
        let (found, _) = passes(label, 9, Precision::F32);
        assert_eq!(found, start + 11.0 + 1.0, "{label}");
    }
}
