//! Dot products of gradients with the blocks' weights.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Scaled;
use crate::look::{Dash, Look, Marker};

/// Hessian-free weighted by block: X = V/λ_l.
///
/// DataInf differs from Hessian-free by what it does inside a block and by the weight 1/λ_l between blocks;
/// this control has the weights alone. Cost: m·d.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HessianFreeBlockWeighted;

impl Listed for HessianFreeBlockWeighted {
    const INFO: MethodInfo = MethodInfo {
        name: "hessian_free_block_weighted",
        title: "Hessian-free, 1/λ per block",
        look: Some(Look::new(
            [0xd5, 0x5e, 0x00],
            Marker::Diamond,
            Dash::LongDashes,
        )),
        variant: plain,
        summary: "hessian_free with DataInf's weight of each block: the control that separates the two",
        formula: "v/λ",
        cost: "0",
        memory: "none",
        passes: "1",
        damping: "the weight 1/λ_l of a block",
        source: "ours, as a control",
        when: "to see what of DataInf's gain comes from the weights of the blocks alone",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for HessianFreeBlockWeighted {
    fn prepare<'a>(
        &'a self,
        _: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(Scaled(1.0 / lambda)))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::once(size, size.queries * size.dim, 0.0)
    }
}
