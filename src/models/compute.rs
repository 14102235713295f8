//! The precision in which a layer's products with its frozen weights are taken.

use std::fmt;

use burn::tensor::{DType, Tensor};
use half::bf16;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The precision of the products x Wᵀ with the frozen matrices of a language model's layers. Adapters, norms, the softmax of
/// attention, the embedding and the logits are in f32 in all of them. The numbers are those of the narrower type, the
/// products are added up in f32: it shows what precision does, and saves neither time nor memory.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// float32
    #[default]
    F32,
    /// Weights, inputs and outputs rounded to bfloat16, and so are the gradients that flow through them
    Bf16,
    /// Weights rounded to 8 bits by row: w ≈ q·m/127, m the largest |w| of the row, q a whole number
    Int8,
    /// LLM.int8 (Dettmers et al., 2022, arXiv 2208.07339), as bitsandbytes computes it: weights as for int8; inputs rounded
    /// to 8 bits by position, but for the columns in which an example has a number of 6 or more
    #[value(name = "llm_int8")]
    LlmInt8,
}

/// |x| from which a column is kept as it is in LLM.int8.
const OUTLIER: f32 = 6.0;
/// Largest whole number of 8 bits.
const LEVELS: f32 = 127.0;

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::LlmInt8 => "llm_int8",
        })
    }
}

impl Compute {
    /// Whether inputs are rounded, too.
    pub fn rounds_inputs(self) -> bool {
        matches!(self, Self::Bf16 | Self::LlmInt8)
    }

    /// Rounds a matrix W of a layer, row-major with rows of `width` numbers.
    pub fn round_weight(self, values: &mut [f32], width: usize) {
        match self {
            Self::F32 => (),
            Self::Bf16 => values
                .iter_mut()
                .for_each(|value| *value = bf16::from_f32(*value).to_f32()),
            Self::Int8 | Self::LlmInt8 => values.chunks_exact_mut(width.max(1)).for_each(|row| {
                let largest = row.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
                if largest > 0.0 {
                    let (up, down) = (LEVELS / largest, largest / LEVELS);
                    row.iter_mut()
                        .for_each(|w| *w = (*w * up).round_ties_even() * down);
                }
            }),
        }
    }

    /// The input of a product, `[n, t, in]`. Gradients pass LLM.int8's rounding as they are, as in bitsandbytes.
    pub fn input(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::F32 | Self::Int8 => x,
            Self::Bf16 => to_bf16_and_back(x),
            Self::LlmInt8 => {
                let values = x.clone().inner();
                x + (to_8_bits(values.clone()) - values)
            }
        }
    }

    /// The output of a product.
    pub fn output(self, y: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Bf16 => to_bf16_and_back(y),
            _ => y,
        }
    }
}

/// Rounds numbers, and on the way back their gradients.
fn to_bf16_and_back(x: Tensor<3>) -> Tensor<3> {
    let own = x.dtype();
    x.cast(DType::BF16).cast(own)
}

