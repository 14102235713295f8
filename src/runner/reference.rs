//! The exact influence that the methods of a cell are held against, and when it is none.

use ndarray::Array2;

use crate::config::MethodSpec;
use crate::influence::{Influence, InfluenceError};

/// Exact influences that are no reference, and why.
#[derive(Default)]
pub(super) struct NoReference(pub(super) Vec<String>);

impl NoReference {
    /// Scores of `what`, `[rows, columns]`, to hold methods against: nowhere finite, so that every metric against them
    /// is undefined and counted, where they failed or did not converge.
    pub(super) fn scores(
        &mut self,
        what: &str,
        found: Result<Influence, InfluenceError>,
        (rows, columns): (usize, usize),
    ) -> Array2<f64> {
        match found {
            Ok(found) if self.converged(what, &found) => found.scores,
            Ok(_) => nowhere_finite(rows, columns),
            Err(error) => {
                self.0.push(format!("{what} failed: {error}"));
                nowhere_finite(rows, columns)
            }
        }
    }

    /// Whether the scores of an exact method of the settings may be the reference.
    pub(super) fn allows(&mut self, spec: &MethodSpec, found: &Influence) -> bool {
        self.converged(&format!("`{}`", spec.label), found)
    }

    fn converged(&mut self, what: &str, found: &Influence) -> bool {
        let evidence = &found.evidence;
        if evidence.not_converged == 0 {
            return true;
        }
        let residual = match evidence.residual {
            Some(_) if evidence.not_finite() => "not finite".to_owned(),
            Some(residual) => format!("{residual:.1e}"),
            None => "not measured".to_owned(),
        };
        self.0.push(format!(
            "{what} did not converge in {} of its blocks (largest residual {residual})",
            evidence.not_converged
        ));
        false
    }

    pub(super) fn failed(&mut self, spec: &MethodSpec, error: &str) {
        self.0.push(format!("`{}` failed: {error}", spec.label));
    }
}

/// Scores without a finite entry.
pub(super) fn nowhere_finite(rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_elem((rows, columns), f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence::SolverDiagnostics;

    fn found(not_converged: usize, residual: Option<f64>) -> Influence {
        with(SolverDiagnostics {
            not_converged,
            residual,
            ..SolverDiagnostics::default()
        })
    }

    fn with(evidence: SolverDiagnostics) -> Influence {
        Influence {
            scores: Array2::ones((3, 2)),
            parts: None,
            preconditioned: None,
            seconds: Default::default(),
            peak_bytes: None,
            bytes_read: 0,
            evidence,
            block_evidence: Vec::new(),
        }
    }

    #[test]
    fn what_did_not_converge_is_no_reference_and_says_so() {
        let mut none = NoReference::default();
        let spec: MethodSpec = "exact:solver=cg".parse().expect("a method");
        assert!(none.allows(&spec, &found(0, Some(1e-12))));
        assert_eq!(
            none.scores("x", Ok(found(0, None)), (3, 2)),
            Array2::<f64>::ones((3, 2))
        );
        assert!(none.0.is_empty());
        assert!(!none.allows(&spec, &found(2, Some(3.21e-4))));
        let failed = InfluenceError::LambdaCount {
            expected: 2,
            found: 1,
        };
        for outcome in [
            Ok(found(1, None)),
            Ok(with(SolverDiagnostics::of_queries(&[1e-9, f64::NAN], 1e-6))),
            Err(failed),
        ] {
            let scores = none.scores("exact on f32 gradients", outcome, (3, 2));
            assert_eq!(scores.dim(), (3, 2));
            assert!(scores.iter().all(|score| score.is_nan()));
        }
        none.failed(&spec, "the matrix is not positive definite");
        assert_eq!(
            none.0,
            [
                "`exact:solver=cg` did not converge in 2 of its blocks (largest residual 3.2e-4)",
                "exact on f32 gradients did not converge in 1 of its blocks (largest residual not measured)",
                "exact on f32 gradients did not converge in 1 of its blocks (largest residual not finite)",
                "exact on f32 gradients failed: 1 values of λ for 2 blocks",
                "`exact:solver=cg` failed: the matrix is not positive definite",
            ]
        );
    }
}
