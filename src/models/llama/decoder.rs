//! Continuing texts with kept keys and values.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use super::network::Llama;
use super::positions::{Positions, real};
use super::rotation::Rotation;
use crate::models::decoder::{Cache, Decoder};

impl Decoder for Llama {
    fn begin(&self, ids: Tensor<2, Int>, lengths: &[usize], room: usize) -> (Tensor<3>, Cache) {
        let [n, t] = ids.dims();
        let mut x = self.embed_ids(ids);
        let real = real(lengths, t, &x.device());
        let at = Positions {
            rotation: self.rope().rotation(0, t, None, &x.device()),
            keys: Some(lengths),
            real: self.sees_padding().then(|| real.clone()),
        };
        let mut layers = Vec::new();
        for layer in self.stack(0..self.depth()) {
            x = layer.step(x, &at, |new| {
                layers.push(new.clone().map(|kept| {
                    let (width, device) = (kept.dims()[2], kept.device());
                    // what is added to later has to be 0
                    let kept = kept * real.clone();
                    Tensor::cat(vec![kept, Tensor::zeros([n, room - t, width], &device)], 1)
                }));
                new
            });
        }
        let cache = Cache {
            layers,
            lengths: lengths.to_vec(),
            room,
        };
        (self.normalise(x), cache)
    }

    fn step(&self, ids: Tensor<2, Int>, cache: &mut Cache) -> Tensor<3> {
        assert!(cache.lengths.iter().all(|&length| length < cache.room));
        let mut x = self.embed_ids(ids);
        let device = x.device();
        let lengths = cache.lengths.iter();
        let angles = lengths.map(|&length| self.rope().rotation(length, 1, None, &device));
        let rotation = Rotation::cat(&angles.collect::<Vec<_>>());
        let places: Vec<i64> = cache.lengths.iter().map(|&length| length as i64).collect();
        let n = places.len();
        let places = TensorData::new(places, [n, 1, 1]);
        let places: Tensor<3, Int> = Tensor::from_data(places, &device);
        cache.lengths.iter_mut().for_each(|length| *length += 1);
        let at = Positions {
            rotation,
            keys: Some(&cache.lengths),
            real: None,
        };
        for (layer, kept) in self.stack(0..self.depth()).zip(&mut cache.layers) {
            x = layer.step(x, &at, |new| {
                for (kept, new) in kept.iter_mut().zip(new) {
                    let places = places.clone().expand([n, 1, new.dims()[2]]);
                    let whole = kept.clone();
                    *kept = whole.scatter(1, places, new, IndexingUpdateOp::Add);
                }
                kept.clone()
            });
        }
        self.normalise(x)
    }

    fn keeps_keys(&self, tokens: usize) -> bool {
        !self.rope().changes_with_length(tokens)
    }
}
