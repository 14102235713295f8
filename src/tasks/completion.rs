//! Prompts with answers for a language model: what the tasks of language models share.
//!
//! In: examples as text, from a generator or from [`files`]. Out: token ids by the checkpoint's tokenizer, the tokens
//! that are predicted, the classes, and both texts in tokens for methods that compare texts. A task is a generator with
//! [`CompletionSettings`]; everything after the texts is here.

mod example;
pub mod files;
mod settings;
mod task;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashSet;
use std::path::Path;

pub use self::example::{Completion, Examples};
pub use self::settings::{
    CompletionSettings, EndOfText, TargetTokens, Template, TrainTokens, Truncate,
};
pub use self::task::CompletionTask;
use self::tokens::{Encoded, Encoder};
use super::error::TaskError;
use crate::data::{Question, Split, Targets, TaskData, TextData, Texts, TokenTargets, Truth};

/// The examples in tokens, by the tokenizer in the folder `checkpoint`.
///
/// Texts longer than `max_length` are refused or cut, as the settings say; one that keeps no token to be predicted is no
/// example and is counted with those passed over.
///
/// # Errors
/// No tokenizer or one that does not fit the checkpoint, texts that are too long when they must not be cut, classes that
/// only some examples have, no example left.
pub fn build(
    examples: Examples,
    settings: &CompletionSettings,
    checkpoint: &Path,
) -> Result<TaskData, TaskError> {
    let encoder = Encoder::open(settings, checkpoint)?;
    let duplicates = examples.duplicates();
    let classes = Classes::of(&examples)?;
    let [train, query] = [&examples.train, &examples.query].map(|list| encoder.encode(list));
    let (train, query) = (train?, query?);
    let all = || train.iter().chain(&query);
    let [of_train, of_query] = [&train, &query].map(|list| encoder.keeps(list));
    let passed_over = train.iter().filter(|example| !of_train(example)).count()
        + query.iter().filter(|example| !of_query(example)).count();
    let truncated = all().filter(|example| example.is_cut).count();
    let long_prompts = all().filter(|example| example.has_long_prompt).count();
    let asked = query.iter().zip(&examples.query);
    let asked = asked.filter(|(example, _)| of_query(example));
    let questions = asked.map(|(encoded, text)| question(encoded, text));
    let questions: Vec<Question> = questions.collect();
    let kept = |encoded: Vec<Encoded>,
                of: &[Completion],
                keeps: &dyn Fn(&Encoded) -> bool,
                setting: &'static str| {
        let rows = encoded.into_iter().zip(classes.of_each(of));
        let (encoded, classes): (Vec<_>, Vec<_>) =
            rows.filter(|(example, _)| keeps(example)).unzip();
        if encoded.is_empty() {
            return Err(TaskError::NothingLeft {
                setting,
                max_length: settings.max_length,
            });
        }
        Ok((encoded, classes))
    };
    let (train, train_classes) = kept(train, &examples.train, &of_train, "task.train")?;
    let (query, query_classes) = kept(query, &examples.query, &of_query, "task.query")?;
    let split = |list: &[Encoded], tokens| with_targets(&encoder, settings, list, tokens);
    let of_training = settings.tokens_of_training();
    Ok(TaskData {
        train: split(&train, settings.tokens),
        query: split(&query, settings.tokens),
        pretrain: None,
        classes: classes.names.len(),
        passed_over,
        tuning: (of_training != settings.tokens).then(|| split(&train, of_training)),
        texts: Some(TextData {
            texts: [&train, &query].map(|list| texts(list)),
            questions,
            truncated,
            long_prompts,
            duplicates,
        }),
        images: None,
        truth: Truth {
            flipped: None,
            train_classes: classes.are_known().then_some(train_classes),
            query_classes: classes.are_known().then_some(query_classes),
        },
    })
}

/// Inputs and targets of encoded examples.
fn with_targets(
    encoder: &Encoder,
    settings: &CompletionSettings,
    list: &[Encoded],
    tokens: TargetTokens,
) -> Split {
    let (inputs, examples) = encoder.split(list, tokens);
    let targets = Targets::Tokens(TokenTargets {
        examples,
        reduction: settings.reduction,
        measurement: settings.measurement,
    });
    Split { inputs, targets }
}

/// Examples of one split in tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokenised {
    /// Inputs and the targets that `tokens` of the settings names.
    pub split: Split,
    /// Examples that kept no token to be predicted and are not in the split.
    pub passed_over: usize,
    /// Texts that were cut.
    pub truncated: usize,
    /// Texts whose prompt alone is longer than the longest length.
    pub long_prompts: usize,
}

/// Examples of one split in tokens, as [`build`] makes them of training examples.
///
/// # Errors
/// As [`build`], but that examples may differ in having a class.
pub fn tokenise(
    examples: &[Completion],
    settings: &CompletionSettings,
    checkpoint: &Path,
) -> Result<Tokenised, TaskError> {
    let encoder = Encoder::open(settings, checkpoint)?;
    let encoded = encoder.encode(examples)?;
    let truncated = encoded.iter().filter(|example| example.is_cut).count();
    let long_prompts = encoded.iter().filter(|example| example.has_long_prompt);
    let long_prompts = long_prompts.count();
    let keeps = encoder.keeps(&encoded);
    let (kept, passed_over): (Vec<_>, Vec<_>) = encoded.into_iter().partition(keeps);
    if kept.is_empty() {
        return Err(TaskError::NothingLeft {
            setting: "--examples",
            max_length: settings.max_length,
        });
    }
    Ok(Tokenised {
        split: with_targets(&encoder, settings, &kept, settings.tokens),
        passed_over: passed_over.len(),
        truncated,
        long_prompts,
    })
}

/// What methods that compare texts look at.
fn texts(list: &[Encoded]) -> Texts {
    Texts {
        prompts: list.iter().map(Encoded::prompt).collect(),
        whole: list.iter().map(Encoded::text).collect(),
    }
}

/// A query, to be answered.
fn question(encoded: &Encoded, text: &Completion) -> Question {
    Question {
        ids: encoded.prompt_ids().to_vec(),
        prompt: text.prompt.clone(),
        answer: text.text[text.prompt.len()..].trim().to_owned(),
    }
}

/// The names of the classes, in the order in which they are met.
struct Classes<'a> {
    names: Vec<&'a str>,
}

impl<'a> Classes<'a> {
    fn of(examples: &'a Examples) -> Result<Self, TaskError> {
        let mut names = Vec::new();
        let mut seen = HashSet::new();
        let known = examples.all().next().is_some_and(|e| e.class.is_some());
        for example in examples.all() {
            match &example.class {
                Some(name) if known => {
                    if seen.insert(name.as_str()) {
                        names.push(name.as_str());
                    }
                }
                None if !known => {}
                _ => {
                    let (here, others) = if known {
                        ("no", "have one")
                    } else {
                        ("a", "have none")
                    };
                    let problem =
                        format!("there is {here} `class` here, where the examples before {others}");
                    return Err(example.problem(problem));
                }
            }
        }
        Ok(Self { names })
    }

    fn are_known(&self) -> bool {
        !self.names.is_empty()
    }

    /// The class of every example, by its place among the names.
    fn of_each(&self, examples: &[Completion]) -> Vec<usize> {
        let place = |example: &Completion| {
            let name = example.class.as_deref()?;
            self.names.iter().position(|known| *known == name)
        };
        examples
            .iter()
            .map(|example| place(example).unwrap_or(0))
            .collect()
    }
}
