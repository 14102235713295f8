//! Targets of a diffusion model: which noise is added to an example, at which timesteps.

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random;
use rand::RngExt;

/// How the gradients of the timesteps of an example become one row.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
pub enum Join {
    /// One after another within every block, which is as many times as wide: v·g is Σ_t v_t · g_t. As in the code of
    /// the DataInf paper.
    #[default]
    #[serde(rename = "concatenate")]
    #[value(name = "concatenate")]
    Concatenated,
    /// The gradient of the mean loss.
    #[serde(rename = "mean")]
    #[value(name = "mean")]
    Averaged,
}

/// Which examples share their noise.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SharedNoise {
    /// None: every example has its own.
    #[default]
    Own,
    /// Training example i and query i, as in the code of the DataInf paper.
    Index,
    /// All.
    Shared,
}

/// What a network predicts at timestep t of x_t = √ᾱ x + √(1−ᾱ) ε.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// ε.
    #[default]
    #[serde(rename = "epsilon")]
    Noise,
    /// v = √ᾱ ε − √(1−ᾱ) x (Salimans and Ho, 2022, arXiv 2202.00512).
    #[serde(rename = "v_prediction")]
    Velocity,
}

/// What of the autoencoder's posterior stands for an image.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Posterior {
    /// A sample, drawn anew with every draw of noise, as in the paper's code and diffusers' training scripts.
    #[default]
    Sample,
    /// The mean.
    Mean,
}

/// The settings of the loss of a diffusion model.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(default)]
pub struct NoiseSettings {
    /// Timesteps of gradients and evaluations; those of the DataInf paper by default.
    #[schemars(length(min = 1))]
    pub timesteps: Vec<usize>,
    /// Which examples share their noise.
    pub noise: SharedNoise,
    /// How the gradients of the timesteps become one row.
    pub views: Join,
    /// Draws of noise per timestep, over which losses and gradients are averaged.
    #[schemars(range(min = 1))]
    pub draws: usize,
    /// What of the autoencoder's posterior stands for an image, in fine-tuning as for gradients.
    pub posterior: Posterior,
}

impl Default for NoiseSettings {
    fn default() -> Self {
        Self {
            timesteps: vec![25, 225, 425, 525, 725, 925],
            noise: SharedNoise::Own,
            views: Join::Concatenated,
            draws: 1,
            posterior: Posterior::Sample,
        }
    }
}

impl NoiseSettings {
    /// The targets of the `n` examples of a split, `split` being `train` or `query`; `alphas` is ᾱ of every timestep.
    ///
    /// # Errors
    /// The field, what it holds and what is allowed, when there are no timesteps or draws, or timesteps that the schedule
    /// does not have.
    pub fn targets(
        &self,
        n: usize,
        split: &str,
        seed: u64,
        alphas: &Arc<[f32]>,
        prediction: Prediction,
    ) -> Result<NoiseTargets, String> {
        if self.draws == 0 {
            return Err("`draws` is 0; allowed: a whole number from 1 on".to_owned());
        }
        let last = alphas.len().saturating_sub(1);
        if self.timesteps.is_empty() {
            return Err(format!(
                "`timesteps` is empty; allowed: whole numbers from 0 to {last}"
            ));
        }
        if let Some(timestep) = self.timesteps.iter().find(|t| **t > last) {
            return Err(format!(
                "`timesteps` holds {timestep}; allowed: whole numbers from 0 to {last}, as the scheduler of the pipeline says"
            ));
        }
        let seed_of = |example: usize| {
            let purpose = match self.noise {
                SharedNoise::Own => format!("{split}/{example}"),
                SharedNoise::Index => format!("{example}"),
                SharedNoise::Shared => String::new(),
            };
            random::rng(seed, "noise of examples", &purpose).random()
        };
        Ok(NoiseTargets {
            seeds: (0..n).map(seed_of).collect(),
            timesteps: Timesteps::Same(self.timesteps.clone()),
            alphas: alphas.clone(),
            prediction,
            draws: self.draws,
            join: self.views,
            mirrored: None,
            given: None,
        })
    }
}

/// At which timesteps noise is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timesteps {
    /// At all of these, to every example.
    Same(Vec<usize>),
    /// To every example at its own.
    Each(Vec<usize>),
}

/// Latents and noise from elsewhere in place of drawn ones.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenNoise {
    /// Clean latents of every timestep and draw, row-major.
    pub latents: Vec<f32>,
    /// Noise of every timestep and draw, row-major.
    pub noise: Vec<f32>,
}

