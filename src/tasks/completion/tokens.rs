//! From a prompt and its answer to ids and the tokens that are predicted.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;

use super::example::Completion;
use super::settings::{CompletionSettings, EndOfText, TargetTokens, Template, Truncate};
use crate::data::{Inputs, NextToken};
use crate::tasks::error::TaskError;
use crate::tasks::glue::TextError;
use crate::tasks::text::{CausalTokenizer, ChatTemplate, Message};

/// Encodes the examples of a task.
pub(super) struct Encoder<'a> {
    settings: &'a CompletionSettings,
    tokenizer: CausalTokenizer,
    /// What prompt and answer stand in, where they do.
    chat: Option<ChatTemplate>,
}

/// An example in tokens.
pub(super) struct Encoded {
    /// Prompt and answer.
    text: Sequence,
    /// The prompt alone.
    prompt: Sequence,
    /// Whether anything was cut off what is used of it.
    pub is_cut: bool,
    /// Whether the prompt alone is longer than a text may be.
    pub has_long_prompt: bool,
}

/// A text in tokens.
#[derive(Default)]
struct Sequence {
    ids: Vec<u32>,
    /// How many tokens at the front are the tokenizer's, not the text's.
    front: usize,
    /// For every token of `ids`, whether it is of the answer.
    is_answer: Vec<bool>,
    /// Whether the last token is the one that ends the text.
    ends: bool,
}

impl Sequence {
    /// Cut to `longest` tokens; whether there were more.
    fn cut(&mut self, longest: usize, truncate: Truncate) -> bool {
        let over = self.ids.len().saturating_sub(longest);
        if over == 0 {
            return false;
        }
        if truncate == Truncate::Left {
            let front = self.front.min(longest);
            self.ids.drain(front..front + over);
            self.is_answer.drain(front..front + over);
        } else {
            self.ids.truncate(longest);
            self.is_answer.truncate(longest);
            self.ends = false;
        }
        true
    }

    /// The tokens that are predicted, from the tokens before them; the first one is predicted from nowhere.
    fn targets(&self, settings: &CompletionSettings, tokens: TargetTokens) -> Vec<NextToken> {
        let is_end = |at: usize| self.ends && at + 1 == self.ids.len();
        let wanted = |at: &usize| {
            (tokens != TargetTokens::Answer || self.is_answer[*at])
                && !(is_end(*at) && settings.eos == EndOfText::Masked)
        };
        NextToken::at(&self.ids, (1..self.ids.len()).filter(wanted))
    }

    /// The tokens of the text itself.
    fn own(&self) -> Vec<u32> {
        let end = self.ids.len() - usize::from(self.ends);
        self.ids[self.front.min(end)..end].to_vec()
    }
}

impl Encoded {
    fn sequence(&self, tokens: TargetTokens) -> &Sequence {
        match tokens {
            TargetTokens::Published => &self.prompt,
            TargetTokens::Answer | TargetTokens::All => &self.text,
        }
    }

    /// Tokens of the prompt, without those that begin and end a text.
    pub fn prompt(&self) -> Vec<u32> {
        self.prompt.own()
    }

    /// Tokens of the prompt with those that begin a text.
    pub fn prompt_ids(&self) -> &[u32] {
        &self.prompt.ids
    }

    /// Tokens of prompt and answer, without those that begin and end a text.
    pub fn text(&self) -> Vec<u32> {
        self.text.own()
    }
}

impl<'a> Encoder<'a> {
    /// The tokenizer of the checkpoint in a folder.
    pub fn open(settings: &'a CompletionSettings, folder: &Path) -> Result<Self, TaskError> {
        let chat = match settings.template {
            Template::Raw => None,
            Template::Chat => Some(ChatTemplate::open(folder).map_err(TextError::from)?),
        };
        Ok(Self {
            settings,
            tokenizer: CausalTokenizer::open(folder).map_err(TextError::from)?,
            chat,
        })
    }

    /// What is predicted in gradients and in fine-tuning.
    fn uses(&self) -> [TargetTokens; 2] {
        [self.settings.tokens, self.settings.tokens_of_training()]
    }

    /// The examples in tokens, in order.
    ///
    /// # Errors
    /// Texts that cannot be encoded, or are too long and must not be cut.
    pub fn encode(&self, examples: &[Completion]) -> Result<Vec<Encoded>, TaskError> {
        let encoded: Result<Vec<Encoded>, TaskError> = examples
            .par_iter()
            .map(|example| self.encode_one(example))
            .collect();
        let mut encoded = encoded?;
        let longest = self.settings.max_length;
        if self.settings.truncate == Truncate::Error {
            let length = |example: &Encoded| {
                let lengths = self.uses().map(|tokens| example.sequence(tokens).ids.len());
                lengths[0].max(lengths[1])
            };
            let lengths: Vec<usize> = encoded.iter().map(length).collect();
            let too_long = || {
                lengths
                    .iter()
                    .enumerate()
                    .filter(|(_, length)| **length > longest)
            };
            if let Some((first, length)) = too_long().next() {
                return Err(examples[first].problem(format!(
                    "the text has {length} tokens, max_length is {longest}; {} of {} texts are longer than that, the longest has {}. Raise max_length, or set truncate to left or right",
                    too_long().count(),
                    lengths.len(),
                    lengths.iter().max().copied().unwrap_or(0),
                )));
            }
        }
        for example in &mut encoded {
            let truncate = self.settings.truncate;
            let cut = [
                example.prompt.cut(longest, truncate),
                example.text.cut(longest, truncate),
            ];
            let published = self.uses().map(|tokens| tokens == TargetTokens::Published);
            example.has_long_prompt = cut[0];
            example.is_cut =
                (published.contains(&true) && cut[0]) || (published.contains(&false) && cut[1]);
        }
        Ok(encoded)
    }

