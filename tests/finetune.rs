//! Fine-tuning: it learns, repeats bit by bit, is cached whole, and ends with an error when it diverges.

mod device;

use infbench::config::{TaskConfig, TrainConfig};
use infbench::data::{Inputs, Targets};
use infbench::finetune::settings::{BaseDropout, Schedule};
use infbench::finetune::{
    FineTuned, FinetuneError, Progress, Retrainer, Settings, Stage, fine_tune,
    fine_tune_with_checkpoints, pretrained_base,
};
use infbench::gradients::{RowBuffer, per_example};
use infbench::models::Role;
use infbench::models::lora::settings::{LastLayers, LayerSelection, LoraConfig, TargetModules};
use infbench::models::{MlpConfig, ModelConfig, PretrainConfig, TransformerConfig};
use infbench::objectives;
use infbench::tasks::{ClustersTask, DigitsTask};

fn quiet(_: Progress) {}

fn small() -> (ModelConfig, TaskConfig, LoraConfig, TrainConfig) {
    let pretrain = Some(PretrainConfig {
        epochs: 2,
        lr: 3e-3,
        batch_size: 32,
    });
    let model = ModelConfig::Transformer(TransformerConfig {
        hidden: 16,
        heads: 2,
        layers: 2,
        ffn: 24,
        pretrain,
    });
    let task = TaskConfig::Digits(DigitsTask {
        train: 60,
        query: 30,
        ..DigitsTask::default()
    });
    let lora = LoraConfig {
        rank: 2,
        targets: TargetModules::names(["query", "value"]),
        dropout: 0.1,
        ..LoraConfig::default()
    };
    (
        model,
        task,
        lora,
        TrainConfig {
            epochs: 2,
            lr: 1e-2,
            batch_size: 20,
            ..TrainConfig::default()
        },
    )
}

