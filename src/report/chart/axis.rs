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
pub enum AxisScale {
    /// Equal differences.
    Linear,
    /// Equal ratios.
    Log,
    /// Equal ratios of bytes, written with decimal prefixes.
    LogBytes,
}

impl AxisScale {
    /// What the scale is linear in.
    fn forward(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log | Self::LogBytes => x.ln(),
        }
    }

    /// The inverse of `forward`.
    fn back(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log | Self::LogBytes => x.exp(),
        }
    }

    /// Whether a value has a place on an axis without ends.
    fn has(self, x: f64) -> bool {
        self.forward(x).is_finite()
    }
}

/// Least and largest possible value.
pub type Limits = (Option<f64>, Option<f64>);

/// Of what has none.
pub const UNLIMITED: Limits = (None, None);

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// Spacing.
    pub scale: AxisScale,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Ticks and their labels; a label may be empty.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    fn new(
        title: impl Into<String>,
        scale: AxisScale,
        (low, high): (f64, f64),
        ticks: impl IntoIterator<Item = (f64, String)>,
    ) -> Self {
        let (title, ticks) = (title.into(), ticks.into_iter().collect());
        Self {
            title,
            scale,
            low,
            high,
            ticks,
        }
    }

    /// A linear axis over `[low, high]` with round ticks.
    pub fn linear(title: impl Into<String>, low: f64, high: f64) -> Self {
        Self::over(title, AxisScale::Linear, (low, high))
    }

    /// An axis over a range, positive unless the scale is linear, with round ticks.
    fn over(title: impl Into<String>, scale: AxisScale, (low, high): (f64, f64)) -> Self {
        let ticks = match scale {
            AxisScale::Linear => linear_ticks(low, high, 6),
            _ => log_ticks(low, high, scale),
        };
        Self::new(title, scale, (low, high), ticks)
    }

    /// An axis with one named row for each of the names, the first on top.
    pub fn rows(names: &[String]) -> Self {
        let ticks = names.iter().enumerate();
        let ticks = ticks.map(|(i, name)| (-(i as f64), name.clone()));
        let ends = (0.5 - names.len() as f64, 0.5);
        Self::new("", AxisScale::Linear, ends, ticks)
    }

    /// An axis that shows all points and their intervals; intervals are cut where they would take more than half of it.
    /// Half a padding stays beyond a limit, so that a point on it is whole. `None` without a finite (on a log scale:
    /// positive) value.
    pub fn fit<'p>(
        title: impl Into<String>,
        points: impl IntoIterator<Item = &'p DataPoint>,
        scale: AxisScale,
        limits: Limits,
    ) -> Option<Self> {
        let range = range(points, scale, limits)?;
        Some(Self::over(title, scale, range))
    }

    /// An axis with a tick at each of the given distinct ascending values: logarithmic when they are
    /// positive and span a factor of 4 or more.
    pub fn at_values(title: impl Into<String>, values: &[f64]) -> Self {
        let wide = |ends: (&f64, &f64)| *ends.0 > 0.0 && ends.1 / ends.0 >= 4.0;
        let scale = match values.first().zip(values.last()).is_some_and(wide) {
            true => AxisScale::Log,
            false => AxisScale::Linear,
        };
        Self::at_values_on(title, values, scale)
    }

    /// An axis of this scale with a tick at each of the given distinct ascending values.
    pub fn at_values_on(title: impl Into<String>, values: &[f64], scale: AxisScale) -> Self {
        let ends = values.first().zip(values.last());
        let (low, high) = ends.map_or((0.0, 1.0), |(low, high)| (*low, *high));
        let (low, high) = match scale {
            AxisScale::Linear => {
                let pad = if high > low { 0.07 * (high - low) } else { 0.5 };
                (low - pad, high + pad)
            }
            _ => {
                let factor = (high / low).powf(0.07).max(1.05);
                (low / factor, high * factor)
            }
        };
        let ticks = values.iter().map(|value| (*value, number::plain(*value)));
        Self::new(title, scale, (low, high), ticks)
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
        match self.scale {
            AxisScale::LogBytes => number::bytes(value),
            _ => number::significant(value, 3),
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
            AxisScale::Linear => (value - self.low) / (self.high - self.low),
            _ => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        // the logarithm of a negative number is none
        if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) }
    }

    /// Whether a value has a position; beyond the ends of the axis it is held there.
    pub fn can_show(&self, value: f64) -> bool {
        self.scale.has(value)
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
fn range<'p>(
    points: impl IntoIterator<Item = &'p DataPoint>,
    scale: AxisScale,
    limits: Limits,
) -> Option<(f64, f64)> {
    let extent = |values: &[f64]| {
        let low = values.iter().copied().reduce(f64::min)?;
        Some((low, values.iter().copied().fold(low, f64::max)))
    };
    let scaled = |x: f64| Some(scale.forward(x)).filter(|x| x.is_finite());
    let (mut values, mut all) = (Vec::new(), Vec::new());
    for point in points {
        values.extend(scaled(point.value));
        let ends = point.interval.map_or([f64::NAN; 2], <[f64; 2]>::from);
        all.extend(ends.into_iter().filter_map(scaled));
    }
    let (mut low, mut high) = extent(&values)?;
    let smallest = match scale {
        AxisScale::Linear => 0.05_f64.max(0.05 * high.abs()),
        _ => 0.7,
    };
    all.extend(values);
    let (wide_low, wide_high) = extent(&all)?;
    let room = (high - low).max(smallest) / 2.0;
    (low, high) = (wide_low.max(low - room), wide_high.min(high + room));
    if high - low < smallest {
        let middle = (low + high) / 2.0;
        (low, high) = (middle - smallest / 2.0, middle + smallest / 2.0);
    }
    let pad = 0.06 * (high - low);
    let [least, most] = [limits.0, limits.1].map(|bound| bound.filter(|x| scale.has(*x)));
    let least = least.map_or(f64::NEG_INFINITY, |x| scale.forward(x) - pad / 2.0);
    let most = most.map_or(f64::INFINITY, |x| scale.forward(x) + pad / 2.0);
    Some((
        scale.back((low - pad).max(least)),
        scale.back((high + pad).min(most)),
    ))
}

