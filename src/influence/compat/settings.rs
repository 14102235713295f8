//! Options that several libraries share.

use crate::influence::block::view::chunks;
use crate::influence::registry::{Allowed, OptionInfo, Values};

/// Where the damping of a library's convention comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damping {
    /// Our λ_l of the block.
    Block,
    /// One constant for all blocks; 0 for none.
    Constant(f64),
}

impl Damping {
    /// The value for a block whose λ_l is `lambda`.
    pub(super) fn of(self, lambda: f64) -> f64 {
        match self {
            Self::Block => lambda,
            Self::Constant(value) => value,
        }
    }

    /// The option `damping`: `auto`, `none` where the method allows it, or a number.
    pub(super) fn from_values(values: &Values) -> Self {
        match values.number("damping") {
            Some(value) => Self::Constant(value),
            None if values.word("damping") == Some("none") => Self::Constant(0.0),
            None => Self::Block,
        }
    }
}

/// The option `damping` of the methods that divide by it.
pub(super) const fn damping_option(default: &'static str) -> OptionInfo {
    OptionInfo {
        key: "damping",
        default,
        allowed: Allowed::NumberOr(&["auto"]),
        help: "λ: one constant for all blocks, as the library has it; auto is our λ of each block",
    }
}

/// The option `damping` that is our λ unless given.
pub(super) const DAMPING: OptionInfo = damping_option("auto");

/// The option `batch_size`: the libraries take it from the caller's data loader.
pub(super) const BATCH_SIZE: OptionInfo = OptionInfo {
    key: "batch_size",
    default: "64",
    allowed: Allowed::Count,
    help: "examples a batch of the library's data loader, in order, on which its answer depends",
};

/// Sizes of the batches of `n` examples.
pub(super) fn batches(n: usize, batch_size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    chunks(n, batch_size)
}

pub(super) const fn steps(default: &'static str) -> OptionInfo {
    OptionInfo {
        key: "iterations",
        default,
        allowed: Allowed::Count,
        help: "steps k, at most",
    }
}

pub(super) const fn scale(default: &'static str) -> OptionInfo {
    OptionInfo {
        key: "scale",
        default,
        allowed: Allowed::Number,
        help: "s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::METHODS;

    #[test]
    fn the_last_batch_may_be_short() {
        let sizes: Vec<usize> = batches(10, 4).map(|rows| rows.len()).collect();
        assert_eq!(sizes, [4, 4, 2]);
    }

    #[test]
    fn damping_is_constant_or_the_blocks_or_none() {
        let (info, _) = METHODS
            .iter()
            .find(|(info, _)| info.name == "lissa_pydvl")
            .unwrap();
        let option = info.options.iter().find(|o| o.key == "damping").unwrap();
        let damping = |text: &str| {
            let value = option.allowed.parse(text).unwrap();
            Damping::from_values(&Values::new(info, &[("damping", value)])).of(0.5)
        };
        assert_eq!(
            [damping("auto"), damping("none"), damping("0.2")],
            [0.5, 0.0, 0.2]
        );
    }
}
