//! Speed of the methods against this machine's matrix-product peak, and their memory against the gradients.
//!
//! `cargo bench --bench peak` takes 2,000 examples, 24 blocks of 4,096, 100 queries, made in single
//! precision, and prints a Markdown table; `-- --quick` takes small sizes, `-- --one-query` leaves the table
//! out and measures a single query against the memory's speed, as the end of a whole run does. Peak is the best of several
//! 4096×512 by 512×4096 products in the same run. A method's GFLOP/s counts its products (see the
//! functions below) over all of prepare, apply and score, best of three runs. `kfac` and `ekfac` take the
//! gradients as those of matrices [16, d/16] and get factors that are made up: their speed is what counts.

use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};
use infbench::config::influence::{Blocks, Precision};
use infbench::config::method::MethodSpec;
use infbench::config::task::GradientsTask;
use infbench::gradients::factors::{KroneckerFactors, TensorFactors};
use infbench::gradients::store::{GradientStore, Target};
use infbench::influence::arnoldi::Arnoldi;
use infbench::influence::conjugate_gradient::Conditioning;
use infbench::influence::exact::Solver;
use infbench::influence::hyperinf::Variant;
use infbench::influence::lanczos::Lanczos;
use infbench::influence::{
    BlockLayout, Companions, Method, Queries, RunOptions, damping, run_method,
};
use infbench::measure::{StageSeconds, TrackingAllocator};
use infbench::tasks::gradients::generate;
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
    let size = made.train.bytes() as f64;
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
        size / f64::from(1 << 20)
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
        };
        for label in METHODS.iter().filter(|_| !argument("--one-query")) {
            let spec: MethodSpec = label.parse().expect("a listed method");
            // exact is f64 whatever is asked: it is run, and held against the f64 peak, once
            if matches!(spec.method, Method::Exact(_)) && precision == Precision::F32 {
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
            let (fixed, step) = flops(&spec.method, n as f64, d as f64, m as f64);
            let rate = (blocks as f64 * fixed + steps * step) / seconds.total() / 1e9;
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
                bytes as f64 / size,
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

/// Floating-point operations that the method's products need: of a block, score included, and of each
/// iteration or refinement step besides.
fn flops(method: &Method, n: f64, d: f64, m: f64) -> (f64, f64) {
    let product = 2.0 * m * n * d;
    let (prepare, apply, step) = match method {
        // a step is one product with F of the block, a QR and three products of it with small matrices
        Method::Exact(exact) if exact.choose(n as usize, d as usize, m as usize) == Solver::Cg => {
            let s = m.min(d);
            let step = 4.0 * s * n * d + 8.0 * s * s * d + 2.0 * m * s * d;
            (0.0, 2.0 * product, step)
        }
        // the smaller factorisation and one residual (two products); a step is another of both
        Method::Exact(_) | Method::ExactPydvl(_) if d <= n => (
            n * d * d + d.powi(3) / 3.0,
            2.0 * m * d * d + 2.0 * product,
            2.0 * m * d * d + 2.0 * product,
        ),
        Method::Exact(_) | Method::ExactPydvl(_) => (
            n * n * d + n.powi(3) / 3.0,
            4.0 * product + 2.0 * m * n * n,
            4.0 * product + 2.0 * m * n * n,
        ),
        Method::DataInf(settings) if settings.group_size == 1 => (2.0 * n * d, 2.0 * product, 0.0),
        Method::DataInf(settings) => {
            let b = settings.group_size as f64;
            (
                n * b * d + n * b * b / 3.0,
                2.0 * product + 2.0 * m * n * b,
                0.0,
            )
        }
        // a step with all queries open, and the residual at the end
        Method::ConjugateGradient(settings) => {
            let prepare = match settings.preconditioner {
                Conditioning::None => 0.0,
                Conditioning::Diagonal => 2.0 * n * d,
                Conditioning::Nystrom { rank } => sketch(n, d, rank),
            };
            (prepare, 2.0 * product, 2.0 * product)
        }
        Method::Nystrom(settings) => {
            let k = (settings.rank as f64).min(d);
            (sketch(n, d, settings.rank), 4.0 * m * k * d, 0.0)
        }
        // a step is one product with F of a vector; the orthogonalisation is of s steps, half of them at a time
        Method::Lanczos(Lanczos {
            rank, iterations, ..
        }) => krylov(n, d, m, *rank, *iterations, 4.0),
        Method::Arnoldi(Arnoldi {
            rank, iterations, ..
        }) => krylov(n, d, m, *rank, *iterations, 2.0),
        Method::HyperInf(settings) if settings.variant == Variant::Converged => {
            (n * d * d, 2.0 * m * d * d + 2.0 * product, 4.0 * d.powi(3))
        }
        // a block here is one row of d: the r×r matrix is a number, the c×c one is whole
        Method::HyperInf(settings) if settings.variant == Variant::Published => {
            (2.0 * n * d, m * d, 0.0)
        }
        Method::HyperInf(_) => (2.0 * n * d * d, 2.0 * m * d * d, 4.0 * d.powi(3)),
        Method::DataInfDattri(_) | Method::DataInfPydvl(_) => (2.0 * n * d, 2.0 * product, 0.0),
        Method::ExactDattri(settings) => {
            let b = (settings.batch_size as f64).min(n);
            (
                n * b * d + n * b * b / 3.0,
                2.0 * product + 2.0 * m * n * b,
                0.0,
            )
        }
        Method::Lissa(_) | Method::LissaDattri(_) | Method::LissaPydvl(_) => {
            (0.0, 0.0, 2.0 * product)
        }
        Method::ConjugateGradientDattri(_) => (0.0, 2.0 * product, 2.0 * product),
        Method::DiagonalFisher(_) => (2.0 * n * d, m * d, 0.0),
        Method::GradCos(_) => (2.0 * n * d, 0.0, 0.0),
        // scores in k dimensions replace the last product
        Method::RandomProjection(settings) => {
            let k = settings.dim as f64;
            (
                2.0 * n * d * k + n * k * n.min(k),
                2.0 * m * k * d + 2.0 * m * n * k,
                -product,
            )
        }
        Method::Logra(settings) => {
            let (k, sides) = (
                (settings.out * settings.inputs) as f64,
                (settings.out + settings.inputs) as f64,
            );
            (
                2.0 * n * d * sides + n * k * n.min(k),
                2.0 * m * n * k,
                -product,
            )
        }
        Method::HessianFree(_) | Method::HessianFreeBlockWeighted(_) | Method::TracIn(_) => {
            (0.0, m * d, 0.0)
        }
        // nine times the cube for all eigenvectors; three products of d×d, one of them the residual's
        Method::TrueHessian(_) => (9.0 * d.powi(3), 6.0 * m * d * d, 0.0),
        // nine times the cube for all eigenvectors of a symmetric matrix
        Method::Kfac(_) => {
            let (o, i) = (ROWS as f64, d / ROWS as f64);
            let prepare = 9.0 * (o.powi(3) + i.powi(3));
            (prepare, 4.0 * m * d * (o + i), 0.0)
        }
        Method::Ekfac(_) => {
            let (o, i) = (ROWS as f64, d / ROWS as f64);
            let prepare = 9.0 * (o.powi(3) + i.powi(3)) + 2.0 * n * d * (o + i);
            (prepare, 4.0 * m * d * (o + i), 0.0)
        }
    };
    (prepare + apply + product, step)
}

/// Operations of a randomised rank-k Fisher.
fn sketch(n: f64, d: f64, rank: usize) -> f64 {
    let k = (rank as f64).min(d);
    4.0 * k * n * d + 8.0 * k * k * d
}

/// Operations of k Ritz pairs: prepare and apply beside the steps, then a step.
fn krylov(
    n: f64,
    d: f64,
    m: f64,
    rank: usize,
    steps: Option<usize>,
    orthogonalise: f64,
) -> (f64, f64, f64) {
    let k = (rank as f64).min(n).min(d);
    let s = steps.map_or(k + k.max(20.0), |s| s as f64).max(k).min(d);
    (
        2.0 * s * k * d,
        4.0 * m * k * d,
        4.0 * n * d + orthogonalise * s * d,
    )
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
