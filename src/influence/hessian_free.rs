//! The inverse left out, with and without the blocks' weights.

use faer::Mat;

use super::block::Block;
use super::error::InfluenceError;
use super::kernels::scaled;
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::registry::{Listed, MethodInfo, Values};

/// Hessian-free: X = V, so that I(k, q) = −Σ_l v_qᵀg_k.
///
/// Source: the paper's baseline (also known as gradient dot product). Cost: none but the contraction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HessianFree;

impl Listed for HessianFree {
    const INFO: MethodInfo = MethodInfo {
        name: "hessian_free",
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
}

/// Hessian-free weighted by block: X = V/λ_l.
///
/// DataInf differs from Hessian-free by what it does inside a block and by the weight 1/λ_l between blocks;
/// this control has the weights alone. Cost: m·d.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HessianFreeBlockWeighted;

impl Listed for HessianFreeBlockWeighted {
    const INFO: MethodInfo = MethodInfo {
        name: "hessian_free_block_weighted",
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
}

/// V times a number.
pub(super) struct Scaled(pub(super) f64);

impl Preconditioner for Scaled {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        Ok(scaled(v, self.0).into())
    }
}
