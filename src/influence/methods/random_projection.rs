//! Influence among randomly projected gradients.

use faer::Mat;

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values, plain};
use crate::influence::solve::dense::product;
use crate::influence::solve::exact::{self, Exact};
use crate::influence::solve::projection::{self, Kind, Projected};
use crate::look::{Dash, Look, Marker};

/// Random projection: gradients and queries go through one seeded P, `[k, d]`, of each block, and influence is
/// exact there: I(k, q) = −(Pv)ᵀ(PFPᵀ + λI)⁻¹Pg, with the λ of the unprojected block.
///
/// With independent entries the error falls as 1/√k (Johnson, Lindenstrauss). Lengths are kept in expectation, not
/// normalised away. A block of at most k dimensions is not projected: it is solved exactly, as
/// [`exact`] does.
///
/// Source: TRAK's projection (Park et al. 2023, arXiv 2303.14186) with the damped Fisher of the projected
/// gradients; Schioppa et al. 2022 (arXiv 2112.03052) as a baseline. Cost: 2·n·k·d to project,
/// min(n·k² + k³/3, n²·k + n³/3) to factorise, 2·m·k·d to apply, 2·m·n·k to score; k·(d + n) numbers. Passes over
/// the gradients: 1.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomProjection {
    /// Dimensions k kept of each block, at least 1; exact from d on.
    pub dim: usize,
    /// What P is made of.
    pub kind: Kind,
}

impl Listed for RandomProjection {
    const INFO: MethodInfo = MethodInfo {
        name: "random_projection",
        title: "Random projection",
        look: Some(Look::new([0x99, 0x99, 0x33], Marker::Diamond, Dash::Dotted)),
        variant: plain,
        summary: "exact influence among randomly projected gradients",
        formula: "Pᵀ(PFPᵀ + λI)⁻¹Pv",
        cost: "n d k + n k² + k³",
        memory: "k (d + n) + k²",
        passes: "1; those of exact where k ≥ d",
        damping: "λ_l of the unprojected block, in the projected space",
        source: "Park et al. 2023, arXiv 2303.14186; Schioppa et al. 2022, arXiv 2112.03052",
        when: "when scores are asked many times: the gradients are read once, and n × k numbers are kept",
        options: &[
            OptionInfo {
                key: "dim",
                default: "512",
                allowed: Allowed::Size(ExactAt::Dim),
                help: "dimensions kept of each block",
            },
            OptionInfo {
                key: "kind",
                default: "gaussian",
                allowed: Kind::ALLOWED,
                help: "entries of the projection",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        let kind = values.word("kind").and_then(|word| word.parse().ok());
        Self {
            dim: values.count("dim"),
            kind: kind.unwrap_or_default(),
        }
    }
}

impl InfluenceMethod for RandomProjection {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.dim >= block.dim() {
            return exact::whole(block, lambda);
        }
        let projection = self
            .kind
            .draw(block.dim(), self.dim, block.seed(), block.name());
        let features = block.matvec(&projection);
        Ok(Box::new(Ready {
            projection,
            projected: Projected::new(block, features, lambda)?,
        }))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        let (n, m, d, k) = (size.examples, size.queries, size.dim, self.dim as f64);
        if k >= d {
            return Exact::default().cost_of(size);
        }
        projection::cost(size, k, 2.0 * (n + m) * d * k)
    }
}

struct Ready {
    /// Pᵀ, `[d, k]`.
    projection: Mat<f64>,
    projected: Projected,
}

impl Preconditioner for Ready {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let u = product(self.projection.transpose(), v.as_ref());
        Ok(self.projected.solve(u))
    }

    fn features(&self) -> Option<&Mat<f64>> {
        Some(&self.projected.features)
    }
}
