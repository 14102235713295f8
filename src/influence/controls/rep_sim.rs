//! Similar representations: cosines of hidden states.

use ndarray::Array2;

use super::cosine::negative_cosines;
use super::part::pairs;
use crate::data::HiddenStates;
use crate::influence::companions::{Companions, Need};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::method::{Control, InfluenceMethod};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given, Look, Marker};

/// Cosine of hidden states: I(k, q) = −h_q·h_k/(‖h_q‖‖h_k‖) with h the state of the fine-tuned model's last layer, at
/// the last token or as the mean over the tokens.
///
/// A state of zeros has the cosine 0 with everything. Cost: a forward pass an example, and the width for every pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepSim {
    /// Whether the states are means over the tokens.
    pub mean: bool,
}

const TOKEN: &str = "token";

impl Listed for RepSim {
    const INFO: MethodInfo = MethodInfo {
        name: "rep_sim",
        title: "Hidden-state cosine",
        look: Some(Look::new([0x2a, 0x8c, 0x9c], Marker::Diamond, Dash::Dotted)),
        variant: pooled,
        summary: "control: cosines of the model's last hidden states, without gradients; needs them of every example",
        formula: "cosine of the two examples' hidden states, in place of a gradient product",
        cost: "a forward pass an example; the width, a pair",
        memory: "(n + m) times the width",
        passes: "0",
        damping: "none",
        source: "RepSim in Pezeshkpour et al. 2021, arXiv 2104.04128, and Li et al. 2024, arXiv 2409.19998",
        when: "beside every method on texts: what a forward pass alone tells",
        options: &[OptionInfo {
            key: TOKEN,
            default: "last",
            allowed: Allowed::Word(&["last", "mean"]),
            help: "the state at the last token, or the mean over the tokens",
        }],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            mean: values.word(TOKEN) == Some("mean"),
        }
    }
}

/// The mean is said in the title and has a dash of its own.
fn pooled(given: &Given<'_>, drawn: &mut Drawn) {
    if given.get(TOKEN) == Some("mean") {
        drawn.title += " (mean)";
        if let Some(look) = &mut drawn.look {
            look.dash = Dash::Dashed;
        }
    }
    drawn.shown.push(TOKEN);
}

impl InfluenceMethod for RepSim {
    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }

    fn need(&self) -> Need {
        Need::HiddenStates
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        pairs(size)
    }
}

impl Control for RepSim {
    fn scores(&self, beside: &Companions<'_>, [m, n]: [usize; 2], _: u64) -> Array2<f64> {
        let Some([train, query]) = beside.hidden_states else {
            return Array2::from_elem((m, n), f64::NAN);
        };
        let pick: fn(&HiddenStates) -> &Array2<f32> = if self.mean {
            |states| &states.mean
        } else {
            |states| &states.last
        };
        negative_cosines(pick(query), pick(train))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn cosines_by_hand() {
        let states = |last: Array2<f32>| HiddenStates {
            mean: last.mapv(|x| x + 1.0),
            last,
        };
        let beside = [
            states(array![[3.0, 4.0], [0.0, 0.0], [-2.0, 0.0]]),
            states(array![[1.0, 0.0]]),
        ];
        let companions = Companions {
            hidden_states: Some(&beside),
            ..Companions::default()
        };
        let last = RepSim { mean: false }.scores(&companions, [1, 3], 0);
        let expected = array![[-0.6, 0.0, 1.0]];
        assert!((&last - &expected).iter().all(|d| d.abs() < 1e-12));
        let mean = RepSim { mean: true }.scores(&companions, [1, 3], 0);
        // (2, 1) with (4, 5), (1, 1), (−1, 1)
        let cos = |dot: f64, a: f64, b: f64| -dot / (a * b).sqrt();
        let expected = array![[
            cos(13.0, 5.0, 41.0),
            cos(3.0, 5.0, 2.0),
            cos(-1.0, 5.0, 2.0)
        ]];
        assert!((&mean - &expected).iter().all(|d| d.abs() < 1e-12));
    }
}
