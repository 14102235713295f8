//! Axes: range, ticks and their labels. plotters places them; it asks an axis for its ticks.
//!
//! Left to plotters, a log axis over less than a decade has one tick or none (relative errors of Lanczos in the figure of
//! the rank), and labels are Rust's `{:?}` of the numbers.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

use super::{DataPoint, font};
use crate::report::number;

/// Spacing of values along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences.
    Linear,
    /// Equal ratios.
    Log,
}

/// How tick labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Numbers; powers of ten on wide log axes.
    Number,
    /// Bytes with decimal prefixes.
    Bytes,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// Spacing.
    pub scale: Scale,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Ticks and their labels; a label may be empty.
    pub ticks: Vec<(f64, String)>,
    /// How values are written.
    pub labels: Labels,
}

impl Axis {
    fn new(
        title: impl Into<String>,
        scale: Scale,
        (low, high): (f64, f64),
        ticks: Vec<(f64, String)>,
    ) -> Self {
        Self {
            title: title.into(),
            scale,
            low,
            high,
            ticks,
            labels: Labels::Number,
        }
    }

    /// A linear axis over `[low, high]` with round ticks.
    pub fn linear(title: impl Into<String>, low: f64, high: f64) -> Self {
        Self::new(
            title,
            Scale::Linear,
            (low, high),
            linear_ticks(low, high, 6),
        )
    }

    /// A log axis over `[low, high]`, both positive.
    pub fn log(title: impl Into<String>, low: f64, high: f64, labels: Labels) -> Self {
        Self {
            labels,
            ..Self::new(title, Scale::Log, (low, high), log_ticks(low, high, labels))
        }
    }

    /// An axis with one named row for each of the names, the first on top.
    pub fn rows(names: &[String]) -> Self {
        let ticks = names.iter().enumerate();
        let ticks = ticks.map(|(i, name)| (-(i as f64), name.clone()));
        let ends = (0.5 - names.len() as f64, 0.5);
        Self::new("", Scale::Linear, ends, ticks.collect())
    }

    /// An axis that shows all points and their intervals; intervals are cut where they would take more than half of it.
    /// Half a padding stays beyond a bound, so that a point on it is whole. `None` without a finite (on a log scale:
    /// positive) value.
    pub fn fit<'p>(
        title: impl Into<String>,
        points: impl IntoIterator<Item = &'p DataPoint>,
        scale: Scale,
        bounds: (Option<f64>, Option<f64>),
        labels: Labels,
    ) -> Option<Self> {
        let points = points
            .into_iter()
            .map(|point| (point.value, point.interval));
        let (low, high) = range(&points.collect::<Vec<_>>(), scale, bounds)?;
        Some(match scale {
            Scale::Linear => Self::linear(title, low, high),
            Scale::Log => Self::log(title, low, high, labels),
        })
    }

    /// An axis with a tick at each of the given distinct ascending values: logarithmic when they are
    /// positive and span a factor of 4 or more.
    pub fn at_values(title: impl Into<String>, values: &[f64]) -> Self {
        let wide = |ends: (&f64, &f64)| *ends.0 > 0.0 && ends.1 / ends.0 >= 4.0;
        let scale = match values.first().zip(values.last()).is_some_and(wide) {
            true => Scale::Log,
            false => Scale::Linear,
        };
        Self::at_values_on(title, values, scale)
    }

    /// An axis of this scale with a tick at each of the given distinct ascending values.
    pub fn at_values_on(title: impl Into<String>, values: &[f64], scale: Scale) -> Self {
        let ends = values.first().zip(values.last());
        let (first, last) = ends.map_or((0.0, 1.0), |(first, last)| (*first, *last));
        let ticks = values.iter().map(|value| (*value, number::plain(*value)));
        let ends = padded(first, last, scale, 0.07);
        Self::new(title, scale, ends, ticks.collect())
    }

    /// An axis of epochs from 1 to `last`.
    pub fn epochs(last: f64) -> Self {
        let mut axis = Self::linear("Epoch", 0.5, last + 0.5);
        axis.ticks.retain(|(x, _)| x.fract() == 0.0);
        for (x, label) in &mut axis.ticks {
            *label = format!("{x}");
        }
        axis
    }

    /// The label of the tick at a value.
    pub fn tick(&self, value: f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| *tick == value);
        tick.map_or(String::new(), |(_, label)| label.clone())
    }

    /// Without the labels that would touch one before them, `length` pixels long: plotters draws them over one another,
    /// e.g. at 12 and 16 of the swept numbers of examples.
    pub fn without_overlaps(&self, length: f64, em: f64) -> Self {
        let (mut axis, mut taken) = (self.clone(), f64::NEG_INFINITY);
        for (value, label) in &mut axis.ticks {
            let (at, half) = (length * self.position(*value), font::width(label, em) / 2.0);
            if at - half > taken + 6.0 {
                taken = at + half;
            } else {
                label.clear();
            }
        }
        axis
    }

    /// A value with three digits, and the unit that the ticks have.
    pub fn show(&self, value: f64) -> String {
        match self.labels {
            Labels::Bytes => number::bytes(value),
            Labels::Number => number::significant(value, 3),
        }
    }

    /// The label of the tick at a value, or the value where there is none.
    pub fn show_tick(&self, value: f64) -> String {
        match self.tick(value) {
            label if label.is_empty() => self.show(value),
            label => label,
        }
    }

    /// Position of a value along the axis: 0 at `low`, 1 at `high`; values beyond are held at the ends.
    pub fn position(&self, value: f64) -> f64 {
        let t = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        t.clamp(0.0, 1.0)
    }

    /// Whether a value has a position; beyond the ends of the axis it is held there.
    pub fn can_show(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// Whether the axis reaches a value.
    pub fn shows(&self, value: f64) -> bool {
        let slack = 1e-9 * (self.high - self.low).abs();
        value.is_finite() && value >= self.low - slack && value <= self.high + slack
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.position(*value) * f64::from(to - from)).round() as i32
    }

    /// Bold: the ticks with a label; light: those without.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let light = hint.weight().allow_light_points();
        let ticks = self.ticks.iter();
        ticks
            .filter(|(value, label)| label.is_empty() == light && self.shows(*value))
            .map(|(value, _)| *value)
            .collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// The range of [`Axis::fit`].
