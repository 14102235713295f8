//! Similar length.

use ndarray::Array2;

use super::part::{OF, Part, pairs, shown};
use crate::influence::companions::{Companions, Need};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::method::{Control, InfluenceMethod};
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

impl InfluenceMethod for Length {
    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }

    fn need(&self) -> Need {
        Need::Texts
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        pairs(size)
    }
}

impl Control for Length {
    fn scores(&self, beside: &Companions<'_>, [m, n]: [usize; 2], _: u64) -> Array2<f64> {
        let Some([train, query]) = beside.texts else {
            return Array2::from_elem((m, n), f64::NAN);
        };
        let [train, query] = [train, query].map(|texts| self.of.of(texts));
        Array2::from_shape_fn((m, n), |(q, k)| {
            query[q].len().abs_diff(train[k].len()) as f64
        })
    }
}
