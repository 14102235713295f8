//! The Hessian of the training loss in place of the empirical Fisher.

use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

use crate::influence::block::columns::{norms, relative};
use crate::influence::block::precision::Precision;
use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost, EIGEN};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::influence::solve::dense::product_on;
use crate::influence::solve::kronecker::eigenpairs;
use crate::input::quote;
use crate::look::{Dash, Drawn, Given, Look, Marker};

/// Queries that one thread works on at a time, whatever their number of threads.
const QUERIES: usize = 16;
/// Residual above which a block counts as not converged.
const CONVERGED_BELOW: f64 = 1e-9;

/// The true Hessian: X = (H + λI)⁻¹V with H = ∂²L̄/∂θ² of the block's parameters, L̄ the mean training loss, and the λ of
/// the store, in f64: what influence functions are about, of which the Fisher of [`exact`](super::exact) is an
/// approximation. λ is the same, so that the two differ in the curvature alone.
///
/// H = Q diag(h) Qᵀ may be indefinite, since LoRA's loss is not convex. `negative` says what its negative eigenvalues
/// become before λ is added:
///
/// - `keep`: h, the plain inverse. Where h ≈ −λ the answer explodes: the matrix is nearly singular.
/// - `absolute`: |h|, as saddle-free Newton steps do (Dauphin et al., 2014, arXiv 1406.2572).
/// - `clip`: max(h, 0), the nearest positive semidefinite matrix.
///
/// The evidence counts the negative eigenvalues of H + λI as they are, whatever becomes of them, and has the residual
/// of the matrix that was inverted, ‖(Q diag(h′) Qᵀ + λI)x − v‖/‖v‖, from H itself rather than from its eigenvectors alone; a block
/// above 1e-9 counts as not converged.
///
/// Source: Koh and Liang, 2017 (arXiv 1703.04730), who damp with a constant. Needs the Hessian, which
/// [`hessian`](crate::gradients::hessian) computes for small models, within all tensors of the block: also between
/// two of them. Cost: 9·d³ flops to prepare, 6·m·d² to apply; 3·d² numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueHessian {
    /// What negative eigenvalues become.
    pub negative: Negative,
    /// Most parameters, over all blocks, that a run computes a Hessian of.
    pub limit: usize,
}

impl Default for TrueHessian {
    fn default() -> Self {
        Self {
            negative: Negative::Keep,
            limit: 4096,
        }
    }
}

/// What negative eigenvalues of H become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Negative {
    /// They stay.
    #[default]
    Keep,
    /// Their absolute value.
    Absolute,
    /// Zero.
    Clip,
}

impl Negative {
    fn of(self, h: f64) -> f64 {
        match self {
            Self::Keep => h,
            Self::Absolute => h.abs(),
            Self::Clip => h.max(0.0),
        }
    }
}

impl Listed for TrueHessian {
    const INFO: MethodInfo = MethodInfo {
        name: "true_hessian",
        title: "True Hessian",
        look: Some(Look::new([0xaa, 0x33, 0x11], Marker::Circle, Dash::Solid)),
        variant: by_negative,
        summary: "the Hessian of the training loss in place of the Fisher; needs it, computed with a small model",
        formula: "(H + λI)⁻¹v with H = ∂²L̄/∂θ²",
        cost: "d³ + m d²; before it 2 Σd gradient passes for H",
        memory: "3 d²",
        passes: "1",
        damping: "λ_l, that of the Fisher, added to the eigenvalues of H",
        source: "Koh and Liang 2017, arXiv 1703.04730; Dauphin et al. 2014, arXiv 1406.2572 for absolute",
        when: "on small models, to measure what the Fisher in place of the Hessian costs",
        options: &[
            OptionInfo {
                key: "negative",
                default: "keep",
                allowed: Allowed::Word(&["keep", "absolute", "clip"]),
                help: "negative eigenvalues of H: as they are, their absolute value, or 0",
            },
            OptionInfo {
                key: "limit",
                default: "4096",
                allowed: Allowed::Count,
                help: "most parameters, over all blocks, that a Hessian is computed of",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            negative: match values.word("negative") {
                Some("absolute") => Negative::Absolute,
                Some("clip") => Negative::Clip,
                _ => Negative::Keep,
            },
            limit: values.count("limit"),
        }
    }
}

impl InfluenceMethod for TrueHessian {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let hessian = of_block(block, self.limit)?;
        let (vectors, values) = eigenpairs(&hessian).map_err(|()| InfluenceError::Companion {
            tensor: block.name().to_owned(),
            reason: "the eigenvalues of its Hessian cannot be found".to_owned(),
        })?;
        let weight = |&h: &f64| 1.0 / (self.negative.of(h) + lambda);
        Ok(Box::new(Decomposed {
            weights: values.iter().map(weight).collect(),
            changes: values.iter().map(|&h| self.negative.of(h) - h).collect(),
            negative: values.iter().filter(|&&h| h + lambda < 0.0).count(),
            hessian,
            vectors,
            lambda,
        }))
    }