/// Rounded by position to multiples of m/127, m the largest number of the position below [`OUTLIER`]; a column with a
/// number beyond in some position of the example is left as it is.
fn to_8_bits(x: Tensor<3>) -> Tensor<3> {
    let shape = x.dims();
    let beyond = x.clone().abs().greater_equal_elem(OUTLIER);
    let largest = x.clone().mask_fill(beyond.clone(), 0.0).abs().max_dim(2);
    let step = largest.clamp_min(f32::MIN_POSITIVE) / LEVELS;
    let rounded = (x.clone() / step.clone()).round() * step;
    let columns = beyond.any_dim(1).expand(shape);
    rounded.mask_where(columns, x)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;
    use crate::random;

    fn draw(count: usize) -> Vec<f32> {
        let mut rng = random::rng(1, "compute", "test");
        (0..count)
            .map(|_| rng.random::<f32>() * 4.0 - 2.0)
            .collect()
    }

    #[test]
    fn weights_are_the_nearest_of_255_levels_of_their_row() {
        let weights = draw(5 * 40);
        let mut rounded = weights.clone();
        Compute::Int8.round_weight(&mut rounded, 40);
        for (row, rounded) in weights.chunks(40).zip(rounded.chunks(40)) {
            let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            for (w, found) in row.iter().zip(rounded) {
                let levels = (-127..=127).map(|q| q as f32 * largest / 127.0);
                let nearest = levels.min_by(|a, b| (a - w).abs().total_cmp(&(b - w).abs()));
                // a product and a quotient apart
                assert!((found - nearest.unwrap()).abs() <= 2.0 * f32::EPSILON * largest);
            }
        }
        let mut zeros = vec![0.0; 8];
        Compute::LlmInt8.round_weight(&mut zeros, 4);
        assert_eq!(zeros, [0.0; 8]);
    }

    /// bitsandbytes' rule, a number at a time.
    fn obvious(x: &[f32], [n, t, width]: [usize; 3]) -> Vec<f32> {
        let at = |i: usize, j: usize, k: usize| x[(i * t + j) * width + k];
        let mut out = Vec::new();
        for i in 0..n {
            for j in 0..t {
                let mut largest = 0.0f32;
                for k in 0..width {
                    if at(i, j, k).abs() < 6.0 {
                        largest = largest.max(at(i, j, k).abs());
                    }
                }
                for k in 0..width {
                    let outlier = (0..t).any(|j| at(i, j, k).abs() >= 6.0);
                    out.push(if outlier {
                        at(i, j, k)
                    } else {
                        (at(i, j, k) * 127.0 / largest).round() * largest / 127.0
                    });
                }
            }
        }
        out
    }

    #[test]
    fn outlier_columns_of_an_example_stay_and_the_rest_is_rounded_by_position() {
        let shape = [2, 3, 7];
        let mut values = draw(42);
        values[9] = -6.0; // column 2 of the first example
        values[30] = 40.0; // column 2 of the second
        let data = TensorData::new(values.clone(), shape);
        let x = Tensor::<3>::from_data(data, &DeviceChoice::Flex.inner());
        let found = to_f32(Compute::LlmInt8.input(x.clone()).into_data());
        let expected = obvious(&values, shape);
        let mut moved = 0;
        for ((found, expected), value) in found.iter().zip(&expected).zip(&values) {
            // a correction is added to numbers below 6
            assert!((found - expected).abs() <= 4.0 * f32::EPSILON * expected.abs().max(1.0));
            moved += usize::from(found != value);
        }
        assert!(moved > 30 && found[9] == -6.0 && found[30] == 40.0);
        // gradients pass as they are
        let leaf = x.autodiff().require_grad();
        let factors = Tensor::<3>::from_data(
            TensorData::new(draw(42), shape),
            &leaf.clone().inner().device(),
        );
        let out = Compute::LlmInt8.input(leaf.clone()) * factors.clone().autodiff();
        let grads = out.sum().backward();
        let grad = leaf.grad(&grads).unwrap();
        assert_eq!(to_f32(grad.into_data()), to_f32(factors.into_data()));
    }

    #[test]
    fn bf16_rounds_numbers_and_gradients() {
        let values = draw(12);
        let round = |value: &f32| bf16::from_f32(*value).to_f32();
        let device = DeviceChoice::Flex.inner();
        let tensor = |values: &[f32]| {
            Tensor::<3>::from_data(TensorData::new(values.to_vec(), [1, 3, 4]), &device)
        };
        let leaf = tensor(&values).autodiff().require_grad();
        let out = Compute::Bf16.input(leaf.clone());
        let expected: Vec<f32> = values.iter().map(round).collect();
        assert_eq!(to_f32(out.clone().inner().into_data()), expected);
        let factors: Vec<f32> = values.iter().map(|v| v * 1.001).collect();
        let grads = (out * tensor(&factors).autodiff()).sum().backward();
        let expected: Vec<f32> = factors.iter().map(round).collect();
        assert_eq!(to_f32(leaf.grad(&grads).unwrap().into_data()), expected);
        let mut weights = values.clone();
        Compute::Bf16.round_weight(&mut weights, 4);
        assert_eq!(weights, values.iter().map(round).collect::<Vec<_>>());
    }
}
