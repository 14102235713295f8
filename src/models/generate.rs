//! Greedy generation: at every step the most likely token, the first of several.
//!
//! In: prompts as ids. Out: the ids that follow, up to a token that ends a text. Prompts of like lengths go through the
//! network together, padded at the end; the keys and values of what has been seen are kept
//! ([`Decoder`]), so that a step computes one position an example.

use burn::tensor::{Int, Tensor, TensorData};
use thiserror::Error;

use super::Model;
use super::batch::{Batch, ModelInput};
use super::decoder::{Cache, Decoder};
use super::parameter::to_f32;
use super::pass::Pass;
use crate::data::Targets;

/// Where generation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most tokens that are added to a prompt.
    pub new_tokens: usize,
    /// Tokens that end a text.
    pub ends: Vec<u32>,
    /// Most prompts that go through the network together.
    pub together: usize,
    /// Whether keys and values are kept; without it every step computes the whole text again, with the same result.
    pub cache: bool,
}

/// What follows a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The ids, with the one that ends the text when there is one.
    pub ids: Vec<u32>,
    /// Whether a token ended the text, rather than the limit.
    pub ended: bool,
}

/// Why nothing can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GenerateError {
    /// A model of another kind.
    #[error(
        "the model does not continue texts; language models of the families llama, mistral, qwen2 and qwen3 do"
    )]
    NoDecoder,
    /// A prompt without tokens.
    #[error("prompt {prompt} has no tokens")]
    Empty {
        /// Its number, from 1.
        prompt: usize,
    },
    /// No token is the most likely.
    #[error(
        "the logits after prompt {prompt} are not numbers (NaN): the weights or the adapter are damaged, or too large"
    )]
    NotANumber {
        /// Its number, from 1.
        prompt: usize,
    },
}

/// Continues every prompt; the answers stand in the order of the prompts.
///
/// # Errors
/// See [`GenerateError`].
pub fn greedy(
    model: &Model,
    prompts: &[Vec<u32>],
    limits: &Limits,
) -> Result<Vec<Continuation>, GenerateError> {
    let decoder = model.decoder().ok_or(GenerateError::NoDecoder)?;
    if let Some(at) = prompts.iter().position(Vec::is_empty) {
        return Err(GenerateError::Empty { prompt: at + 1 });
    }
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&index| prompts[index].len());
    let nothing = Continuation {
        ids: Vec::new(),
        ended: false,
    };
    let mut answers = vec![nothing; prompts.len()];
    for piece in order.chunks(limits.together.max(1)) {
        let mut run = Run {
            model,
            texts: piece.iter().map(|&index| prompts[index].clone()).collect(),
            cache: None,
        };
        let longest = piece.iter().map(|&index| prompts[index].len()).max();
        let room = longest.unwrap_or(0) + limits.new_tokens;
        let kept = (limits.cache && decoder.keeps_keys(room)).then_some((decoder, room));
        for _ in 0..limits.new_tokens {
            let next = run.next(kept);
            for ((&index, next), text) in piece.iter().zip(next).zip(&mut run.texts) {
                let answer = &mut answers[index];
                let next = match next {
                    // what has ended goes on unheard
                    _ if answer.ended => 0,
                    Some(next) => {
                        answer.ids.push(next);
                        answer.ended = limits.ends.contains(&next);
                        next
                    }
                    None => return Err(GenerateError::NotANumber { prompt: index + 1 }),
                };
                text.push(next);
            }
            if piece.iter().all(|&index| answers[index].ended) {
                break;
            }
        }
    }
    Ok(answers)
}

/// Texts that grow together.
struct Run<'a> {
    model: &'a Model,
    texts: Vec<Vec<u32>>,
    cache: Option<Cache>,
}

impl Run<'_> {
    /// The most likely next token of every text; nothing where its logits are not numbers.
    fn next(&mut self, kept: Option<(&dyn Decoder, usize)>) -> Vec<Option<u32>> {
        let lengths: Vec<usize> = self.texts.iter().map(Vec::len).collect();
        let hidden = match (kept, &mut self.cache) {
            (Some((decoder, _)), Some(cache)) => {
                let last: Vec<&[u32]> = self
                    .texts
                    .iter()
                    .map(|text| &text[text.len() - 1..])
                    .collect();
                let hidden = decoder.step(ids(&last, self.model), cache);
                let [n, _, width] = hidden.dims();
                hidden.reshape([n, width])
            }
            (Some((decoder, room)), None) => {
                let (hidden, cache) = decoder.begin(self.ids(), &lengths, room);
                self.cache = Some(cache);
                last_of(&hidden, &lengths)
            }
            (None, _) => {
                let batch = Batch {
                    input: ModelInput::Tokens(self.ids()),
                    types: None,
                    lengths: Some(lengths.clone()),
                    attended: None,
                    timesteps: None,
                    targets: Targets::Classes(Vec::new()),
                    device: self.model.device().clone(),
                };
                last_of(&self.model.output(&batch, &mut Pass::Plain), &lengths)
            }
        };
        let logits = self.model.unembed(hidden);
        let vocabulary = logits.dims()[1];
        let logits = to_f32(logits.into_data());
        logits.chunks_exact(vocabulary).map(largest).collect()
    }

    /// Ids of all texts, padded at the end.
    fn ids(&self) -> Tensor<2, Int> {
        let texts: Vec<&[u32]> = self.texts.iter().map(Vec::as_slice).collect();
        ids(&texts, self.model)
    }
}

fn ids(texts: &[&[u32]], model: &Model) -> Tensor<2, Int> {
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    let mut padded = vec![0_i64; texts.len() * longest];
    for (row, text) in padded.chunks_exact_mut(longest.max(1)).zip(texts) {
        row.iter_mut()
            .zip(*text)
            .for_each(|(slot, &id)| *slot = id.into());
    }
    let data = TensorData::new(padded, [texts.len(), longest]);
    Tensor::from_data(data, model.device())
}

/// Hidden states at the last real position of every text, `[n, width]`.
fn last_of(hidden: &Tensor<3>, lengths: &[usize]) -> Tensor<2> {
    let width = hidden.dims()[2];
    let rows = lengths.iter().enumerate().map(|(index, &length)| {
        let row = hidden.clone().slice([index..index + 1, length - 1..length]);
        row.reshape([1, width])
    });
    Tensor::cat(rows.collect(), 0)
}

/// Index of the largest number, the first of several; nothing when one is not a number.
fn largest(logits: &[f32]) -> Option<u32> {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if *logit > logits[best] {
            best = index;
        }
    }
    Some(best as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_is_taken() {
        assert_eq!(largest(&[1.0, 3.0, 3.0, -1.0]), Some(1));
        assert_eq!(largest(&[f32::NEG_INFINITY, -1.0]), Some(1));
        assert_eq!(largest(&[1.0, f32::NAN]), None);
    }
}
