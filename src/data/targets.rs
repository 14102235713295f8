//! What the loss of an example compares the network's output with.

use super::noise::{Join, NoiseTargets};
use super::tokens::{Reduction, TokenTargets};

/// Targets of all examples of a split. Their kind decides which [objective](crate::objectives::of) the split has.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class per example, after flips.
    Classes(Vec<usize>),
    /// The tokens that a language model is to predict.
    Tokens(TokenTargets),
    /// The noise that a diffusion model is to predict.
    Noise(NoiseTargets),
}

impl Targets {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.len(),
            Self::Tokens(targets) => targets.examples.len(),
            Self::Noise(targets) => targets.seeds.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The targets of the examples `indices`, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Classes(labels) => Self::Classes(indices.iter().map(|&i| labels[i]).collect()),
            Self::Tokens(targets) => Self::Tokens(targets.select(indices)),
            Self::Noise(targets) => Self::Noise(targets.select(indices)),
        }
    }

    /// Losses per example: one, or one per timestep and draw of noise.
    pub fn views(&self) -> usize {
        match self {
            Self::Classes(_) | Self::Tokens(_) => 1,
            Self::Noise(targets) => targets.views(),
        }
    }

    /// How many gradients of a parameter stand one after another in the row of an example: as many as there are timesteps
    /// where they are [concatenated](Join::Concatenated), otherwise 1. Each is the mean over [`Self::views`] /
    /// `stacked_views` consecutive views.
    pub fn stacked_views(&self) -> usize {
        match self {
            Self::Noise(targets) if targets.join == Join::Concatenated => targets.timesteps(),
            _ => 1,
        }
    }

    /// The targets with at most `views` views at a time, but at least those of one timestep: in order, all views in all.
    pub fn in_parts(self, views: usize) -> Vec<Self> {
        let Self::Noise(targets) = &self else {
            return vec![self];
        };
        let (all, at_a_time) = (targets.timesteps(), (views / targets.draws).max(1));
        if at_a_time >= all {
            return vec![self];
        }
        let starts = (0..all).step_by(at_a_time);
        let part = |first| targets.at_timesteps(first..(first + at_a_time).min(all));
        starts.map(|first| Self::Noise(part(first))).collect()
    }

    /// The same targets with a single draw of noise per timestep, the first; all others as they are.
    #[must_use]
    pub fn first_draw(mut self) -> Self {
        if let Self::Noise(targets) = &mut self
            && targets.given.is_none()
        {
            targets.draws = 1;
        }
        self
    }

    /// What example `example` counts in the mean loss of a training step: 1, or its target tokens, as in transformers.
    pub fn weight(&self, example: usize) -> usize {
        match self {
            Self::Classes(_) | Self::Noise(_) => 1,
            Self::Tokens(targets) => targets.examples[example].len(),
        }
    }

    /// The same targets with losses that are not divided by the [weight](Self::weight).
    #[must_use]
    pub fn undivided(mut self) -> Self {
        if let Self::Tokens(targets) = &mut self {
            targets.reduction = Reduction::Sum;
        }
        self
    }

    /// The class of every example.
    ///
    /// # Panics
    /// When the targets are of another kind.
    pub fn classes(&self) -> &[usize] {
        match self {
            Self::Classes(labels) => labels,
            Self::Tokens(_) | Self::Noise(_) => panic!("targets that are no classes"),
        }
    }

    /// [`Self::classes`] for flips.
    ///
    /// # Panics
    /// When the targets are of another kind.
    pub fn classes_mut(&mut self) -> &mut [usize] {
        match self {
            Self::Classes(labels) => labels,
            Self::Tokens(_) | Self::Noise(_) => panic!("targets that are no classes"),
        }
    }
}
