//! The inverse left out, with and without the blocks' weights.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Scaled;
use crate::look::{Dash, Look, Marker};

/// Hessian-free: X = V, so that I(k, q) = −Σ_l v_qᵀg_k.
///
/// Source: the paper's baseline (also known as gradient dot product). Cost: none but the contraction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HessianFree;

impl Listed for HessianFree {
    const INFO: MethodInfo = MethodInfo {
        name: "hessian_free",
        title: "Hessian-free",
        look: Some(Look::new([0xe6, 0x9f, 0x00], Marker::Square, Dash::Dashed)),
        variant: plain,
        summary: "dot products of gradients: the inverse left out",
        formula: "v",
        cost: "0",
        memory: "none",
        passes: "1",
        damping: "none",
        source: "the paper's baseline; gradient dot product",
        when: "as the control that every other method has to beat",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for HessianFree {
    fn prepare<'a>(
        &'a self,
        _: &'a Block<'a>,
        _: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(Scaled(1.0)))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::once(size, 0.0, 0.0)
    }
}