fn range(
    values: &[(f64, Option<(f64, f64)>)],
    scale: Scale,
    bounds: (Option<f64>, Option<f64>),
) -> Option<(f64, f64)> {
    let forward = |x: f64| if scale == Scale::Log { x.ln() } else { x };
    let back = |x: f64| if scale == Scale::Log { x.exp() } else { x };
    let usable = |x: &f64| x.is_finite() && (scale == Scale::Linear || *x > 0.0);
    let extent = |list: &[f64]| {
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        list.iter().fold(start, |(a, b), x| (a.min(*x), b.max(*x)))
    };
    let points = values.iter().map(|value| value.0).filter(usable);
    let points: Vec<f64> = points.map(forward).collect();
    if points.is_empty() {
        return None;
    }
    let ends = values.iter().filter_map(|value| value.1);
    let ends = ends.flat_map(|(low, high)| [low, high]).filter(usable);
    let (mut low, mut high) = extent(&points);
    let smallest = match scale {
        Scale::Log => 0.7,
        Scale::Linear => 0.05_f64.max(0.05 * high.abs()),
    };
    let all: Vec<f64> = points.into_iter().chain(ends.map(forward)).collect();
    let (wide_low, wide_high) = extent(&all);
    let room = (high - low).max(smallest) / 2.0;
    (low, high) = (wide_low.max(low - room), wide_high.min(high + room));
    if high - low < smallest {
        let middle = (low + high) / 2.0;
        (low, high) = (middle - smallest / 2.0, middle + smallest / 2.0);
    }
    let pad = 0.06 * (high - low);
    let least = bounds.0.map(forward).filter(|bound| bound.is_finite());
    let low = least.map_or(low - pad, |bound| (low - pad).max(bound - pad / 2.0));
    let most = bounds.1.map(forward);
    let high = most.map_or(high + pad, |bound| (high + pad).min(bound + pad / 2.0));
    Some((back(low), back(high)))
}

fn padded(low: f64, high: f64, scale: Scale, share: f64) -> (f64, f64) {
    match scale {
        Scale::Linear => {
            let pad = if high > low {
                share * (high - low)
            } else {
                0.5
            };
            (low - pad, high + pad)
        }
        Scale::Log => {
            let factor = (high / low).powf(share).max(1.05);
            (low / factor, high * factor)
        }
    }
}