/// Noise-prediction targets of every example of a split. View `t · draws + k` of an example is the k-th draw of noise
/// at the t-th timestep.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseTargets {
    /// From which the noise of every example is drawn, per timestep and draw.
    pub seeds: Vec<u64>,
    /// The timesteps.
    pub timesteps: Timesteps,
    /// ᾱ of every timestep of the schedule: an example x becomes √ᾱ x + √(1−ᾱ) ε.
    pub alphas: Arc<[f32]>,
    /// What is predicted.
    pub prediction: Prediction,
    /// Draws of noise per timestep.
    pub draws: usize,
    /// What becomes of the gradients of the timesteps.
    pub join: Join,
    /// Of which examples the mirrored image is taken; `None`: of none.
    pub mirrored: Option<Vec<bool>>,
    /// Latents and noise of every example, where they are not drawn.
    pub given: Option<Vec<Arc<GivenNoise>>>,
}

impl NoiseTargets {
    /// Timesteps of an example.
    pub fn timesteps(&self) -> usize {
        match &self.timesteps {
            Timesteps::Same(timesteps) => timesteps.len(),
            Timesteps::Each(_) => 1,
        }
    }

    /// Losses per example, one for each timestep and draw.
    pub fn views(&self) -> usize {
        self.timesteps() * self.draws
    }

    /// Timestep and draw of every view of an example.
    pub fn of_views(&self, example: usize) -> impl Iterator<Item = (usize, usize)> {
        let timesteps = match &self.timesteps {
            Timesteps::Same(timesteps) => timesteps,
            Timesteps::Each(timesteps) => &timesteps[example..=example],
        };
        let draws = self.draws;
        let with_draws = move |&timestep| (0..draws).map(move |draw| (timestep, draw));
        timesteps.iter().flat_map(with_draws)
    }

    /// The targets at some of the timesteps that all examples have.
    #[must_use]
    pub fn at_timesteps(&self, part: Range<usize>) -> Self {
        let Timesteps::Same(timesteps) = &self.timesteps else {
            return self.clone();
        };
        let views = self.views();
        let given = |given: &Arc<GivenNoise>| {
            let some = |values: &[f32]| {
                let size = values.len() / views * self.draws;
                values[part.start * size..part.end * size].to_vec()
            };
            Arc::new(GivenNoise {
                latents: some(&given.latents),
                noise: some(&given.noise),
            })
        };
        Self {
            timesteps: Timesteps::Same(timesteps[part.clone()].to_vec()),
            given: self
                .given
                .as_ref()
                .map(|all| all.iter().map(given).collect()),
            ..self.clone()
        }
    }

    /// The targets of the examples `indices`, in that order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            seeds: indices.iter().map(|&i| self.seeds[i]).collect(),
            timesteps: match &self.timesteps {
                Timesteps::Same(timesteps) => Timesteps::Same(timesteps.clone()),
                Timesteps::Each(each) => {
                    Timesteps::Each(indices.iter().map(|&i| each[i]).collect())
                }
            },
            alphas: self.alphas.clone(),
            mirrored: self
                .mirrored
                .as_ref()
                .map(|mirrored| indices.iter().map(|&i| mirrored[i]).collect()),
            given: self
                .given
                .as_ref()
                .map(|given| indices.iter().map(|&i| given[i].clone()).collect()),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_shared_as_asked() {
        let alphas: Arc<[f32]> = vec![0.9; 1000].into();
        let seeds = |noise, split: &str| {
            let settings = NoiseSettings {
                noise,
                ..NoiseSettings::default()
            };
            let made = settings.targets(3, split, 1, &alphas, Prediction::Noise);
            made.unwrap().seeds
        };
        for (noise, between_splits, within) in [
            (SharedNoise::Own, false, false),
            (SharedNoise::Index, true, false),
            (SharedNoise::Shared, true, true),
        ] {
            let (train, query) = (seeds(noise, "train"), seeds(noise, "query"));
            assert_eq!(train == query, between_splits, "{noise:?}");
            assert_eq!(train[0] == train[1], within, "{noise:?}");
        }
    }

    #[test]
    fn timesteps_are_those_of_the_schedule() {
        let alphas: Arc<[f32]> = vec![0.9; 100].into();
        for (timesteps, draws, said) in [
            (
                vec![5, 100],
                1,
                "`timesteps` holds 100; allowed: whole numbers from 0 to 99",
            ),
            (vec![], 1, "`timesteps` is empty"),
            (vec![5], 0, "`draws` is 0"),
        ] {
            let settings = NoiseSettings {
                timesteps,
                draws,
                ..NoiseSettings::default()
            };
            let made = settings.targets(1, "train", 1, &alphas, Prediction::Noise);
            let error = made.unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
