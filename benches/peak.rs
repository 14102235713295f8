//! Speed of the methods against this machine's matrix-product peak, and their memory against the gradients.
//!
//! `cargo bench --bench peak` takes 2,000 examples, 24 blocks of 4,096, 100 queries, made in single
//! precision, and prints a Markdown table; `-- --quick` takes small sizes, `-- --one-query` leaves the table
//! out and measures a single query against the memory's speed, as the end of a whole run does. Peak is the best of several
//! 4096×512 by 512×4096 products in the same run. A method's GFLOP/s counts its products (as
//! `influence::cost` does, with the iterations it made) over all of prepare, apply and score, best of three runs. `kfac` and `ekfac` take the
//! gradients as those of matrices [16, d/16] and get factors that are made up: their speed is what counts.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::store::{GradientStore, Target};
use infbench::gradients::synthetic::generate;
use infbench::influence::MethodSpec;
use infbench::influence::cost::BlockSize;
use infbench::influence::{BlockLayout, Companions, Queries, RunOptions, damping, run_method};
use infbench::influence::{Blocks, Precision};
use infbench::measure::{StageSeconds, TrackingAllocator};
use infbench::tasks::GradientsTask;
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: TrackingAllocator<mimalloc::MiMalloc> = TrackingAllocator(mimalloc::MiMalloc);

const METHODS: [&str; 12] = [
    "exact",
    "datainf",
    "datainf:group_size=32",
    "lissa",
    "conjugate_gradient:iterations=20,must_converge=false",
    "lanczos",
    "arnoldi",
    "nystrom",
    "hessian_free",
    "diagonal_fisher",
    "kfac",
    "ekfac",
];

/// Rows of the matrices that `kfac` and `ekfac` see.
const ROWS: usize = 16;

fn main() {
    // cargo passes --bench, and --test when it only wants to know that this runs
    let argument = |name: &str| std::env::args().any(|argument| argument == name);
    let quick = argument("--quick") || argument("--test");
    let (n, blocks, d, m, runs) = if quick {
        (300, 2, 256, 20, 1)
    } else {
        (2000, 24, 4096, 100, 3)
    };

    let task = GradientsTask {
        train: n,
        query: m,
        blocks,
        dim: d,
        ..GradientsTask::default()
    };
    let clock = Instant::now();
    let made =
        generate(&task, 1, Target::Memory, Target::Memory).expect("gradients fit into memory");
    let generated = clock.elapsed().as_secs_f64();
    let layout = BlockLayout::new(made.train.tensors(), Blocks::PerMatrix);
    let clock = Instant::now();
    let lambda = damping(&made.train, &layout, 0.1).expect("the gradients are finite");
    let damped = clock.elapsed().as_secs_f64();
    let stored = made.train.bytes() as f64;
    let size = BlockSize {
        examples: n as f64,
        queries: m as f64,
        dim: d as f64,
        matrices: vec![[ROWS as f64, (d / ROWS) as f64]],
    };
    let factor = |size: usize| {
        Mat::from_fn(size, size, |i, j| {
            (-0.05 * i.abs_diff(j) as f64).exp() / (1.0 + (i + j) as f64).sqrt()
        })
    };
    let factors = KroneckerFactors {
        tensors: made
            .train
            .tensors()
            .iter()
            .map(|info| TensorFactors {
                name: info.name.clone(),
                inputs: factor(info.dim() / ROWS),
                outputs: factor(ROWS),
                tokens: None,
            })
            .collect(),
    };
    println!(
        "n = {n}, {blocks} blocks of d = {d}, m = {m} queries; gradients {:.0} MiB in f32",
        stored / f64::from(1 << 20)
    );
    println!(
        "{} threads; made in {generated:.1} s, damping in {damped:.2} s\n",
        rayon::current_num_threads()
    );

    println!(
        "| precision | method | prepare s | apply s | score s | total s | GFLOP/s | of peak | peak memory MiB | of gradients | residual |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for precision in [Precision::F32, Precision::F64] {
        let options = RunOptions {
            precision,
            queries: Queries::Each,
            seed: 1,
            companions: Companions {
                factors: Some(&factors),
                ..Companions::default()
            },
            parts: None,
            keep: 0,
        };
        for label in METHODS.iter().filter(|_| !argument("--one-query")) {
            let spec: MethodSpec = label.parse().expect("a listed method");
            // exact is f64 whatever is asked: it is run, and held against the f64 peak, once
            if spec.is_exact() && precision == Precision::F32 {
                continue;
            }
            let mut best: Option<(StageSeconds, u64, Option<f64>, f64)> = None;
            let mut top = 0.0f64;
            for _ in 0..runs {
                // the peak beside each run, since a shared machine's speed drifts
                top = top.max(match precision {
                    Precision::F32 => peak::<f32>(1.0),
                    Precision::F64 => peak::<f64>(1.0),
                });
                let influence =
                    run_method(&spec, &made.train, &made.query, &layout, &lambda, &options)
                        .expect("the method runs");
                let bytes = influence
                    .peak_bytes
                    .expect("the allocator is installed")
                    .peak();
                if best.is_none_or(|(seconds, ..)| influence.seconds.total() < seconds.total()) {
                    let steps: usize = influence
                        .block_evidence
                        .iter()
                        .filter_map(|evidence| evidence.iterations)
                        .sum();
                    best = Some((
                        influence.seconds,
                        bytes,
                        influence.evidence.residual,
                        steps as f64,
                    ));
                }
            }
            let (seconds, bytes, residual, steps) = best.expect("at least one run");
            let work = spec.method().cost(&size);
            let rate = (blocks as f64 * work.fixed + steps * work.step) / seconds.total() / 1e9;
            println!(
                "| {} | {label} | {:.3} | {:.3} | {:.3} | {:.3} | {rate:.0} | {:.0} % of {top:.0} | {:.1} | {:.3} | {} |",
                if precision == Precision::F32 {
                    "f32"
                } else {
                    "f64"
                },
                seconds.prepare,
                seconds.apply,
                seconds.score,
                seconds.total(),
                100.0 * rate / top,
                bytes as f64 / f64::from(1 << 20),
                bytes as f64 / stored,
                residual.map_or_else(|| "–".to_owned(), |residual| format!("{residual:.1e}")),
            );
        }
    }
    one_query(&made.train, &made.query, &layout, &lambda, runs);
}

