//! Convolution in two dimensions as matrix products.
//!
//! Every output is a product of the weight with the window that it looks at, so that an image's windows side by side, a
//! column each, make the convolution one matrix product. The gradient of the input is the product with the transpose,
//! added up where windows overlap. A frozen weight's backward pass keeps shapes alone, and the weight as it is.

mod products;

use std::mem::MaybeUninit;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Tensor, module};
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

pub use self::products::Window;
use self::products::{Sizes, ZERO};
use super::gemm;
use super::host::{self, Host, Input, Vjp, on_host};

/// Σ over channels and windows of weight · x, and bias.
///
/// # Shapes
/// `x` is `[n, in, h, w]`, `weight` `[out, in, side, side]`, `bias` `[out]`; the result `[n, out, h', w']`.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    on_host!(
        &x,
        fused(x, weight, bias, window),
        composed(x, weight, bias, window)
    )
}

fn composed(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let options = ConvOptions::new_with_padding([window.stride; 2], [window.padding; 2], [1; 2], 1);
    module::conv2d(x, weight, Some(bias), options)
}

fn fused<B: Host>(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let [n, inputs, h, w] = x.dims();
    let to = [window.outputs(h), window.outputs(w)];
    let outputs = weight.dims()[0];
    let sizes = Sizes {
        n,
        inputs,
        outputs,
        from: [h, w],
        to,
        window,
    };
    let all = [Input::<B>::new(x), Input::new(weight), Input::new(bias)];
    let [x, weight, bias] = all.each_ref().map(Input::value);
    let [images, weights, biases] = [&x, &weight, &bias].map(B::slice);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let of = |(out, image)| sizes.forward(image, weights, biases, out);
        let [from, to] = sizes.together();
        if n > 1 && rayon::current_num_threads() > 1 {
            let out = out.par_chunks_mut(to);
            out.zip(images.par_chunks(from)).for_each(of);
        } else {
            let out = out.chunks_mut(to);
            out.zip(images.chunks(from)).for_each(of);
        }
    };
    // SAFETY: the biases fill it.
    let out = unsafe { B::create(Shape::from(vec![n, outputs, to[0], to[1]]), fill) };
    let wanted = all[1].is_tracked();
    let vjp = Conv2d::<B> {
        x: wanted.then_some(x),
        weight,
        sizes,
    };
    host::output(all, out, vjp)
}

/// What the backward pass needs; `x` only when the weight is trained.
#[derive(Clone, Debug)]
struct Conv2d<B: Host> {
    x: Option<FloatTensor<B>>,
    weight: FloatTensor<B>,
    sizes: Sizes,
}

