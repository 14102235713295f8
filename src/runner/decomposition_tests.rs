//! Worlds in which only one thing is wrong: the whole gap is in its part.

use faer::Mat;
use ndarray::{Array2, Array3};
use rand::RngExt;

use super::*;
use crate::gradients::hessian::{HessianGroup, Hessians};
use crate::gradients::store::{StoreWriter, Target as Place, TensorInfo};
use crate::metrics::datamodel::predicted;
use crate::metrics::retraining::{LeaveOneOut, Subsets};
use crate::random::rng;

const N: usize = 80;
const M: usize = 12;
const DIMS: [usize; 2] = [6, 5];

/// Rows of both tensors side by side; `shape` of (example, column, uniform draw of deviation 1).
fn rows(purpose: &str, count: usize, shape: impl Fn(usize, usize, f64) -> f64) -> Array2<f64> {
    let mut rng = rng(2, "decomposition", purpose);
    let d = DIMS[0] + DIMS[1];
    Array2::from_shape_fn((count, d), |(i, j)| {
        shape(i, j, (rng.random::<f64>() - 0.5) * 12f64.sqrt())
    })
}

/// A store of two tensors, or of one.
fn store(rows: &Array2<f64>, one: bool) -> GradientStore {
    let tensor = |name: &str, first: usize, dim: usize| {
        let values = rows.rows().into_iter().flat_map(|row| {
            row.iter()
                .skip(first)
                .take(dim)
                .map(|x| *x as f32)
                .collect::<Vec<_>>()
        });
        (TensorInfo::new(name, [dim]), values.collect::<Vec<f32>>())
    };
    let tensors = if one {
        vec![tensor("a", 0, DIMS[0] + DIMS[1])]
    } else {
        vec![tensor("a", 0, DIMS[0]), tensor("b", DIMS[0], DIMS[1])]
    };
    GradientStore::from_memory(rows.nrows(), tensors).unwrap()
}

/// Gradients, and the Fisher for a Hessian unless another one is put in its place.
struct World {
    train: GradientStore,
    query: GradientStore,
    hessians: Hessians,
    blocks: Blocks,
    damping: f64,
    dtype: GradientType,
}

impl World {
    /// Examples that share directions across both tensors, with columns of different size.
    fn new(one: bool) -> Self {
        let mixed = |i: usize, j: usize, x: f64| {
            x * 0.8f64.powi(j as i32) + ((i * 7) % 5) as f64 * 0.6 * ((j + 1) as f64 * 0.9).sin()
        };
        Self::of(rows("train", N, mixed), one)
    }

    fn of(train: Array2<f64>, one: bool) -> Self {
        let train = store(&train, one);
        let fisher = fisher(&train);
        Self {
            query: store(&rows("query", M, |_, _, x| x), one),
            hessians: hessians(&train, fisher),
            train,
            blocks: Blocks::PerMatrix,
            damping: 0.1,
            dtype: GradientType::F32,
        }
    }

    fn run(
        &self,
        gradients: [&GradientStore; 2],
        spec: &str,
        blocks: Blocks,
        c: f64,
    ) -> Array2<f64> {
        let [train, query] = gradients;
        let layout = BlockLayout::new(train.tensors(), blocks);
        let lambda = damping(train, &layout, c).unwrap();
        let options = RunOptions {
            companions: Companions {
                hessians: Some(&self.hessians),
                ..Companions::default()
            },
            seed: 1,
            ..RunOptions::default()
        };
        let spec: MethodSpec = spec.parse().unwrap();
        let found = run_method(&spec, train, query, &layout, &lambda, &options);
        found.unwrap().scores
    }

    /// Influence by the Hessian of all parameters.
    fn best(&self, c: f64) -> Array2<f64> {
        let stores = [&self.train, &self.query];
        self.run(stores, "true_hessian", Blocks::Whole, c)
    }

    /// The gaps by both metrics of methods on these cell's gradients, with the upper rungs at one of `candidates`.
    fn split_on(
        &self,
        cell: [&GradientStore; 2],
        truth: &Array2<f64>,
        candidates: &[f64],
        specs: &[&str],
        hessian: bool,
    ) -> DecompositionInfo {
        let specs: Vec<MethodSpec> = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        let methods: Vec<MethodScores> = specs
            .iter()
            .map(|spec| MethodScores {
                spec,
                scores: Ok(self.run(cell, &spec.label, self.blocks, self.damping)),
            })
            .collect();
        let config = DecompositionConfig {
            damping: candidates.to_vec(),
            ..DecompositionConfig::default()
        };
        let layout = BlockLayout::new(self.train.tensors(), self.blocks);
        let setting = Setting {
            gradients: [&self.train, &self.query],
            layout: &layout,
            damping: self.damping,
            seed: 1,
            companions: Companions {
                hessians: hessian.then_some(&self.hessians),
                ..Companions::default()
            },
            no_hessian: "no Hessian: too large".to_owned(),
            dtype: self.dtype,
            precision: Precision::F64,
        };
        let metrics = ["lds_50", "loo_pearson"].map(str::to_owned);
        decompose(&config, &metrics, &retraining(truth), &setting, &methods).unwrap()
    }