/// At most `most` round numbers in `[low, high]`, chosen by plotters, with as many decimals as their step has.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    if !(high - low).is_finite() || high <= low {
        return vec![(low, number::plain(low))];
    }
    let values = RangedCoordf64::from(low..high).key_points(most);
    let step = values.windows(2).map(|pair| pair[1] - pair[0]).next();
    let step = step.unwrap_or(high - low);
    // steps are 1, 2 or 5 times a power of ten
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    let label = |x: f64| match x.abs() {
        size if size >= 1e4 || (size != 0.0 && size < 1e-3) => number::plain(x),
        _ => number::fixed(x, decimals),
    };
    values.into_iter().map(|x| (x, label(x))).collect()
}

/// Powers of ten; on a short axis 1, 2, 5 in each; on a very short one round numbers.
fn log_ticks(low: f64, high: f64, scale: AxisScale) -> Vec<(f64, String)> {
    let ten = |exponent: i32| 10f64.powi(exponent);
    let first = (low.log10() - 1e-9).ceil() as i32;
    let last = (high.log10() + 1e-9).floor() as i32;
    if (high / low).log10() >= 2.6 && last > first {
        let stride = ((last - first) / 6 + 1).max(1);
        let exponents = (first..=last).filter(|exponent| exponent.rem_euclid(stride) == 0);
        let small = exponents.clone().all(|e| (-2..=3).contains(&e));
        let label = |exponent| match scale {
            AxisScale::LogBytes => byte_label(ten(exponent)),
            _ if small => number::plain(ten(exponent)),
            _ => number::power_of_ten(exponent),
        };
        return exponents.map(|e| (ten(e), label(e))).collect();
    }
    let label = |x: f64| match scale {
        AxisScale::LogBytes => byte_label(x),
        _ if (1e-3..1e5).contains(&x) => number::plain(x),
        _ => number::significant(x, 1),
    };
    for multiples in [
        &[1.0, 3.0][..],
        &[1.0, 2.0, 5.0],
        &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
    ] {
        let decades = first - 1..=last;
        let values = decades.flat_map(|decade| multiples.iter().map(move |m| m * ten(decade)));
        let inside = values.filter(|x| *x >= low * 0.999 && *x <= high * 1.001);
        let inside: Vec<(f64, String)> = inside.map(|x| (x, label(x))).collect();
        if inside.len() >= 3 {
            return inside;
        }
    }
    let ticks = linear_ticks(low, high, 4).into_iter();
    let relabelled = ticks.map(|(x, text)| match scale {
        AxisScale::LogBytes => (x, byte_label(x)),
        _ => (x, text),
    });
    relabelled.collect()
}

