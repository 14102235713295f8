//! What a config.json says, whichever family it is of.

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Device;

use crate::input::Problem;
use crate::models::batch::InputShape;
use crate::models::dropout::DropoutProbabilities;
use crate::models::error::ModelError;
use crate::models::family::Family;
use crate::models::loading::Loading;
use crate::models::model::Model;
use crate::models::network::Network;

/// A network that config.json describes.
pub trait Described: Debug + Send + Sync {
    /// The network with blank parameters; an encoder has a head for `classes`.
    fn network(&self, classes: usize, device: &Device) -> Box<dyn Network>;
}

/// What config.json says of a network.
#[derive(Clone, Debug)]
pub struct HuggingFaceConfig {
    /// The family.
    pub family: &'static Family,
    /// Token ids.
    pub vocabulary: usize,
    /// Longest sequence that has positions; none for rotary embeddings, which have no end.
    pub longest: Option<usize>,
    /// Dropout in train mode.
    pub dropout: DropoutProbabilities,
    /// The network.
    pub network: Arc<dyn Described>,
}

impl HuggingFaceConfig {
    /// Whether weights can be held and multiplied with like that.
    ///
    /// # Errors
    /// The setting that this family cannot honour, and what is wrong with it.
    pub fn admits(&self, loading: Loading) -> Result<(), (&'static str, Problem)> {
        if self.family.generates() {
            return Ok(());
        }
        let what = format!("of the family {}", self.family.model_type);
        loading.only_for_language_models(&what).map_or(Ok(()), Err)
    }

    /// The network with blank parameters, for `input`; an encoder has a head for `classes`.
    ///
    /// # Errors
    /// When the input is no tokens, or there are more ids or longer sequences than the network has rows for.
    pub fn blank(
        &self,
        input: &InputShape,
        classes: usize,
        device: &Device,
    ) -> Result<Model, ModelError> {
        let (vocabulary, max_length) = match *input {
            InputShape::Tokens {
                vocabulary,
                max_length,
            } => (vocabulary, max_length),
            InputShape::Features { .. } => return Err(ModelError::FeaturesForCheckpoint),
            InputShape::Latents { .. } => return Err(ModelError::LatentsElsewhere),
        };
        if vocabulary > self.vocabulary {
            return Err(ModelError::Vocabulary {
                found: vocabulary,
                most: self.vocabulary,
            });
        }
        if let Some(most) = self.longest.filter(|&most| max_length > most) {
            return Err(ModelError::TooLong {
                found: max_length,
                most,
            });
        }
        let model = Model::of_network(self.network.network(classes, device), device);
        Ok(model.of_family(self.family, self.dropout))
    }
}
