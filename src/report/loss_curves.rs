//! Loss curves of a training that is no cell: a panel per stage.

use super::ReportError;
use super::chart::{self, Axis, AxisScale, Chart, DataPoint, Layer, Panel, Series, UNLIMITED};
use super::palette::Palette;

/// A stage of a training.
#[derive(Clone, Copy, Debug)]
pub struct LossCurve<'a> {
    /// Its name.
    pub stage: &'a str,
    /// Steps.
    pub steps: &'a [usize],
    /// Mean loss up to each of them, since the one before.
    pub losses: &'a [f64],
}

/// The curves as an SVG file; losses on a logarithmic scale.
///
/// # Errors
/// When plotters fails.
pub fn draw(title: &str, curves: &[LossCurve]) -> Result<String, ReportError> {
    let style = Palette::new(["loss"]).style("loss");
    let panel = |curve: &LossCurve| {
        let points = curve.steps.iter().zip(curve.losses);
        let finite = |loss: f64| loss.is_finite().then(|| DataPoint::from(loss));
        let points = points.map(|(&step, &loss)| (step as f64, finite(loss)));
        let series: Series = points.collect();
        let shown = chart::points([&series]);
        let y = Axis::fit("Training loss", shown, AxisScale::Log, UNLIMITED)?;
        let last = curve.steps.last().map_or(1.0, |&step| step as f64);
        let mut panel = Panel::new(curve.stage, Axis::linear("Step", 0.0, 1.02 * last), y);
        panel.layers.push(Layer::series(&style, series, 0.0));
        Some(panel)
    };
    let figure = Chart {
        columns: 2,
        height: 190.0,
        panels: curves.iter().filter_map(panel).collect(),
        ..Chart::default()
    };
    chart::svg(&figure, title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_a_panel() {
        let curves = ["autoencoder", "unet"].map(|stage| LossCurve {
            stage,
            steps: &[10, 20, 30],
            losses: &[1.5, 0.4, 0.11],
        });
        let svg = draw("Losses", &curves).unwrap();
        assert!(svg.contains("autoencoder") && svg.contains("unet"), "{svg}");
        assert!(svg.matches("Training loss").count() >= 2);
        // nothing to draw is a figure without panels
        assert!(draw("Losses", &[]).is_ok());
    }
}
