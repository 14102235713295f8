//! What examples are, and how they become inputs and targets.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use crate::data::{NoiseSettings, Reduction};
use crate::input::Problem;
use crate::tasks::completion::{TargetTokens, Template, Truncate};
use crate::tasks::glue::GlueName;
use crate::tasks::pictures::Fit;

/// What the lines of a file of examples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum GradientTask {
    /// Texts with a label, for an encoder with a classifier.
    Glue(GlueName),
    /// Prompts with answers, for a causal language model.
    Instruction(Instruction),
    /// Images with captions, for a diffusion pipeline.
    Images,
}

/// How prompts and answers become targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Instruction {
    /// Which tokens are predicted.
    pub tokens: TargetTokens,
    /// From the losses of the tokens to that of an example.
    pub reduction: Reduction,
    /// The text around prompt and answer.
    pub template: Template,
    /// What becomes of a text that is too long.
    pub truncate: Truncate,
}

impl GradientTask {
    /// The name of the task of prompts and answers.
    const INSTRUCTION: &'static str = "instruction";

    /// The name of the task of images.
    pub const IMAGES: &'static str = "images";

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glue(task) => task.name(),
            Self::Instruction(_) => Self::INSTRUCTION,
            Self::Images => Self::IMAGES,
        }
    }
}

impl fmt::Display for GradientTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GradientTask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Self::INSTRUCTION {
            return Ok(Self::Instruction(Instruction::default()));
        }
        if text == Self::IMAGES {
            return Ok(Self::Images);
        }
        text.parse().map(Self::Glue).map_err(|_| {
            let names = GlueName::ALL.iter().map(|task| task.name());
            let problem =
                Problem::unknown("task", text, names.chain([Self::INSTRUCTION, Self::IMAGES]));
            let help = problem.help.map(|help| format!("; {help}"));
            format!("{}{}", problem.message, help.unwrap_or_default())
        })
    }
}

/// Settings of the task `images`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageOptions {
    /// Pixels a side; `None` takes the images as they are.
    pub resolution: Option<usize>,
    /// How an image becomes a square.
    pub fit: Fit,
    /// Timesteps and noise.
    pub targets: NoiseSettings,
    /// A file with latents, noise and timesteps in place of drawn ones.
    pub noise: Option<PathBuf>,
}
