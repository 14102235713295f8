//! Numbers with their intervals as cells.

use super::Cell;
use crate::metrics::contrast::Contrast;
use crate::metrics::{Direction, Metric};
use crate::report::data::Aggregate;
use crate::report::number::{self, MISSING};

/// Which way of a metric is better.
pub fn arrow(metric: &Metric) -> &'static str {
    match metric.direction {
        Direction::Higher => "↑",
        Direction::Lower => "↓",
        Direction::None => "",
    }
}

/// `0.123 ± 0.010` over seeds, `0.123 [0.100, 0.150]` in a cell.
pub fn value_cell(result: &Aggregate) -> Cell {
    let three = |x: f64| number::fixed(x, 3);
    with_interval(result, three, three, "")
}

/// `0.912 ± 0.013`, `44.3 ms ×÷ 1.4`, `0.912 [0.90, 0.92]`, or `–`.
pub fn metric_cell(metric: &Metric, result: &Aggregate) -> Cell {
    let value = result.value.unwrap_or(f64::NAN);
    let (factor, unit) = match metric.unit {
        "s" => number::second_unit(value),
        "bytes" => number::byte_unit(value),
        unit => (1.0, unit),
    };
    let unit = match unit {
        "" => String::new(),
        unit => format!(" {unit}"),
    };
    if metric.range.1.is_some() {
        let three = |x: f64| number::fixed(x, 3);
        return with_interval(result, three, three, &unit);
    }
    // half widths have the decimals of the value; beside a power of ten they keep their own
    let alike = (1e-3..1e5).contains(&(value * factor).abs());
    let half = |half: f64| match alike {
        true => number::fixed(half * factor, number::decimals(value * factor, 3)),
        false => number::significant(half * factor, 2),
    };
    with_interval(result, |x| number::significant(x * factor, 3), half, &unit)
}

fn with_interval(
    result: &Aggregate,
    show: impl Fn(f64) -> String,
    half: impl Fn(f64) -> String,
    unit: &str,
) -> Cell {
    let Some(value) = result.value else {
        return Cell::text(MISSING);
    };
    let shown = show(value);
    let text = match result.interval {
        Some((_, high)) if result.factor => {
            let factor = number::significant(high / value, 2);
            format!("{shown}{unit} ×÷ {factor}")
        }
        // the interval is cut at the metric's range: the longer side is the half width
        Some((low, high)) if result.over_seeds => {
            format!("{shown} ± {}{unit}", half((value - low).max(high - value)))
        }
        interval => format!("{shown}{}{unit}", number::ends(interval, show)),
    };
    Cell::sorted(text, value)
}

/// `−0.021 ± 0.013`
pub fn difference(contrast: &Contrast) -> Cell {
    let half = half_width(contrast).map_or(String::new(), |half| format!(" ± {half}"));
    let text = number::fixed(contrast.difference, 3) + &half;
    Cell::sorted(text, contrast.difference)
}

/// Half of the 95 % interval; `None` where there is nothing to take it from.
pub fn half_width(contrast: &Contrast) -> Option<String> {
    let interval = contrast.interval()?;
    Some(number::fixed((interval.high - interval.low) / 2.0, 3))
}
