//! Which tokens of a training example carry its influence: for the first queries of a language model, the examples that
//! help and harm most, scored token by token.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::error::sentence;
use super::stores::Stores;
use crate::batching;
use crate::data::{Inputs, Split, Targets};
use crate::finetune::FineTuned;
use crate::gradients::per_token::{self, TokenRow};
use crate::gradients::store::GradientStore;
use crate::influence::{Influence, Parts};
use crate::models::Model;
use crate::results::record::{ExampleByToken, Extreme, MethodByToken, TokenInfo};
use crate::tasks::text::Decoder;

/// The fine-tuned language model and its training examples.
pub(super) struct ByToken {
    model: Model,
    train: Split,
    /// Ids of the training examples and of the queries.
    ids: [Vec<Vec<u32>>; 2],
    /// Where its tokenizer is.
    tokenizer: Option<PathBuf>,
}

/// An example that is extreme for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chosen {
    query: usize,
    example: usize,
    extreme: Extreme,
}

impl ByToken {
    /// None where no tokens are predicted.
    pub fn new(
        tuned: &FineTuned,
        [train, query]: [&Split; 2],
        tokenizer: Option<&Path>,
    ) -> Option<Self> {
        let ids = [train, query].map(|split| match &split.inputs {
            Inputs::Tokens { ids, .. } => ids.clone(),
            _ => Vec::new(),
        });
        matches!(train.targets, Targets::Tokens(_)).then(|| Self {
            ids,
            model: tuned.model.clone(),
            train: tuned.reused[0].as_ref().unwrap_or(train).clone(),
            tokenizer: tokenizer.map(Path::to_owned),
        })
    }

    /// What every token contributes to the gradient of its example.
    fn gradients(&self, rows: &[TokenRow], stores: &Stores) -> Result<GradientStore, String> {
        let tensors = super::source::tensors(&self.model, &self.train.targets);
        let mut writer = stores.writer(STORE, tensors, rows.len(), 1)?;
        let tokens = batching::tokens_at_a_time(&self.model);
        per_token::collect(&self.model, &self.train, rows, tokens, &mut writer)
            .map_err(sentence)?;
        writer.finish().map_err(sentence)
    }
}

/// Scores by token as the methods are run: the first one with scores names the examples, whose gradients by token are
/// then taken, and every method scores them from what it has computed for the queries.
pub(super) struct TokenScores<'a> {
    source: &'a ByToken,
    /// The first so many queries are explained.
    pub queries: usize,
    train: &'a GradientStore,
    stores: Stores<'a>,
    chosen: Option<ChosenExamples>,
    /// Scores `[queries, tokens]` by method.
    methods: Vec<(String, Array2<f64>)>,
}

/// What the first method with scores chose.
struct ChosenExamples {
    by: String,
    examples: Vec<Chosen>,
    /// Their target tokens, example by example.
    rows: Vec<TokenRow>,
    /// A row per token; none when no example was chosen.
    gradients: Option<GradientStore>,
}

impl<'a> TokenScores<'a> {
    /// Nothing yet.
    pub fn new(
        source: &'a ByToken,
        queries: usize,
        train: &'a GradientStore,
        stores: Stores<'a>,
    ) -> Self {
        Self {
            source,
            queries,
            train,
            stores,
            chosen: None,
            methods: Vec::new(),
        }
    }

