//! From the gradient of the output to that of x, past the taps.

use burn::tensor::Shape;
use burn_backend::tensor::FloatTensor;

use super::super::attention::SoftmaxBackward;
use super::super::gemm::{Matrix, gemm, initialised};
use super::super::host::{self, Host, Vjp, product};
use super::super::layer_norm;
use super::super::simd;
use super::kernels::Times;
use super::state::{Saved, Sizes, Taps, Weights};

/// What is recorded for the backward pass.
#[derive(Clone, Debug)]
pub struct Backward<B: Host> {
    /// Constants.
    pub weights: Weights<B>,
    /// Shapes.
    pub sizes: Sizes,
    /// Of the forward pass.
    pub saved: Saved,
    /// Matrices whose δ is wanted.
    pub tapped: [bool; 6],
    /// Whether nobody asks for the gradient of the input.
    pub bottom: bool,
    /// Where δ goes.
    pub taps: Taps,
}

impl<B: Host> Backward<B> {
    fn tap(&self, site: usize, delta: &[f32], rows: usize) {
        if !self.tapped[site] {
            return;
        }
        let n = self.sizes.n;
        let shape = Shape::from(vec![n, rows, delta.len() / (n * rows).max(1)]);
        let tensor = host::constant::<B, 3>(host::from_slice::<B>(delta, shape));
        self.taps.lock().expect("nobody panics while holding it")[site] = Some(tensor);
    }

    /// δ of a normalisation's input from that of its output, in place.
    fn norm(&self, index: usize, grad: &mut [f32]) {
        simd::dispatch(layer_norm::Backward {
            grad,
            normal: &self.saved.normal[index],
            gamma: B::slice(&self.weights.norms[index].0),
            inverse: &self.saved.inverse[index],
        });
    }

    /// δ at query, key and value from that at the context; unwanted ones are empty.
    fn attention(&self, context: &[f32], wanted: [bool; 3]) -> [Vec<f32>; 3] {
        let &Sizes { n, q, t, h, .. } = &self.sizes;
        let part = self.sizes.part();
        let heads = self.sizes.heads;
        let counts = [q, t, t].map(|rows| n * rows * h);
        let mut deltas: [Vec<f32>; 3] =
            std::array::from_fn(|i| Vec::with_capacity(if wanted[i] { counts[i] } else { 0 }));
        let [queries, keys, values] = deltas.each_mut().map(Vec::spare_capacity_mut);
        let mut scores = vec![0.0; q * t];
        let of = |rows| Matrix::row_major(rows, h);
        for example in 0..n {
            let (asked, asking) = (example * t * h, example * q * h);
            for head in 0..heads {
                let start = head * part;
                let weights = &self.saved.attention[(example * heads + head) * q * t..][..q * t];
                let delta = of(&context[asking + start..]);
                if wanted[2] {
                    gemm(
                        [t, part, q],
                        &mut values[asked + start..],
                        h,
                        Matrix::row_major(weights, t).t(),
                        delta,
                        false,
                    );
                }
                if !wanted[0] && !wanted[1] {
                    continue;
                }
                let value = of(&self.saved.value[asked + start..]);
                gemm(
                    [q, t, part],
                    initialised(&mut scores),
                    t,
                    delta,
                    value.t(),
                    false,
                );
                simd::dispatch(SoftmaxBackward {
                    grad: &mut scores,
                    weights,
                    width: t,
                    scale: self.sizes.scale(),
                });
                let scores = Matrix::row_major(&scores, t);
                if wanted[0] {
                    gemm(
                        [q, part, t],
                        &mut queries[asking + start..],
                        h,
                        scores,
                        of(&self.saved.key[asked + start..]),
                        false,
                    );
                }
                if wanted[1] {
                    gemm(
                        [t, part, q],
                        &mut keys[asked + start..],
                        h,
                        scores.t(),
                        of(&self.saved.query[asking + start..]),
                        false,
                    );
                }
            }
        }
        for ((delta, wanted), count) in deltas.iter_mut().zip(wanted).zip(counts) {
            if wanted {
                // SAFETY: every example and head has written its columns.
                unsafe { delta.set_len(count) };
            }
        }
        deltas
    }
}

impl<B: Host> Vjp<B, 1> for Backward<B> {
    fn backward(self, mut grad: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let &Sizes { n, q, t, h, f, .. } = &self.sizes;
        let weights = &self.weights;
        let delta = B::slice_mut(&mut grad);
        self.norm(1, delta);
        self.tap(5, delta, q);
        let mut wide = product::<B>(
            [n * q, f, h],
            Matrix::row_major(delta, h),
            weights.matrix(5),
        );
        simd::dispatch(Times(&mut wide, &self.saved.slope));
        self.tap(4, &wide, q);
        let onto = |out: &mut [f32], lhs: &[f32], site: usize, rows: usize, width: usize| {
            B::gemm(
                [rows, h, width],
                initialised(out),
                Matrix::row_major(lhs, width),
                weights.matrix(site),
                true,
            );
        };
        onto(delta, &wide, 4, n * q, f);
        drop(wide);
        self.norm(0, delta);
        self.tap(3, delta, q);
        let context = product::<B>(
            [n * q, h, h],
            Matrix::row_major(delta, h),
            weights.matrix(3),
        );
        let wanted = std::array::from_fn(|site| self.tapped[site] || !self.bottom);
        let [query, key, value] = self.attention(&context, wanted);
        for (site, delta, rows) in [(0, &query, q), (1, &key, t), (2, &value, t)] {
            self.tap(site, delta, rows);
        }
        if self.bottom {
            return [None];
        }
        onto(delta, &query, 0, n * q, h);
        if q == t {
            onto(delta, &key, 1, n * t, h);
            onto(delta, &value, 2, n * t, h);
            return [Some(grad)];
        }
        let mut all = vec![0.0; n * t * h];
        for (all, delta) in all.chunks_exact_mut(t * h).zip(delta.chunks_exact(q * h)) {
            all[..q * h].copy_from_slice(delta);
        }
        onto(&mut all, &key, 1, n * t, h);
        onto(&mut all, &value, 2, n * t, h);
        [Some(host::from_slice::<B>(
            &all,
            Shape::from(vec![n, t, h]),
        ))]
    }
}
