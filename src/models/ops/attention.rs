//! Multi-head scaled dot-product attention.

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::tensor::{Shape, Tensor, activation};
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::gemm::{self, Matrix, gemm, initialised};
use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};
use crate::models::dropout::Mask;

/// softmax(Q Kᵀ/√(h/heads)) V within every example and head; position j of example i is attended to
/// only when j < `lengths[i]`.
///
/// # Shapes
/// `key` and `value` are `[n, t, h]`, the heads side by side in h; `query` and the result are `[n, q, h]`,
/// where q may be smaller than t when only some positions are asked for; `lengths` has n entries between
/// 1 and t, or none when every position is real; `mask` has one entry a weight, `[n, heads, q, t]`: dropout on the
/// softmax, or none of it.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
    mask: Option<Mask>,
) -> Tensor<3> {
    on_host!(
        &query,
        fused(query, key, value, heads, lengths, mask),
        composed(query, key, value, heads, lengths, mask)
    )
}

fn composed(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
    mask: Option<Mask>,
) -> Tensor<3> {
    let [n, t, width] = key.dims();
    let split = |x: Tensor<3>| {
        let rows = x.dims()[1];
        x.reshape([n, rows, heads, width / heads]).swap_dims(1, 2)
    };
    let rows = query.dims()[1];
    let mut scores =
        split(query).matmul(split(key).swap_dims(2, 3)) * (heads as f64 / width as f64).sqrt();
    if let Some(lengths) = lengths {
        let mask: Vec<f32> = lengths
            .iter()
            .flat_map(|&length| (0..t).map(move |j| if j < length { 0.0 } else { -1e9 }))
            .collect();
        let device = scores.clone().inner().device();
        let mask = Tensor::<1>::from_floats(mask.as_slice(), &device).cast(scores.dtype());
        scores = scores + mask.reshape([n, 1, 1, t]);
    }
    let mut weights = activation::softmax(scores, 3);
    if let Some(mask) = mask {
        let device = weights.clone().inner().device();
        let factors = Tensor::<1>::from_floats(mask.factors().as_slice(), &device);
        let dims = weights.dims();
        weights = weights.clone() * factors.cast(weights.dtype()).reshape(dims);
    }
    weights
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([n, rows, width])
}

#[derive(Clone, Debug)]
struct Sizes {
    n: usize,
    /// Positions that ask.
    q: usize,
    /// Positions that are asked.
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

    /// The `[rows, part]` matrix of one head in the `[rows, h]` rows of one example.
    fn head<'a>(&self, example: &'a [f32], head: usize) -> Matrix<'a> {
        Matrix::row_major(&example[head * self.part..], self.width())
    }

    /// The rows of one example in a tensor with `rows` an example.
    fn example<'a>(&self, tensor: &'a [f32], rows: usize, index: usize) -> &'a [f32] {
        let size = rows * self.width();
        &tensor[index * size..(index + 1) * size]
    }

    /// Where the weights of one example and head begin.
    fn first_weight(&self, index: usize, head: usize) -> usize {
        (index * self.heads + head) * self.q * self.t
    }

    fn weights<'a>(&self, weights: &'a [f32], index: usize, head: usize) -> &'a [f32] {
        &weights[self.first_weight(index, head)..][..self.q * self.t]
    }

    fn shape(&self, rows: usize) -> Shape {
        Shape::from(vec![self.n, rows, self.width()])
    }
}

