//! Cosines of whole gradients.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Scaled;
use crate::look::{Dash, Look, Marker};

/// Cosine of gradients: I(k, q) = −v_qᵀg_k/(‖v_q‖‖g_k‖) with products and norms over all blocks together, not
/// block by block: a block with small gradients has a small say.
///
/// A gradient of zeros has the cosine 0 with everything. Source: Pruthi et al. 2020 (arXiv 2002.08484) and
/// Barshan et al. 2020 (arXiv 2003.11630) on normalised gradient similarity. Cost: 2·n·d for the norms. It
/// does not depend on the blocks or on λ. Passes over the gradients: 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradCos;

impl Listed for GradCos {
    const INFO: MethodInfo = MethodInfo {
        name: "grad_cos",
        title: "Gradient cosine",
        look: Some(Look::new([0xb8, 0x86, 0x0b], Marker::Cross, Dash::Dashed)),
        variant: plain,
        summary: "cosines of whole gradients: dot products without the norms",
        formula: "v/(‖v‖‖g‖), norms over all blocks",
        cost: "n d",
        memory: "n + m",
        passes: "2",
        damping: "none",
        source: "Pruthi et al. 2020, arXiv 2002.08484; Barshan et al. 2020, arXiv 2003.11630",
        when: "when a few examples with huge gradients would head every list",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for GradCos {
    fn prepare<'a>(
        &'a self,
        _: &'a Block<'a>,
        _: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(Scaled(1.0)))
    }

    fn cosine(&self) -> bool {
        true
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::once(size, 2.0 * size.examples * size.dim, 0.0)
    }
}
