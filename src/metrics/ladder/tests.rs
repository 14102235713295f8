use ndarray::Array3;
use rand::RngExt;

use super::super::switch_size::switch_size;
use super::*;

const M: usize = 7;
const N: usize = 40;

fn noise_like(purpose: &str, rows: usize) -> Array2<f64> {
    let mut rng = rng(4, "ladder", purpose);
    Array2::from_shape_fn((rows, N), |_| (rng.random::<f64>() - 0.5) * 12f64.sqrt())
}

/// Losses that follow `truth` `[m, n]` additively, with noise of this size by seeds.
fn subsets(truth: &Array2<f64>, noise: f64, seeds: usize) -> Subsets {
    let keys = noise_like("kept", 60);
    let kept: Vec<Vec<bool>> = keys
        .axis_iter(Axis(0))
        .map(|row| row.iter().map(|key| *key > 0.0).collect())
        .collect();
    let p = datamodel::predicted(truth.view(), &kept);
    let mut rng = rng(4, "ladder", "noise");
    let losses = Array3::from_shape_fn((kept.len(), seeds, M), |(s, _, q)| {
        p[[s, q]] + noise * (rng.random::<f64>() - 0.5)
    });
    Subsets {
        percent: 50,
        kept,
        losses,
    }
}

fn leave_one_out(truth: &Array2<f64>, noise: f64) -> LeaveOneOut {
    let mut rng = rng(4, "ladder", "loo");
    let full = Array2::from_shape_fn((3, M), |_| 2.0 + rng.random::<f64>());
    let without = Array3::from_shape_fn((N, 3, M), |(k, s, q)| {
        full[[s, q]] - truth[[q, k]] + noise * (rng.random::<f64>() - 0.5)
    });
    LeaveOneOut {
        examples: (0..N).collect(),
        full,
        without,
        min_snr: 1.0,
    }
}

#[test]
fn the_parts_add_up_to_the_gap_and_the_ends_are_the_metrics() {
    let truth = noise_like("truth", M);
    let near = &truth + &(0.3 * &noise_like("near", M));
    let far = &near + &noise_like("far", M);
    let (subsets, loo) = (subsets(&truth, 3.0, 4), leave_one_out(&truth, 0.5));
    for target in [Target::Subsets(&subsets), Target::LeaveOneOut(&loo)] {
        let mut rungs = Rungs::new(target, 9);
        let path = vec![CEILING, rungs.add(near.view()), rungs.add(far.view())];
        let found = rungs.ladders(&[path.clone(), path[..2].to_vec()]);
        for ladder in &found {
            let sum: f64 = ladder
                .losses
                .iter()
                .map(|l| l.value.expect("defined"))
                .sum();
            assert!((sum - ladder.gap.value.expect("defined")).abs() < 1e-14);
            assert_eq!((ladder.gap.cases, ladder.gap.undefined), (M, 0));
            for loss in &ladder.losses {
                let interval = loss.interval.expect("items and queries");
                let value = loss.value.expect("defined");
                assert!(interval.low <= value && value <= interval.high, "{loss:?}");
            }
        }
        // the same draws: what two ladders share has the same numbers
        assert_eq!(found[0].losses[..2], found[1].losses[..]);
        let (ceiling, last) = match target {
            Target::Subsets(s) => (
                datamodel::noise_ceiling(s, 9).ceiling,
                datamodel::lds(far.view(), s, 9),
            ),
            Target::LeaveOneOut(l) => (
                leave_one_out::noise_ceiling(l),
                leave_one_out::correlation(far.view(), l, Correlation::Pearson, 9),
            ),
        };
        for (found, expected) in [
            (&found[0].agreements[0], ceiling),
            (&found[0].agreements[2], last),
        ] {
            let (found, expected) = (found.value.expect("one"), expected.value.expect("one"));
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
        assert_eq!(rungs.agreement(far.view()), last.value);
        assert_eq!(rungs.ladders(&[path])[0], found[0], "seeded");
    }
}

#[test]
fn pairing_makes_the_interval_of_a_small_switch_small() {
    let truth = noise_like("truth", M);
    let subsets = subsets(&truth, 3.0, 4);
    let mut rungs = Rungs::new(Target::Subsets(&subsets), 1);
    let above = rungs.add((&truth + &noise_like("near", M)).view());
    let below =
        rungs.add((&truth + &noise_like("near", M) + &(0.01 * &noise_like("far", M))).view());
    let found = &rungs.ladders(&[vec![CEILING, above, below]])[0];
    let width = |estimate: &Estimate| {
        let interval = estimate.interval.expect("an interval");
        interval.high - interval.low
    };
    // a hundredth of a standard deviation of noise against the spread of ρ over 60 subsets
    assert!(
        width(&found.losses[2]) < 0.1 * width(&found.agreements[2]),
        "{found:?}"
    );
}

#[test]
fn a_query_that_is_undefined_on_one_rung_is_left_out_on_all() {
    let truth = noise_like("truth", M);
    let subsets = subsets(&truth, 0.0, 2);
    let mut broken = &truth + &noise_like("near", M);
    broken[[3, 0]] = f64::NAN;
    let mut rungs = Rungs::new(Target::Subsets(&subsets), 1);
    let (own, broken) = (rungs.add(truth.view()), rungs.add(broken.view()));
    let undefined = rungs.add(Array2::zeros((M, N)).view());
    let paths = [
        vec![CEILING, own, broken],
        vec![CEILING, own],
        vec![CEILING, own, undefined],
    ];
    let found = rungs.ladders(&paths);
    assert_eq!((found[0].gap.cases, found[0].gap.undefined), (M, 1));
    assert!((found[0].agreements[1].value.expect("six") - 1.0).abs() < 1e-14);
    assert_eq!(found[1].gap.undefined, 0);
    let (none, interval) = (found[2].gap.value, found[2].losses[1].interval);
    assert_eq!((none, interval, found[2].gap.undefined), (None, None, M));
}

#[test]
fn queries_below_the_least_ratio_are_no_part_of_the_question() {
    let mut truth = noise_like("truth", M);
    truth.row_mut(2).fill(0.0);
    let loo = leave_one_out(&truth, 0.5);
    let mut rungs = Rungs::new(Target::LeaveOneOut(&loo), 1);
    let scores = rungs.add(noise_like("near", M).view());
    let found = &rungs.ladders(&[vec![CEILING, scores]])[0];
    assert_eq!((found.gap.cases, found.gap.undefined), (M, 1));
    assert!(found.gap.value.is_some() && found.gap.interval.is_some());
}

#[test]
fn a_switch_that_scales_has_no_size() {
    let scores = noise_like("truth", M);
    let same = switch_size(scores.view(), (3.0 * &scores).view(), 1);
    assert!(same.value.expect("defined").abs() < 1e-14, "{same:?}");
    let other = switch_size(scores.view(), noise_like("near", M).view(), 1);
    let interval = other.interval.expect("an interval");
    assert!(interval.low < 1.0 && interval.high > 1.0, "{other:?}");
}
