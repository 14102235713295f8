//! HyperINF: the inverse by Schulz's iteration.

use faer::{Accum, Mat};
use rayon::prelude::*;

use crate::influence::block::columns::{column, contiguous_mut, norms, relative, worst};
use crate::influence::block::layout::matrix;
use crate::influence::block::precision::Precision;
use crate::influence::block::view::{Block, chunks};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Limit, Preconditioner};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::influence::solve::dense::product;
use crate::influence::solve::schulz::{Inverse, damp, frobenius, mirrored, one_norm, schulz};
use crate::look::{Dash, Drawn, Given, Look, Marker};

/// Largest matrix that is inverted: four of them, in f64, are 8 GiB.
pub const MAX_SIZE: usize = 16_384;
/// Start of the published iteration: this times the identity.
const PUBLISHED_START: f64 = 5e-5;
/// Steps of the published iteration.
const PUBLISHED_STEPS: usize = 15;
/// Steps at most of the converged one: each doubles the digits, after log₂ of the condition.
const MAX_STEPS: usize = 100;

/// HyperINF: X ← X(2I − MX), Schulz's iteration for M⁻¹, in one of three forms.
///
/// - `converged`: M = F + λI of the whole block, `[d, d]`, x = M⁻¹v. Starts at I/min(‖M‖₁, ‖M‖_F), from where it
///   converges for any M, and stops when ‖I − MX‖_F, which bounds the residual of every query, is below the
///   tolerance. It is exact influence by another way.
/// - `published`: the paper's low-rank form. With the gradient of a tensor as a matrix g `[r, c]`, the shorter
///   side first, M = (1/n) Σ_i g_i g_iᵀ + λI is `[r, r]` and x = M⁻¹v with v as `[r, c]`: the Fisher
///   (1/n) Σ vec(g_i)vec(g_i)ᵀ is replaced by I_c ⊗ M, which is another matrix. 15 steps from 5·10⁻⁵·I, no
///   check: where the eigenvalues μ of M are small the inverse is far from reached (a factor (1 − 5·10⁻⁵μ)^2¹⁵ of
///   it is missing), and above 4·10⁴ it diverges.
/// - `code`: the public code, which multiplies on the other side: M = (1/n) Σ_i g_iᵀg_i + λI, `[c, c]`, x = vM⁻¹;
///   15 steps as in its data selection (its detection of mislabelled data makes 30, with 10⁻³ more damping).
///
/// Source: Zhou, Fan, Jaggi 2024 (arXiv 2410.05090). Schulz 1933 for the iteration. Cost a step: 4·s³ for an s×s
/// matrix; `converged` 4·d² numbers and 2·m·d² to apply, the others n·r·d to build M.
/// Always f64. Matrices above 16,384 are refused.
///
/// The history is of ‖I − MX‖_F/√s, the largest over tensors. `converged` computes the residual of every query
/// within the clock, and counts a block as not converged when one is above the tolerance; the others' is
/// measured outside the clock, and counted when above 1.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperInf {
    /// Which form.
    pub variant: Variant,
    /// Steps at most, at least 1; `None`: 100 for `converged`, 15 for the others, which make them all.
    pub iterations: Option<usize>,
    /// Residual at which `converged` stops; the others do not look.
    pub tolerance: f64,
}

/// Form of [`HyperInf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The whole Fisher, to a residual.
    Converged,
    /// The paper's r×r matrix.
    Published,
    /// The public code's c×c matrix.
    Code,
}

