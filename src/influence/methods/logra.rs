//! LoGra: the two sides of every gradient matrix projected.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::influence::block::columns::{column, contiguous_mut};
use crate::influence::block::layout::TensorSpan;
use crate::influence::block::layout::matrix;
use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::influence::solve::exact::{self, Exact};
use crate::influence::solve::projection::{self, Kind, Projected};
use crate::look::{Dash, Look, Marker};

/// LoGra: each gradient matrix g, `[out, in]`, becomes P_o g P_iᵀ, `[k_o, k_i]`, and influence is exact among
/// these, with the λ of the unprojected block.
///
/// As a projection of the flattened gradient it is P_o ⊗ P_i, drawn once for each tensor; a side that is not
/// larger than its k is left as it is. A block all of whose sides are left so is solved exactly, as
/// [`exact`] does. The short side of a LoRA factor is the rank, which the default leaves whole.
///
/// Source: Choe et al. 2024 (arXiv 2405.13954) with random initialisation; as published the projection is
/// part of the backward pass, here it is applied to the stored gradients, with the same result. Cost:
/// about 2·n·d·(k_i + k_o) to project, then as [`random_projection`](super::random_projection) with k = k_o·k_i.
/// Passes over the gradients: 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Logra {
    /// Kept of the output side k_o, at least 1.
    pub out: usize,
    /// Kept of the input side k_i, at least 1.
    pub inputs: usize,
    /// What P_o and P_i are made of.
    pub kind: Kind,
}

impl Listed for Logra {
    const INFO: MethodInfo = MethodInfo {
        name: "logra",
        title: "LoGra",
        look: Some(Look::new([0x33, 0x22, 0x88], Marker::Down, Dash::Solid)),
        variant: plain,
        summary: "exact influence among gradients whose two sides are projected",
        formula: "Pᵀ(PFPᵀ + λI)⁻¹Pv with P = P_o ⊗ P_i",
        cost: "n d (k_i + k_o) + n k² + k³, k = k_i k_o",
        memory: "k n + k², k = k_i k_o",
        passes: "1; those of exact where no side is projected",
        damping: "λ_l of the unprojected block, in the projected space",
        source: "Choe et al. 2024, arXiv 2405.13954",
        when: "as random_projection, for matrices too large for a full projection",
        options: &[
            OptionInfo {
                key: "out",
                default: "16",
                allowed: Allowed::Size(ExactAt::Rows),
                help: "kept of the output side; a smaller side is left whole",
            },
            OptionInfo {
                key: "in",
                default: "16",
                allowed: Allowed::Size(ExactAt::Columns),
                help: "kept of the input side; a smaller side is left whole",
            },
            OptionInfo {
                key: "kind",
                default: "gaussian",
                allowed: Kind::ALLOWED,
                help: "entries of the projections",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        let kind = values.word("kind").and_then(|word| word.parse().ok());
        Self {
            out: values.count("out"),
            inputs: values.count("in"),
            kind: kind.unwrap_or_default(),
        }
    }
}

impl Logra {
    /// The sides of one tensor of the block.
    fn side(&self, block: &Block<'_>, segment: &TensorSpan) -> Side {
        let info = &block.store().tensors()[segment.tensor];
        let [rows, columns] = matrix(&info.shape);
        let draw = |size: usize, keep: usize, side: &str| {
            (keep < size).then(|| {
                let purpose = format!("{} {side}", info.name);
                self.kind.draw(size, keep, block.seed(), &purpose)
            })
        };
        Side {
            rows,
            columns,
            left: draw(rows, self.out, "out"),
            right: draw(columns, self.inputs, "in"),
            offset: segment.offset,
        }
    }
}

impl InfluenceMethod for Logra {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let sides: Vec<Side> = block
            .segments()
            .iter()
            .map(|s| self.side(block, s))
            .collect();
        if sides.iter().all(Side::whole) {
            return exact::whole(block, lambda);
        }
        let k = sides.iter().map(Side::kept).sum();
        // [k, n]: one example a column while it is filled
        let mut features = Mat::<f64>::zeros(k, block.rows());
        block.row_pass::<f64>(|rows| {
            features
                .as_mut()
                .subcols_mut(rows.range.start, rows.range.len())
                .par_col_iter_mut()
                .enumerate()
                .for_each(|(row, out)| {
                    let mut out = contiguous_mut(out);
                    for (part, side) in rows.segments.iter().zip(&sides) {
                        let (here, rest) = out.split_at_mut(side.kept());
                        side.project(part.row(row), here);
                        out = rest;
                    }
                });
        });
        let features = features.transpose().to_owned();
        Ok(Box::new(Ready {
            sides,
            projected: Projected::new(block, features, lambda)?,
        }))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m) = (size.examples, size.queries);
        let kept = |o: f64, i: f64| (o.min(self.out as f64), i.min(self.inputs as f64));
        if size.matrices.iter().all(|&[o, i]| kept(o, i) == (o, i)) {
            return Exact::default().cost_of(size);
        }
        let k = size.sum(|o, i| kept(o, i).0 * kept(o, i).1);
        // the inner side first
        let projection = size.sum(|o, i| {
            let (kept_o, kept_i) = kept(o, i);
            2.0 * (n + m) * (o * i * kept_i + o * kept_i * kept_o)
        });
        projection::cost(size, k, projection)
    }
}

