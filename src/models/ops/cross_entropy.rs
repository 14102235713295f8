//! Cross-entropy of one token a row, over a vocabulary of any size.

use burn::tensor::{Int, Shape, Tensor, TensorData, activation};
use burn_backend::tensor::FloatTensor;
use std::sync::Arc;

use super::host::{self, Host, Input, Vjp, on_host};
use super::simd::{self, Kernel};

/// −log softmax(logits)\[token\] of every row, in nats.
///
/// # Shapes
/// `logits` is `[k, vocabulary]`, `tokens` has k ids below the vocabulary; the result is `[k, 1]`.
///
/// # Panics
/// When there are not as many tokens as rows.
pub fn cross_entropy(logits: Tensor<2>, tokens: &[u32]) -> Tensor<2> {
    assert_eq!(logits.dims()[0], tokens.len(), "a token for every row");
    on_host!(&logits, fused(logits, tokens), composed(logits, tokens))
}

fn composed(logits: Tensor<2>, tokens: &[u32]) -> Tensor<2> {
    let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
    let ids = TensorData::new(ids, [tokens.len(), 1]);
    let ids = Tensor::<2, Int>::from_data(ids, &logits.clone().inner().device());
    activation::log_softmax(logits, 1).gather(1, ids).neg()
}

fn fused<B: Host>(logits: Tensor<2>, tokens: &[u32]) -> Tensor<2> {
    let width = logits.dims()[1];
    let inputs = [Input::<B>::new(logits)];
    let [logits] = inputs.each_ref().map(Input::value);
    let mut normalisers = vec![0.0; tokens.len()];
    simd::dispatch(Normalise {
        logits: B::slice(&logits),
        width,
        normalisers: &mut normalisers,
    });
    let rows = B::slice(&logits).chunks_exact(width).zip(tokens);
    let losses = rows.zip(&normalisers);
    let losses: Vec<f32> = losses
        .map(|((row, &token), normaliser)| normaliser - row[token as usize])
        .collect();
    let out = host::from_slice::<B>(&losses, Shape::from(vec![tokens.len(), 1]));
    let vjp = CrossEntropy::<B> {
        logits,
        tokens: tokens.into(),
        normalisers,
        width,
    };
    host::output(inputs, out, vjp)
}

/// log Σ eˣ of every row.
struct Normalise<'a> {
    logits: &'a [f32],
    width: usize,
    normalisers: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    #[inline(always)]
    fn run(self) {
        /// Terms that are added up in f32 before their sum is added in f64.
        const PART: usize = 256;
        let rows = self.logits.chunks_exact(self.width);
        for (row, normaliser) in rows.zip(self.normalisers) {
            let largest = simd::largest(row);
            let mut sum = 0.0;
            let mut terms = [0.0; PART];
            for part in row.chunks(PART) {
                for (term, value) in terms.iter_mut().zip(part) {
                    *term = simd::exp_negative(value - largest);
                }
                sum += f64::from(simd::sum(&terms[..part.len()]));
            }
            *normaliser = (f64::from(largest) + sum.ln()) as f32;
        }
    }
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct CrossEntropy<B: Host> {
    logits: FloatTensor<B>,
    tokens: Arc<[u32]>,
    normalisers: Vec<f32>,
    width: usize,
}

impl<B: Host> Vjp<B, 1> for CrossEntropy<B> {
    /// g·(softmax − 1 at the token), in the place of the logits.
    fn backward(mut self, grad: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let grad = B::slice(&grad);
        let logits = B::slice_mut(&mut self.logits);
        simd::dispatch(Backward {
            logits,
            grad,
            width: self.width,
            normalisers: &self.normalisers,
        });
        let rows = logits.chunks_exact_mut(self.width).zip(&*self.tokens);
        for ((row, &token), grad) in rows.zip(grad) {
            row[token as usize] -= grad;
        }
        [Some(self.logits)]
    }
}

/// In place: x ← g·e^(x − normaliser).
struct Backward<'a> {
    logits: &'a mut [f32],
    grad: &'a [f32],
    width: usize,
    normalisers: &'a [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let rows = self.logits.chunks_exact_mut(self.width);
        for ((row, grad), normaliser) in rows.zip(self.grad).zip(self.normalisers) {
            for value in row {
                *value = grad * simd::exp_negative(*value - normaliser);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradient() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "cross entropy", "test");
        for (k, width) in [(1, 1), (3, 7), (4, 1000)] {
            let logits: Vec<f32> = (0..k * width)
                .map(|_| rng.random::<f32>() * 20.0 - 10.0)
                .collect();
            let tokens: Vec<u32> = (0..k).map(|_| rng.random_range(0..width as u32)).collect();
            let mix: Vec<f32> = (0..k).map(|_| rng.random::<f32>() - 0.5).collect();
            let run = |operation: fn(Tensor<2>, &[u32]) -> Tensor<2>| {
                let data = TensorData::new(logits.clone(), [k, width]);
                let leaf = Tensor::<2>::from_data(data, &inner)
                    .autodiff()
                    .require_grad();
                let out = operation(leaf.clone(), &tokens);
                let mix = TensorData::new(mix.clone(), [k, 1]);
                let mix = Tensor::<2>::from_data(mix, &inner);
                let grads = (out.clone() * mix).sum().backward();
                let grad = leaf.grad(&grads).expect("a leaf");
                [out.inner(), grad].map(|tensor| to_f32(tensor.into_data()))
            };
            for (fused, composed) in run(cross_entropy).iter().zip(&run(composed)) {
                for (fused, composed) in fused.iter().zip(composed) {
                    // losses up to 20, with sums of up to 1000 terms
                    let error = (fused - composed).abs();
                    assert!(error <= 1e-5, "{width}: {fused} against {composed}");
                }
            }
        }
    }
}
