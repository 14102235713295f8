//! Multi-head scaled dot-product attention.

use std::sync::Arc;

use burn::tensor::{Shape, Tensor, activation};
use burn_dispatch::backends::flex::FlexTensor;
use rayon::prelude::*;

use super::cpu::{self, Input, Matrix, Vjp};
use super::simd::{self, Kernel};

/// softmax(Q Kᵀ/√(h/heads)) V within every example and head; position j of example i is attended to
/// only when j < `lengths[i]`.
///
/// # Shapes
/// `query`, `key`, `value` and the result are `[n, t, h]`, the heads side by side in h; `lengths` has n
/// entries between 1 and t, or none when every position is real.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
) -> Tensor<3> {
    if cpu::here(&query) {
        fused(query, key, value, heads, lengths)
    } else {
        composed(query, key, value, heads, lengths)
    }
}

fn composed(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
) -> Tensor<3> {
    let [n, t, width] = query.dims();
    let split = |x: Tensor<3>| x.reshape([n, t, heads, width / heads]).swap_dims(1, 2);
    let mut scores =
        split(query).matmul(split(key).swap_dims(2, 3)) * (heads as f64 / width as f64).sqrt();
    if let Some(lengths) = lengths {
        let mask: Vec<f32> = lengths
            .iter()
            .flat_map(|&length| (0..t).map(move |j| if j < length { 0.0 } else { -1e9 }))
            .collect();
        let device = scores.clone().inner().device();
        scores = scores + Tensor::<1>::from_floats(mask.as_slice(), &device).reshape([n, 1, 1, t]);
    }
    activation::softmax(scores, 3)
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([n, t, width])
}

#[derive(Clone, Debug)]
struct Sizes {
    n: usize,
    t: usize,
    heads: usize,
    /// Width of one head.
    part: usize,
    /// Real positions of every example.
    lengths: Arc<[usize]>,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.part as f32).sqrt()
    }

    fn width(&self) -> usize {
        self.heads * self.part
    }

    /// The `[t, part]` matrix of one head in the `[t, h]` rows of one example.
    fn head<'a>(&self, example: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::row_major(&example[head * self.part..], self.width())
    }

    fn example<'a>(&self, tensor: &'a FlexTensor, index: usize) -> &'a [f32] {
        let size = self.t * self.width();
        &cpu::slice(tensor)[index * size..(index + 1) * size]
    }

    fn weights<'a>(&self, weights: &'a [f32], index: usize, head: usize) -> &'a [f32] {
        let size = self.t * self.t;
        &weights[(index * self.heads + head) * size..][..size]
    }

    fn shape(&self) -> Shape {
        Shape::from(vec![self.n, self.t, self.width()])
    }

    /// `work(example, its rows of every buffer)` for every example, on all threads when there are several.
    fn for_each<const N: usize>(
        &self,
        mut buffers: [(&mut [f32], usize); N],
        work: impl Fn(usize, [&mut [f32]; N]) + Sync,
    ) {
        let mut pieces: Vec<[&mut [f32]; N]> = Vec::with_capacity(self.n);
        let mut chunks = buffers
            .each_mut()
            .map(|(buffer, size)| buffer.chunks_exact_mut(*size));
        for _ in 0..self.n {
            pieces.push(
                chunks
                    .each_mut()
                    .map(|chunks| chunks.next().expect("a buffer holds one chunk an example")),
            );
        }
        if rayon::current_num_threads() > 1 && self.n > 1 {
            pieces
                .into_par_iter()
                .enumerate()
                .for_each(|(index, piece)| work(index, piece));
        } else {
            pieces
                .into_iter()
                .enumerate()
                .for_each(|(index, piece)| work(index, piece));
        }
    }
}

fn fused(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
) -> Tensor<3> {
    let [n, t, width] = query.dims();
    let lengths = lengths.map_or_else(|| Arc::from(vec![t; n]), Arc::from);
    let sizes = Sizes {
        n,
        t,
        heads,
        part: width / heads,
        lengths,
    };
    let inputs = [Input::new(query), Input::new(key), Input::new(value)];
    let [query, key, value] = inputs.each_ref().map(Input::value);
    let mut out = vec![0.0; n * t * width];
    let mut weights = vec![0.0; n * heads * t * t];
    sizes.for_each(
        [(&mut out, t * width), (&mut weights, heads * t * t)],
        |index, [out, weights]| {
            let [query, key, value] =
                [&query, &key, &value].map(|tensor| sizes.example(tensor, index));
            for (head, weights) in weights.chunks_exact_mut(t * t).enumerate() {
                cpu::gemm(
                    [t, t, sizes.part],
                    weights,
                    t,
                    sizes.head(query, head),
                    sizes.head(key, head).t(),
                    false,
                );
                simd::dispatch(Softmax {
                    rows: weights,
                    width: t,
                    length: sizes.lengths[index],
                    scale: sizes.scale(),
                });
                cpu::gemm(
                    [t, sizes.part, t],
                    &mut out[head * sizes.part..],
                    width,
                    Matrix::row_major(weights, t),
                    sizes.head(value, head),
                    false,
                );
            }
        },
    );
    let shape = sizes.shape();
    cpu::output(
        inputs,
        cpu::buffer(out, shape),
        Attention {
            query,
            key,
            value,
            weights,
            sizes,
        },
    )
}

