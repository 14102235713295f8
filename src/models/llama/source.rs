//! Layers that are read when it is their turn: from the mapped files, or, on a GPU with room for them in the type of these
//! files, from there.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;

use burn::tensor::{DType, Device};

use super::layer::Layer;
use crate::checkpoints::shards::ShardsError;
use crate::models::load::Narrow;

/// What [`Source::fetch`] expects.
const HELD: &str = "nobody panics while holding it";

/// Where the layers of a network come from.
#[derive(Debug)]
pub struct Source {
    origin: Arc<Origin>,
    state: Mutex<State>,
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

/// What is in memory.
#[derive(Debug, Default)]
struct State {
    current: Option<(usize, Layer)>,
    next: Option<(usize, JoinHandle<Layer>)>,
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
            origin: Arc::new(origin),
            state: Mutex::default(),
        })
    }

    /// Bytes of the layers that are kept on the device.
    pub fn resident(&self) -> u64 {
        if !self.origin.resident {
            return 0;
        }
        let bytes = |mut layer: Layer| -> u64 {
            let parameters = layer.parameters();
            parameters.iter().map(|p| p.slot.bytes()).sum()
        };
        self.origin.layers.iter().cloned().map(bytes).sum()
    }

    /// A layer with its weights in f32, without adapters; `next` is read meanwhile. The last one given and `next` are all
    /// that is kept.
    ///
    /// # Panics
    /// When the files have become unreadable.
    pub fn fetch(&self, index: usize, next: Option<usize>) -> Layer {
        let mut state = self.state.lock().expect(HELD);
        let layer = match state.current.take() {
            Some((current, layer)) if current == index => layer,
            _ => match state.next.take() {
                Some((read, thread)) if read == index => {
                    thread.join().expect("weights were found to be readable")
                }
                _ => self.origin.read(index),
            },
        };
        state.current = Some((index, layer.clone()));
        let pending = state.next.as_ref().map(|(pending, _)| *pending);
        if let Some(next) = next.filter(|next| pending != Some(*next)) {
            let origin = self.origin.clone();
            // another one that is still being read is given up
            state.next = Some((next, std::thread::spawn(move || origin.read(next))));
        }
        layer
    }
}

impl Origin {
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