    fn need(&self) -> Need {
        Need::Hessian { limit: self.limit }
    }

    /// As of `exact`, which it is held against.
    fn precision(&self, _: Precision) -> Precision {
        Precision::F64
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (m, d) = (size.queries, size.dim);
        // the Hessian itself is counted with the gradients
        Cost::once(size, EIGEN * d.powi(3) + 6.0 * m * d * d, 3.0 * d * d)
    }
}

/// H of a block, `[d, d]`.
fn of_block(block: &Block<'_>, limit: usize) -> Result<Mat<f64>, InfluenceError> {
    let method = TrueHessian::INFO.name;
    if block.dim() > limit {
        return Err(InfluenceError::TooLarge {
            block: block.name().to_owned(),
            method,
            size: block.dim(),
            limit,
        });
    }
    let hessians = block.companions().hessians.ok_or(InfluenceError::Missing {
        method,
        what: Need::Hessian { limit }.explanation(),
    })?;
    let tensors = block.store().tensors();
    let names = block.segments().iter().map(|s| &*tensors[s.tensor].name);
    let names: Vec<&str> = names.collect();
    let found = hessians.block(&names);
    let found = found.filter(|matrix| matrix.nrows() == block.dim());
    found.ok_or_else(|| InfluenceError::Companion {
        tensor: names[0].to_owned(),
        reason: format!(
            "has no second derivatives together with the other {} tensors of block `{}` among those given",
            names.len() - 1,
            quote(block.name())
        ),
    })
}

/// H = Q diag(h) Qᵀ.
struct Decomposed {
    hessian: Mat<f64>,
    /// Q, a vector a column.
    vectors: Mat<f64>,
    /// 1/(h′ + λ).
    weights: Vec<f64>,
    /// h′ − h.
    changes: Vec<f64>,
    /// Negative eigenvalues of H + λI.
    negative: usize,
    lambda: f64,
}

impl Decomposed {
    /// Q diag(factors) Qᵀ V.
    fn weigh(&self, v: MatRef<'_, f64>, factors: &[f64]) -> Mat<f64> {
        let mut coordinates = product_on(Par::Seq, self.vectors.transpose(), v);
        for j in 0..coordinates.ncols() {
            for (i, factor) in factors.iter().enumerate() {
                coordinates[(i, j)] *= factor;
            }
        }
        product_on(Par::Seq, self.vectors.as_ref(), coordinates.as_ref())
    }

    /// The answers to some queries, and what is left of these.
    fn solve(&self, v: MatRef<'_, f64>) -> (Mat<f64>, Mat<f64>) {
        let x = self.weigh(v, &self.weights);
        let mut image = product_on(Par::Seq, self.hessian.as_ref(), x.as_ref());
        if self.changes.iter().any(|change| *change != 0.0) {
            image += self.weigh(x.as_ref(), &self.changes);
        }
        let rest = Mat::from_fn(v.nrows(), v.ncols(), |i, j| {
            v[(i, j)] - image[(i, j)] - self.lambda * x[(i, j)]
        });
        (x, rest)
    }
}

impl Preconditioner for Decomposed {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let (d, m) = (v.nrows(), v.ncols());
        let (mut x, mut rest) = (Mat::zeros(d, m), Mat::zeros(d, m));
        // each product on one thread, so that no sum depends on how many there are
        x.as_mut()
            .par_col_chunks_mut(QUERIES)
            .zip(rest.as_mut().par_col_chunks_mut(QUERIES))
            .enumerate()
            .for_each(|(chunk, (mut x, mut rest))| {
                let (answer, left) = self.solve(v.subcols(chunk * QUERIES, x.ncols()));
                x.copy_from(&answer);
                rest.copy_from(&left);
            });
        let evidence = SolverDiagnostics {
            solver: Some("eigen".to_owned()),
            negative: Some([self.negative, self.weights.len()]),
            ..SolverDiagnostics::of_queries(&relative(&rest, &norms(v)), CONVERGED_BELOW)
        };
        Ok(Applied { x, evidence })
    }
}

