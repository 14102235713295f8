use burn::tensor::TensorData;
use rand::RngExt;

use super::*;
use crate::device::DeviceChoice;
use crate::models::parameter::to_f32;
use crate::random;

/// `[out, in]` matrices and inputs as rows, multiplied one number at a time.
fn times(rows: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let dot = |row: &[f32], w: &[f32]| row.iter().zip(w).map(|(a, b)| a * b).sum();
    rows.chunks(inputs)
        .flat_map(|row| weight.chunks(inputs).map(move |w| dot(row, w)))
        .collect()
}

#[test]
fn layers_without_bias_give_products_and_the_gradients_of_their_outputs() {
    let device = DeviceChoice::Flex.inner();
    let mut rng = random::rng(1, "lora", "without bias");
    let mut draw =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random::<f32>() - 0.5).collect() };
    let (n, t, width, middle, out) = (2, 3, 5, 4, 6);
    let (x, mix) = (draw(n * t * width), draw(n * t * out));
    let mut layers = [
        LoraLinear::new("first", width, middle, &device).without_bias(),
        LoraLinear::new("second", middle, out, &device).without_bias(),
    ];
    let shape = AdapterShape {
        rank: 2,
        scale: 0.5,
        init: LoraInit::Kaiming,
    };
    for layer in &mut layers {
        layer.adapt(shape, &device);
        let names: Vec<String> = layer
            .parameters(1.0)
            .into_iter()
            .map(|mut parameter| {
                let values = draw(parameter.slot.count());
                parameter.slot.set(&values, &device);
                parameter.name
            })
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
    let merged = layers
        .each_ref()
        .map(|layer| to_f32(layer.merged().0.into_data()));
    let hidden = times(&x, &merged[0], width);
    let expected = times(&hidden, &merged[1], middle);
    // δ at the first output is δ W, a product with the transpose
    let transposed: Vec<f32> = (0..middle)
        .flat_map(|j| (0..out).map(move |i| (i, j)))
        .map(|(i, j)| merged[1][i * middle + j])
        .collect();
    let delta = times(&mix, &transposed, out);

    let input = Tensor::<3>::from_data(TensorData::new(x.clone(), [n, t, width]), &device);
    let forward = |pass: &mut Pass| {
        let [first, second] = &layers;
        second.forward(first.forward(input.clone(), pass), pass)
    };
    let close = |found: Tensor<3>, expected: &[f32]| {
        let found = to_f32(found.inner().into_data());
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            // sums of at most 6 products of numbers below 2
            assert!((a - b).abs() <= 24.0 * f32::EPSILON, "{a} against {b}");
        }
    };
    close(forward(&mut Pass::Plain), &expected);
    let mut pass = Pass::Probed(Vec::new());
    let found = forward(&mut pass);
    let weights = Tensor::<3>::from_data(TensorData::new(mix.clone(), [n, t, out]), &device);
    let mut grads = (found.clone() * weights.autodiff()).sum().backward();
    close(found, &expected);
    let Pass::Probed(sites) = pass else {
        unreachable!("it was one")
    };
    let expected = [(x, delta), (hidden, mix)];
    assert_eq!(sites.len(), expected.len());
    for (site, (x, delta)) in sites.into_iter().zip(&expected) {
        let (found_x, found_delta) = site.take(&mut grads);
        close(found_x, x);
        close(found_delta, delta);
    }
}