    fn split(&self, truth: &Array2<f64>, specs: &[&str]) -> DecompositionInfo {
        let cell = [&self.train, &self.query];
        self.split_on(cell, truth, &[0.1], specs, true)
    }
}

/// (1/n) GᵀG of all tensors side by side.
fn fisher(train: &GradientStore) -> Mat<f64> {
    let d = DIMS[0] + DIMS[1];
    let mut rows = Array2::<f64>::zeros((train.rows(), d));
    let mut first = 0;
    for (t, info) in train.tensors().iter().enumerate() {
        for i in 0..train.rows() {
            let mut row = vec![0.0; info.dim()];
            train.read_row(t, i, 0..info.dim(), &mut row);
            row.iter()
                .enumerate()
                .for_each(|(j, x)| rows[[i, first + j]] = *x);
        }
        first += info.dim();
    }
    let product = rows.t().dot(&rows) / train.rows() as f64;
    Mat::from_fn(d, d, |i, j| product[[i, j]])
}

fn hessians(train: &GradientStore, matrix: Mat<f64>) -> Hessians {
    let tensors = train.tensors().iter();
    let tensors = tensors
        .map(|info| (info.name.clone(), info.dim()))
        .collect();
    Hessians {
        groups: vec![HessianGroup { tensors, matrix }],
    }
}

/// Losses that are additive in the examples by these scores, without noise: their owner agrees with them fully.
fn retraining(truth: &Array2<f64>) -> Retraining {
    let mut rng = rng(2, "decomposition", "subsets");
    let kept: Vec<Vec<bool>> = (0..60)
        .map(|_| (0..N).map(|_| rng.random::<f64>() < 0.5).collect())
        .collect();
    let p = predicted(truth.view(), &kept);
    Retraining {
        leave_one_out: Some(LeaveOneOut {
            examples: (0..N).collect(),
            full: Array2::zeros((2, M)),
            without: Array3::from_shape_fn((N, 2, M), |(k, _, q)| -truth[[q, k]]),
            min_snr: 1.0,
        }),
        subsets: vec![Subsets {
            percent: 50,
            losses: Array3::from_shape_fn((kept.len(), 2, M), |(s, _, q)| p[[s, q]]),
            kept,
        }],
    }
}

/// The whole gap of the only method is in the part `key`, by both metrics.
fn all_in(info: &DecompositionInfo, key: &str) {
    assert_eq!(info.ladders.len(), 2);
    for ladder in &info.ladders {
        let [method] = &ladder.methods[..] else {
            panic!("one method: {ladder:?}");
        };
        let gap = method.gap.value.expect("defined");
        assert!(gap > 1e-3, "{}: there is a gap: {method:?}", ladder.metric);
        adds_up(method);
        for part in &method.parts {
            let loss = part.loss.value.expect("defined");
            // both sides are solved in f64, conditions are below 1e3
            if part.key() == key {
                assert!(
                    (loss - gap).abs() < 1e-9,
                    "{key} of {}: {method:?}",
                    ladder.metric
                );
                let size = part
                    .size
                    .as_ref()
                    .map_or(1.0, |size| size.value.expect("defined"));
                assert!(size > 1e-6, "{key}: {part:?}");
            } else {
                assert!(loss.abs() < 1e-9, "{} beside {key}: {method:?}", part.key());
                let size = part
                    .size
                    .as_ref()
                    .map_or(0.0, |size| size.value.expect("defined"));
                assert!(size < 1e-9, "{} beside {key}: {part:?}", part.key());
            }
        }
        assert!(
            method.parts.iter().any(|part| part.key() == key),
            "{key}: {method:?}"
        );
    }
}

fn adds_up(method: &MethodParts) {
    let sum: f64 = method
        .parts
        .iter()
        .map(|part| part.loss.value.expect("defined"))
        .sum();
    let gap = method.gap.value.expect("defined");
    // nine additions of numbers below 2
    assert!((sum - gap).abs() < 16.0 * f64::EPSILON, "{sum} {gap}");
}

