//! The closed set of claims.

use super::claim::{Claim, Info};
use super::{
    ceiling, complexity, exact_cases, groups, growth, hessian_free, identity, jensen,
    large_damping, orthogonal, score, second_order, second_order_inner, second_order_lower,
    theorem,
};

/// The claims about a block, in the order of the report.
pub static CLAIMS: &[&dyn Claim] = &[
    &jensen::Jensen,
    &ceiling::Ceiling,
    &identity::Identity,
    &second_order::SecondOrder,
    &second_order_inner::SecondOrderInner,
    &second_order_lower::SecondOrderLower,
    &theorem::Theorem,
    &growth::Growth,
    &large_damping::LargeDamping,
    &exact_cases::ExactCases,
    &orthogonal::Orthogonal,
    &groups::Groups,
    &hessian_free::HessianFree,
    &score::Score,
];

/// What there is to claim: [`CLAIMS`], then Table 1, which is about programs and not about a block.
pub fn infos() -> impl Iterator<Item = &'static Info> {
    CLAIMS
        .iter()
        .map(|claim| claim.info())
        .chain([&complexity::INFO])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_everything_is_said() {
        let names: Vec<&str> = infos().map(|info| info.name).collect();
        for (i, info) in infos().enumerate() {
            assert!(!names[..i].contains(&info.name), "{}", info.name);
            for text in [info.title, info.statement, info.measures, info.source] {
                assert!(text.len() > 5, "{}: `{text}`", info.name);
            }
        }
    }
}
