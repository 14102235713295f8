//! Rotary position embedding (Su et al., 2021, arXiv 2104.09864), half-split: the first half of a head against the second.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

/// Cosines and sines of the angles of every position.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    /// Half the width of a head: angles of a position.
    pub half: usize,
    /// Cosines, row-major `[t, half]` for all examples, or `[n, t, half]`.
    pub cos: Arc<[f32]>,
    /// Sines, of the same shape.
    pub sin: Arc<[f32]>,
}

impl Rotation {
    /// Rotates every head of `x`: with its halves x₁ and x₂, (x₁·cos − x₂·sin, x₂·cos + x₁·sin).
    ///
    /// # Shapes
    /// `x` is `[n, t, heads·2·half]`, the heads side by side.
    pub fn turn(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, t, width] = x.dims();
        let half = self.half;
        let device = x.clone().inner().device();
        let table = |values: &[f32]| -> Tensor<4> {
            let rows = values.len() / (t * half);
            let data = TensorData::new(values.to_vec(), [rows, t, 1, half]);
            Tensor::<4>::from_data(data, &device).cast(x.dtype())
        };
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let heads: Tensor<4> = x.reshape([n, t, width / (2 * half), 2 * half]);
        let first = heads.clone().narrow(3, 0, half);
        let second = heads.narrow(3, half, half);
        let turned = first.clone() * cos.clone() - second.clone() * sin.clone();
        Tensor::cat(vec![turned, second * cos + first * sin], 3).reshape([n, t, width])
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    /// Element by element, for angles that examples share and for angles of their own.
    #[test]
    fn turns_every_pair_of_every_head() {
        let device = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "rotation", "test");
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| rng.random::<f32>() * 2.0 - 1.0)
                .collect()
        };
        let (n, t, heads, half) = (3, 5, 2, 4);
        let x = draw(n * t * heads * 2 * half);
        let input = TensorData::new(x.clone(), [n, t, heads * 2 * half]);
        for rows in [1, n] {
            let rotation = Rotation {
                half,
                cos: draw(rows * t * half).into(),
                sin: draw(rows * t * half).into(),
            };
            let found = rotation.turn(Tensor::from_data(input.clone(), &device));
            for (at, found) in to_f32(found.into_data()).into_iter().enumerate() {
                let (token, place) = (at / (heads * 2 * half), at % (2 * half));
                let angle = token % (rows * t) * half + place % half;
                let (cos, sin) = (rotation.cos[angle], rotation.sin[angle]);
                let expected = if place < half {
                    x[at] * cos - x[at + half] * sin
                } else {
                    x[at] * cos + x[at - half] * sin
                };
                // sums of two products below 1
                assert!((found - expected).abs() <= 4.0 * f32::EPSILON, "{at}");
            }
        }
    }
}
