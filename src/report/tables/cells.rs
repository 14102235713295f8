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
    let text = match result.low.zip(result.high) {
        Some((_, high)) if result.factor => {
            let factor = number::significant(high / value, 2);
            format!("{shown}{unit} ×÷ {factor}")
        }
        // the interval is cut at the metric's range: the longer side is the half width
        Some((low, high)) if result.over_seeds => {
            format!("{shown} ± {}{unit}", half((value - low).max(high - value)))
        }
        Some((low, high)) => format!("{shown} [{}, {}]{unit}", show(low), show(high)),
        None => format!("{shown}{unit}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::find;

    #[test]
    fn cells_show_intervals_units_and_what_is_missing() {
        let seeds = |value, low, high| Aggregate {
            value: Some(value),
            low: Some(low),
            high: Some(high),
            over_seeds: true,
            ..Aggregate::default()
        };
        let of_seeds = seeds(0.9123, 0.9, 0.9246);
        let single = Aggregate {
            over_seeds: false,
            ..of_seeds
        };
        let factor = Aggregate {
            factor: true,
            ..seeds(20.0, 10.0, 40.0)
        };
        for (metric, result, text) in [
            ("pearson", of_seeds, "0.912 ± 0.012"),
            ("pearson", single, "0.912 [0.900, 0.925]"),
            ("relative_error", factor, "20.0 ×÷ 2.0"),
            (
                "total_seconds",
                seeds(0.0123, 0.0113, 0.0133),
                "12.3 ± 1.0 ms",
            ),
            ("pearson", Aggregate::default(), MISSING),
        ] {
            let metric = find(metric).expect("listed");
            assert_eq!(metric_cell(metric, &result).text, text);
        }
    }

    #[test]
    fn differences_show_their_sign_and_size() {
        let contrast = Contrast {
            difference: -0.0213,
            error: Some(0.01),
            freedom: None,
        };
        assert_eq!(difference(&contrast).text, "−0.021 ± 0.020");
    }
}
