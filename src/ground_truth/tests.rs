//! Against a task whose retrainings are known in closed form.

use std::sync::atomic::Ordering;

use super::testing::MeanTask;
use super::*;
use crate::ground_truth::settings::{
    LeaveOneOutConfig, RemovalConfig, SelectionConfig, SubsetRetrainingConfig,
};
use crate::metrics::{Inputs, MetricValue, Scores, evaluate};
use crate::progress::Progress;

fn config() -> GroundTruthConfig {
    GroundTruthConfig {
        leave_one_out: Some(LeaveOneOutConfig {
            seeds: 3,
            ..LeaveOneOutConfig::default()
        }),
        subset_retraining: Some(SubsetRetrainingConfig {
            subsets: 60,
            seeds: 4,
            ..SubsetRetrainingConfig::default()
        }),
        selection: Some(SelectionConfig::default()),
        removal: Some(RemovalConfig::default()),
        decomposition: None,
    }
}

static QUIET: Progress = Progress::quiet();

fn bench<'a>(task: &'a MeanTask, cache: RetrainCache) -> RetrainContext<'a> {
    RetrainContext {
        retrain: task,
        seed: 11,
        cache,
        progress: &QUIET,
    }
}

fn nowhere() -> RetrainCache {
    RetrainCache::new(None, "")
}

fn metrics(truth: &Truth, task: &MeanTask, sign: f64) -> Vec<MetricValue> {
    let scores = sign * task.influence();
    let mean = scores.mean_axis(ndarray::Axis(0)).unwrap();
    let inputs = Inputs {
        scores: Scores {
            per_query: scores.view(),
            mean_query: mean.view(),
        },
        exact: None,
        exact_at_default: None,
        flipped: None,
        train_classes: None,
        query_classes: None,
        retraining: Some(&truth.retraining),
        seed: 1,
    };
    let names = ["loo_pearson", "loo_spearman", "lds_50", "lds_90", "lds_99"];
    evaluate(&inputs, &names).unwrap().0
}

#[test]
fn influence_of_a_mean_agrees_with_retraining_and_its_opposite_does_not() {
    let task = MeanTask::new(100, 1e-5);
    let truth = measure(&config(), &bench(&task, nowhere())).unwrap();
    for value in metrics(&truth, &task, 1.0) {
        // a mean moves by Σ_k (θ − x_k)/(|S| − n): linear in the subset; the square adds a curvature
        let least = if value.metric == "lds_50" { 0.9 } else { 0.98 };
        assert!(
            value.value.unwrap() > least && value.low.unwrap() > least - 0.1,
            "{value:?}"
        );
        assert_eq!((value.cases, value.undefined), (5, 0));
    }
    for value in metrics(&truth, &task, -1.0) {
        assert!(value.value.unwrap() < -0.9, "{value:?}");
    }
    for subsets in &truth.info.subsets {
        assert_eq!((subsets.subsets, subsets.seeds), (60, 4));
        assert!(subsets.ceiling.value.unwrap() > 0.95, "{subsets:?}");
    }
    let loo = truth.info.leave_one_out.unwrap();
    assert!(loo.snr.iter().all(|snr| snr.unwrap() > 100.0) && loo.ceiling.value.unwrap() > 0.99);
    let percents: Vec<u32> = truth.info.subsets.iter().map(|s| s.percent).collect();
    assert_eq!(percents, [50, 90, 99]);
}

#[test]
fn noise_closes_the_gate_of_leave_one_out() {
    let task = MeanTask::new(60, 50.0);
    let truth = measure(&config(), &bench(&task, nowhere())).unwrap();
    for value in &metrics(&truth, &task, 1.0)[..2] {
        assert_eq!((value.value, value.cases, value.undefined), (None, 5, 5));
    }
    let ceiling = truth.info.leave_one_out.unwrap().ceiling;
    assert_eq!((ceiling.value, ceiling.undefined), (None, 5));
}

#[test]
fn subsets_have_their_size_and_more_of_them_begin_alike() {
    let task = MeanTask::new(40, 0.0);
    let few = SubsetRetrainingConfig {
        fractions: vec![0.9],
        subsets: 5,
        seeds: 2,
    };
    let more = SubsetRetrainingConfig {
        subsets: 8,
        ..few.clone()
    };
    let of = |settings| {
        subset_retraining::measure(settings, &bench(&task, nowhere()))
            .unwrap()
            .remove(0)
    };
    let (few, more) = (of(&few), of(&more));
    assert_eq!(few.kept[..], more.kept[..5]);
    assert!(
        more.kept
            .iter()
            .all(|kept| kept.iter().filter(|kept| **kept).count() == 36)
    );
    assert_eq!(few.losses, more.losses.slice(ndarray::s![..5, .., ..]));
    assert_eq!(seeds(1, 3)[..2], seeds(1, 2)[..]);
    assert_ne!(seeds(1, 1), seeds(2, 1));
}