fn byte_label(x: f64) -> String {
    let (factor, unit) = number::byte_unit(x * 1.0000001);
    format!("{} {unit}", number::plain(x * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_readable() {
        let over = |scale, low, high| Axis::over("", scale, (low, high));
        let [linear, log, bytes] = [AxisScale::Linear, AxisScale::Log, AxisScale::LogBytes];
        let labels = |axis: Axis| {
            axis.ticks
                .into_iter()
                .map(|tick| tick.1)
                .collect::<Vec<_>>()
        };
        for (axis, expected) in [
            (over(linear, 0.0, 1.0), "0.0 0.2 0.4 0.6 0.8 1.0"),
            (over(linear, 0.93, 1.003), "0.94 0.96 0.98 1.00"),
            (over(log, 2e-4, 3.0), "10⁻³ 10⁻² 10⁻¹ 10⁰"),
            (over(log, 0.02, 300.0), "0.1 1 10 100"),
            (over(bytes, 9e4, 2e9), "100 kB 1 MB 10 MB 100 MB 1 GB"),
            (over(log, 0.03, 0.3), "0.03 0.1 0.3"),
            (Axis::at_values("", &[1.0, 2.0, 4.0, 8.0]), "1 2 4 8"),
        ] {
            assert_eq!(labels(axis).join(" "), expected);
        }
        assert!(labels(over(log, 1e-16, 1e200)).len() <= 8);
        assert!(labels(over(log, 0.41, 0.47)).len() >= 2);
    }

    #[test]
    fn sweeps_are_logarithmic_when_they_span_it() {
        let axis = Axis::at_values("", &[1.0, 2.0, 4.0, 8.0]);
        let [one, two, four, eight] = [1.0, 2.0, 4.0, 8.0].map(|x| axis.position(x));
        assert!((two - one - (eight - four)).abs() < 1e-12);
        assert_eq!([-1.0, 0.0, 1e9].map(|x| axis.position(x)), [0.0, 0.0, 1.0]);
        for (values, scale) in [
            ([1.0, 2.0, 4.0], AxisScale::Log),
            ([0.0, 0.1, 0.2], AxisScale::Linear),
            ([2.0, 3.0, 4.0], AxisScale::Linear),
        ] {
            assert_eq!(Axis::at_values("", &values).scale, scale);
        }
    }

    #[test]
    fn range_covers_points_and_cuts_huge_intervals() {
        let point = |x: f64, interval| DataPoint::from(x).within(interval);
        let range = |points: &[DataPoint], scale, limits| super::range(points, scale, limits);
        let huge = [point(0.5, Some((-9.0, 9.0))), point(0.7, None)];
        let (low, high) = range(&huge, AxisScale::Linear, (Some(-1.0), Some(1.0))).expect("points");
        assert!((0.3..0.45).contains(&low) && (0.7..0.9).contains(&high));
        let (low, high) = range(&[1.0.into()], AxisScale::Log, UNLIMITED).expect("a point");
        assert!(low < 0.8 && high > 1.2);
        let none = [0.0, f64::NAN].map(DataPoint::from);
        assert_eq!(range(&none, AxisScale::Log, UNLIMITED), None);
        let ends = [0.9, 1.0].map(DataPoint::from);
        let (_, high) = range(&ends, AxisScale::Linear, (None, Some(1.0))).expect("points");
        assert!(high > 1.0 && high < 1.01);
    }
}
