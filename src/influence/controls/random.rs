//! Chance.

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use super::part::pairs;
use crate::influence::companions::Companions;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::method::{Control, InfluenceMethod};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::look::{Dash, Look, Marker};
use crate::random;

/// Independent standard normal numbers from the seed: what a method is that knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Random;

impl Listed for Random {
    const INFO: MethodInfo = MethodInfo {
        name: "random",
        title: "Random",
        look: Some(Look::new([0x80, 0x80, 0x80], Marker::Plus, Dash::Dotted)),
        variant: plain,
        summary: "control: random numbers from the seed",
        formula: "a standard normal number, in place of a gradient product",
        cost: "1, a pair",
        memory: "none",
        passes: "0",
        damping: "none",
        source: "a control of our own",
        when: "to see what chance gives, with its spread",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for Random {
    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        pairs(size)
    }
}

impl Control for Random {
    fn scores(&self, _: &Companions<'_>, [m, n]: [usize; 2], seed: u64) -> Array2<f64> {
        let mut rng = random::rng(seed, "influence", "random scores");
        Array2::from_shape_simple_fn((m, n), || StandardNormal.sample(&mut rng))
    }
}