#[test]
fn a_killed_run_goes_on_and_ends_alike_whatever_the_threads() {
    let whole = MeanTask::new(100, 0.1);
    let other = tempfile::tempdir().unwrap();
    let own = RetrainCache::new(Some(other.path()), "mean");
    let expected = measure(&config(), &bench(&whole, own)).unwrap();
    let jobs = whole.done.load(Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let cache = || RetrainCache::new(Some(folder.path()), "mean");
    let killed = MeanTask {
        most: jobs / 2,
        ..MeanTask::new(100, 0.1)
    };
    let error = measure(&config(), &bench(&killed, cache())).unwrap_err();
    assert!(
        error.contains("retraining (") && error.contains("killed"),
        "{error}"
    );
    let rest = MeanTask::new(100, 0.1);
    let mut found = measure(&config(), &bench(&rest, cache())).unwrap();
    assert_eq!(rest.done.load(Ordering::Relaxed), jobs - jobs / 2);
    found.info.seconds = expected.info.seconds;
    assert_eq!(found, expected);
    // one thread, everything anew: a piece does its parts in place
    let alone = MeanTask::new(100, 0.1);
    let mut single = crate::workers::map(1, |_| {
        measure(&config(), &bench(&alone, nowhere())).unwrap()
    });
    single[0].info.seconds = expected.info.seconds;
    assert_eq!(single[0], expected);
    // and nothing is left to do
    let idle = MeanTask {
        most: 0,
        ..MeanTask::new(100, 0.1)
    };
    measure(&config(), &bench(&idle, cache())).unwrap();
}

#[test]
fn helpful_examples_are_kept_by_selection_and_missed_when_removed() {
    let task = MeanTask::new(50, 0.0);
    let bench = bench(&task, nowhere());
    let mean = task
        .influence()
        .mean_axis(ndarray::Axis(0))
        .unwrap()
        .to_vec();
    let own = selection::curves(&config(), &mean, &bench).unwrap();
    let base = selection::baselines(&config(), &bench).unwrap();
    let names: Vec<&str> = own
        .iter()
        .chain(&base)
        .map(|curve| curve.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "selection_accuracy",
            "removal_loss",
            "selection_accuracy/full",
            "selection_accuracy/random",
            "removal_loss/random"
        ]
    );
    assert_eq!(own[0].x, [1.0, 2.0]);
    // the targets' mean 0.8 is above that of the points: helpful points are the high ones
    let theta_full = base[0].y[1];
    assert!(own[0].y[1] > theta_full + 0.2, "{own:?} {base:?}");
    assert_eq!(own[1].x, [0.0, 0.05, 0.1, 0.2, 0.4]);
    assert_eq!(own[1].y[0], base[2].y[0]);
    assert!(
        own[1].y.windows(2).all(|pair| pair[1] > pair[0]),
        "{:?}",
        own[1]
    );
    assert!(own[1].y[4] > base[2].y[4] + 0.1);
    let broken = [mean, vec![]]
        .concat()
        .iter()
        .map(|_| f64::NAN)
        .collect::<Vec<_>>();
    assert!(
        selection::curves(&config(), &broken, &bench)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_does_not_fit_the_data_is_one_error() {
    let task = MeanTask::new(20, 0.0);
    let error = |config: &GroundTruthConfig| measure(config, &bench(&task, nowhere())).unwrap_err();
    let many = LeaveOneOutConfig {
        examples: Some(21),
        ..LeaveOneOutConfig::default()
    };
    let found = error(&GroundTruthConfig {
        leave_one_out: Some(many),
        ..GroundTruthConfig::default()
    });
    assert_eq!(
        found,
        "ground_truth.leave_one_out.examples: 21 is more than the 20 training examples"
    );
    let found = error(&config());
    assert!(
        found.contains("0.99 of 20 training examples leaves none out"),
        "{found}"
    );
    assert_eq!(task.done.load(Ordering::Relaxed), 0);
}
