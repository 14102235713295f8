//! Scores of controls, which do not look at gradients.

use ndarray::{Array2, Axis, s};

use super::influence::{Influence, RunOptions};
use super::queries::Queries;
use crate::gradients::store::GradientStore;
use crate::influence::diagnostics::SolverDiagnostics;
use crate::influence::method::Control;
use crate::measure::{Meter, StageBytes, StageSeconds};

/// Scores of a method that does not look at gradients; those of the mean query are the mean over the queries.
pub(super) fn of_control(
    control: &dyn Control,
    train: &GradientStore,
    query: &GradientStore,
    options: &RunOptions<'_>,
) -> Influence {
    let (n, m) = (train.rows(), query.rows());
    let meter = Meter::start();
    let (scores, spent) = meter.stage(|| {
        let each = control.scores(&options.companions, [m, n], options.seed);
        let mean = |each: &Array2<f64>| each.sum_axis(Axis(0)) / m as f64;
        match options.queries {
            Queries::Each => each,
            Queries::Mean => mean(&each).insert_axis(Axis(0)),
            Queries::EachAndMean => {
                let mut all = Array2::zeros((m + 1, n));
                all.slice_mut(s![..m, ..]).assign(&each);
                all.row_mut(m).assign(&mean(&each));
                all
            }
        }
    });
    Influence {
        scores,
        seconds: StageSeconds {
            score: spent.seconds,
            ..StageSeconds::default()
        },
        peak_bytes: spent.peak_bytes.map(|score| StageBytes {
            score,
            ..StageBytes::default()
        }),
        bytes_read: 0,
        evidence: SolverDiagnostics::default(),
        block_evidence: Vec::new(),
        parts: None,
        preconditioned: None,
    }
}