/// `work(example, its rows of every buffer)` for every example, on all threads when there are several.
fn for_each<T: Send, const N: usize>(
    n: usize,
    mut buffers: [(&mut [T], usize); N],
    work: impl Fn(usize, [&mut [T]; N]) + Sync,
) {
    let mut pieces: Vec<[&mut [T]; N]> = Vec::with_capacity(n);
    let mut chunks = buffers
        .each_mut()
        .map(|(buffer, size)| buffer.chunks_exact_mut(*size));
    for _ in 0..n {
        pieces.push(
            chunks
                .each_mut()
                .map(|chunks| chunks.next().expect("a buffer holds one chunk an example")),
        );
    }
    if rayon::current_num_threads() > 1 && n > 1 {
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

fn fused<B: Host>(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    lengths: Option<&[usize]>,
    mask: Option<Mask>,
) -> Tensor<3> {
    let [n, t, width] = key.dims();
    let q = query.dims()[1];
    let lengths = lengths.map_or_else(|| Arc::from(vec![t; n]), Arc::from);
    let sizes = Sizes {
        n,
        q,
        t,
        heads,
        part: width / heads,
        lengths,
    };
    let inputs = [Input::<B>::new(query), Input::new(key), Input::new(value)];
    let [query, key, value] = inputs.each_ref().map(Input::value);
    let mut weights: Vec<f32> = Vec::with_capacity(n * heads * q * t);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let weights = &mut weights.spare_capacity_mut()[..n * heads * q * t];
        for_each(
            n,
            [(out, q * width), (weights, heads * q * t)],
            |index, [out, weights]| {
                let query = sizes.example(B::slice(&query), q, index);
                let [key, value] =
                    [&key, &value].map(|tensor| sizes.example(B::slice(tensor), t, index));
                let mut masked = Vec::new();
                for (head, weights) in weights.chunks_exact_mut(q * t).enumerate() {
                    gemm(
                        [q, t, sizes.part],
                        weights,
                        t,
                        sizes.head(query, head),
                        sizes.head(key, head).t(),
                        false,
                    );
                    // SAFETY: the product has written all of them.
                    let weights = unsafe { gemm::written(weights) };
                    simd::dispatch(Softmax {
                        rows: weights,
                        width: t,
                        length: sizes.lengths[index],
                        scale: sizes.scale(),
                    });
                    let weights = match &mask {
                        None => &*weights,
                        Some(mask) => {
                            masked.clear();
                            masked.extend_from_slice(weights);
                            apply(mask, &mut masked, sizes.first_weight(index, head));
                            &masked
                        }
                    };
                    gemm(
                        [q, sizes.part, t],
                        &mut out[head * sizes.part..],
                        width,
                        Matrix::row_major(weights, t),
                        sizes.head(value, head),
                        false,
                    );
                }
            },
        );
    };
    // SAFETY: the heads' columns make up the width, and every example is visited.
    let out = unsafe { B::create(sizes.shape(q), fill) };
    // SAFETY: every example and head has written its part.
    unsafe { weights.set_len(n * heads * q * t) };
    host::output(
        inputs,
        out,
        Attention::<B> {
            query,
            key,
            value,
            weights,
            mask: mask.map(Arc::new),
            sizes,
        },
    )
}

/// Drops among the weights that begin at `first` of all.
fn apply(mask: &Mask, weights: &mut [f32], first: usize) {
    let kept = &mask.kept[first..][..weights.len()];
    for (weight, &kept) in weights.iter_mut().zip(kept) {
        *weight = if kept { *weight * mask.scale } else { 0.0 };
    }
}

/// In place: softmax of the first `length` entries of every row, times `scale`; the others become 0.
pub struct Softmax<'a> {
    /// The rows.
    pub rows: &'a mut [f32],
    /// Their length.
    pub width: usize,
    /// Entries that count.
    pub length: usize,
    /// Factor before the exponential.
    pub scale: f32,
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

/// What the backward pass needs; `weights` are the softmax, `[n, heads, q, t]`.
#[derive(Clone, Debug)]
struct Attention<B: Host> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    weights: Vec<f32>,
    mask: Option<Arc<Mask>>,
    sizes: Sizes,
}

