//! What the rest of the program asks of an architecture, whichever it is.

use std::path::Path;

use burn::tensor::Device;

use super::batch::InputShape;
use super::error::ModelError;
use super::loading::Loading;
use super::model::Model;
use super::parameter::Role;
use super::pretrain::PretrainConfig;
use crate::data::Reads;
use crate::input::Problem;

/// An architecture, as its settings describe it.
pub trait Architecture {
    /// The kinds of examples that the network reads.
    fn reads() -> &'static [Reads]
    where
        Self: Sized;

    /// The first contradiction between its settings, with the field that it is about. Ranges of single fields are in the
    /// schema; what the files of a checkpoint say is checked when they are read.
    fn problem(&self) -> Option<(&'static str, Problem)> {
        None
    }

    /// The network with blank parameters, for `input`; a classifier has `classes`.
    ///
    /// # Errors
    /// When the network cannot read the input, or the settings of a checkpoint cannot be read.
    fn blank(
        &self,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError>;

    /// The network with all parameters drawn from `seed`, or those of a checkpoint.
    ///
    /// # Errors
    /// As [`Self::blank`], or when weights cannot be loaded.
    fn build(
        &self,
        input: &InputShape,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Model, ModelError> {
        let mut model = self.blank(input, classes, device)?;
        model.initialise(&[Role::Base, Role::Head], seed);
        Ok(model)
    }

    /// An input that the network reads, as small as there are.
    ///
    /// # Errors
    /// When the settings of a checkpoint cannot be read.
    fn smallest_input(&self) -> Result<InputShape, ModelError> {
        Ok(InputShape::Features {
            tokens: 1,
            features: 1,
        })
    }

    /// How the base is pretrained; `None` leaves it as it was built.
    fn pretrain(&self) -> Option<&PretrainConfig>;

    /// The folder whose tokenizer reads texts; `None` for models without a tokenizer.
    fn tokenizer(&self) -> Option<&Path> {
        None
    }

    /// The folder of the checkpoint that the base is; `None` for networks of our own.
    fn checkpoint(&self) -> Option<&Path> {
        None
    }

    /// The commit of a checkpoint of the hub, once it has been looked up.
    fn commit(&self) -> Option<&str> {
        None
    }

    /// How the weights of a checkpoint are held and multiplied with.
    fn loading(&self) -> Loading {
        Loading::default()
    }

    /// `lora.targets` where the experiment says nothing.
    fn default_targets(&self) -> &'static [&'static str] {
        &["value"]
    }
}

/// The first of some sizes that is 0, as [`Architecture::problem`] tells it.
pub fn empty(sizes: &[(&'static str, usize)]) -> Option<(&'static str, Problem)> {
    let found = sizes.iter().find(|(_, size)| *size == 0);
    found.map(|(field, _)| {
        (
            *field,
            Problem::new("0 is out of range; allowed: at least 1"),
        )
    })
}