/// One query, where the memory's speed is the limit: bytes of the passes that the method makes over seconds,
/// against the fastest of several plain sums over the same gradients.
fn one_query(
    train: &GradientStore,
    query: &GradientStore,
    layout: &BlockLayout,
    lambda: &[f64],
    runs: usize,
) {
    let options = RunOptions {
        precision: Precision::F32,
        queries: Queries::Mean,
        seed: 1,
        ..RunOptions::default()
    };
    println!(
        "\nOne query, f32, median of {} runs; reading alone in the same run\n",
        2 * runs + 1
    );
    println!("| method | passes | total s | GB/s | reading GB/s | share |");
    println!("|---|---:|---:|---:|---:|---:|");
    for label in ["datainf", "hessian_free"] {
        let spec: MethodSpec = label.parse().expect("a listed method");
        let (mut seconds, mut rates, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..2 * runs + 1 {
            rates.push(train.bytes() as f64 / reading(train));
            let influence =
                run_method(&spec, train, query, layout, lambda, &options).expect("the method runs");
            seconds.push(influence.seconds.total());
            bytes = influence.bytes_read;
        }
        let median = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (seconds, reading) = (median(&mut seconds), median(&mut rates));
        let rate = bytes as f64 / seconds;
        println!(
            "| {label} | {:.0} | {seconds:.4} | {:.1} | {:.1} | {:.0} % |",
            bytes as f64 / train.bytes() as f64,
            rate / 1e9,
            reading / 1e9,
            100.0 * rate / reading
        );
    }
}

/// Seconds of one sum over all gradients, on all threads.
fn reading(store: &GradientStore) -> f64 {
    let clock = Instant::now();
    for tensor in 0..store.tensors().len() {
        let all = store.as_f32(tensor).expect("gradients in memory are f32");
        let sum: f32 = all
            .par_chunks(1 << 16)
            .map(|chunk| {
                let mut lanes = [0.0f32; 64];
                for values in chunk.as_chunks::<64>().0 {
                    lanes
                        .iter_mut()
                        .zip(values)
                        .for_each(|(lane, value)| *lane += value);
                }
                lanes.iter().sum::<f32>()
            })
            .sum();
        std::hint::black_box(sum);
    }
    clock.elapsed().as_secs_f64()
}

/// GFLOP/s of the best of five 4096×512 by 512×4096 products on all threads.
fn peak<T: ComplexField>(one: T) -> f64 {
    let a = Mat::from_fn(4096, 512, |_, _| one.clone());
    let b = Mat::from_fn(512, 4096, |_, _| one.clone());
    let mut c = Mat::<T>::zeros(4096, 4096);
    let seconds = (0..6).map(|_| {
        let clock = Instant::now();
        matmul(
            c.as_mut(),
            Accum::Replace,
            a.as_ref(),
            b.as_ref(),
            one.clone(),
            Par::rayon(0),
        );
        clock.elapsed().as_secs_f64()
    });
    2.0 * 4096.0 * 4096.0 * 512.0 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}
