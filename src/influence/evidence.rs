//! What a solver says of its own answer.

use serde::{Deserialize, Serialize};

/// What a solver says of its own answer, the worst over blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// ‖(F+λI)x − v‖/‖v‖, the largest over blocks and queries; `null` when not computed or not finite.
    pub residual: Option<f64>,
    /// Iterations or refinement steps, the most over blocks.
    pub iterations: Option<usize>,
    /// How each block was solved, e.g. `primal`, `dual`, when there is a choice; `dual+primal` when
    /// blocks differ.
    pub solver: Option<String>,
    /// Blocks that did not converge.
    pub not_converged: usize,
}

impl Evidence {
    /// The worst of both: larger residual, more iterations, the solvers of both, the sum of the failures.
    #[must_use]
    pub fn worst(self, other: &Self) -> Self {
        let solver = match (self.solver, &other.solver) {
            (Some(a), Some(b)) => {
                let mut names: Vec<&str> = a.split('+').chain(b.split('+')).collect();
                names.sort_unstable();
                names.dedup();
                Some(names.join("+"))
            }
            (a, b) => a.or_else(|| b.clone()),
        };
        Self {
            residual: [self.residual, other.residual]
                .into_iter()
                .flatten()
                .reduce(f64::max),
            iterations: self.iterations.max(other.iterations),
            solver,
            not_converged: self.not_converged + other.not_converged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_over_blocks_is_kept() {
        let a = Evidence {
            residual: Some(1e-9),
            iterations: None,
            solver: Some("primal".into()),
            not_converged: 1,
        };
        let b = Evidence {
            residual: Some(1e-3),
            iterations: Some(4),
            solver: Some("dual".into()),
            not_converged: 2,
        };
        let worst = Evidence::default().worst(&a).worst(&b).worst(&a);
        let expected = Evidence {
            residual: Some(1e-3),
            iterations: Some(4),
            solver: Some("dual+primal".into()),
            not_converged: 4,
        };
        assert_eq!(worst, expected);
    }
}