#[test]
fn what_is_right_has_no_gap() {
    for one in [true, false] {
        let mut world = World::new(one);
        world.blocks = Blocks::Whole;
        for ladder in &world.split(&world.best(0.1), &["exact"]).ladders {
            let gap = ladder.methods[0].gap.value.expect("defined");
            assert!(gap.abs() < 1e-9, "{ladder:?}");
        }
    }
}

#[test]
fn one_wrong_thing_has_the_whole_gap() {
    let world = World::new(true);
    let best = world.best(0.1);
    all_in(&world.split(&best, &["datainf"]), "swap");
    all_in(&world.split(&best, &["datainf:group_size=8"]), "swap");
    all_in(
        &world.split(&best, &["lissa:scale=auto,iterations=2"]),
        "convergence",
    );
    all_in(
        &world.split(
            &best,
            &["conjugate_gradient:iterations=1,must_converge=false"],
        ),
        "convergence",
    );
    all_in(&world.split(&best, &["hessian_free"]), "approximation");

    // a truth that is not influence
    let other = &best
        + &rows("other", N, |_, _, x| x)
            .t()
            .slice(ndarray::s![..1, ..])
            .to_owned();
    all_in(&world.split(&other, &["exact"]), "influence");

    let mut damped = World::new(true);
    damped.damping = 30.0;
    all_in(&damped.split(&best, &["exact"]), "damping");
}

#[test]
fn another_hessian_is_the_fisher_s_part() {
    let mut world = World::new(false);
    world.blocks = Blocks::Whole;
    let fisher = fisher(&world.train);
    let d = fisher.nrows();
    // symmetric, positive definite, with other directions than F's
    let matrix = Mat::from_fn(d, d, |i, j| {
        0.3 * fisher[(i, j)]
            + if i == j {
                0.5 + 0.4 * (i % 3) as f64
            } else {
                0.0
            }
    });
    world.hessians = hessians(&world.train, matrix);
    all_in(&world.split(&world.best(0.1), &["exact"]), "fisher");
}

#[test]
fn blocks_and_their_damping_are_told_apart() {
    // both tensors with the same mean eigenvalue, so that λ by block is λ of the whole
    let mut train = rows("train", N, |i, j, x| {
        x + ((i * 7) % 5) as f64 * 0.6 * (j as f64).cos()
    });
    for (first, dim) in [(0, DIMS[0]), (DIMS[0], DIMS[1])] {
        let mut block = train.slice_mut(ndarray::s![.., first..first + dim]);
        let size = (block.iter().map(|x| x * x).sum::<f64>() / dim as f64).sqrt();
        block.mapv_inplace(|x| x / size);
    }
    let world = World::of(train, false);
    let found = world.split(&world.best(0.1), &["exact"]);
    for ladder in &found.ladders {
        let method = &ladder.methods[0];
        adds_up(method);
        let loss = |key: &str| {
            let part = method
                .parts
                .iter()
                .find(|part| part.key() == key)
                .expect("a part");
            part.loss.value.expect("defined")
        };
        // the sizes agree to f32, whose rounding moves r by its square and a rank not at all
        assert!(
            loss("blocks") > 1e-3 && loss("block_damping").abs() < 1e-9,
            "{method:?}"
        );
    }

    // one half of the examples has gradients in one tensor alone: no curvature between them
    let apart = |i: usize, j: usize, x: f64| {
        let own = i.is_multiple_of(2) == (j < DIMS[0]);
        f64::from(u8::from(own)) * x * if j < DIMS[0] { 8.0 } else { 1.0 } * 0.7f64.powi(j as i32)
    };
    let mut world = World::of(rows("apart", N, apart), false);
    // a query that sees both, so that the blocks' weights matter
    world.query = store(&rows("query", M, |_, _, x| x), false);
    all_in(&world.split(&world.best(0.1), &["exact"]), "block_damping");
}

#[test]
fn rounded_gradients_are_the_format_s_part() {
    let mut world = World::new(true);
    world.dtype = GradientType::Bf16;
    let rounded = |store: &GradientStore| {
        let target = Place::new(None, GradientType::Bf16);
        let tensors = store.tensors().to_vec();
        let mut writer = StoreWriter::new(tensors, store.rows(), target).unwrap();
        writer
            .write_rows(0, 0, &store.tensor_rows(0, 0..store.rows()))
            .unwrap();
        writer.finish().unwrap()
    };
    // a gradient of 8 bits beside one of a hundred times its size in the same direction: much is lost
    let coarse = |i: usize, j: usize, x: f64| x * 0.01 + 3.0 * ((j + i % 2) as f64).sin();
    let fine = World::of(rows("coarse", N, coarse), true);
    world.train = fine.train;
    world.hessians = fine.hessians;
    let cell = [rounded(&world.train), rounded(&world.query)];
    let truth = world.best(0.1);
    let found = world.split_on([&cell[0], &cell[1]], &truth, &[0.1], &["exact"], true);
    all_in(&found, "precision");
}