    /// Adds the tokens' scores by a method that was run with [`RunOptions::keep`](crate::influence::RunOptions); one
    /// that has none of single tokens adds nothing.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn add(&mut self, label: &str, found: &mut Influence) -> Result<(), String> {
        if self.chosen.is_none() {
            self.chosen = Some(self.choose(label, &found.scores)?);
        }
        let kept = found.preconditioned.take();
        let chosen = self.chosen.as_ref().expect("just chosen");
        let (Some(kept), Some(gradients)) = (kept, &chosen.gradients) else {
            return Ok(());
        };
        let owners: Vec<usize> = chosen.rows.iter().map(|row| row.example).collect();
        let parts = Parts {
            gradients,
            examples: &owners,
        };
        let scores = kept.scores(self.train, parts).map_err(sentence)?;
        self.methods.push((label.to_owned(), scores));
        Ok(())
    }

    fn choose(&self, by: &str, scores: &Array2<f64>) -> Result<ChosenExamples, String> {
        let chosen = extremes(scores, self.queries);
        let mut examples: Vec<usize> = chosen.iter().map(|chosen| chosen.example).collect();
        examples.sort_unstable();
        examples.dedup();
        let rows = per_token::rows(&self.source.train, &examples);
        let gradients = (!rows.is_empty()).then(|| self.source.gradients(&rows, &self.stores));
        Ok(ChosenExamples {
            by: by.to_owned(),
            examples: chosen,
            rows,
            gradients: gradients.transpose()?,
        })
    }

    /// For each of the first queries the example that helps and the one that harms most by the first method, with the
    /// scores of their tokens by all methods that have such.
    ///
    /// # Errors
    /// A sentence for the record.
    pub fn finish(self) -> Result<Vec<ExampleByToken>, String> {
        let Some(ChosenExamples {
            by, examples, rows, ..
        }) = self.chosen
        else {
            return Ok(Vec::new());
        };
        let decoder = self.source.tokenizer.as_deref().map(Decoder::open);
        let decoder = decoder.transpose().map_err(sentence)?;
        let token = |row: &TokenRow| TokenInfo {
            position: row.next.position,
            token: row.next.token,
            text: decoder
                .as_ref()
                .and_then(|decoder| decoder.text(row.next.token)),
        };
        let [train, query] = &self.source.ids;
        let read = |ids: &[u32]| decoder.as_ref().and_then(|decoder| decoder.joined(ids));
        let of_one = |chosen: Chosen| {
            let own: Vec<usize> = (0..rows.len())
                .filter(|&row| rows[row].example == chosen.example)
                .collect();
            let of_method = |(label, found): &(String, Array2<f64>)| MethodByToken {
                label: label.clone(),
                scores: own.iter().map(|&row| found[(chosen.query, row)]).collect(),
            };
            ExampleByToken {
                query: chosen.query,
                example: chosen.example,
                extreme: chosen.extreme,
                by: by.clone(),
                asked: read(&query[chosen.query]).unwrap_or_default(),
                given: own
                    .first()
                    .map(|&row| rows[row].next.position as usize)
                    .and_then(|first| read(&train[chosen.example][..=first]))
                    .unwrap_or_default(),
                tokens: own.iter().map(|&row| token(&rows[row])).collect(),
                methods: self.methods.iter().map(of_method).collect(),
            }
        };
        Ok(examples.into_iter().map(of_one).collect())
    }
}

/// Name of the gradients by token.
const STORE: &str = "tokens";

/// The examples with the smallest and the largest score of each of the first `queries` rows, the first of equal ones;
/// none of a row with a score that is not finite. The last row is that of the mean query, not of a query.
fn extremes(scores: &Array2<f64>, queries: usize) -> Vec<Chosen> {
    let rows = scores.rows().into_iter().enumerate();
    let rows = rows.take(queries.min(scores.nrows().saturating_sub(1)));
    let finite = rows.filter(|(_, row)| row.iter().all(|score| score.is_finite()));
    let of_row = |(query, row): (usize, ndarray::ArrayView1<'_, f64>)| {
        let at = |better: fn(f64, f64) -> bool| {
            (0..row.len()).fold(
                0,
                |best, k| if better(row[k], row[best]) { k } else { best },
            )
        };
        let chosen = |extreme, example| Chosen {
            query,
            example,
            extreme,
        };
        [
            chosen(Extreme::MostHelpful, at(|a, b| a < b)),
            chosen(Extreme::MostHarmful, at(|a, b| a > b)),
        ]
    };
    finite.flat_map(of_row).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_most_helpful_and_the_most_harmful_example_of_every_query_are_chosen() {
        let scores = array![
            [0.5, -1.0, 2.0, -1.0],
            [f64::NAN, 0.0, 1.0, 2.0],
            [3.0, 1.0, 2.0, 9.0],
            [9.0, 9.0, 9.0, -9.0]
        ];
        let found: Vec<_> = extremes(&scores, 9)
            .into_iter()
            .map(|chosen| (chosen.query, chosen.example, chosen.extreme))
            .collect();
        let (helpful, harmful) = (Extreme::MostHelpful, Extreme::MostHarmful);
        let expected = [
            (0, 1, helpful),
            (0, 2, harmful),
            (2, 1, helpful),
            (2, 3, harmful),
        ];
        assert_eq!(found, expected);
        assert_eq!(extremes(&scores, 1).len(), 2);
    }
}
