//! Answers of a language model, with or without an adapter, to one's own prompts; [`images`] of a diffusion pipeline.

pub mod images;

use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::hub::{Hub, HubError, Part};
use crate::device::DeviceChoice;
use crate::input::{self, InputError};
use crate::models::checkpoint::Checkpoint;
use crate::models::generate::{GenerateError, Limits, greedy};
use crate::models::peft::{self, PeftError};
use crate::models::{CheckpointError, InputShape, Model, ModelError};
use crate::tasks::text::{CausalTokenizer, ChatTemplate, Message, TokenizerError, ends_of_texts};

/// How a prompt is put to the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// As it is, with the token that begins a text where the tokenizer has one
    #[default]
    Raw,
    /// As a user's turn of the model's chat template
    Chat,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct GenerationRequest {
    /// Folder of the checkpoint, a GGUF file, or an id on the hub.
    pub model: PathBuf,
    /// Branch, tag or commit of a model on the hub.
    pub revision: Option<String>,
    /// Where ids are looked up.
    pub hub: Hub,
    /// Folder of an adapter in PEFT's layout.
    pub adapter: Option<PathBuf>,
    /// The prompts.
    pub prompts: Vec<String>,
    /// How they are put.
    pub template: Template,
    /// The system's turn before the user's, in a chat.
    pub system: Option<String>,
    /// Most tokens of an answer.
    pub new_tokens: usize,
    /// Most prompts that go through the model together.
    pub together: usize,
    /// Where it is computed.
    pub device: DeviceChoice,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The prompt as it was given.
    pub prompt: String,
    /// What the model adds, without special tokens.
    pub text: String,
    /// Its ids, with the one that ended it.
    pub ids: Vec<u32>,
    /// Tokens of the prompt, the template's included.
    pub prompt_tokens: usize,
    /// Whether a token ended the answer, rather than the limit.
    pub ended: bool,
}

/// Why there are no answers.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// A checkpoint that is not to be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Settings of the checkpoint.
    #[error(transparent)]
    Settings(#[from] HuggingFaceError),
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The adapter.
    #[error(transparent)]
    Adapter(#[from] PeftError),
    /// The tokenizer or the chat template.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The file of prompts.
    #[error(transparent)]
    Prompts(#[from] InputError),
    /// A line of the file of prompts.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A text longer than the model has positions for.
    #[error(
        "the longest prompt and the new tokens are {longest} tokens; the model has {positions} positions"
    )]
    TooLong {
        /// Tokens of the longest prompt, and those to be added.
        longest: usize,
        /// Positions of the model.
        positions: usize,
    },
    /// Generating.
    #[error(transparent)]
    Generate(#[from] GenerateError),
}

/// The prompts of a file: the field `prompt` of every object where it ends in .jsonl, otherwise a prompt a line.
///
/// # Errors
/// A file that cannot be read or has no prompts, a line that is no object with a text `prompt`.
pub fn prompts(path: &Path) -> Result<Vec<String>, GenerationError> {
    let text = input::text(path)?;
    let objects = path
        .extension()
        .is_some_and(|extension| extension == "jsonl");
    let lines = text.lines().enumerate();
    let prompts: Vec<String> = lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            if !objects {
                return Ok(line.to_owned());
            }
            let wrong = |problem: String| GenerationError::Line {
                path: path.to_owned(),
                line: index + 1,
                problem,
            };
            let row: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).map_err(|error| wrong(input::json_problem(&error)))?;
            match row.get("prompt") {
                Some(serde_json::Value::String(prompt)) => Ok(prompt.clone()),
                Some(other) => Err(wrong(format!(
                    "`prompt` is {}; allowed: a text",
                    input::quote(&other.to_string())
                ))),
                None => Err(wrong("the field `prompt` is missing".to_owned())),
            }
        })
        .collect::<Result<_, _>>()?;
    if prompts.is_empty() {
        return Err(InputError::Empty {
            path: path.to_owned(),
        }
        .into());
    }
    Ok(prompts)
}

/// Answers to every prompt, in order.
///
/// # Errors
/// See [`GenerationError`].
pub fn answers(request: &GenerationRequest) -> Result<Vec<Answer>, GenerationError> {
    let located = request
        .hub
        .locate(&request.model, request.revision.as_deref(), Part::Whole)?;
    let folder = &located.folder;
    let checkpoint = Checkpoint::open(folder)?;
    let tokenizer = CausalTokenizer::open(folder)?;
    let template = match request.template {
        Template::Raw => None,
        Template::Chat => Some(ChatTemplate::open(folder)?),
    };
    let encoded: Vec<Vec<u32>> = request
        .prompts
        .iter()
        .map(|prompt| Ok(encode(request, prompt, template.as_ref(), &tokenizer)?))
        .collect::<Result<_, GenerationError>>()?;
    let longest = encoded.iter().map(Vec::len).max().unwrap_or(0) + request.new_tokens;
    // rotary embeddings have no last position
    if let Some(positions) = checkpoint.config.longest.filter(|&most| longest > most) {
        return Err(GenerationError::TooLong { longest, positions });
    }
    let input = InputShape::Tokens {
        vocabulary: tokenizer.vocabulary(),
        max_length: longest,
    };
    let device = request.device.inner();
    let mut model = Model::from_checkpoint(&checkpoint, &input, 0, 0, &device)?;
    if let Some(adapter) = &request.adapter {
        peft::load(adapter, &mut model)?;
    }
    model.freeze();
    let limits = Limits {
        new_tokens: request.new_tokens,
        ends: ends_of_texts(folder, &tokenizer)?,
        together: request.together,
        cache: true,
    };
    let continued = greedy(&model, &encoded, &limits)?;
    let all = request.prompts.iter().zip(encoded).zip(continued);
    all.map(|((prompt, ids), answer)| {
        Ok(Answer {
            prompt: prompt.clone(),
            text: tokenizer.decode(&answer.ids)?,
            ids: answer.ids,
            prompt_tokens: ids.len(),
            ended: answer.ended,
        })
    })
    .collect()
}

/// A prompt as ids.
fn encode(
    request: &GenerationRequest,
    prompt: &str,
    template: Option<&ChatTemplate>,
    tokenizer: &CausalTokenizer,
) -> Result<Vec<u32>, TokenizerError> {
    let Some(template) = template else {
        return Ok(tokenizer.encode(prompt, true)?.ids);
    };
    let turn = |role, content| Message { role, content };
    let system = request.system.as_deref().map(|text| turn("system", text));
    let turns: Vec<Message> = system.into_iter().chain([turn("user", prompt)]).collect();
    // the template writes the special tokens itself
    Ok(tokenizer
        .encode(&template.render(&turns, true)?, false)?
        .ids)
}
