//! Attention of long sequences, block of queries by block, without keeping its weights: the backward pass computes them
//! anew (Dao et al., 2022, arXiv 2205.14135), which costs one more product of five and saves `[n, heads, q, t]` numbers.

use std::ops::Range;

use burn::tensor::{Shape, Tensor};
use burn_backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::softmax::{Softmax, SoftmaxBackward};
use crate::models::ops::gemm::{Matrix, gemm, initialised};
use crate::models::ops::host::{self, Host, Input, Vjp};
use crate::models::ops::simd;

/// Queries at a time.
const QUERIES: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Sizes {
    n: usize,
    q: usize,
    t: usize,
    heads: usize,
    part: usize,
}

impl Sizes {
    fn width(&self) -> usize {
        self.heads * self.part
    }

    fn scale(&self) -> f32 {
        1.0 / (self.part as f32).sqrt()
    }

    /// The rows from `first` on of head `index` of n · heads in a tensor with `rows` an example.
    fn head<'a>(&self, tensor: &'a [f32], rows: usize, index: usize, first: usize) -> Matrix<'a> {
        let (example, head) = (index / self.heads, index % self.heads);
        let start = (example * rows + first) * self.width() + head * self.part;
        Matrix::row_major(&tensor[start..], self.width())
    }

    /// Blocks of queries.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let q = self.q;
        (0..q)
            .step_by(QUERIES)
            .map(move |first| first..(first + QUERIES).min(q))
    }

    /// The softmax of a block of queries, `[block, t]`.
    fn weights(&self, query: Matrix, key: Matrix, rows: usize, out: &mut [f32]) {
        let dims = [rows, self.t, self.part];
        gemm(dims, initialised(out), self.t, query, key.t(), false);
        simd::dispatch(Softmax {
            rows: out,
            width: self.t,
            keys: |_| 0..self.t,
            scale: self.scale(),
        });
    }

    /// Heads one after another, `[n, heads, rows, part]`, side by side, `[n, rows, heads · part]`.
    fn side_by_side<B: Host>(&self, heads: &[f32], rows: usize) -> FloatTensor<B> {
        let (part, width) = (self.part, self.width());
        let mut out = vec![0.0; heads.len()];
        let examples = out.par_chunks_exact_mut(rows * width);
        examples
            .zip(heads.par_chunks_exact(rows * width))
            .for_each(|(out, heads)| {
                for (head, rows) in heads.chunks_exact(rows * part).enumerate() {
                    let outs = out.chunks_exact_mut(width);
                    for (out, row) in outs.zip(rows.chunks_exact(part)) {
                        out[head * part..(head + 1) * part].copy_from_slice(row);
                    }
                }
            });
        host::from_slice::<B>(&out, Shape::from(vec![self.n, rows, width]))
    }
}

/// See [`super::attention`]; every query looks at every key.
pub fn blocks<B: Host>(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
) -> Tensor<3> {
    let [n, t, _] = key.dims();
    let [_, q, width] = query.dims();
    let sizes = Sizes {
        n,
        q,
        t,
        heads,
        part: width / heads,
    };
    let inputs = [Input::<B>::new(query), Input::new(key), Input::new(value)];
    let [query, key, value] = inputs.each_ref().map(Input::value);
    let [queries, keys, values] = [&query, &key, &value].map(B::slice);
    let part = sizes.part;
    let mut out = vec![0.0; n * q * width];
    out.par_chunks_exact_mut(q * part)
        .enumerate()
        .for_each(|(index, out)| {
            let [key, value] = [keys, values].map(|all| sizes.head(all, t, index, 0));
            let mut weights = vec![0.0; QUERIES.min(q) * t];
            for block in sizes.blocks() {
                let rows = block.len();
                let query = sizes.head(queries, q, index, block.start);
                let weights = &mut weights[..rows * t];
                sizes.weights(query, key, rows, weights);
                let out = initialised(&mut out[block.start * part..]);
                let weights = Matrix::row_major(weights, t);
                gemm([rows, part, t], out, part, weights, value, false);
            }
        });
    let out = sizes.side_by_side::<B>(&out, q);
    let vjp = Blocks::<B> {
        query,
        key,
        value,
        sizes,
    };
    host::output(inputs, out, vjp)
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Blocks<B: Host> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    sizes: Sizes,
}

impl<B: Host> Vjp<B, 3> for Blocks<B> {
    fn backward(self, grad: FloatTensor<B>, wanted: [bool; 3]) -> [Option<FloatTensor<B>>; 3] {
        let sizes = self.sizes;
        let Sizes { n, q, t, part, .. } = sizes;
        let [queries, keys, values] = [&self.query, &self.key, &self.value].map(B::slice);
        let deltas = B::slice(&grad);
        let width = sizes.width();
        let [mut of_queries, mut of_keys, mut of_values] =
            [q, t, t].map(|rows| vec![0.0; n * rows * width]);
        let heads = of_queries.par_chunks_exact_mut(q * part);
        heads
            .zip(of_keys.par_chunks_exact_mut(t * part))
            .zip(of_values.par_chunks_exact_mut(t * part))
            .enumerate()
            .for_each(|(index, ((of_query, of_key), of_value))| {
                let [key, value] = [keys, values].map(|all| sizes.head(all, t, index, 0));
                let size = QUERIES.min(q) * t;
                let (mut weights, mut scores) = (vec![0.0; size], vec![0.0; size]);
                for block in sizes.blocks() {
                    let rows = block.len();
                    let [query, delta] =
                        [queries, deltas].map(|all| sizes.head(all, q, index, block.start));
                    let weights = &mut weights[..rows * t];
                    let scores = &mut scores[..rows * t];
                    sizes.weights(query, key, rows, weights);
                    if wanted[2] {
                        let weights = Matrix::row_major(weights, t).t();
                        gemm(
                            [t, part, rows],
                            initialised(of_value),
                            part,
                            weights,
                            delta,
                            true,
                        );
                    }
                    gemm(
                        [rows, t, part],
                        initialised(scores),
                        t,
                        delta,
                        value.t(),
                        false,
                    );
                    simd::dispatch(SoftmaxBackward {
                        grad: scores,
                        weights,
                        width: t,
                        scale: sizes.scale(),
                    });
                    let scores = Matrix::row_major(scores, t);
                    let of_query = initialised(&mut of_query[block.start * part..]);
                    gemm([rows, part, t], of_query, part, scores, key, false);
                    if wanted[1] {
                        gemm(
                            [t, part, rows],
                            initialised(of_key),
                            part,
                            scores.t(),
                            query,
                            true,
                        );
                    }
                }
            });
        let made = [(of_queries, q), (of_keys, t), (of_values, t)];
        let mut made = made.into_iter().zip(wanted);
        [(); 3].map(|()| {
            let ((heads, rows), wanted) = made.next().expect("there are three");
            wanted.then(|| sizes.side_by_side::<B>(&heads, rows))
        })
    }
}
