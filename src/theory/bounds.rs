//! The measured error beside its bounds, in units of 1/λ.

use super::case::Case;
use super::{
    ceiling, hessian_free, score, second_order, second_order_inner, second_order_lower, theorem,
};

/// What a figure shows of a case; all but the last two in units of 1/λ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// λ‖D − E‖.
    pub error: f64,
    /// ‖F‖/(λ + ‖F‖).
    pub ceiling: f64,
    /// ‖C₂‖/λ².
    pub second_order: f64,
    /// ‖E C₂ E‖.
    pub second_order_inner: f64,
    /// The bound from below.
    pub second_order_lower: f64,
    /// 2M²d²/λ².
    pub theorem: f64,
    /// The largest score error over ‖v‖‖g‖.
    pub score: f64,
    /// tr(I − λD).
    pub taken: f64,
    /// ‖F‖/λ.
    pub condition: f64,
}

impl Measured {
    /// Measures a case.
    pub fn of(case: &Case) -> Self {
        Self {
            error: case.gap().norm(),
            ceiling: ceiling::bound(case),
            second_order: second_order::bound(case),
            second_order_inner: second_order_inner::bound(case),
            second_order_lower: second_order_lower::bound(case),
            theorem: theorem::bound(case),
            score: score::worst(case),
            taken: hessian_free::taken(case),
            condition: case.fisher_norm() / case.lambda(),
        }
    }
}
