//! What every layer is told of the positions of a batch.

use burn::tensor::{Device, Tensor, TensorData};

use super::rope::Rope;
use super::rotation::Rotation;
use crate::models::batch::Batch;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Positions<'a> {
    /// Angles of the rotary embedding.
    pub rotation: Rotation,
    /// How many leading positions of every example are looked at; `None`: all.
    pub keys: Option<&'a [usize]>,
    /// 1 at real positions and 0 at padding, `[n, t, 1]`, where padding would take part in a rounding.
    pub real: Option<Tensor<3>>,
}

impl<'a> Positions<'a> {
    /// Of a batch of width t.
    pub fn of(batch: &'a Batch, t: usize, rope: &Rope, sees_padding: bool) -> Self {
        let lengths = batch.lengths.as_deref();
        let masked = lengths.filter(|_| sees_padding);
        Self {
            rotation: rope.rotation(0, t, lengths, &batch.device),
            keys: batch.keys(),
            real: masked.map(|lengths| real(lengths, t, &batch.device)),
        }
    }

    /// The input of a product, without padding where that would be seen.
    pub fn masked(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.real {
            None => x,
            Some(real) => x * real.clone(),
        }
    }
}

/// 1 at real positions and 0 at padding, `[n, t, 1]`.
pub fn real(lengths: &[usize], t: usize, device: &Device) -> Tensor<3> {
    let ones = lengths
        .iter()
        .flat_map(|&length| (0..t).map(move |position| f32::from(u8::from(position < length))));
    let ones = TensorData::new(ones.collect::<Vec<f32>>(), [lengths.len(), t, 1]);
    Tensor::from_data(ones, device)
}
