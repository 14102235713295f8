//! Rotary position embedding (Su et al., 2021, arXiv 2104.09864), half-split: the first half of a head against the second.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines of the angles of every position.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Cosines, `[1, t, 1, half]` for all examples, or `[n, t, 1, half]`; half is that of the width of a head.
    pub cos: Tensor<4>,
    /// Sines, of the same shape.
    pub sin: Tensor<4>,
}

impl Rotation {
    /// Of cosines and sines row-major `[rows, t, half]`.
    pub fn new([cos, sin]: [Vec<f32>; 2], [rows, t, half]: [usize; 3], device: &Device) -> Self {
        let table = |values| Tensor::from_data(TensorData::new(values, [rows, t, 1, half]), device);
        Self {
            cos: table(cos),
            sin: table(sin),
        }
    }

    /// Those of `t` positions from `first` on.
    #[must_use]
    pub fn narrow(&self, first: usize, t: usize) -> Self {
        Self {
            cos: self.cos.clone().narrow(1, first, t),
            sin: self.sin.clone().narrow(1, first, t),
        }
    }

    /// Of the examples of all, one after another.
    pub fn cat(all: &[Self]) -> Self {
        let join =
            |part: fn(&Self) -> &Tensor<4>| Tensor::cat(all.iter().map(part).cloned().collect(), 0);
        Self {
            cos: join(|rotation| &rotation.cos),
            sin: join(|rotation| &rotation.sin),
        }
    }

    /// Rotates every head of `x`: with its halves x₁ and x₂, (x₁·cos − x₂·sin, x₂·cos + x₁·sin).
    ///
    /// # Shapes
    /// `x` is `[n, t, heads·2·half]`, the heads side by side.
    pub fn turn(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, t, width] = x.dims();
        let half = self.cos.dims()[3];
        let [cos, sin] = [&self.cos, &self.sin].map(|table| table.clone().cast(x.dtype()));
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
            let angles = [(); 2].map(|()| draw(rows * t * half));
            let [cosines, sines] = angles.clone();
            let rotation = Rotation::new(angles, [rows, t, half], &device);
            let found = rotation.turn(Tensor::from_data(input.clone(), &device));
            for (at, found) in to_f32(found.into_data()).into_iter().enumerate() {
                let (token, place) = (at / (heads * 2 * half), at % (2 * half));
                let angle = token % (rows * t) * half + place % half;
                let (cos, sin) = (cosines[angle], sines[angle]);
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
