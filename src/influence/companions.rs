//! What some methods need beside the gradients of the fine-tuned model.

use super::error::InfluenceError;
use crate::data::{Embeddings, HiddenStates, Texts};
use crate::gradients::checkpoints::Checkpoint;
use crate::gradients::factors::{KroneckerFactors, TensorFactors};
use crate::gradients::hessian::Hessians;
use crate::gradients::store::GradientStore;

/// What travels beside the training gradients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Companions<'a> {
    /// Kronecker factors, collected with the training gradients (the empirical Fisher's).
    pub factors: Option<&'a KroneckerFactors>,
    /// The same with labels drawn from the model's own predictions.
    pub sampled: Option<Sampled<'a>>,
    /// Second derivatives of the mean training loss.
    pub hessians: Option<&'a Hessians>,
    /// Gradients along the fine-tune; empty when there are none.
    pub checkpoints: &'a [Checkpoint],
    /// Texts of training examples and queries.
    pub texts: Option<&'a [Texts; 2]>,
    /// Hidden states of training examples and queries.
    pub hidden_states: Option<&'a [HiddenStates; 2]>,
    /// Embeddings of training images and queries.
    pub embeddings: Option<&'a [Embeddings; 2]>,
}

/// What a second pass with labels drawn from the model's own predictions gives.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'a> {
    /// Gradients of the training examples at the drawn labels.
    pub gradients: &'a GradientStore,
    /// Their Kronecker factors.
    pub factors: &'a KroneckerFactors,
}

/// [`Companions`] that were collected or read, owned.
#[derive(Debug, Default)]
pub struct OwnedCompanions {
    /// [`Companions::factors`].
    pub factors: Option<KroneckerFactors>,
    /// [`Companions::sampled`].
    pub sampled: Option<(GradientStore, KroneckerFactors)>,
    /// [`Companions::hessians`].
    pub hessians: Option<Hessians>,
    /// [`Companions::checkpoints`].
    pub checkpoints: Vec<Checkpoint>,
    /// [`Companions::texts`].
    pub texts: Option<[Texts; 2]>,
    /// [`Companions::hidden_states`].
    pub hidden_states: Option<[HiddenStates; 2]>,
    /// [`Companions::embeddings`].
    pub embeddings: Option<[Embeddings; 2]>,
}

impl OwnedCompanions {
    /// As the methods take it.
    pub fn companions(&self) -> Companions<'_> {
        Companions {
            factors: self.factors.as_ref(),
            sampled: self
                .sampled
                .as_ref()
                .map(|(gradients, factors)| Sampled { gradients, factors }),
            hessians: self.hessians.as_ref(),
            checkpoints: &self.checkpoints,
            texts: self.texts.as_ref(),
            hidden_states: self.hidden_states.as_ref(),
            embeddings: self.embeddings.as_ref(),
        }
    }
}

/// What a method needs beside the gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    #[default]
    Nothing,
    /// [`Companions::factors`].
    Factors,
    /// [`Companions::sampled`].
    Sampled,
    /// [`Companions::hessians`], of at most so many parameters over all blocks.
    Hessian {
        /// The most that a run computes.
        limit: usize,
    },
    /// [`Companions::checkpoints`].
    Checkpoints,
    /// [`Companions::texts`].
    Texts,
    /// [`Companions::hidden_states`].
    HiddenStates,
    /// [`Companions::embeddings`].
    Embeddings,
}

impl Need {
    /// What it is and how one comes by it, for messages.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Factors => "Kronecker factors, collected with the gradients",
            Self::Sampled => {
                "gradients and Kronecker factors at labels drawn from the model's predictions"
            }
            Self::Hessian { .. } => {
                "second derivatives of the training loss, computed with a small model or given as files"
            }
            Self::Checkpoints => "gradients at checkpoints of the fine-tune",
            Self::Texts => "the texts of the examples in tokens",
            Self::HiddenStates => "hidden states of a language model's last layer",
            Self::Embeddings => "images and captions of a diffusion model",
        }
    }
}

