//! Models of our own: names, passes, padding, weights.

use burn::tensor::TensorData;
use rand::RngExt;

use super::*;
use crate::data::Targets;
use crate::device::DeviceChoice;
use crate::models::batch::ModelInput;
use crate::models::dropout::Dropout;
use crate::models::lora::settings::{LoraConfig, TargetModules};
use crate::models::model::adapters::GradientTensor;
use crate::models::parameter::WeightError;
use crate::models::transformer::TransformerConfig;
use crate::random;

fn transformer() -> ModelConfig {
    ModelConfig::Transformer(TransformerConfig {
        hidden: 12,
        heads: 3,
        layers: 2,
        ffn: 20,
        pretrain: None,
    })
}

fn lora<const N: usize>(targets: [&str; N]) -> LoraConfig {
    LoraConfig {
        rank: 2,
        targets: TargetModules::names(targets),
        ..LoraConfig::default()
    }
}

fn tokens() -> InputShape {
    InputShape::Tokens {
        vocabulary: 9,
        max_length: 6,
    }
}

fn batch(rows: &[&[i64]]) -> Batch {
    let device = DeviceChoice::Flex.inner();
    let t = rows.iter().map(|row| row.len()).max().expect("rows");
    let ids: Vec<i64> = rows
        .iter()
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat(0)).take(t))
        .collect();
    Batch {
        input: ModelInput::Tokens(Tensor::from_data(
            TensorData::new(ids, [rows.len(), t]),
            &device,
        )),
        types: None,
        lengths: Some(rows.iter().map(|row| row.len()).collect()),
        attended: None,
        timesteps: None,
        targets: Targets::Classes(vec![0; rows.len()]),
        device,
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    parameter::to_f32(tensor.inner().into_data())
}

/// A model whose adapters and head do something.
fn adapted<const N: usize>(targets: [&str; N]) -> Model {
    let mut model =
        Model::new(&transformer(), &tokens(), 3, 1, &DeviceChoice::Flex.inner()).unwrap();
    model.adapt(&lora(targets), 1).unwrap();
    let mut weights = model.export(&[Role::Adapter, Role::Head]);
    let mut rng = random::rng(1, "test", "weights");
    weights
        .values_mut()
        .flat_map(|array| &mut array.values)
        .for_each(|value| *value = rng.random::<f32>() - 0.5);
    model
        .import(&[Role::Adapter, Role::Head], &weights)
        .unwrap();
    model
}

#[test]
fn gradient_tensors_are_named_and_shaped_as_in_peft() {
    let found = adapted(["ffn", "query"]).gradient_tensors();
    let expected = [
        ("attention.self.query.lora_A.weight", [2, 12]),
        ("attention.self.query.lora_B.weight", [12, 2]),
        ("intermediate.dense.lora_A.weight", [2, 12]),
        ("intermediate.dense.lora_B.weight", [20, 2]),
        ("output.dense.lora_A.weight", [2, 20]),
        ("output.dense.lora_B.weight", [12, 2]),
    ];
    let expected = (0..2)
        .flat_map(|layer| {
            expected.map(|(name, shape)| GradientTensor {
                name: format!("encoder.layer.{layer}.{name}"),
                shape,
            })
        })
        .chain([GradientTensor {
            name: "classifier.weight".into(),
            shape: [3, 12],
        }]);
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn fresh_adapters_change_nothing() {
    let model = Model::new(&transformer(), &tokens(), 3, 1, &DeviceChoice::Flex.inner()).unwrap();
    let mut with = model.clone();
    with.adapt(&lora(["value", "ffn"]), 1).unwrap();
    let batch = batch(&[&[1, 2, 3], &[4]]);
    let found = values(with.logits(&batch, &mut Pass::Plain));
    assert_eq!(found, values(model.logits(&batch, &mut Pass::Plain)));
    let a = &with.export(&[Role::Adapter])["encoder.layer.0.attention.self.value.lora_A.weight"];
    let deviation =
        (a.values.iter().map(|value| value * value).sum::<f32>() / a.values.len() as f32).sqrt();
    // 24 draws with standard deviation 1/√(3·12) = 1/6
    assert!((0.1..0.25).contains(&deviation), "{deviation}");
}

#[test]
fn padding_does_not_reach_the_logits() {
    let model = adapted(["key", "value"]);
    let together = values(model.logits(
        &batch(&[&[1, 2], &[5, 4, 3, 2, 1, 6], &[8]]),
        &mut Pass::Plain,
    ));
    for (index, row) in [&[1i64, 2][..], &[5, 4, 3, 2, 1, 6], &[8]]
        .into_iter()
        .enumerate()
    {
        let alone = values(model.logits(&batch(&[row]), &mut Pass::Plain));
        for (a, b) in alone.iter().zip(&together[index * 3..]) {
            assert!((a - b).abs() < 2e-6 * a.abs().max(1.0), "{a} against {b}");
        }
    }
}

#[test]
fn passes_agree_but_for_dropout() {
    let model = adapted(["query", "value", "output", "ffn"]);
    let batch = batch(&[&[1, 2, 3], &[4, 7, 7]]);
    let plain = values(model.logits(&batch, &mut Pass::Plain));
    let training = |dropout: Dropout, purpose: &str| {
        let mut pass = Pass::Training {
            dropout,
            rng: Box::new(random::rng(1, "test", purpose)),
        };
        values(model.logits(&batch, &mut pass))
    };
    let mut probed = Pass::Probed(Vec::new());
    for (a, b) in values(model.logits(&batch, &mut probed)).iter().zip(&plain) {
        assert!((a - b).abs() < 1e-5, "{a} against {b}");
    }
    assert_eq!(training(Dropout::default(), "a"), plain);
    let base = |base| Dropout { adapter: 0.0, base };
    for dropout in [
        Dropout {
            adapter: 0.5,
            ..Dropout::default()
        },
        base(DropoutProbabilities {
            hidden: 0.5,
            ..DropoutProbabilities::default()
        }),
        base(DropoutProbabilities {
            attention: 0.5,
            ..DropoutProbabilities::default()
        }),
        base(DropoutProbabilities {
            classifier: 0.5,
            ..DropoutProbabilities::default()
        }),
    ] {
        assert_ne!(training(dropout, "a"), plain, "{dropout:?}");
        assert_ne!(training(dropout, "a"), training(dropout, "b"));
        assert_eq!(training(dropout, "a"), training(dropout, "a"));
    }
}

#[test]
fn weights_are_checked_by_name_and_shape() {
    let mut model = adapted(["value"]);
    let weights = model.export(&[Role::Head]);
    let missing = Weights::from([(
        "classifier.weight".to_owned(),
        weights["classifier.weight"].clone(),
    )]);
    assert_eq!(
        model.import(&[Role::Head], &missing),
        Err(WeightError::Missing {
            name: "classifier.bias".into()
        }
        .into())
    );
    let mut other = weights.clone();
    other.get_mut("classifier.weight").unwrap().shape = vec![12, 3];
    let expected = WeightError::Shape {
        name: "classifier.weight".into(),
        found: vec![12, 3],
        expected: vec![3, 12],
    };
    assert_eq!(model.import(&[Role::Head], &other), Err(expected.into()));
}
