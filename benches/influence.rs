//! `cargo bench --bench influence`: prepare and apply of every method on one block.
//!
//! n = 512 examples, d = 1024, m = 32 queries, f32 gradients in memory; the Fisher of two blocks of half the
//! size would cost half. `benches/peak.rs` has the large sizes and the comparison with the machine's peak.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use faer::Mat;
use infbench::gradients::store::Target;
use infbench::gradients::synthetic::generate;
use infbench::influence::MethodSpec;
use infbench::influence::{Block, BlockLayout, damping};
use infbench::influence::{Blocks, Precision};
use infbench::tasks::GradientsTask;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const METHODS: [&str; 9] = [
    "exact:solver=primal",
    "exact:solver=dual",
    "datainf",
    "datainf:group_size=32",
    "hessian_free",
    "hessian_free_block_weighted",
    "diagonal_fisher",
    "lissa",
    "lissa:scale=auto",
];

fn methods(criterion: &mut Criterion) {
    let task = GradientsTask {
        train: 512,
        query: 32,
        blocks: 1,
        dim: 1024,
        ..GradientsTask::default()
    };
    let made =
        generate(&task, 1, Target::Memory, Target::Memory).expect("gradients fit into memory");
    let layout = BlockLayout::new(made.train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&made.train, &layout, 0.1).expect("the gradients are finite")[0];
    let rows = made.query.tensor_rows(0, 0..task.query);
    let queries = Mat::from_fn(task.dim, task.query, |i, q| {
        f64::from(rows[q * task.dim + i])
    });

    for (precision, name) in [(Precision::F32, "f32"), (Precision::F64, "f64")] {
        let block = Block::new(&made.train, &layout.blocks()[0], precision, task.query, 1);
        for label in METHODS {
            let spec: MethodSpec = label.parse().expect("a listed method");
            let method = spec.method();
            // exact is f64 whatever is asked
            if method.precision(precision) != precision {
                continue;
            }
            let mut group = criterion.benchmark_group(format!("{label} {name}"));
            group.sample_size(10);
            group.bench_function(BenchmarkId::from_parameter("prepare"), |bencher| {
                bencher.iter(|| method.prepare(&block, lambda).map(drop));
            });
            let prepared = method.prepare(&block, lambda).expect("the method prepares");
            group.bench_function(BenchmarkId::from_parameter("apply"), |bencher| {
                bencher.iter(|| prepared.apply(&queries).map(drop))
            });
            group.finish();
        }
    }
}

/// A handful of queries, gone through by rows and in tiles: what `influence/block/few.rs` is for.
fn few(criterion: &mut Criterion) {
    let task = GradientsTask {
        train: 2000,
        query: 4,
        blocks: 1,
        dim: 4096,
        ..GradientsTask::default()
    };
    let made =
        generate(&task, 1, Target::Memory, Target::Memory).expect("gradients fit into memory");
    let layout = BlockLayout::new(made.train.tensors(), Blocks::PerMatrix);
    let lambda = damping(&made.train, &layout, 0.1).expect("the gradients are finite")[0];
    let rows = made.query.tensor_rows(0, 0..task.query);
    let datainf: MethodSpec = "datainf".parse().expect("a listed method");
    for (precision, name) in [(Precision::F32, "f32"), (Precision::F64, "f64")] {
        for count in [1, 2, 4] {
            let queries = Mat::from_fn(task.dim, count, |i, q| f64::from(rows[q * task.dim + i]));
            let mut group = criterion.benchmark_group(format!("{count} queries {name}"));
            group.sample_size(20);
            for (way, most) in [("by rows", 4), ("in tiles", 0)] {
                let block = Block::new(&made.train, &layout.blocks()[0], precision, count, 1)
                    .by_rows_up_to(most);
                let method = datainf.method();
                let prepared = method.prepare(&block, lambda).expect("the method prepares");
                group.bench_function(BenchmarkId::from_parameter(way), |bencher| {
                    bencher.iter(|| prepared.apply(&queries).map(drop))
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, methods, few);
criterion_main!(benches);