    fn encode_one(&self, example: &Completion) -> Result<Encoded, TaskError> {
        // a chat template writes the token that begins a text itself
        let begin = self.chat.is_none();
        let encode = |text: &str| self.tokenizer.encode(text, begin).map_err(TextError::from);
        if example.text[example.prompt.len()..].trim().is_empty() {
            return Err(example.problem("the answer is empty".to_owned()));
        }
        let (given_text, whole_text) = self.texts(example)?;
        let given = encode(&given_text)?;
        let prompt = Sequence {
            is_answer: vec![false; given.ids.len()],
            front: given.front,
            ids: given.ids,
            ends: false,
        };
        if prompt.ids.len() == prompt.front {
            return Err(example.problem("the prompt has no tokens".to_owned()));
        }
        // the prompt's ids are in general no prefix of the text's: a token may join the end of one and the start of the
        // other
        let whole = encode(&whole_text)?;
        let prompt_end = given_text.len();
        let mut text = Sequence {
            is_answer: whole.ends.iter().map(|&end| end > prompt_end).collect(),
            front: whole.front,
            ids: whole.ids,
            ends: self.settings.eos != EndOfText::None,
        };
        if text.ends {
            text.ids.push(self.tokenizer.eos().1);
            text.is_answer.push(true);
        }
        Ok(Encoded {
            text,
            prompt,
            is_cut: false,
            has_long_prompt: false,
        })
    }

    /// Prompt, and prompt with answer, as they are encoded.
    fn texts<'e>(
        &self,
        example: &'e Completion,
    ) -> Result<(Cow<'e, str>, Cow<'e, str>), TaskError> {
        let Completion { prompt, text, .. } = example;
        let Some(chat) = &self.chat else {
            return Ok((prompt.into(), text.into()));
        };
        let turn = |role, content| Message { role, content };
        let turns = [
            turn("user", prompt.as_str()),
            turn("assistant", text[prompt.len()..].trim()),
        ];
        let render = |turns: &[Message<'_>], ask| {
            let rendered = chat.render(turns, ask);
            rendered.map_err(|error| example.problem(error.to_string()))
        };
        let (given, mut whole) = (render(&turns[..1], true)?, render(&turns, false)?);
        // the end of the turn is appended like that of any other text
        if let Some(own) = whole.trim_end().strip_suffix(self.tokenizer.eos().0) {
            whole.truncate(own.len());
        }
        if !whole.starts_with(&given) {
            return Err(example.problem(
                "in the chat template, the text with the answer does not begin with the text that asks for it"
                    .to_owned(),
            ));
        }
        Ok((given.into(), whole.into()))
    }

    /// Whether an example of a split has a token to predict, in gradients and in fine-tuning. The published loss predicts the
    /// padding, so that there even a prompt of one token does beside a longer one.
    pub fn keeps<'e>(&'e self, split: &[Encoded]) -> impl Fn(&Encoded) -> bool + use<'e> {
        let prompts = split.iter().map(|example| example.prompt.ids.len());
        let longest = prompts.max().unwrap_or(0);
        move |example| {
            self.uses().iter().all(|&tokens| match tokens {
                TargetTokens::Published => longest > 1,
                _ => !example.text.targets(self.settings, tokens).is_empty(),
            })
        }
    }

    /// Inputs and targets of a split.
    pub fn split(
        &self,
        examples: &[Encoded],
        tokens: TargetTokens,
    ) -> (Inputs, Vec<Vec<NextToken>>) {
        let sequences = examples.iter().map(|example| example.sequence(tokens));
        let lengths = || sequences.clone().map(|sequence| sequence.ids.len());
        let longest = lengths().max().unwrap_or(0);
        let eos = self.tokenizer.eos().1;
        let made = sequences.clone().map(|sequence| match tokens {
            TargetTokens::Answer | TargetTokens::All => (
                sequence.ids.clone(),
                sequence.targets(self.settings, tokens),
            ),
            TargetTokens::Published => {
                let mut ids = sequence.ids.clone();
                ids.resize(longest, eos);
                let targets = NextToken::at(&ids, 1..longest);
                (ids, targets)
            }
        });
        let (ids, targets) = made.unzip();
        let inputs = Inputs::Tokens {
            ids,
            types: Vec::new(),
            attended: (tokens == TargetTokens::Published).then(|| lengths().collect()),
            vocabulary: self.tokenizer.vocabulary(),
            max_length: self.settings.max_length,
        };
        (inputs, targets)
    }
}