impl Listed for HyperInf {
    const INFO: MethodInfo = MethodInfo {
        name: "hyperinf",
        title: "HyperINF",
        look: Some(Look::new([0xc5, 0x1b, 0x7d], Marker::Square, Dash::Solid)),
        variant: variants,
        summary: "the damped Fisher inverted by Schulz's iteration; as published with variant",
        formula: "X ← X(2I − (F + λI)X), result Xv",
        cost: "n d² + k d³; published: n r d + k r³",
        memory: "4 d²; published: r²",
        passes: "3; published 2",
        damping: "λ_l added to F (to its r×r stand-in when published)",
        source: "Zhou, Fan, Jaggi 2024, arXiv 2410.05090; Schulz 1933",
        when: "to reproduce published results; exact costs less and knows more",
        options: &[
            OptionInfo {
                key: "variant",
                default: "converged",
                allowed: Allowed::Word(&["converged", "published", "code"]),
                help: "converged inverts F + λI; published the r×r matrix of the paper; code the c×c one of its code",
            },
            OptionInfo {
                key: "iterations",
                default: "auto",
                allowed: Allowed::CountOr(&["auto"]),
                help: "steps k: at most for converged (auto is 100), exactly for the others (auto is 15)",
            },
            OptionInfo {
                key: "tolerance",
                default: "1e-10",
                allowed: Allowed::Number,
                help: "residual at which converged stops",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            variant: match values.word("variant") {
                Some("published") => Variant::Published,
                Some("code") => Variant::Code,
                _ => Variant::Converged,
            },
            iterations: values.count_or("iterations"),
            tolerance: values.number("tolerance").unwrap_or(1e-10),
        }
    }
}

impl InfluenceMethod for HyperInf {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let block = block.with_precision(Precision::F64);
        let fits = |size: usize| {
            if size <= MAX_SIZE {
                return Ok(());
            }
            Err(InfluenceError::TooLarge {
                block: block.name().to_owned(),
                method: "hyperinf",
                size,
                limit: MAX_SIZE,
            })
        };
        if self.variant == Variant::Converged {
            fits(block.dim())?;
            let damped = damp(mirrored(block.fisher()), lambda);
            let start = 1.0 / one_norm(&damped).min(frobenius(&damped));
            let steps = self.iterations.unwrap_or(MAX_STEPS);
            let inverse = schulz(&damped, start, steps, self.tolerance);
            return Ok(Box::new(Whole {
                block,
                lambda,
                inverse,
                tolerance: self.tolerance,
            }));
        }
        let steps = self.iterations.unwrap_or(PUBLISHED_STEPS);
        let mut tensors = Vec::new();
        for segment in block.segments() {
            let shape = Sides::of(&block.store().tensors()[segment.tensor].shape);
            let size = if self.variant == Variant::Published {
                shape.short()
            } else {
                shape.long()
            };
            fits(size)?;
            // its rows are rows of g when that side comes first in memory
            let rows = size == shape.rows;
            let moment = second_moment(&block, segment.tensor, shape, rows);
            tensors.push(Tensor {
                offset: segment.offset,
                shape,
                rows,
                inverse: schulz(&damp(moment, lambda), PUBLISHED_START, steps, 0.0),
            });
        }
        Ok(Box::new(ByTensor { tensors, steps }))
    }

    fn precision(&self, _: Precision) -> Precision {
        Precision::F64
    }

    fn measure_residual(&self) -> bool {
        self.variant != Variant::Converged
    }

    /// The published forms invert other matrices.
    fn limit(&self) -> Limit {
        match self.variant {
            Variant::Converged => Limit::Exact,
            Variant::Published | Variant::Code => Limit::Own,
        }
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d) = (size.examples, size.queries, size.dim);
        let asked = |default: f64| self.iterations.map_or(default, |steps| steps as f64);
        // two products of square matrices a step
        let sided = |side: fn(f64, f64) -> f64| {
            let fixed = size.sum(|o, i| 2.0 * (n + m) * o * i * side(o, i));
            let step = size.sum(|o, i| 4.0 * side(o, i).powi(3));
            // a moment is summed in sixteen parts, one tensor after another; then come four matrices a tensor
            let largest = size.matrices.iter().map(|&[o, i]| side(o, i).powi(2));
            let parts = 17.0 * largest.fold(0.0, f64::max);
            let held = size.sum(|o, i| 4.0 * side(o, i).powi(2)).max(parts);
            Cost::iterated(size, (fixed, step, asked(15.0)), held)
        };
        match self.variant {
            // from a condition of 1 + d/0.1 to ten digits; the residual within the clock
            Variant::Converged => {
                let fixed = n * d * d + 2.0 * m * d * d + 4.0 * m * n * d;
                let steps = ((10.0 * d).log2() + 6.0).min(asked(100.0));
                let work = (fixed, 4.0 * d.powi(3), steps);
                Cost::iterated(size, work, 4.0 * d * d + m * n)
            }
            Variant::Published => sided(f64::min),
            Variant::Code => sided(f64::max),
        }
    }
}

/// X of the whole block.
struct Whole<'a> {
    block: Block<'a>,
    lambda: f64,
    inverse: Inverse,
    tolerance: f64,
}

impl Preconditioner for Whole<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let x = product(self.inverse.x.as_ref(), v.as_ref());
        let (r, _) = self.block.residual(v, &x, self.lambda);
        let residuals = relative(&r, &norms(v));
        let evidence = SolverDiagnostics {
            iterations: Some(self.inverse.history.len()),
            history: SolverDiagnostics::readable(&self.inverse.history),
            ..SolverDiagnostics::of_queries(&residuals, self.tolerance)
        };
        Ok(Applied { x, evidence })
    }
}