impl<B: Host> Vjp<B, 3> for Attention<B> {
    fn backward(
        self,
        grad: FloatTensor<B>,
        [query, key, value]: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let Sizes {
            n,
            q,
            t,
            heads,
            part,
            ..
        } = self.sizes;
        let width = heads * part;
        // an unwanted gradient takes a single number an example
        let counts = [(query, q), (key, t), (value, t)]
            .map(|(wanted, rows)| if wanted { rows * width } else { 1 });
        let [mut queries, mut keys, mut values] = counts.map(|count| vec![0.0f32; n * count]);
        for_each(
            n,
            [
                (&mut queries, counts[0]),
                (&mut keys, counts[1]),
                (&mut values, counts[2]),
            ],
            |index, [queries, keys, values]| {
                let delta = self.sizes.example(B::slice(&grad), q, index);
                let mut scores = vec![0.0; q * t];
                let mut masked = Vec::new();
                for head in 0..heads {
                    let start = head * part;
                    let weights = self.sizes.weights(&self.weights, index, head);
                    let first = self.sizes.first_weight(index, head);
                    let delta = self.sizes.head(delta, head);
                    if value {
                        let multiplied = match &self.mask {
                            None => weights,
                            Some(mask) => {
                                masked.clear();
                                masked.extend_from_slice(weights);
                                apply(mask, &mut masked, first);
                                &masked
                            }
                        };
                        gemm(
                            [t, part, q],
                            initialised(&mut values[start..]),
                            width,
                            Matrix::row_major(multiplied, t).t(),
                            delta,
                            false,
                        );
                    }
                    if query || key {
                        let value = self
                            .sizes
                            .head(self.sizes.example(B::slice(&self.value), t, index), head);
                        gemm(
                            [q, t, part],
                            initialised(&mut scores),
                            t,
                            delta,
                            value.t(),
                            false,
                        );
                        if let Some(mask) = &self.mask {
                            apply(mask, &mut scores, first);
                        }
                        simd::dispatch(SoftmaxBackward {
                            grad: &mut scores,
                            weights,
                            width: t,
                            scale: self.sizes.scale(),
                        });
                        let scores = Matrix::row_major(&scores, t);
                        if query {
                            let key = self
                                .sizes
                                .head(self.sizes.example(B::slice(&self.key), t, index), head);
                            gemm(
                                [q, part, t],
                                initialised(&mut queries[start..]),
                                width,
                                scores,
                                key,
                                false,
                            );
                        }
                        if key {
                            let query = self
                                .sizes
                                .head(self.sizes.example(B::slice(&self.query), q, index), head);
                            gemm(
                                [t, part, q],
                                initialised(&mut keys[start..]),
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
        [(query, queries, q), (key, keys, t), (value, values, t)].map(|(wanted, values, rows)| {
            wanted.then(|| host::from_slice::<B>(&values, self.sizes.shape(rows)))
        })
    }
}

/// In place: g ← p·(g − Σ p·g)·scale on every row.
pub struct SoftmaxBackward<'a> {
    /// Gradient of the weights, then of the scores.
    pub grad: &'a mut [f32],
    /// The softmax.
    pub weights: &'a [f32],
    /// Length of a row.
    pub width: usize,
    /// Factor before the exponential.
    pub scale: f32,
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
        for (n, q, t, heads, part) in [
            (1, 1, 1, 1, 1),
            (3, 7, 7, 2, 5),
            (4, 1, 9, 3, 8),
            (4, 33, 33, 3, 8),
        ] {
            let width = heads * part;
            let mut draw = |t: usize| -> TensorData {
                let values: Vec<f32> = (0..n * t * width)
                    .map(|_| rng.random::<f32>() * 4.0 - 2.0)
                    .collect();
                TensorData::new(values, [n, t, width])
            };
            let data = [draw(q), draw(t), draw(t), draw(q)];
            let some: Vec<usize> = (0..n).map(|index| 1 + (index * 5) % t).collect();
            let dropped = Mask::draw(
                n * heads * q * t,
                0.3,
                &mut random::rng(2, "attention", "mask"),
            );
            let cases = [None, Some(some.as_slice())];
            let cases = cases.map(|lengths| [(lengths, None), (lengths, Some(&dropped))]);
            for (lengths, mask) in cases.into_iter().flatten() {
                type Operation = fn(
                    Tensor<3>,
                    Tensor<3>,
                    Tensor<3>,
                    usize,
                    Option<&[usize]>,
                    Option<Mask>,
                ) -> Tensor<3>;
                let run = |operation: Operation| -> Vec<Vec<f32>> {
                    let [q, k, v] = [0, 1, 2].map(|index| {
                        Tensor::<3>::from_data(data[index].clone(), &inner)
                            .autodiff()
                            .require_grad()
                    });
                    let out = operation(
                        q.clone(),
                        k.clone(),
                        v.clone(),
                        heads,
                        lengths,
                        mask.cloned(),
                    );
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
                for (fused, composed) in run(attention).iter().zip(&run(composed)) {
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
