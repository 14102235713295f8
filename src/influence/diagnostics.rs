//! What a solver says of its own answer.

use serde::{Deserialize, Serialize};

use super::block::columns::{above, worst};

/// What a solver says of its own answer, the worst over blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SolverDiagnostics {
    /// ‖(F+λI)x − v‖/‖v‖, the largest over blocks and queries; `null` when not computed, and the largest number there is
    /// when not finite (see [`not_finite`](Self::not_finite)).
    pub residual: Option<f64>,
    /// Iterations or refinement steps, the most over blocks.
    pub iterations: Option<usize>,
    /// How each block was solved, e.g. `primal`, `dual`, when there is a choice; `dual+primal` when
    /// blocks differ.
    pub solver: Option<String>,
    /// Of methods that invert a matrix which may be indefinite: its negative eigenvalues, and all of them, summed over
    /// blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<[usize; 2]>,
    /// Blocks that did not converge.
    pub not_converged: usize,
    /// The residual of every query, the largest over blocks; empty when not computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residuals: Vec<f64>,
    /// The residual after every iteration, the largest over blocks and queries; empty when not computed.
    /// A block that stopped early counts with its last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<f64>,
}

/// The larger entry of both, the shorter list going on with its last entry.
fn larger(a: &[f64], b: &[f64]) -> Vec<f64> {
    let entry = |list: &[f64], i: usize| list.get(i).or(list.last()).copied();
    (0..a.len().max(b.len()))
        .filter_map(|i| {
            [entry(a, i), entry(b, i)]
                .into_iter()
                .flatten()
                .reduce(f64::max)
        })
        .collect()
}

fn readable(residual: f64) -> f64 {
    if residual.is_finite() {
        residual
    } else {
        f64::MAX
    }
}

impl SolverDiagnostics {
    /// Of the residual of every query: the worst, all of them, and not converged when one is above `tolerance` or
    /// not a number.
    pub(crate) fn of_queries(residuals: &[f64], tolerance: f64) -> Self {
        let worst = worst(residuals.iter().copied());
        Self {
            residual: Some(readable(worst)),
            not_converged: usize::from(above(worst, tolerance)),
            residuals: Self::readable(residuals),
            ..Self::default()
        }
    }

    /// Residuals as JSON can hold them: what is not finite becomes the largest number there is, which stays the worst.
    pub(crate) fn readable(residuals: &[f64]) -> Vec<f64> {
        residuals.iter().copied().map(readable).collect()
    }

    /// Whether a residual was NaN or infinite.
    pub fn not_finite(&self) -> bool {
        self.residual == Some(f64::MAX)
    }

    /// The worst of both: larger residual, more iterations, the solvers of both, the sums of failures and
    /// negative eigenvalues.
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
            negative: match (self.negative, other.negative) {
                (Some([a, b]), Some([c, d])) => Some([a + c, b + d]),
                (a, b) => a.or(b),
            },
            not_converged: self.not_converged + other.not_converged,
            residuals: larger(&self.residuals, &other.residuals),
            history: larger(&self.history, &other.history),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_that_are_no_numbers_stay_the_worst_and_can_be_read_back() {
        let fine = SolverDiagnostics::of_queries(&[1e-7, 0.0], 1e-6);
        assert_eq!((fine.residual, fine.not_converged), (Some(1e-7), 0));
        let bad = SolverDiagnostics::of_queries(&[1e-7, f64::NAN, f64::INFINITY], 1e-6);
        assert_eq!((bad.not_finite(), bad.not_converged), (true, 1));
        let text = serde_json::to_string(&bad).unwrap();
        let back: SolverDiagnostics = serde_json::from_str(&text).unwrap();
        assert_eq!(back.residuals, [1e-7, f64::MAX, f64::MAX]);
        assert!(back.not_finite());
        // a block that has one is not hidden by another that is fine, in whatever order
        let fine = SolverDiagnostics::of_queries(&[1e-13], 1e-9);
        for both in [fine.clone().worst(&bad), bad.worst(&fine)] {
            assert!(both.not_finite() && both.not_converged == 1);
        }
    }

    #[test]
    fn the_worst_over_blocks_is_kept() {
        let a = SolverDiagnostics {
            residual: Some(1e-9),
            iterations: None,
            solver: Some("primal".into()),
            negative: Some([1, 8]),
            not_converged: 1,
            residuals: vec![1e-9, 1e-10],
            history: vec![0.5, 1e-9],
        };
        let b = SolverDiagnostics {
            residual: Some(1e-3),
            iterations: Some(4),
            solver: Some("dual".into()),
            negative: None,
            not_converged: 2,
            residuals: vec![1e-4, 1e-3],
            history: vec![0.9, 0.1, 1e-2, 1e-3],
        };
        let worst = SolverDiagnostics::default().worst(&a).worst(&b).worst(&a);
        let expected = SolverDiagnostics {
            residual: Some(1e-3),
            iterations: Some(4),
            solver: Some("dual+primal".into()),
            negative: Some([2, 16]),
            not_converged: 4,
            residuals: vec![1e-4, 1e-3],
            history: vec![0.9, 0.1, 1e-2, 1e-3],
        };
        assert_eq!(worst, expected);
    }
}
