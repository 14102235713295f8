//! Conventions of other libraries, each under its own name, so that figures published with them can be
//! explained: methods that compute on our gradients what the library computes, where that differs from ours.
//!
//! `benches/peers/influence/CONVENTIONS.md` has the formulas of all that were read, with versions, files and
//! functions; those of the libraries that equal one of our methods with some option are named there and have no
//! entry here. The scores keep our sign, positive = harmful; the libraries' have the other.
//! `tests/peers.rs` holds them to scores made by the libraries themselves (`scripts/peers.py`,
//! `scripts/peers_kronfluence.py`).

mod fixed_point;
mod kronfluence;
mod settings;
mod weighted_mean;

use crate::influence::registry::methods;

methods! {
    datainf_dattri: DataInfDattri,
    datainf_pydvl: DataInfPydvl,
    exact_dattri: ExactDattri,
    exact_pydvl: ExactPydvl,
    lissa_dattri: LissaDattri,
    lissa_pydvl: LissaPydvl,
    conjugate_gradient_dattri: ConjugateGradientDattri,
    ekfac_kronfluence: EkfacKronfluence,
    kfac_kronfluence: KfacKronfluence,
    diagonal_kronfluence: DiagonalKronfluence,
}
