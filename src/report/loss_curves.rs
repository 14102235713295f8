//! Loss curves of a training that is no cell: a panel a stage.

use super::ReportError;
use super::axis::{Axis, Labels, Scale, range};
use super::marks::Marks;
use super::palette::Palette;
use super::render;
use super::series::Point;
use super::sheet::{PanelSpec, Sheet};

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
    let (mut specs, mut all) = (Vec::new(), Vec::new());
    for curve in curves {
        let values: Vec<_> = curve.losses.iter().map(|&loss| (loss, None)).collect();
        let Some((low, high)) = range(&values, Scale::Log, (None, None)) else {
            continue;
        };
        let last = curve.steps.last().map_or(1.0, |&step| step as f64);
        specs.push(PanelSpec {
            title: curve.stage.to_owned(),
            x: Axis::linear("Step", 0.0, 1.02 * last),
            y: Axis::log("Training loss", low, high, Labels::Number),
        });
        let points = curve.steps.iter().zip(curve.losses);
        let marks = points.map(|(&step, &value)| {
            let point = Point {
                value,
                interval: None,
            };
            (step as f64, value.is_finite().then(|| point.into()))
        });
        all.push(marks.collect::<Marks>());
    }
    let mut sheet = Sheet::new(2, 190.0, specs, &[], &[]);
    for (panel, marks) in all.iter().enumerate() {
        sheet.series(panel, marks, &style, 0.0);
    }
    render::svg(&sheet.finish(), title)
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