/// By what negative eigenvalues become.
fn by_negative(options: &Given<'_>, drawn: &mut Drawn) {
    drawn.shown.push("negative");
    let (suffix, dash) = match options.get("negative") {
        Some("absolute") => (", absolute", Dash::Dashed),
        Some("clip") => (", clipped", Dash::Dotted),
        _ => return,
    };
    drawn.title.push_str(suffix);
    drawn.look = drawn.look.map(|look| Look { dash, ..look });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::hessian::{HessianGroup, Hessians};
    use crate::influence::Companions;
    use crate::influence::block::testing::Axes;

    /// H = diag(2, −0.5, −3) rotated in the plane of the first and last axis.
    fn indefinite() -> (Hessians, Mat<f64>, [f64; 3]) {
        let (c, s) = (0.6, 0.8);
        let q = faer::mat![[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]];
        let h = [2.0, -0.5, -3.0];
        let scaled = Mat::from_fn(3, 3, |i, j| q[(i, j)] * h[j]);
        let group = HessianGroup {
            tensors: vec![("t".to_owned(), 3)],
            matrix: &scaled * q.transpose(),
        };
        let groups = vec![group];
        (Hessians { groups }, q, h)
    }

    #[test]
    fn negative_eigenvalues_are_kept_turned_or_cut_and_counted() {
        let (hessians, q, h) = indefinite();
        let axes = Axes::new(&[1.0], 3);
        let block = axes.block().with_companions(Companions {
            hessians: Some(&hessians),
            ..Companions::default()
        });
        let lambda = 1.0;
        let v = Mat::from_fn(3, 20, |i, j| ((3 * i + 5 * j) as f64).sin());
        for (word, becomes) in [
            ("keep", [2.0, -0.5, -3.0]),
            ("absolute", [2.0, 0.5, 3.0]),
            ("clip", [2.0, 0.0, 0.0]),
        ] {
            let negative = match word {
                "absolute" => Negative::Absolute,
                "clip" => Negative::Clip,
                _ => Negative::Keep,
            };
            assert_eq!(h.map(|h| negative.of(h)), becomes);
            let method = TrueHessian {
                negative,
                ..TrueHessian::default()
            };
            let prepared = method.prepare(&block, lambda).unwrap();
            let Applied { x, evidence } = prepared.apply(&v).unwrap();
            let inverse = Mat::from_fn(3, 3, |i, j| {
                (0..3)
                    .map(|k| q[(i, k)] * q[(j, k)] / (becomes[k] + lambda))
                    .sum::<f64>()
            });
            let expected = &inverse * &v;
            // the condition of what is inverted is at most 8
            assert!((&x - &expected).norm_l2() <= 100.0 * f64::EPSILON * expected.norm_l2());
            // −3 alone is below −λ
            assert_eq!(evidence.negative, Some([1, 3]), "{word}");
            assert_eq!(evidence.not_converged, 0, "{word}");
            assert!(evidence.residual.unwrap() < 1e-14, "{word}");
        }
    }

    #[test]
    fn a_singular_matrix_shows_in_the_residual() {
        let (hessians, ..) = indefinite();
        let axes = Axes::new(&[1.0], 3);
        let block = axes.block().with_companions(Companions {
            hessians: Some(&hessians),
            ..Companions::default()
        });
        let v = Mat::from_fn(3, 1, |i, _| 1.0 + i as f64);
        // next to the eigenvalue −3: a condition of 5·2⁵¹/3
        let method = TrueHessian::default();
        let prepared = method.prepare(&block, 3.0 * (1.0 + f64::EPSILON)).unwrap();
        let found = prepared.apply(&v).unwrap().evidence;
        assert_eq!(found.not_converged, 1, "{found:?}");
    }

    #[test]
    fn large_blocks_and_absent_hessians_are_refused() {
        let axes = Axes::new(&[1.0], 3);
        let block = axes.block();
        let error = |method: &TrueHessian, block: &Block<'_>| {
            let error = method.prepare(block, 1.0).err().expect("an error");
            error.to_string()
        };
        assert_eq!(
            error(&TrueHessian::default(), &block),
            format!(
                "`true_hessian` needs {}, which are not there",
                TrueHessian::default().need().explanation()
            )
        );
        let small = TrueHessian {
            limit: 2,
            ..TrueHessian::default()
        };
        assert_eq!(
            error(&small, &block),
            "block `whole`: `true_hessian` inverts a dense 3×3 matrix, 2 is the largest allowed"
        );
    }
}