impl<B: Host> Vjp<B, 3> for Conv2d<B> {
    fn backward(
        self,
        grad: FloatTensor<B>,
        [x, weight, bias]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let sizes = &self.sizes;
        let [from, to] = sizes.together();
        let deltas = B::slice(&grad);
        let weights = B::slice(&self.weight);
        let grad_x = x.then(|| {
            let fill = |images: &mut [MaybeUninit<f32>]| {
                images.fill(ZERO);
                // SAFETY: they are zeros.
                let images = unsafe { gemm::written(images) };
                let of = |(images, deltas): (&mut [f32], &[f32])| {
                    sizes.backward(deltas, weights, images)
                };
                if sizes.n > 1 && rayon::current_num_threads() > 1 {
                    let images = images.par_chunks_mut(from);
                    images.zip(deltas.par_chunks(to)).for_each(of);
                } else {
                    images.chunks_mut(from).zip(deltas.chunks(to)).for_each(of);
                }
            };
            let [h, w] = sizes.from;
            let shape = Shape::from(vec![sizes.n, sizes.inputs, h, w]);
            // SAFETY: zeros fill it.
            unsafe { B::create(shape, fill) }
        });
        let grad_weight = self.x.as_ref().filter(|_| weight).map(|x| {
            let mut out = vec![0.0; weights.len()];
            for (images, deltas) in B::slice(x).chunks(from).zip(deltas.chunks(to)) {
                sizes.of_weight(deltas, images, &mut out);
            }
            let side = sizes.window.side;
            let shape = vec![sizes.outputs, sizes.inputs, side, side];
            host::from_slice::<B>(&out, Shape::from(shape))
        });
        let grad_bias = bias.then(|| {
            let mut out = vec![0.0; sizes.outputs];
            for delta in deltas.chunks_exact(sizes.output()) {
                let channels = delta.chunks_exact(sizes.pixels());
                for (out, channel) in out.iter_mut().zip(channels) {
                    *out += channel.iter().sum::<f32>();
                }
            }
            host::from_slice::<B>(&out, Shape::from(vec![sizes.outputs]))
        });
        [grad_x, grad_weight, grad_bias]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "conv2d", "test");
        let window = |side, stride, padding| Window {
            side,
            stride,
            padding,
        };
        for ([n, inputs, h, w], outputs, window) in [
            ([1, 1, 1, 1], 1, window(3, 1, (1, 1))),
            ([2, 3, 5, 7], 4, window(3, 1, (1, 1))),
            ([3, 4, 6, 5], 2, window(3, 2, (1, 1))),
            ([2, 2, 7, 8], 3, window(3, 2, (0, 1))),
            ([2, 5, 3, 4], 6, window(1, 1, (0, 0))),
            // two products of several images, the second of fewer; a window wider than the image
            ([13, 3, 4, 5], 4, window(3, 1, (1, 1))),
            ([40, 2, 4, 4], 3, window(3, 2, (1, 1))),
            ([9, 3, 4, 4], 5, window(1, 1, (0, 0))),
            ([3, 2, 1, 2], 2, window(5, 1, (2, 2))),
            // more than one tile of rows and of channels
            ([1, 24, 80, 72], 3, window(3, 1, (1, 1))),
        ] {
            let mut draw = |dims: &[usize]| -> TensorData {
                let count = dims.iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|_| rng.random::<f32>() - 0.5).collect();
                TensorData::new(values, dims.to_vec())
            };
            let to = [window.outputs(h), window.outputs(w)];
            let data = [
                draw(&[n, inputs, h, w]),
                draw(&[outputs, inputs, window.side, window.side]),
                draw(&[n, outputs, to[0], to[1]]),
            ];
            let bias = draw(&[outputs]);
            type Operation = fn(Tensor<4>, Tensor<4>, Tensor<1>, Window) -> Tensor<4>;
            let run = |operation: Operation| -> Vec<Vec<f32>> {
                let leaf = |data: &TensorData| {
                    Tensor::<4>::from_data(data.clone(), &inner)
                        .autodiff()
                        .require_grad()
                };
                let (x, weight) = (leaf(&data[0]), leaf(&data[1]));
                let bias = Tensor::<1>::from_data(bias.clone(), &inner)
                    .autodiff()
                    .require_grad();
                let out = operation(x.clone(), weight.clone(), bias.clone(), window);
                let mix = Tensor::<4>::from_data(data[2].clone(), &inner);
                let grads = (out.clone() * mix.autodiff()).sum().backward();
                let values = |data: TensorData| data.try_into_vec().expect("f32");
                vec![
                    values(out.inner().into_data()),
                    values(x.grad(&grads).expect("a leaf").into_data()),
                    values(weight.grad(&grads).expect("a leaf").into_data()),
                    values(bias.grad(&grads).expect("a leaf").into_data()),
                ]
            };
            // rounding of a sum of products below 1/4, which grows as the root of their number
            let terms = [
                inputs * window.side.pow(2),
                outputs * window.side.pow(2),
                n * to[0] * to[1],
                n * to[0] * to[1],
            ];
            for ((fused, composed), terms) in run(conv2d).iter().zip(&run(composed)).zip(terms) {
                assert_eq!(fused.len(), composed.len());
                assert!(composed.iter().any(|&value| value != 0.0));
                for (fused, composed) in fused.iter().zip(composed) {
                    assert!(
                        (fused - composed).abs() <= f32::EPSILON * (terms as f32 + 4.0),
                        "{window:?}: {fused} against {composed}"
                    );
                }
            }
        }
    }
}