/// In place: softmax of the first `length` entries of every row, times `scale`; the others become 0.
struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
    length: usize,
    scale: f32,
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run(self) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let (row, padding) = row.split_at_mut(self.length);
            let largest = simd::largest(row);
            for value in row.iter_mut() {
                *value = simd::exp_negative((*value - largest) * self.scale);
            }
            let factor = 1.0 / simd::sum(row);
            for value in row {
                *value *= factor;
            }
            padding.fill(0.0);
        }
    }
}

/// What the backward pass needs; `weights` are the softmax, `[n, heads, t, t]`.
#[derive(Clone, Debug)]
struct Attention {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    weights: Vec<f32>,
    sizes: Sizes,
}

impl Vjp<3> for Attention {
    fn backward(self, grad: FlexTensor, [query, key, value]: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let Sizes {
            n, t, heads, part, ..
        } = self.sizes;
        let width = heads * part;
        let size = t * width;
        // an unwanted gradient takes a single number an example
        let sizes = [query, key, value].map(|wanted| if wanted { size } else { 1 });
        let [mut queries, mut keys, mut values] = sizes.map(|size| vec![0.0; n * size]);
        self.sizes.for_each(
            [
                (&mut queries, sizes[0]),
                (&mut keys, sizes[1]),
                (&mut values, sizes[2]),
            ],
            |index, [queries, keys, values]| {
                let delta = self.sizes.example(&grad, index);
                let mut scores = vec![0.0; t * t];
                for head in 0..heads {
                    let start = head * part;
                    let weights = self.sizes.weights(&self.weights, index, head);
                    let delta = self.sizes.head(delta, head);
                    if value {
                        cpu::gemm(
                            [t, part, t],
                            &mut values[start..],
                            width,
                            Matrix::row_major(weights, t).t(),
                            delta,
                            false,
                        );
                    }
                    if query || key {
                        let value = self
                            .sizes
                            .head(self.sizes.example(&self.value, index), head);
                        cpu::gemm([t, t, part], &mut scores, t, delta, value.t(), false);
                        simd::dispatch(SoftmaxBackward {
                            grad: &mut scores,
                            weights,
                            width: t,
                            scale: self.sizes.scale(),
                        });
                        let scores = Matrix::row_major(&scores, t);
                        if query {
                            let key = self.sizes.head(self.sizes.example(&self.key, index), head);
                            cpu::gemm(
                                [t, part, t],
                                &mut queries[start..],
                                width,
                                scores,
                                key,
                                false,
                            );
                        }
                        if key {
                            let query = self
                                .sizes
                                .head(self.sizes.example(&self.query, index), head);
                            cpu::gemm(
                                [t, part, t],
                                &mut keys[start..],
                                width,
                                scores.t(),
                                query,
                                false,
                            );
                        }
                    }
                }
            },
        );
        let shape = self.sizes.shape();
        [(query, queries), (key, keys), (value, values)]
            .map(|(wanted, values)| wanted.then(|| cpu::buffer(values, shape.clone())))
    }
}

/// In place: g ← p·(g − Σ p·g)·scale on every row.
struct SoftmaxBackward<'a> {
    grad: &'a mut [f32],
    weights: &'a [f32],
    width: usize,
    scale: f32,
}

impl Kernel for SoftmaxBackward<'_> {
    #[inline(always)]
    fn run(self) {
        for (grad, weights) in self
            .grad
            .chunks_exact_mut(self.width)
            .zip(self.weights.chunks_exact(self.width))
        {
            let along = simd::dot(grad, weights);
            for (grad, weight) in grad.iter_mut().zip(weights) {
                *grad = weight * (*grad - along) * self.scale;
            }
        }
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
        let mut rng = random::rng(1, "attention", "test");
        for (n, t, heads, part) in [(1, 1, 1, 1), (3, 7, 2, 5), (4, 33, 3, 8)] {
            let width = heads * part;
            let mut draw = || -> TensorData {
                let values: Vec<f32> = (0..n * t * width)
                    .map(|_| rng.random::<f32>() * 4.0 - 2.0)
                    .collect();
                TensorData::new(values, [n, t, width])
            };
            let data = [draw(), draw(), draw(), draw()];
            let some: Vec<usize> = (0..n).map(|index| 1 + (index * 5) % t).collect();
            for lengths in [None, Some(some.as_slice())] {
                let run = |operation: fn(
                    Tensor<3>,
                    Tensor<3>,
                    Tensor<3>,
                    usize,
                    Option<&[usize]>,
                ) -> Tensor<3>|
                 -> Vec<Vec<f32>> {
                    let [q, k, v] = [0, 1, 2].map(|index| {
                        Tensor::<3>::from_data(data[index].clone(), &inner)
                            .autodiff()
                            .require_grad()
                    });
                    let out = operation(q.clone(), k.clone(), v.clone(), heads, lengths);
                    let grads = (out.clone() * Tensor::from_data(data[3].clone(), &inner))
                        .sum()
                        .backward();
                    [
                        out.inner(),
                        q.grad(&grads).expect("a leaf"),
                        k.grad(&grads).expect("a leaf"),
                        v.grad(&grads).expect("a leaf"),
                    ]
                    .map(|tensor| tensor.into_data().try_to_vec().expect("f32"))
                    .into()
                };
                for (fused, composed) in run(fused).iter().zip(&run(composed)) {
                    assert!(fused.iter().any(|&value| value != 0.0) || t == 1);
                    for (fused, composed) in fused.iter().zip(composed) {
                        // sums of t terms of size ~4·width·scale
                        assert!(
                            (fused - composed).abs() <= 40.0 * f32::EPSILON * (t * part) as f32,
                            "{fused} against {composed}"
                        );
                    }
                }
            }
        }
    }
}
