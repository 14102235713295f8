//! What all rooms share of a task: the inputs and targets of its examples, and what is known of the truth.
//!
//! `tasks` makes it; fine-tuning and gradients lead it, batch by batch, through a network to an
//! [objective](crate::objectives), and the metrics hold scores against [`Truth`].
//!
//! [`ModelInfo`] and [`TrainingInfo`] are what fine-tuning reports to the records.

mod images;
mod info;
mod inputs;
mod latents;
mod noise;
mod picture;
mod reads;
mod targets;
mod texts;
mod tokens;

pub use images::{CaptionedImages, ImageData, PREVIEW, ShownImages};
pub use info::{BaseDropoutInfo, EpochInfo, ModelInfo, TrainingInfo};
pub use inputs::Inputs;
pub use latents::{Latents, Moments};
pub use noise::{
    GivenNoise, Join, NoiseSettings, NoiseTargets, Posterior, Prediction, SharedNoise, Timesteps,
};
pub use picture::Picture;
pub use reads::Reads;
pub use targets::Targets;
pub use texts::{Embeddings, HiddenStates, Texts};
pub use tokens::{Measurement, NextToken, Reduction, TokenTargets};

/// Examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What a network sees.
    pub inputs: Inputs,
    /// What the loss holds its output against.
    pub targets: Targets,
}

impl Split {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is known about the truth of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// For every training example, whether its label was flipped; `None` when the task flips none.
    pub flipped: Option<Vec<bool>>,
    /// True class of every training example (before flips); `None` when there are no classes.
    pub train_classes: Option<Vec<usize>>,
    /// True class of every query example.
    pub query_classes: Option<Vec<usize>>,
}

/// What a task of texts or captioned images has besides its splits.
#[derive(Clone, Debug, PartialEq)]
pub struct TextData {
    /// Texts of training examples and queries, for methods that compare texts.
    pub texts: [Texts; 2],
    /// What the queries ask, to be answered.
    pub questions: Vec<Question>,
    /// Texts that were cut to the longest length.
    pub truncated: usize,
    /// Texts whose prompt alone is longer than that.
    pub long_prompts: usize,
    /// Texts that are the same as one before.
    pub duplicates: usize,
}

/// A query of a language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Ids of the prompt, with those that the tokenizer or a chat template puts before and after it.
    pub ids: Vec<u32>,
    /// The prompt.
    pub prompt: String,
    /// The answer that the data has.
    pub answer: String,
}

/// A task with examples, for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskData {
    /// Training examples.
    pub train: Split,
    /// Query (validation) examples; their labels are never flipped.
    pub query: Split,
    /// What the base is pretrained on, with its own number of classes; `None` when nothing is known.
    pub pretrain: Option<(Split, usize)>,
    /// Classes of `train` and `query`.
    pub classes: usize,
    /// Rows of the data files that were broken and passed over, and texts without a token to predict.
    pub passed_over: usize,
    /// What is fine-tuned on in place of `train`, example by example the same; `None` when it is `train`.
    pub tuning: Option<Split>,
    /// Texts of a task for a language model, captions of one for a diffusion model.
    pub texts: Option<TextData>,
    /// Training images and queries of a task for a diffusion model.
    pub images: Option<[ShownImages; 2]>,
    /// What is known.
    pub truth: Truth,
}

impl TaskData {
    /// Whether what is fine-tuned on is the training split.
    pub fn is_tuned_on_train(&self) -> bool {
        std::ptr::eq(self.tuned_on(), &self.train)
    }

    /// What is fine-tuned on: the training split, unless other tokens are predicted there or images are mirrored.
    pub fn tuned_on(&self) -> &Split {
        self.tuning.as_ref().unwrap_or(&self.train)
    }
}
