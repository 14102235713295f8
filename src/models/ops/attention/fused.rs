//! Attention on a device in this program's memory: products head by head, the softmax in place, and its gradients.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Shape, Tensor};
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::reach::{Attend, Reach};
use super::softmax::{Softmax, SoftmaxBackward};
use crate::models::dropout::Mask;
use crate::models::ops::gemm::{self, Matrix, gemm, initialised};
use crate::models::ops::host::{self, Host, Input, Vjp};
use crate::models::ops::simd;

/// A tensor of heads side by side.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// Positions of an example.
    rows: usize,
    heads: usize,
    /// Width of one head.
    part: usize,
}

impl Side {
    fn width(self) -> usize {
        self.heads * self.part
    }

    /// Numbers of an example.
    fn size(self) -> usize {
        self.rows * self.width()
    }

    /// The `[rows, part]` matrix of one head of one example.
    fn head(self, tensor: &[f32], index: usize, head: usize) -> Matrix<'_> {
        let example = &tensor[index * self.size()..][..self.size()];
        Matrix::row_major(&example[head * self.part..], self.width())
    }

    fn shape(self, n: usize) -> Shape {
        Shape::from(vec![n, self.rows, self.width()])
    }
}

#[derive(Clone, Debug)]
struct Sizes {
    n: usize,
    /// Queries and output.
    query: Side,
    /// Keys and values.
    key: Side,
    /// Positions of every example that can be looked at.
    lengths: Arc<[usize]>,
    reach: Reach,
}

impl Sizes {
    fn scale(&self) -> f32 {
        1.0 / (self.query.part as f32).sqrt()
    }

    /// Heads of queries that share one of keys.
    fn group(&self) -> usize {
        self.query.heads / self.key.heads
    }

    /// Weights of one example and head.
    fn of_head(&self) -> usize {
        self.query.rows * self.key.rows
    }

    /// Where the weights of one example and head begin.
    fn first_weight(&self, index: usize, head: usize) -> usize {
        (index * self.query.heads + head) * self.of_head()
    }

    /// The keys that a query of an example looks at.
    fn keys(&self, index: usize) -> impl Fn(usize) -> Range<usize> {
        let (sizes, length) = ([self.query.rows, self.key.rows], self.lengths[index]);
        let reach = self.reach;
        move |row| reach.keys(row, sizes, length)
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

/// See [`super::attention`].
pub fn fused<B: Host>(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    attend: Attend,
    mask: Option<Mask>,
) -> Tensor<3> {
    let [n, t, _] = key.dims();
    let [_, q, width] = query.dims();
    let part = width / attend.heads;
    let side = |rows, heads| Side { rows, heads, part };
    let sizes = Sizes {
        n,
        query: side(q, attend.heads),
        key: side(t, attend.key_heads),
        lengths: attend
            .lengths
            .map_or_else(|| Arc::from(vec![t; n]), Arc::from),
        reach: attend.reach,
    };
    let inputs = [Input::<B>::new(query), Input::new(key), Input::new(value)];
    let [query, key, value] = inputs.each_ref().map(Input::value);
    let (of_head, of_example) = (sizes.of_head(), attend.heads * sizes.of_head());
    let mut weights: Vec<f32> = Vec::with_capacity(n * of_example);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let weights = &mut weights.spare_capacity_mut()[..n * of_example];
        for_each(
            n,
            [(out, sizes.query.size()), (weights, of_example)],
            |index, [out, weights]| {
                let mut masked = Vec::new();
                for (head, weights) in weights.chunks_exact_mut(of_head).enumerate() {
                    let asked = head / sizes.group();
                    gemm(
                        [q, t, part],
                        weights,
                        t,
                        sizes.query.head(B::slice(&query), index, head),
                        sizes.key.head(B::slice(&key), index, asked).t(),
                        false,
                    );
                    // SAFETY: the product has written all of them.
                    let weights = unsafe { gemm::written(weights) };
                    simd::dispatch(Softmax {
                        rows: weights,
                        width: t,
                        keys: sizes.keys(index),
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
                        [q, part, t],
                        &mut out[head * part..],
                        width,
                        Matrix::row_major(weights, t),
                        sizes.key.head(B::slice(&value), index, asked),
                        false,
                    );
                }
            },
        );
    };
    // SAFETY: the heads' columns make up the width, and every example is visited.
    let out = unsafe { B::create(sizes.query.shape(n), fill) };
    // SAFETY: every example and head has written its part.
    unsafe { weights.set_len(n * of_example) };
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
        let sizes = &self.sizes;
        let (n, sides) = (sizes.n, [sizes.query, sizes.key, sizes.key]);
        let (q, t, part) = (sizes.query.rows, sizes.key.rows, sizes.query.part);
        // an unwanted gradient takes a single number an example
        let wanted = [query, key, value];
        let count = |tensor: usize| {
            if wanted[tensor] {
                sides[tensor].size()
            } else {
                1
            }
        };
        let counts = [0, 1, 2].map(count);
        let [mut queries, mut keys, mut values] = counts.map(|count| vec![0.0f32; n * count]);
        for_each(
            n,
            [
                (&mut queries, counts[0]),
                (&mut keys, counts[1]),
                (&mut values, counts[2]),
            ],
            |index, [queries, keys, values]| {
                let mut scores = vec![0.0; q * t];
                let mut masked = Vec::new();
                for head in 0..sizes.query.heads {
                    let (start, asked) = (head * part, head / sizes.group());
                    // heads that share keys and values add to their gradients
                    let add = head % sizes.group() > 0;
                    let first = sizes.first_weight(index, head);
                    let weights = &self.weights[first..][..q * t];
                    let delta = sizes.query.head(B::slice(&grad), index, head);
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
                            initialised(&mut values[asked * part..]),
                            sizes.key.width(),
                            Matrix::row_major(multiplied, t).t(),
                            delta,
                            add,
                        );
                    }
                    if !query && !key {
                        continue;
                    }
                    gemm(
                        [q, t, part],
                        initialised(&mut scores),
                        t,
                        delta,
                        sizes.key.head(B::slice(&self.value), index, asked).t(),
                        false,
                    );
                    if let Some(mask) = &self.mask {
                        apply(mask, &mut scores, first);
                    }
                    simd::dispatch(SoftmaxBackward {
                        grad: &mut scores,
                        weights,
                        width: t,
                        scale: sizes.scale(),
                    });
                    let scores = Matrix::row_major(&scores, t);
                    if query {
                        gemm(
                            [q, part, t],
                            initialised(&mut queries[start..]),
                            sizes.query.width(),
                            scores,
                            sizes.key.head(B::slice(&self.key), index, asked),
                            false,
                        );
                    }
                    if key {
                        gemm(
                            [t, part, q],
                            initialised(&mut keys[asked * part..]),
                            sizes.key.width(),
                            scores.t(),
                            sizes.query.head(B::slice(&self.query), index, head),
                            add,
                        );
                    }
                }
            },
        );
        let mut made = [queries, keys, values].into_iter().zip(sides).zip(wanted);
        [(); 3].map(|()| {
            let ((values, side), wanted) = made.next().expect("there are three");
            wanted.then(|| host::from_slice::<B>(&values, side.shape(n)))
        })
    }
}
