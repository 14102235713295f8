//! Per-example gradients, batched against batches of one, on the CPU device (f32, all threads):
//! the quickstart's digits model (hidden 48, 4 heads, 4 layers, ffn 96, 16 patches) and an encoder with
//! hidden 128, 4 heads, 2 layers, ffn 512, 32 tokens; r = 8 on query and value in both.
//!
//! The gradients are copied out into memory; building model and data is outside the clock.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use infbench::batching;
use infbench::config::TaskConfig;
use infbench::data::{Inputs, Split, Targets};
use infbench::device::DeviceChoice;
use infbench::gradients::{RowBuffer, one_by_one, per_example};
use infbench::models::lora::settings::{LoraConfig, TargetModules};
use infbench::models::{Model, Role};
use infbench::models::{ModelConfig, TransformerConfig};
use infbench::tasks::DigitsTask;
use rand::RngExt;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Examples in one measurement.
const EXAMPLES: usize = 64;

fn digits() -> (ModelConfig, Split, usize) {
    let task = TaskConfig::Digits(DigitsTask {
        train: EXAMPLES,
        query: 1,
        ..DigitsTask::default()
    });
    let data = task.build(None, 1).expect("the data has this many digits");
    (
        ModelConfig::Transformer(TransformerConfig::default()),
        data.train,
        data.classes,
    )
}

fn encoder() -> (ModelConfig, Split, usize) {
    let mut rng = infbench::random::rng(1, "bench", "tokens");
    let ids = (0..EXAMPLES)
        .map(|_| (0..32).map(|_| rng.random_range(1..1000)).collect())
        .collect();
    let labels = (0..EXAMPLES).map(|_| rng.random_range(0..2)).collect();
    let config = TransformerConfig {
        hidden: 128,
        heads: 4,
        layers: 2,
        ffn: 512,
        pretrain: None,
    };
    (
        ModelConfig::Transformer(config),
        Split {
            inputs: Inputs::Tokens {
                ids,
                types: Vec::new(),
                attended: None,
                vocabulary: 1000,
                max_length: 32,
            },
            targets: Targets::Classes(labels),
        },
        2,
    )
}

fn model(config: &ModelConfig, split: &Split, classes: usize) -> Model {
    let lora = LoraConfig {
        rank: 8,
        alpha: Some(16.0),
        targets: TargetModules::names(["query", "value"]),
        ..LoraConfig::default()
    };
    let mut model = Model::new(
        config,
        &batching::input_shape(split),
        classes,
        1,
        &DeviceChoice::Flex.inner(),
    )
    .expect("the settings are sound");
    model.adapt(&lora, 1).expect("rank 8 fits");
    let mut weights = model.export(&[Role::Adapter]);
    let mut rng = infbench::random::rng(1, "bench", "adapters");
    weights
        .values_mut()
        .flat_map(|array| &mut array.values)
        .for_each(|value| *value = 0.1 * (rng.random::<f32>() - 0.5));
    model
        .import(&[Role::Adapter], &weights)
        .expect("the model's own weights");
    model
}

fn gradients(criterion: &mut Criterion) {
    for (name, (config, split, classes)) in [("digits", digits()), ("hidden_128", encoder())] {
        let model = model(&config, &split, classes);
        let mut rows = RowBuffer::new(
            split.len(),
            model
                .gradient_tensors()
                .iter()
                .map(|tensor| tensor.shape.iter().product())
                .collect(),
        );
        let mut group = criterion.benchmark_group(format!("gradients/{name}"));
        group
            .throughput(Throughput::Elements(split.len() as u64))
            .sample_size(20)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(4));
        let tokens = batching::tokens_at_a_time(&model);
        group.bench_function("batched", |bencher| {
            bencher.iter(|| {
                per_example::collect(&model, &split, tokens, &mut rows).expect("finite losses")
            })
        });
        group.bench_function("one_by_one", |bencher| {
            bencher.iter(|| one_by_one::collect(&model, &split, &mut rows).expect("finite losses"))
        });
        group.finish();
    }
}

criterion_group!(benches, gradients);
criterion_main!(benches);