/// A tensor's gradients as matrices, row-major `[rows, columns]`.
#[derive(Clone, Copy)]
struct Sides {
    rows: usize,
    columns: usize,
}

impl Sides {
    fn of(shape: &[usize]) -> Self {
        let [rows, columns] = matrix(shape);
        Self { rows, columns }
    }

    fn short(self) -> usize {
        self.rows.min(self.columns)
    }

    fn long(self) -> usize {
        self.rows.max(self.columns)
    }

    /// The matrix of one example or query.
    fn matrix(self, values: &[f64]) -> faer::MatRef<'_, f64> {
        faer::MatRef::from_row_major_slice(values, self.rows, self.columns)
    }
}

/// (1/n) Σ g_i g_iᵀ over the rows of g, or (1/n) Σ g_iᵀg_i over its columns. One pass.
fn second_moment(block: &Block<'_>, tensor: usize, shape: Sides, rows: bool) -> Mat<f64> {
    let (store, n) = (block.store(), block.rows());
    let size = if rows { shape.rows } else { shape.columns };
    let dim = shape.rows * shape.columns;
    store.fetched(tensor, n * dim);
    let parts: Vec<Mat<f64>> = chunks(n, n.div_ceil(16))
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|examples| {
            let mut sum = Mat::<f64>::zeros(size, size);
            let mut values = vec![0.0f64; dim];
            for example in examples {
                store.read_row(tensor, example, 0..dim, &mut values);
                let g = shape.matrix(&values);
                let (left, right) = if rows {
                    (g, g.transpose())
                } else {
                    (g.transpose(), g)
                };
                faer::linalg::matmul::matmul(
                    sum.as_mut(),
                    Accum::Add,
                    left,
                    right,
                    1.0 / n as f64,
                    faer::Par::Seq,
                );
            }
            sum
        })
        .collect();
    let mut moment = Mat::zeros(size, size);
    parts.iter().for_each(|part| moment += part);
    moment
}

/// The inverse of one tensor's small matrix.
struct Tensor {
    offset: usize,
    shape: Sides,
    /// Whether it multiplies from the left of the tensor as it lies in memory.
    rows: bool,
    inverse: Inverse,
}

/// Each tensor by itself.
struct ByTensor {
    tensors: Vec<Tensor>,
    steps: usize,
}

impl Preconditioner for ByTensor {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = Mat::zeros(v.nrows(), v.ncols());
        x.as_mut()
            .par_col_iter_mut()
            .enumerate()
            .for_each(|(j, out)| {
                let (v, out) = (column(v.as_ref(), j), contiguous_mut(out));
                for tensor in &self.tensors {
                    let Sides { rows, columns } = tensor.shape;
                    let place = tensor.offset..tensor.offset + rows * columns;
                    let v = tensor.shape.matrix(&v[place.clone()]);
                    let out =
                        faer::MatMut::from_row_major_slice_mut(&mut out[place], rows, columns);
                    let (left, right) = if tensor.rows {
                        (tensor.inverse.x.as_ref(), v)
                    } else {
                        (v, tensor.inverse.x.as_ref())
                    };
                    faer::linalg::matmul::matmul(
                        out,
                        Accum::Replace,
                        left,
                        right,
                        1.0,
                        faer::Par::Seq,
                    );
                }
            });
        let history: Vec<f64> = (0..self.steps)
            .map(|step| {
                worst(
                    self.tensors
                        .iter()
                        .map(|tensor| tensor.inverse.history[step]),
                )
            })
            .collect();
        let evidence = SolverDiagnostics {
            iterations: Some(self.steps),
            history: SolverDiagnostics::readable(&history),
            ..SolverDiagnostics::default()
        };
        Ok(Applied { x, evidence })
    }
}

/// By the form.
fn variants(options: &Given<'_>, drawn: &mut Drawn) {
    drawn.shown.push("variant");
    let look = |marker, dash| Some(Look::new([0xc5, 0x1b, 0x7d], marker, dash));
    match options.get("variant") {
        Some("published") => drawn.look = look(Marker::Cross, Dash::Dotted),
        Some("code") => drawn.look = look(Marker::Plus, Dash::LongDashes),
        _ => {}
    }
    if let Some(variant) = options
        .get("variant")
        .filter(|variant| *variant != "converged")
    {
        drawn.title = format!("HyperINF ({variant})");
    }
}
