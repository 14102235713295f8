//! TracIn: dot products of gradients along the fine-tune.

use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Scaled;
use crate::look::{Dash, Look, Marker};

/// TracIn: I(k, q) = −Σ_c η_c v_c·g_c over checkpoints c of the fine-tune, with query gradient v_c, training
/// gradient g_c and learning rate η_c there.
///
/// Source: Pruthi et al., 2020 (arXiv 2002.08484), `TracInCP`; the sign is ours, positive = harmful. η_c is the
/// mean learning rate of the steps since the checkpoint before, which is theirs where that is constant. With an
/// optimiser other than plain gradient descent, as here by default, it is the method as people use it, no
/// longer a first-order estimate of the loss's path. λ plays no part. Needs the gradients at the checkpoints.
/// Cost: a gradient pass and a contraction a checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TracIn;

impl Listed for TracIn {
    const INFO: MethodInfo = MethodInfo {
        name: "tracin",
        title: "TracIn",
        look: Some(Look::new([0x99, 0x77, 0x00], Marker::Down, Dash::Dotted)),
        variant: plain,
        summary: "dot products of gradients along the fine-tune; needs the gradients at checkpoints",
        formula: "η_c v_c, summed over checkpoints c against g_c",
        cost: "a gradient pass a checkpoint",
        memory: "none",
        passes: "1 of each checkpoint",
        damping: "none",
        source: "Pruthi et al. 2020, arXiv 2002.08484",
        when: "when the question is what training did, not what the optimum does",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for TracIn {
    fn prepare<'a>(
        &'a self,
        _: &'a Block<'a>,
        _: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        // the learning rates are the weights of the rounds
        Ok(Box::new(Scaled(1.0)))
    }

    fn need(&self) -> Need {
        Need::Checkpoints
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::once(size, 0.0, 0.0)
    }
}