impl Companions<'_> {
    /// Whether what `need` names is there.
    ///
    /// # Errors
    /// [`InfluenceError::Missing`] naming the method and what it lacks.
    pub fn check(&self, method: &'static str, need: Need) -> Result<(), InfluenceError> {
        let there = match need {
            Need::Nothing => true,
            Need::Factors => self.factors.is_some(),
            Need::Sampled => self.sampled.is_some(),
            Need::Hessian { .. } => self.hessians.is_some(),
            Need::Checkpoints => !self.checkpoints.is_empty(),
            Need::Texts => self.texts.is_some(),
            Need::HiddenStates => self.hidden_states.is_some(),
            Need::Embeddings => self.embeddings.is_some(),
        };
        if there {
            Ok(())
        } else {
            Err(InfluenceError::Missing {
                method,
                what: need.explanation(),
            })
        }
    }

    /// Whether all that is there belongs to these gradients: factors and second derivatives of
    /// every tensor and its shape, gradients of the same tensors, as many examples at every checkpoint.
    ///
    /// # Errors
    /// [`InfluenceError::Companion`], or a store that does not match.
    pub fn fit(&self, train: &GradientStore, query: &GradientStore) -> Result<(), InfluenceError> {
        let sampled = self.sampled.map(|sampled| sampled.factors);
        for factors in self.factors.into_iter().chain(sampled) {
            for info in train.tensors() {
                of_tensor(factors, &info.name, &info.shape)?;
            }
        }
        if let Some(sampled) = self.sampled {
            train.matching(sampled.gradients)?;
        }
        if let Some(hessians) = self.hessians {
            for info in train.tensors() {
                second_derivatives(hessians, &info.name, info.dim())?;
            }
        }
        let rows = [train.rows(), query.rows()];
        if let Some(texts) = self.texts {
            let prompts = texts.each_ref().map(|split| split.prompts.len());
            let whole = texts.each_ref().map(|split| split.whole.len());
            as_many("texts", prompts, rows)?;
            as_many("texts", whole, rows)?;
        }
        if let Some(states) = self.hidden_states {
            let last = states.each_ref().map(|split| split.last.nrows());
            let mean = states.each_ref().map(|split| split.mean.nrows());
            as_many("hidden states", last, rows)?;
            as_many("hidden states", mean, rows)?;
        }
        if let Some(embeddings) = self.embeddings {
            let found = embeddings.each_ref().map(|split| split.pixels.nrows());
            as_many("embeddings", found, rows)?;
        }
        for checkpoint in self.checkpoints {
            let pairs = [(train, &checkpoint.train), (query, &checkpoint.query)];
            for (ours, theirs) in pairs {
                ours.matching(theirs)?;
                if ours.rows() != theirs.rows() {
                    return Err(InfluenceError::Companion {
                        tensor: theirs.tensors()[0].name.clone(),
                        reason: format!(
                            "{} examples at a checkpoint in {}, {} in {}",
                            theirs.rows(),
                            theirs.origin(),
                            ours.rows(),
                            ours.origin()
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

/// There is one for each training example and each query.
fn as_many(what: &'static str, found: [usize; 2], rows: [usize; 2]) -> Result<(), InfluenceError> {
    if found == rows {
        Ok(())
    } else {
        Err(InfluenceError::Examples { what, found, rows })
    }
}

/// There are second derivatives of the tensor, and they are of its size.
fn second_derivatives(hessians: &Hessians, name: &str, dim: usize) -> Result<(), InfluenceError> {
    let reason = match hessians.dim(name) {
        Some(found) if found == dim => return Ok(()),
        Some(found) => format!("its Hessian is of {found} parameters, a gradient has {dim}"),
        None => "has no second derivatives among those given".to_owned(),
    };
    Err(InfluenceError::Companion {
        tensor: name.to_owned(),
        reason,
    })
}

/// The factors of a tensor whose gradient has `shape`, in the gradients or flattened.
pub(crate) fn of_tensor<'a>(
    factors: &'a KroneckerFactors,
    name: &str,
    shape: &[usize],
) -> Result<&'a TensorFactors, InfluenceError> {
    let wrong = |reason: String| InfluenceError::Companion {
        tensor: name.to_owned(),
        reason,
    };
    let found = factors
        .get(name)
        .ok_or_else(|| wrong("has no Kronecker factors among those given".to_owned()))?;
    let (outputs, inputs) = (found.outputs.nrows(), found.inputs.nrows());
    let fits = match *shape {
        [o, i] => (o, i) == (outputs, inputs),
        _ => shape.iter().product::<usize>() == outputs * inputs,
    };
    if fits {
        Ok(found)
    } else {
        Err(wrong(format!(
            "the Kronecker factors are of a matrix [{outputs}, {inputs}], a gradient has the shape {shape:?}"
        )))
    }
}
