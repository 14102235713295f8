//! Layers that are read when it is their turn: from the mapped files, or, on a GPU with room for them in the type of these
//! files, from there.

use burn::tensor::{DType, Device};

use super::layer::Layer;
use super::read_ahead::ReadAhead;
use crate::checkpoints::shards::ShardsError;
use crate::models::load::Narrow;

/// Where the layers of a network come from.
#[derive(Debug)]
pub struct Source {
    layers: ReadAhead<Layer>,
    /// Bytes of the layers that are kept on the device.
    resident: u64,
}

/// Where weights are.
#[derive(Debug)]
struct Origin {
    weights: Narrow,
    device: Device,
    /// Blank, or on the device without rounding.
    layers: Vec<Layer>,
    resident: bool,
}

impl Source {
    /// Of blank layers without adapters, whose `weights` have been found to be there and finite; kept on the device
    /// in the type of the files with `resident`.
    ///
    /// # Errors
    /// Weights that cannot be read any more.
    pub fn new(
        weights: Narrow,
        blank: Vec<Layer>,
        device: &Device,
        resident: bool,
    ) -> Result<Self, ShardsError> {
        let mut origin = Origin {
            weights,
            device: device.clone(),
            layers: blank,
            resident: false,
        };
        if resident {
            for index in 0..origin.layers.len() {
                let mut layer = origin.layer(index)?;
                for mut parameter in layer.parameters() {
                    parameter.slot.cast(origin.weights.dtype(&parameter.name));
                }
                origin.layers[index] = layer;
            }
            origin.resident = true;
        }
        Ok(Self {
            resident: origin.bytes_kept(),
            layers: ReadAhead::new(move |index| origin.read(index)),
        })
    }

    /// Bytes of the layers that are kept on the device.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// A layer with its weights in f32, without adapters; `next` is read meanwhile. The last one given and `next` are all
    /// that is kept.
    ///
    /// # Panics
    /// When the files have become unreadable.
    pub fn fetch(&self, index: usize, next: Option<usize>) -> Layer {
        self.layers.fetch(index, next)
    }
}

impl Origin {
    /// Of the layers that are on the device without rounding.
    fn bytes_kept(&self) -> u64 {
        if !self.resident {
            return 0;
        }
        let bytes = |mut layer: Layer| -> u64 {
            let parameters = layer.parameters();
            parameters.iter().map(|p| p.slot.bytes()).sum()
        };
        self.layers.iter().cloned().map(bytes).sum()
    }

    fn read(&self, index: usize) -> Layer {
        let layer = self.layer(index);
        layer.unwrap_or_else(|error| panic!("weights that were readable no longer are: {error}"))
    }

    fn layer(&self, index: usize) -> Result<Layer, ShardsError> {
        let mut layer = self.layers[index].clone();
        let mut parameters = layer.parameters();
        if self.resident {
            parameters.iter_mut().for_each(|p| p.slot.cast(DType::F32));
        } else {
            self.weights.load(parameters, &self.device)?;
        }
        Ok(layer)
    }
}
