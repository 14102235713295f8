//! Gradients of every target token, with the list of the tokens, as `infbench score --per-token` reads them.

use std::path::Path;

use super::counted::Counted;
use super::error::GradientFilesError;
use crate::atomic;
use crate::batching;
use crate::data::Split;
use crate::gradients::per_token::{self, TokenRow};
use crate::gradients::store::{StoreError, Target, TensorInfo};
use crate::gradients::token_list::{ScoredToken, token_file};
use crate::models::Model;
use crate::progress::Progress;
use crate::tasks::glue::TextError;
use crate::tasks::text::Decoder;

/// The target tokens of all examples: the rows of [`write`].
pub(super) fn rows(split: &Split) -> Vec<TokenRow> {
    per_token::rows(split, &(0..split.len()).collect::<Vec<_>>())
}

/// Writes w ∂ℓ_p of every target token to `out.target`, whose tensors are named by `out.tensors`, and the list of the
/// tokens beside it; `checkpoint` is the folder of the tokenizer.
///
/// # Errors
/// A loss that is not finite, a tokenizer or files that cannot be read or written.
pub(super) fn write(
    model: &Model,
    split: &Split,
    rows: &[TokenRow],
    checkpoint: &Path,
    (path, target, tensors): (&Path, Target, Vec<TensorInfo>),
    so_far: (&Progress, usize),
) -> Result<(), GradientFilesError> {
    let decoder = Decoder::open(checkpoint).map_err(TextError::from)?;
    let mut sink = Counted::create(tensors, rows.len(), target, so_far)?;
    let tokens = batching::tokens_at_a_time(model);
    per_token::collect(model, split, rows, tokens, &mut sink)?;
    sink.finish()?;
    let listed: Vec<ScoredToken> = rows
        .iter()
        .map(|row| ScoredToken {
            example: row.example,
            position: row.next.position,
            token: row.next.token,
            text: decoder.text(row.next.token),
        })
        .collect();
    let list = token_file(path);
    let text = serde_json::to_string(&listed).expect("plain JSON");
    atomic::write(&list, text.as_bytes()).map_err(|source| {
        let (path, action) = (list.clone(), "write");
        StoreError::Io {
            path,
            action,
            source,
        }
        .into()
    })
}