/// The projections of one tensor.
struct Side {
    rows: usize,
    columns: usize,
    /// P_oᵀ, `[out, k_o]`, unless that side is whole.
    left: Option<Mat<f64>>,
    /// P_iᵀ, `[in, k_i]`, unless that side is whole.
    right: Option<Mat<f64>>,
    /// First column in the block.
    offset: usize,
}

impl Side {
    /// Whether neither side is projected.
    fn whole(&self) -> bool {
        self.left.is_none() && self.right.is_none()
    }

    /// k_o·k_i.
    fn kept(&self) -> usize {
        self.left.as_ref().map_or(self.rows, Mat::ncols)
            * self.right.as_ref().map_or(self.columns, Mat::ncols)
    }

    /// P_o g P_iᵀ, row-major, for g row-major.
    fn project(&self, g: &[f64], out: &mut [f64]) {
        let g = MatRef::from_row_major_slice(g, self.rows, self.columns);
        let halfway = self.right.as_ref().map(|right| {
            let mut product = Mat::<f64>::zeros(self.rows, right.ncols());
            matmul(
                product.as_mut(),
                Accum::Replace,
                g,
                right.as_ref(),
                1.0,
                Par::Seq,
            );
            product
        });
        let g = halfway.as_ref().map_or(g, |product| product.as_ref());
        match &self.left {
            Some(left) => {
                let out = MatMut::from_row_major_slice_mut(out, left.ncols(), g.ncols());
                matmul(out, Accum::Replace, left.transpose(), g, 1.0, Par::Seq);
            }
            None => MatMut::from_row_major_slice_mut(out, g.nrows(), g.ncols()).copy_from(g),
        }
    }
}

struct Ready {
    sides: Vec<Side>,
    projected: Projected,
}

impl Preconditioner for Ready {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let k = self.sides.iter().map(Side::kept).sum();
        let mut u = Mat::<f64>::zeros(k, v.ncols());
        u.as_mut()
            .par_col_iter_mut()
            .enumerate()
            .for_each(|(q, out)| {
                let v = column(v.as_ref(), q);
                let mut out = contiguous_mut(out);
                for side in &self.sides {
                    let (here, rest) = out.split_at_mut(side.kept());
                    side.project(
                        &v[side.offset..side.offset + side.rows * side.columns],
                        here,
                    );
                    out = rest;
                }
            });
        Ok(self.projected.solve(u))
    }

    fn features(&self) -> Option<&Mat<f64>> {
        Some(&self.projected.features)
    }
}
