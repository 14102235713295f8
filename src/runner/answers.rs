//! What a language model answers to some queries before and after the fine-tune, so that a reader sees what was learned.

use std::path::Path;

use super::error::sentence;
use crate::data::{Question, TaskData};
use crate::models::Model;
use crate::models::generate::{Limits, greedy};
use crate::progress::Progress;
use crate::results::record::{AnswerInfo, Generated};
use crate::tasks::text::{CausalTokenizer, ends_of_texts};

/// Most tokens of an answer.
pub(super) const NEW_TOKENS: usize = 48;

/// The queries that are asked; none without a language model.
pub(super) struct Asked {
    /// Queries, from 0, with what they ask.
    questions: Vec<(usize, Question)>,
    tokenizer: Option<CausalTokenizer>,
    ends: Vec<u32>,
}

impl Asked {
    /// `count` queries of `data`, the first of every class before the second of any; `tokenizer` is the folder of the
    /// model's tokenizer.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn new(data: &TaskData, tokenizer: Option<&Path>, count: usize) -> Result<Self, String> {
        let questions = match &data.texts {
            Some(texts) => texts.questions.as_slice(),
            None => &[],
        };
        let classes = data.truth.query_classes.as_deref();
        let mut chosen = first_of_classes(questions.len(), classes);
        chosen.truncate(count);
        chosen.sort_unstable();
        let (mut opened, mut ends) = (None, Vec::new());
        if let Some(folder) = tokenizer.filter(|_| !chosen.is_empty()) {
            let tokenizer = CausalTokenizer::open(folder).map_err(sentence)?;
            ends = ends_of_texts(folder, &tokenizer).map_err(sentence)?;
            // what the fine-tune ends texts with
            ends.push(tokenizer.eos().1);
            opened = Some(tokenizer);
        }
        let questions = chosen
            .into_iter()
            .map(|query| (query, questions[query].clone()));
        Ok(Self {
            questions: questions.collect(),
            tokenizer: opened,
            ends,
        })
    }

    /// The answers of `model`, in the order of the questions.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn answers(
        &self,
        model: &Model,
        when: &str,
        progress: &Progress,
    ) -> Result<Vec<Generated>, String> {
        let Some(tokenizer) = &self.tokenizer else {
            return Ok(Vec::new());
        };
        progress.stage(&format!("answering {when}"));
        let mut model = model.clone();
        model.freeze();
        let prompts: Vec<Vec<u32>> = self.questions.iter().map(|(_, q)| q.ids.clone()).collect();
        let limits = Limits {
            new_tokens: NEW_TOKENS,
            ends: self.ends.clone(),
            together: prompts.len(),
            cache: true,
        };
        let continued = greedy(&model, &prompts, &limits).map_err(sentence)?;
        let generated = continued.into_iter().map(|answer| {
            Ok(Generated {
                text: tokenizer.decode(&answer.ids).map_err(sentence)?,
                ended: answer.ended,
            })
        });
        generated.collect()
    }

    /// Questions with the answers before and after, for the record.
    pub fn info(self, before: Vec<Generated>, after: Vec<Generated>) -> Vec<AnswerInfo> {
        let all = self
            .questions
            .into_iter()
            .zip(before.into_iter().zip(after));
        let of_one = |((query, question), (before, after)): ((usize, Question), _)| AnswerInfo {
            query,
            prompt: question.prompt,
            expected: question.answer,
            before,
            after,
        };
        all.map(of_one).collect()
    }
}

/// All of `n` queries: the first of every class, then the second of every class, and so on.
pub(super) fn first_of_classes(n: usize, classes: Option<&[usize]>) -> Vec<usize> {
    let class = |query: usize| classes.map_or(0, |classes| classes[query]);
    let place = |query: usize| {
        let before = 0..query;
        before.filter(|&other| class(other) == class(query)).count()
    };
    let mut order: Vec<(usize, usize)> = (0..n).map(|query| (place(query), query)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, query)| query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_of_all_classes_are_asked_before_a_second_one_of_any() {
        let classes = [4, 4, 4, 1, 1, 7];
        assert_eq!(first_of_classes(6, Some(&classes)), [0, 3, 5, 1, 4, 2]);
        assert_eq!(first_of_classes(3, None), [0, 1, 2]);
    }
}