#[test]
fn digits_are_learnt_through_flipped_labels() {
    let model = ModelConfig::Transformer(TransformerConfig {
        pretrain: Some(PretrainConfig {
            epochs: 10,
            ..PretrainConfig::default()
        }),
        ..TransformerConfig::default()
    });
    let data = TaskConfig::Digits(DigitsTask::default())
        .build(None, 1)
        .unwrap();
    let settings = Settings {
        model: &model,
        seed: 1,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    assert!(base.info.accuracy.unwrap() > 0.9, "{:?}", base.info);
    let lora = LoraConfig {
        rank: 4,
        targets: TargetModules::names(["query", "value"]),
        ..LoraConfig::default()
    };
    let train = TrainConfig {
        epochs: 10,
        lr: 1e-2,
        ..TrainConfig::default()
    };
    let tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
    let last = tuned.training.epochs.last().unwrap();
    assert!(last.query_accuracy.unwrap() > 0.75, "{last:?}");
    // a fifth of the labels is wrong: what is learnt is not the noise
    assert!(last.query_loss < last.train_loss, "{last:?}");
}

#[test]
fn clusters_are_learnt_by_a_perceptron_on_random_features() {
    let model = ModelConfig::Mlp(MlpConfig::default());
    let data = TaskConfig::Clusters(ClustersTask {
        separation: 6.0,
        ..ClustersTask::default()
    })
    .build(None, 1)
    .unwrap();
    let settings = Settings {
        model: &model,
        seed: 1,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    assert_eq!(base.info.accuracy, None);
    let lora = LoraConfig {
        targets: TargetModules::names(["ffn"]),
        ..LoraConfig::default()
    };
    let train = TrainConfig {
        epochs: 8,
        lr: 1e-2,
        ..TrainConfig::default()
    };
    let tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
    assert!(
        tuned
            .training
            .epochs
            .last()
            .unwrap()
            .query_accuracy
            .unwrap()
            > 0.8,
        "{:?}",
        tuned.training.epochs
    );
}

#[test]
fn only_adapters_and_head_are_trained() {
    let (config, task, lora, train) = small();
    let data = task.build(None, 1).unwrap();
    let settings = Settings {
        model: &config,
        seed: 1,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let mut base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    let mut tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
    assert_eq!(
        tuned.model.export(&[Role::Base]),
        base.model.export(&[Role::Base])
    );
    let mut fresh = fine_tune(
        &settings,
        &base,
        &data,
        &lora,
        &TrainConfig { epochs: 0, ..train },
        &mut quiet,
    )
    .unwrap();
    let (before, after) = (
        fresh.model.export(&[Role::Adapter, Role::Head]),
        tuned.model.export(&[Role::Adapter, Role::Head]),
    );
    assert_eq!(before.len(), 2 * 2 * 2 + 2);
    assert!(
        before.iter().all(|(name, array)| *array != after[name]),
        "every trained parameter moves"
    );
    assert_eq!(
        tuned.info.trainable,
        before
            .values()
            .map(|array| array.values.len())
            .sum::<usize>()
    );
}

#[test]
fn runs_repeat_bit_by_bit_and_the_cache_gives_the_same() {
    let (config, task, lora, train) = small();
    let data = task.build(None, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |cache, seed| {
        let settings = Settings {
            model: &config,
            seed,
            device: device::device(),
            cache,
            activations: 1 << 30,
        };
        let mut heard = Vec::new();
        let base = pretrained_base(&settings, &data, &mut |progress| heard.push(progress)).unwrap();
        let mut tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut |progress| {
            heard.push(progress)
        })
        .unwrap();
        let weights = tuned.model.export(&[Role::Base, Role::Adapter, Role::Head]);
        (
            weights,
            tuned.training,
            base.info,
            heard
                .iter()
                .map(|progress| (progress.stage, progress.epoch))
                .collect::<Vec<_>>(),
        )
    };
    let (weights, training, _, heard) = run(None, 1);
    assert_eq!(
        heard,
        [
            (Stage::Pretrain, 1),
            (Stage::Pretrain, 2),
            (Stage::FineTune, 1),
            (Stage::FineTune, 2)
        ]
    );
    let first = run(Some(folder.path()), 1);
    assert_eq!((&first.0, &first.1.epochs), (&weights, &training.epochs));
    assert!(!first.1.cached && !first.2.cached);
    let second = run(Some(folder.path()), 1);
    assert_eq!((&second.0, &second.1.epochs), (&weights, &training.epochs));
    assert!(second.1.cached && second.2.cached && second.3.is_empty());
    assert_eq!(second.1.seconds, first.1.seconds);
    let other = run(Some(folder.path()), 2);
    assert!(!other.1.cached && other.0 != weights);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        8,
        "two files for each of two bases and two adapters"
    );
}

#[test]
fn divergence_is_an_error_with_its_place() {
    let (config, task, lora, train) = small();
    let data = task.build(None, 1).unwrap();
    let settings = Settings {
        model: &config,
        seed: 1,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    let wild = TrainConfig {
        lr: 1e38,
        warmup: 0.0,
        ..train
    };
    let error = fine_tune(&settings, &base, &data, &lora, &wild, &mut quiet).unwrap_err();
    assert!(
        matches!(
            error,
            FinetuneError::NotFinite {
                epoch: 1,
                step: 1..,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_task_with_nothing_to_pretrain_on_is_an_error() {
    let (config, task, ..) = small();
    let mut data = task.build(None, 1).unwrap();
    data.pretrain = None;
    let settings = Settings {
        model: &config,
        seed: 1,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    assert!(matches!(
        pretrained_base(&settings, &data, &mut quiet),
        Err(FinetuneError::NothingToPretrain)
    ));
}

#[test]
fn activations_below_the_adapters_are_computed_once_and_change_nothing() {
    let (config, task, _, train) = small();
    let data = task.build(None, 1).unwrap();
    let lora = LoraConfig {
        layers: LayerSelection::Last(LastLayers { last: 1 }),
        dropout: 0.0,
        ..LoraConfig::default()
    };
    let run = |activations| {
        let settings = Settings {
            model: &config,
            seed: 1,
            device: device::device(),
            cache: None,
            activations,
        };
        let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
        fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap()
    };
    let (mut anew, mut reused) = (run(0), run(1 << 30));
    assert!(anew.reused.iter().all(Option::is_none));
    let kept = reused.reused[0].as_ref().expect("one layer is below");
    let Inputs::Activations { layer, rows, .. } = &kept.inputs else {
        panic!("activations")
    };
    assert_eq!((*layer, rows.len()), (1, data.train.len()));
    let roles = [Role::Adapter, Role::Head];
    let (anew, reused) = (anew.model.export(&roles), reused.model.export(&roles));
    for (name, anew) in &anew {
        for (a, b) in anew.values.iter().zip(&reused[name].values) {
            // AdamW divides by the size of a gradient, so that its rounding shows in a step of lr
            assert!(
                (a - b).abs() <= 0.02 * train.lr as f32,
                "{name}: {a} against {b}"
            );
        }
    }
}

/// What is computed from a fine-tune does not depend on whether it was in the cache.
#[test]
fn a_fine_tune_from_the_cache_gives_the_same_gradients_to_the_byte() {
    let (config, task, lora, train) = small();
    let data = task.build(None, 1).unwrap();
    for layers in [
        LayerSelection::default(),
        LayerSelection::Last(LastLayers { last: 1 }),
    ] {
        let lora = LoraConfig {
            layers,
            ..lora.clone()
        };
        for base_dropout in [BaseDropout::default(), BaseDropout::Everywhere(0.2)] {
            let train = TrainConfig {
                base_dropout,
                ..train.clone()
            };
            let folder = tempfile::tempdir().unwrap();
            let settings = Settings {
                model: &config,
                seed: 1,
                device: device::device(),
                cache: Some(folder.path()),
                activations: 1 << 30,
            };
            let run = || {
                let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
                let tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
                let tensors = tuned.model.gradient_tensors();
                let widths: Vec<usize> = tensors.iter().map(|t| t.shape[0] * t.shape[1]).collect();
                let splits = [&data.train, &data.query].into_iter().zip(&tuned.reused);
                let gradients = splits.map(|(split, reused)| {
                    let split = reused.as_ref().unwrap_or(split);
                    let mut rows = RowBuffer::new(split.len(), widths.clone());
                    let losses = per_example::collect(&tuned.model, split, 64, &mut rows).unwrap();
                    (losses, rows.tensors)
                });
                (gradients.collect::<Vec<_>>(), tuned)
            };
            let (fresh, cached) = (run(), run());
            assert!(!fresh.1.training.cached && cached.1.training.cached);
            let below = lora.layers.indices(2).len() == 1;
            let kept = |tuned: &FineTuned| tuned.reused.iter().all(Option::is_some);
            assert_eq!([kept(&fresh.1), kept(&cached.1)], [below, below]);
            let bits = |gradients: &[(Vec<f32>, Vec<Vec<f32>>)]| -> Vec<u32> {
                let all = gradients.iter();
                let all =
                    all.flat_map(|(losses, tensors)| losses.iter().chain(tensors.iter().flatten()));
                all.map(|value| value.to_bits()).collect()
            };
            assert!(bits(&fresh.0) == bits(&cached.0), "{:?}", lora.layers);
            assert!(bits(&fresh.0).iter().any(|&bits| bits != 0));
        }
    }
}

/// Masks in the base come from the seed, change the fine-tune, and never enter its evaluation.
#[test]
fn dropout_of_the_base_is_for_training_alone_and_repeats() {
    let (config, task, lora, train) = small();
    let lora = LoraConfig {
        layers: LayerSelection::Last(LastLayers { last: 1 }),
        ..lora
    };
    let data = task.build(None, 1).unwrap();
    let run = |base_dropout, activations| {
        let settings = Settings {
            model: &config,
            seed: 1,
            device: device::device(),
            cache: None,
            activations,
        };
        let train = TrainConfig {
            base_dropout,
            ..train.clone()
        };
        let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
        let mut tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
        let retrainer = Retrainer::new(&settings, &base, &data, &lora, &train).unwrap();
        let all = vec![true; data.train.len()];
        let retrained = retrainer.run(&all, 1, true).unwrap();
        let last = tuned.training.epochs.last().unwrap();
        assert_eq!(retrained.accuracy.last().copied(), last.query_accuracy);
        let mean = retrained.losses.iter().sum::<f64>() / retrained.losses.len() as f64;
        assert!((mean - last.query_loss).abs() < 1e-12);
        let query = tuned.reused[1].as_ref().unwrap_or(&data.query);
        let found = objectives::of(&query.targets).evaluate(&tuned.model, query);
        assert_eq!(
            (found.loss, found.accuracy),
            (last.query_loss, last.query_accuracy)
        );
        tuned.model.export(&[Role::Adapter, Role::Head])
    };
    let most = 1 << 30;
    // a network of our own has no config.json: `checkpoint` is no dropout, to the bit
    let none = run(BaseDropout::default(), most);
    assert_eq!(none, run(BaseDropout::Everywhere(0.0), most));
    let some = run(BaseDropout::Everywhere(0.3), most);
    assert_ne!(none, some);
    assert_eq!(some, run(BaseDropout::Everywhere(0.3), most));
    // activations below the adapters are not reused while training, whether they are kept or not
    assert_eq!(some, run(BaseDropout::Everywhere(0.3), 0));
}

#[test]
fn checkpoints_are_states_on_the_way_and_come_back_from_the_cache() {
    let (config, task, lora, train) = small();
    let data = task.build(None, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = |cache| Settings {
        model: &config,
        seed: 1,
        device: device::device(),
        cache,
        activations: 1 << 30,
    };
    // a constant rate, so that a shorter fine-tune is the beginning of a longer one
    let train = |epochs| TrainConfig {
        epochs,
        schedule: Schedule::Constant,
        checkpoints: 2,
        ..train.clone()
    };
    let roles = [Role::Adapter, Role::Head];
    let base = pretrained_base(&settings(None), &data, &mut quiet).unwrap();
    let tune = |cache, epochs| {
        let settings = settings(cache);
        fine_tune_with_checkpoints(&settings, &base, &data, &lora, &train(epochs), &mut quiet)
            .unwrap()
    };
    let mut long = tune(None, 5);
    let epochs: Vec<usize> = long.checkpoints.iter().map(|c| c.epoch).collect();
    assert_eq!(epochs, [2, 5]);
    assert!(
        long.checkpoints
            .iter()
            .all(|c| (c.learning_rate - 1e-2).abs() < 1e-15)
    );
    assert_eq!(long.checkpoints[1].weights, long.model.export(&roles));
    let alone = |cache, epochs| {
        fine_tune(
            &settings(cache),
            &base,
            &data,
            &lora,
            &train(epochs),
            &mut quiet,
        )
        .unwrap()
    };
    let mut short = alone(None, 2);
    assert!(short.checkpoints.is_empty());
    assert_eq!(long.checkpoints[0].weights, short.model.export(&roles));
    // cached without them first: they are made then, of the same fine-tune
    let cache = Some(folder.path());
    assert!(!alone(cache, 5).training.cached);
    let made = tune(cache, 5);
    let read = tune(cache, 5);
    assert!(!made.training.cached && read.training.cached && alone(cache, 5).training.cached);
    assert_eq!((&made.key, &read.key), (&long.key, &long.key));
    assert_eq!(made.checkpoints, long.checkpoints);
    assert_eq!(read.checkpoints, long.checkpoints);
}

#[test]
fn retraining_on_everything_with_the_seed_of_a_fine_tune_is_that_fine_tune() {
    let (model, task, lora, train) = small();
    let data = task.build(None, 5).unwrap();
    let settings = Settings {
        model: &model,
        seed: 5,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    let tuned = fine_tune(&settings, &base, &data, &lora, &train, &mut quiet).unwrap();
    let retrainer = Retrainer::new(&settings, &base, &data, &lora, &train).unwrap();
    let all = vec![true; data.train.len()];
    let found = retrainer.run(&all, 5, true).unwrap();
    let epochs = &tuned.training.epochs;
    let accuracy: Vec<f64> = epochs
        .iter()
        .filter_map(|epoch| epoch.query_accuracy)
        .collect();
    assert_eq!(found.accuracy, accuracy);
    // the same losses, summed in another order
    let mean = found.losses.iter().sum::<f64>() / found.losses.len() as f64;
    assert!((mean - epochs.last().unwrap().query_loss).abs() < 1e-12);
    // inside a piece of work, as retrainings run: the same bits
    let inside = infbench::workers::map(3, |_| retrainer.run(&all, 5, true).unwrap());
    assert!(inside.iter().all(|outcome| *outcome == found));
    // what is left out decides, also when a whole batch of one is
    let mut some = all.clone();
    some[7] = false;
    assert_ne!(retrainer.run(&some, 5, false).unwrap().losses, found.losses);
    assert_ne!(retrainer.run(&all, 6, false).unwrap().losses, found.losses);
    let single = TrainConfig {
        batch_size: 1,
        ..train
    };
    let single = Retrainer::new(&settings, &base, &data, &lora, &single).unwrap();
    some[..50].fill(false);
    let losses = single.run(&some, 5, false).unwrap().losses;
    assert!(losses.iter().all(|loss| loss.is_finite()));
}

/// With plain gradient descent and one batch an epoch, training on a part is training on that part alone.
#[test]
fn full_batches_of_a_part_are_the_part() {
    let (model, task, lora, train) = small();
    let data = task.build(None, 5).unwrap();
    let settings = Settings {
        model: &model,
        seed: 5,
        device: device::device(),
        cache: None,
        activations: 1 << 30,
    };
    let train = TrainConfig {
        batch_size: data.train.len(),
        ..train
    };
    let lora = LoraConfig {
        dropout: 0.0,
        ..lora
    };
    let base = pretrained_base(&settings, &data, &mut quiet).unwrap();
    let retrainer = Retrainer::new(&settings, &base, &data, &lora, &train).unwrap();
    let kept: Vec<bool> = (0..data.train.len()).map(|k| k % 3 != 0).collect();
    let found = retrainer.run(&kept, 5, false).unwrap().losses;
    let mut part = data.clone();
    let Inputs::Features {
        values,
        tokens,
        features,
    } = &data.train.inputs
    else {
        panic!("digits are features");
    };
    let chosen = || (0..kept.len()).filter(|&k| kept[k]);
    let size = tokens * features;
    part.train.inputs = Inputs::Features {
        values: chosen()
            .flat_map(|k| values[k * size..(k + 1) * size].to_vec())
            .collect(),
        tokens: *tokens,
        features: *features,
    };
    let labels = data.train.targets.classes();
    part.train.targets = Targets::Classes(chosen().map(|k| labels[k]).collect());
    let alone = Retrainer::new(&settings, &base, &part, &lora, &train).unwrap();
    let all = vec![true; part.train.len()];
    let expected = alone.run(&all, 5, false).unwrap().losses;
    // the same sums in another order, through two steps of AdamW
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{found} {expected}"
        );
    }
}
