//! Similar length.

use ndarray::Array2;

use super::part::{CompareTexts, OF, Part, shown};
use crate::influence::registry::{Listed, MethodInfo, Values};
use crate::look::{Dash, Look, Marker};

/// Similar length: I(k, q) = |t_q − t_k| with t the number of tokens of a text.
///
/// A template or an instruction that is longer than the others is recognised by this alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Length {
    /// The part of the texts that is compared.
    pub of: Part,
}

impl Listed for Length {
    const INFO: MethodInfo = MethodInfo {
        name: "length",
        title: "Similar length",
        look: Some(Look::new([0x8a, 0x6d, 0x3b], Marker::Down, Dash::Dotted)),
        variant: shown,
        summary: "control: how far the numbers of tokens are apart, without any model; needs the texts in tokens",
        formula: "−|difference of the two texts' lengths in tokens|, in place of a gradient product",
        cost: "1, a pair",
        memory: "n + m",
        passes: "0",
        damping: "none",
        source: "a control of our own",
        when: "beside every method on texts whose classes differ in length",
        options: &[OF],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            of: Part::from_values(values),
        }
    }
}

impl CompareTexts for Length {
    fn of(&self) -> Part {
        self.of
    }

    fn compare(&self, train: &[Vec<u32>], query: &[Vec<u32>]) -> Array2<f64> {
        Array2::from_shape_fn((query.len(), train.len()), |(q, k)| {
            query[q].len().abs_diff(train[k].len()) as f64
        })
    }
}