#[test]
fn what_cannot_be_measured_is_joined_to_its_neighbour_and_named() {
    let world = World::new(false);
    let truth = world.best(0.1)
        + 0.1
            * world.run(
                [&world.train, &world.query],
                "hessian_free",
                Blocks::Whole,
                0.1,
            );
    let cell = [&world.train, &world.query];
    let with = world.split_on(cell, &truth, &[0.1], &["datainf"], true);
    let without = world.split_on(cell, &truth, &[0.1], &["datainf"], false);
    for (with, without) in with.ladders.iter().zip(&without.ladders) {
        let (with, without) = (&with.methods[0], &without.methods[0]);
        adds_up(without);
        let keys = |method: &MethodParts| -> Vec<String> {
            method.parts.iter().map(PartInfo::key).collect()
        };
        assert_eq!(
            keys(without),
            [
                "noise",
                "influence+fisher",
                "blocks",
                "block_damping",
                "damping",
                "swap",
                "precision"
            ]
        );
        assert_eq!(keys(with)[1..3], ["influence", "fisher"]);
        let note = without.parts[1].note.as_ref().expect("why");
        assert!(note.contains("no Hessian: too large"), "{note}");
        // nothing else has changed
        let sum = |parts: &[PartInfo]| -> f64 {
            parts
                .iter()
                .map(|part| part.loss.value.expect("defined"))
                .sum()
        };
        assert!((sum(&with.parts[1..3]) - sum(&without.parts[1..2])).abs() < 1e-14);
        assert_eq!(with.parts[3..], without.parts[2..]);
        assert_eq!(with.gap, without.gap);
    }
}

#[test]
fn the_upper_rungs_take_the_candidate_that_agrees_best_and_keep_the_cell_s_own_beside_it() {
    let world = World::new(true);
    let truth = world.best(1.0);
    let cell = [&world.train, &world.query];
    let found = world.split_on(cell, &truth, &[0.01, 1.0, 10.0], &["exact"], true);
    for ladder in &found.ladders {
        assert_eq!(ladder.damping, 1.0);
        let tried: Vec<f64> = ladder.candidates.iter().map(|c| c.damping).collect();
        assert_eq!(tried, [0.01, 0.1, 1.0, 10.0]);
        assert!((ladder.candidates[2].agreement.expect("defined") - 1.0).abs() < 1e-9);
    }
    all_in(&found, "damping");
}

#[test]
fn a_method_that_failed_or_is_not_finite_says_so_and_the_others_keep_their_parts() {
    let world = World::new(true);
    let truth = world.best(0.1);
    let specs: Vec<MethodSpec> = ["exact", "lissa", "datainf"]
        .map(|s| s.parse().unwrap())
        .into();
    let stores = [&world.train, &world.query];
    let methods = [
        MethodScores {
            spec: &specs[0],
            scores: Err("out of memory".to_owned()),
        },
        MethodScores {
            spec: &specs[1],
            scores: Ok(Array2::from_elem((M, N), f64::NAN)),
        },
        MethodScores {
            spec: &specs[2],
            scores: Ok(world.run(stores, "datainf", Blocks::PerMatrix, 0.1)),
        },
    ];
    let layout = BlockLayout::new(world.train.tensors(), Blocks::PerMatrix);
    let setting = Setting {
        gradients: stores,
        layout: &layout,
        damping: 0.1,
        seed: 1,
        companions: Companions {
            hessians: Some(&world.hessians),
            ..Companions::default()
        },
        no_hessian: String::new(),
        dtype: GradientType::F32,
        precision: Precision::F64,
    };
    let config = DecompositionConfig::default();
    let metrics = ["lds_50".to_owned()];
    let found = decompose(&config, &metrics, &retraining(&truth), &setting, &methods).unwrap();
    let [failed, undefined, fine] = &found.ladders[0].methods[..] else {
        panic!("three methods");
    };
    assert!(
        failed
            .problem
            .as_ref()
            .expect("why")
            .contains("out of memory")
    );
    assert!(failed.parts.is_empty() && failed.gap.value.is_none());
    assert!(undefined.problem.is_some() && undefined.gap.value.is_none());
    assert_eq!((undefined.gap.cases, undefined.gap.undefined), (M, M));
    adds_up(fine);
    assert_eq!(fine.problem, None);
    // again, and from a file: the same numbers
    let again = decompose(&config, &metrics, &retraining(&truth), &setting, &methods).unwrap();
    assert_eq!(again.ladders, found.ladders);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(
        serde_json::from_str::<DecompositionInfo>(&text).unwrap(),
        found
    );
}
