//! From a file of examples to the model and the split that gradients are taken of.

use std::path::Path;

use super::error::GradientFilesError;
use super::images;
use super::opened::Opened;
use super::request::GradientRequest;
use super::task::{GradientTask, ImageOptions, Instruction};
use crate::batching;
use crate::checkpoints::hub::{Located, Part};
use crate::data::Split;
use crate::models::Model;
use crate::models::checkpoint::Checkpoint;
use crate::models::peft;
use crate::tasks::completion::{self, CompletionSettings};
use crate::tasks::glue::{self, GlueName, Rows, TextError};
use crate::tasks::text::Encoder;

/// The model with its adapter, and the examples as it takes them.
pub(super) fn open(request: &GradientRequest) -> Result<Opened, GradientFilesError> {
    if request.task != GradientTask::Images && request.images != ImageOptions::default() {
        return Err(GradientFilesError::ForImages {
            task: request.task.name(),
        });
    }
    match request.task {
        GradientTask::Glue(task) => classified(request, task),
        GradientTask::Instruction(instruction) => completed(request, instruction),
        GradientTask::Images => images::open(request, &request.images),
    }
}

/// Where the checkpoint lies.
fn locate(request: &GradientRequest) -> Result<Located, GradientFilesError> {
    let revision = request.revision.as_deref();
    Ok(request.hub.locate(&request.model, revision, Part::Whole)?)
}

/// The checkpoint with its adapter; `classes` of the classifier, none for a causal language model.
fn model(
    request: &GradientRequest,
    folder: &Path,
    split: &Split,
    classes: usize,
) -> Result<Model, GradientFilesError> {
    let checkpoint = Checkpoint::open(folder)?.loaded(request.loading);
    if checkpoint.config.family.generates() != (classes == 0) {
        return Err(GradientFilesError::Family {
            model: request.model.clone(),
            family: checkpoint.config.family.model_type,
            task: request.task.name(),
            needs: if classes == 0 {
                "a causal language model"
            } else {
                "an encoder with a classifier"
            },
        });
    }
    let (input, device) = (batching::input_shape(split), request.device.inner());
    let mut model = Model::from_checkpoint(&checkpoint, &input, classes, 0, &device)?;
    if let Some(folder) = &request.adapter {
        peft::load(folder, &mut model)?;
    }
    if request.modules_to_save {
        model.probe_every_trained_matrix();
    }
    Ok(model)
}

fn no_examples(request: &GradientRequest) -> GradientFilesError {
    GradientFilesError::NoExamples {
        path: request.examples.clone(),
    }
}

/// Texts with a label.
fn classified(request: &GradientRequest, task: GlueName) -> Result<Opened, GradientFilesError> {
    let Rows {
        examples,
        passed_over,
    } = glue::files::read(&request.examples, task)?;
    if examples.is_empty() {
        return Err(no_examples(request));
    }
    let located = locate(request)?;
    let encoder = Encoder::open(&located.folder, request.max_length).map_err(TextError::from)?;
    let split = glue::split(&encoder, &examples)?;
    let model = model(request, &located.folder, &split, glue::CLASSES)?;
    if !model.has_pretrained_head() {
        return Err(GradientFilesError::NoHead {
            model: request.model.clone(),
            classes: glue::CLASSES,
        });
    }
    if model.classes() != glue::CLASSES {
        return Err(GradientFilesError::Classes {
            found: model.classes(),
            expected: glue::CLASSES,
        });
    }
    Ok(Opened {
        model,
        split,
        located,
        passed_over,
        truncated: 0,
        long_prompts: 0,
    })
}

/// Prompts with answers.
fn completed(
    request: &GradientRequest,
    instruction: Instruction,
) -> Result<Opened, GradientFilesError> {
    let examples = completion::files::read_file(&request.examples)?;
    if examples.is_empty() {
        return Err(no_examples(request));
    }
    let located = locate(request)?;
    let Instruction {
        tokens,
        reduction,
        template,
        truncate,
    } = instruction;
    let settings = CompletionSettings {
        max_length: request.max_length,
        truncate,
        template,
        tokens,
        reduction,
        ..CompletionSettings::default()
    };
    let made = completion::tokenise(&examples, &settings, &located.folder)?;
    let model = model(request, &located.folder, &made.split, 0)?;
    if model.probed().is_empty() {
        return Err(GradientFilesError::NothingAdapted {
            model: request.model.clone(),
        });
    }
    Ok(Opened {
        model,
        split: made.split,
        located,
        passed_over: made.passed_over,
        truncated: made.truncated,
        long_prompts: made.long_prompts,
    })
}