/// At most `most` round numbers in `[low, high]`, chosen by plotters, with as many decimals as their step has.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    if !(high - low).is_finite() || high <= low {
        return vec![(low, number::plain(low))];
    }
    let values = RangedCoordf64::from(low..high).key_points(most);
    let step = values.windows(2).map(|pair| pair[1] - pair[0]).next();
    let step = step.unwrap_or(high - low);
    let decimals = (0..8).find(|places| {
        let scaled = step * 10f64.powi(*places);
        (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    let label = |x: f64| {
        if x.abs() >= 1e4 || (x != 0.0 && x.abs() < 1e-3) {
            number::plain(x)
        } else {
            number::fixed(x, decimals.unwrap_or(8) as usize)
        }
    };
    values.into_iter().map(|x| (x, label(x))).collect()
}

/// Powers of ten; on a short axis 1, 2, 5 in each; on a very short one round numbers.
fn log_ticks(low: f64, high: f64, labels: Labels) -> Vec<(f64, String)> {
    let decades = (high / low).log10();
    let first = (low.log10() - 1e-9).ceil() as i32;
    let last = (high.log10() + 1e-9).floor() as i32;
    if decades >= 2.6 && last > first {
        let stride = ((last - first) / 6 + 1).max(1);
        let exponents: Vec<i32> = (first..=last)
            .filter(|exponent| exponent.rem_euclid(stride) == 0)
            .collect();
        let small = exponents.iter().all(|exponent| (-2..=3).contains(exponent));
        let label = |exponent: i32| match labels {
            Labels::Bytes => byte_label(10f64.powi(exponent)),
            Labels::Number if small => number::plain(10f64.powi(exponent)),
            Labels::Number => number::power_of_ten(exponent),
        };
        return exponents
            .into_iter()
            .map(|exponent| (10f64.powi(exponent), label(exponent)))
            .collect();
    }
    let label = |x: f64| match labels {
        Labels::Bytes => byte_label(x),
        Labels::Number if (1e-3..1e5).contains(&x) => number::plain(x),
        Labels::Number => number::significant(x, 1),
    };
    for multiples in [
        &[1.0, 3.0][..],
        &[1.0, 2.0, 5.0],
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
    ] {
        let values = (first - 1..=last)
            .flat_map(|exponent| multiples.iter().map(move |m| m * 10f64.powi(exponent)));
        let inside: Vec<f64> = values
            .filter(|x| *x >= low * 0.999 && *x <= high * 1.001)
            .collect();
        if inside.len() >= 3 {
            return inside.into_iter().map(|x| (x, label(x))).collect();
        }
    }
    linear_ticks(low, high, 4)
        .into_iter()
        .map(|(x, text)| {
            (
                x,
                if labels == Labels::Bytes {
                    byte_label(x)
                } else {
                    text
                },
            )
        })
        .collect()
}

fn byte_label(x: f64) -> String {
    let (factor, unit) = number::byte_unit(x * 1.0000001);
    format!("{} {unit}", number::plain(x * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.1.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_readable() {
        assert_eq!(
            texts(&Axis::linear("", 0.0, 1.0)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            texts(&Axis::linear("", 0.93, 1.003)),
            ["0.94", "0.96", "0.98", "1.00"]
        );
        assert_eq!(
            texts(&Axis::log("", 2e-4, 3.0, Labels::Number)),
            ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]
        );
        assert_eq!(
            texts(&Axis::log("", 0.02, 300.0, Labels::Number)),
            ["0.1", "1", "10", "100"]
        );
        assert_eq!(
            texts(&Axis::log("", 9e4, 2e9, Labels::Bytes)),
            ["100 kB", "1 MB", "10 MB", "100 MB", "1 GB"]
        );
        assert_eq!(
            texts(&Axis::log("", 0.03, 0.3, Labels::Number)),
            ["0.03", "0.1", "0.3"]
        );
        assert!(texts(&Axis::log("", 1e-16, 1e200, Labels::Number)).len() <= 8);
        assert!(Axis::log("", 0.41, 0.47, Labels::Number).ticks.len() >= 2);
    }

    #[test]
    fn sweeps_are_logarithmic_when_they_span_it() {
        let axis = Axis::at_values("", &[1.0, 2.0, 4.0, 8.0]);
        assert_eq!(
            (axis.scale, texts(&axis)),
            (Scale::Log, vec!["1", "2", "4", "8"])
        );
        assert!(
            (axis.position(2.0) - axis.position(1.0) - (axis.position(8.0) - axis.position(4.0)))
                .abs()
                < 1e-12
        );
        assert_eq!(Axis::at_values("", &[0.0, 0.1, 0.2]).scale, Scale::Linear);
        assert_eq!(Axis::at_values("", &[2.0, 3.0, 4.0]).scale, Scale::Linear);
    }

    #[test]
    fn range_covers_points_and_cuts_huge_intervals() {
        let (low, high) = range(
            &[(0.5, Some((-9.0, 9.0))), (0.7, None)],
            Scale::Linear,
            (Some(-1.0), Some(1.0)),
        )
        .expect("points");
        assert!(
            low < 0.45 && low > 0.3 && high > 0.7 && high < 0.9,
            "{low} {high}"
        );
        let (low, high) = range(&[(1.0, None)], Scale::Log, (None, None)).expect("a point");
        assert!(low < 0.8 && high > 1.2);
        assert_eq!(
            range(&[(0.0, None), (f64::NAN, None)], Scale::Log, (None, None)),
            None
        );
        let (_, high) = range(
            &[(0.9, None), (1.0, None)],
            Scale::Linear,
            (None, Some(1.0)),
        )
        .expect("points");
        assert!(high > 1.0 && high < 1.01);
    }
}
