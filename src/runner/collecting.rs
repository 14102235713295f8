//! The step of a cell from a fine-tuned model to gradients in stores.

use std::time::Instant;

use super::error::sentence;
use super::source::{At, Part, Source};
use super::stores::{SPLITS, Stores};
use crate::gradients::per_example::WithFactors;
use crate::gradients::store::GradientStore;

/// The gradients of a cell.
pub(super) struct Collected {
    pub train: GradientStore,
    pub query: GradientStore,
    /// Kronecker factors, when they were asked for.
    pub factors: Option<WithFactors>,
    /// Wall time without what the factors took.
    pub seconds: f64,
}

/// Takes the gradients of both splits; with `factors` the Kronecker factors of the training examples, too.
///
/// # Errors
/// A sentence for the record.
pub(super) fn collect(
    source: &dyn Source,
    stores: &Stores,
    factors: bool,
) -> Result<Collected, String> {
    let start = Instant::now();
    let [train, query] = SPLITS;
    let (train, factors) = if factors {
        let (tensors, rows) = (source.tensors(Part::Train), source.rows(Part::Train));
        let mut writer = stores.writer(train, tensors, rows, 1)?;
        let made = source.with_factors(At::Own, &mut writer)?;
        (writer.finish().map_err(sentence)?, Some(made))
    } else {
        (gradients_of(source, Part::Train, stores, train, 1)?, None)
    };
    let query = gradients_of(source, Part::Query, stores, query, 1)?;
    let of_factors = factors.as_ref().map_or(0.0, |made| made.seconds);
    Ok(Collected {
        train,
        query,
        factors,
        seconds: start.elapsed().as_secs_f64() - of_factors,
    })
}

/// The gradients of a split in a store of this name, one of `alike` of this size that are held at a time.
pub(super) fn gradients_of(
    source: &dyn Source,
    part: Part,
    stores: &Stores,
    name: &str,
    alike: usize,
) -> Result<GradientStore, String> {
    let mut writer = stores.writer(name, source.tensors(part), source.rows(part), alike)?;
    source.gradients(part, &mut writer)?;
    writer.finish().map_err(sentence)
}

#[cfg(test)]
#[path = "collecting_tests.rs"]
mod tests;
