//! kronfluence's strategies, where they differ from ours: labels drawn from the model, a constant damping or one
//! from the strategy's own eigenvalues, and for K-FAC another count in the factors.
//!
//! Its fourth strategy, identity, is [`HessianFree`](crate::influence::methods::hessian_free::HessianFree) with the other
//! sign. A module is a tensor here, whatever the blocks are; kronfluence takes a module's bias with its weight, and
//! adapters have none.

use super::settings::Damping;
use crate::influence::registry::{Allowed, OptionInfo, Values};
use crate::influence::solve::kronecker;

pub(super) const VERSION: &str = "kronfluence 1.0.1; Grosse et al. 2023, arXiv 2308.03296";

/// The labels that the library takes when it is not asked for the empirical Fisher.
pub(super) const LABELS: OptionInfo = OptionInfo {
    default: "sampled",
    ..kronecker::LABELS
};

pub(super) const DAMPING: OptionInfo = OptionInfo {
    key: "damping",
    default: "1e-8",
    allowed: Allowed::NumberOr(&["heuristic", "auto"]),
    help: "λ: one constant; heuristic is the library's 0.1 times the mean of its own eigenvalues; auto is our λ of each block",
};

/// Where the damping of a strategy comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KronfluenceDamping {
    /// One constant for all, or our λ_l.
    Given(Damping),
    /// 0.1 times the mean of the tensor's own eigenvalues: `damping_factor=None` there.
    Heuristic,
}

impl KronfluenceDamping {
    pub(super) fn from_values(values: &Values) -> Self {
        match values.word(DAMPING.key) {
            Some("heuristic") => Self::Heuristic,
            _ => Self::Given(Damping::from_values(values)),
        }
    }

    /// Λ of a tensor with the damping in it.
    pub(super) fn added(self, mut curvatures: Vec<f64>, lambda: f64) -> Vec<f64> {
        let damping = match self {
            Self::Given(damping) => damping.of(lambda),
            Self::Heuristic => 0.1 * curvatures.iter().sum::<f64>() / curvatures.len() as f64,
        };
        curvatures.iter_mut().for_each(|value| *value += damping);
        curvatures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heuristic_is_a_tenth_of_the_mean() {
        let curvatures = vec![1.0, 2.0, 6.0];
        let added = |damping: KronfluenceDamping| damping.added(curvatures.clone(), 0.5);
        let constant = KronfluenceDamping::Given(Damping::Constant(0.25));
        let ours = KronfluenceDamping::Given(Damping::Block);
        assert_eq!(added(constant), [1.25, 2.25, 6.25]);
        assert_eq!(added(ours), [1.5, 2.5, 6.5]);
        let expected = [1.0, 2.0, 6.0].map(|value| value + 0.1 * 9.0 / 3.0);
        assert_eq!(added(KronfluenceDamping::Heuristic), expected);
    }
}
