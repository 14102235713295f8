//! Sentences that say what a figure shows, from the numbers that it is drawn from.
//!
//! "Falls" and "rises" are said where the difference of the two ends, paired by seeds, is told apart from 0. A best
//! method is named with those that the report's one comparison ([`Comparison`]) does not tell apart from it.

use crate::metrics::contrast::Contrast;
use crate::metrics::{Direction, find};
use crate::report::chart::{DataPoint, Series};
use crate::report::data::Comparison;
use crate::report::number;

/// Names after which a list is cut.
const NAMED: usize = 3;

/// A value of a metric in words: two decimals of what is bounded, three digits with the unit otherwise.
pub fn show(metric: &str, value: f64) -> String {
    match find(metric) {
        Some(metric) if metric.unit == "s" => number::seconds(value),
        Some(metric) if metric.unit == "bytes" => number::bytes(value),
        Some(metric) if metric.range.1.is_some() => number::fixed(value, 2),
        _ => number::significant(value, 3),
    }
}

/// `0.89 [0.88, 0.90]`
pub fn with_interval(point: &DataPoint, show: impl Fn(f64) -> String) -> String {
    match point.interval {
        Some((low, high)) => format!("{} [{}, {}]", show(point.value), show(low), show(high)),
        None => show(point.value),
    }
}

/// What is known of the difference between the two ends of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is told apart from 0.
    Told,
    /// It is not.
    Open,
    /// Nothing pairs the two ends, or there is nothing to take its error from.
    Unknown,
}

impl Change {
    /// Of a difference paired by seeds.
    pub fn paired(contrast: Option<Contrast>) -> Self {
        match contrast.and_then(|contrast| contrast.interval()) {
            Some(interval) if interval.low > 0.0 || interval.high < 0.0 => Self::Told,
            Some(_) => Self::Open,
            None => Self::Unknown,
        }
    }
}

/// How a line goes from its first to its last value: `falls from 0.93 at rank r = 1 to 0.61 at 8`.
pub fn change(
    series: &[(f64, Option<DataPoint>)],
    x: &str,
    show: impl Fn(f64) -> String,
    known: Change,
) -> Option<String> {
    let mut defined = series
        .iter()
        .filter_map(|(at, point)| Some((*at, point.as_ref()?)));
    let first = defined.next()?;
    let Some(last) = defined.next_back() else {
        return Some(format!(
            "is {} at {x} = {}",
            with_interval(first.1, show),
            number::plain(first.0)
        ));
    };
    let (verb, rest) = match known {
        Change::Told if last.1.value < first.1.value => ("falls", ""),
        Change::Told => ("rises", ""),
        Change::Open => ("goes", " (paired difference not told apart from 0)"),
        Change::Unknown => ("goes", ""),
    };
    Some(format!(
        "{verb} from {} at {x} = {} to {} at {}{rest}",
        show(first.1.value),
        number::plain(first.0),
        show(last.1.value),
        number::plain(last.0)
    ))
}

/// Whether `a` is better than `b`.
fn better(direction: Direction, a: f64, b: f64) -> bool {
    match direction {
        Direction::Lower => a < b,
        _ => a > b,
    }
}

/// Which line is best where: `LiSSA, scaled at every rank r`, or `A at rank r = 1, 2; B at 4, 8`.
pub fn leaders(lines: &[(String, &Series)], direction: Direction, x: &str) -> Option<String> {
    let mut places: Vec<f64> = lines
        .iter()
        .flat_map(|(_, series)| series.iter().filter(|(_, point)| point.is_some()))
        .map(|(at, _)| *at)
        .collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let firsts = places.into_iter().filter_map(|at| {
        let values = lines.iter().filter_map(|(name, series)| {
            let (_, point) = series.iter().find(|(x, _)| *x == at)?;
            Some((name.as_str(), point.as_ref()?.value))
        });
        let first = values.reduce(|best, other| {
            if better(direction, other.1, best.1) {
                other
            } else {
                best
            }
        });
        Some((at, first?.0.to_owned()))
    });
    by_name(firsts, x)
}

/// Which method is best where by the comparisons of the report, and where it is told apart from every other:
/// `LiSSA, scaled at every rank r (told apart from every other method at 2 and 8)`.
pub fn winners(
    places: &[(f64, Comparison)],
    name: impl Fn(&str) -> String,
    x: &str,
) -> Option<String> {
    let best = |(at, found): &(f64, Comparison)| Some((*at, name(found.labels[found.best()?])));
    let text = by_name(places.iter().filter_map(best), x)?;
    let decided: Vec<String> = places
        .iter()
        .filter(|(_, found)| found.is_decided())
        .map(|(at, _)| number::plain(*at))
        .collect();
    let untold: Option<Vec<&str>> = places.iter().map(|(_, found)| found.untold()).collect();
    let rest = if let Some(why) = untold.as_ref().and_then(|untold| untold.first()) {
        format!("{why}: nothing is told apart")
    } else if decided.is_empty() {
        "nowhere told apart from every other method".to_owned()
    } else if decided.len() == places.len() {
        "told apart from every other method".to_owned()
    } else {
        let last = decided.len() - 1;
        let places = match last {
            0 => decided[0].clone(),
            _ => format!("{} and {}", decided[..last].join(", "), decided[last]),
        };
        format!("told apart from every other method at {places} alone")
    };
    Some(format!("{text} ({rest})"))
}

/// `A at every x`, or `A at x = 1, 2; B at 4`.
fn by_name(firsts: impl Iterator<Item = (f64, String)>, x: &str) -> Option<String> {
    let mut found: Vec<(String, Vec<f64>)> = Vec::new();
    for (at, name) in firsts {
        match found.iter_mut().find(|(other, _)| *other == name) {
            Some((_, places)) => places.push(at),
            None => found.push((name, vec![at])),
        }
    }
    match found.as_slice() {
        [] => None,
        [(name, places)] if places.len() == 1 => {
            Some(format!("{name} at {x} = {}", number::plain(places[0])))
        }
        [(name, _)] => Some(format!("{name} at every {x}")),
        several => {
            let parts: Vec<String> = several
                .iter()
                .enumerate()
                .map(|(i, (name, places))| {
                    let places: Vec<String> = places.iter().map(|x| number::plain(*x)).collect();
                    let prefix = if i == 0 {
                        format!("{x} = ")
                    } else {
                        String::new()
                    };
                    format!("{name} at {prefix}{}", places.join(", "))
                })
                .collect();
            Some(parts.join("; "))
        }
    }
}

/// `A, B, C and 2 more`
pub fn list(names: &[String]) -> String {
    match names.len() {
        0 => String::new(),
        1 => names[0].clone(),
        count if count <= NAMED => {
            format!("{} and {}", names[..count - 1].join(", "), names[count - 1])
        }
        count => format!("{} and {} more", names[..NAMED].join(", "), count - NAMED),
    }
}

/// `LiSSA, scaled, 0.89 [0.88, 0.90]; not told apart from it: A and B`
pub fn best(
    comparison: &Comparison,
    name: impl Fn(&str) -> String,
    point: impl Fn(&str) -> Option<DataPoint>,
    show: impl Fn(f64) -> String,
) -> Option<String> {
    let best = comparison.labels[comparison.best()?];
    let alike: Vec<String> = comparison
        .alike()
        .into_iter()
        .map(|i| name(comparison.labels[i]))
        .collect();
    let rest = match comparison.untold() {
        Some(why) => format!("{why}: nothing is told apart"),
        None if alike.is_empty() => "told apart from every other".to_owned(),
        None => format!("not told apart from it: {}", list(&alike)),
    };
    Some(format!(
        "{}, {}; {rest}",
        name(best),
        with_interval(&point(best)?, show)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{ResultSet, aggregate, compare};
    use crate::report::synthetic;

    fn mark(value: f64, half: f64) -> Option<DataPoint> {
        let interval = (half > 0.0).then_some((value - half, value + half));
        Some(DataPoint::from(value).within(interval))
    }

    fn two(x: f64) -> String {
        number::fixed(x, 2)
    }

    #[test]
    fn a_fall_is_one_only_where_the_paired_difference_says_so() {
        let fall = vec![(1.0, mark(0.93, 0.3)), (2.0, None), (8.0, mark(0.61, 0.3))];
        // far below the spread of the seeds, and yet the same in each of them
        let told = Change::paired(Contrast::of_seeds(&[-0.31, -0.33, -0.32]));
        assert_eq!(
            change(&fall, "rank r", two, told).as_deref(),
            Some("falls from 0.93 at rank r = 1 to 0.61 at 8")
        );
        let rise = vec![(1.0, mark(0.6, 0.01)), (8.0, mark(0.7, 0.01))];
        let open = Change::paired(Contrast::of_seeds(&[-0.1, 0.3, 0.1]));
        assert_eq!(
            change(&rise, "n", two, open).as_deref(),
            Some("goes from 0.60 at n = 1 to 0.70 at 8 (paired difference not told apart from 0)")
        );
        let told = Change::paired(Contrast::of_seeds(&[0.11, 0.1, 0.09]));
        assert_eq!(
            change(&rise, "n", two, told).as_deref(),
            Some("rises from 0.60 at n = 1 to 0.70 at 8")
        );
        // one seed says nothing, and neither do ends that nothing pairs, even where their intervals are disjoint
        assert_eq!(Change::paired(Contrast::of_seeds(&[0.5])), Change::Unknown);
        assert_eq!(
            change(&rise, "n", two, Change::Unknown).as_deref(),
            Some("goes from 0.60 at n = 1 to 0.70 at 8")
        );
        assert_eq!(
            change(&fall, "n", two, Change::Unknown).as_deref(),
            Some("goes from 0.93 at n = 1 to 0.61 at 8")
        );
        assert_eq!(
            change(&rise[..1], "n", two, Change::Unknown).as_deref(),
            Some("is 0.60 [0.59, 0.61] at n = 1")
        );
        assert_eq!(change(&[(1.0, None)], "n", two, Change::Unknown), None);
    }

    #[test]
    fn leaders_are_named_where_they_lead() {
        let a: Series = vec![(1.0, mark(0.9, 0.0)), (2.0, mark(0.5, 0.0))];
        let b: Series = vec![(1.0, mark(0.8, 0.0)), (2.0, mark(0.6, 0.0))];
        let lines = [("A".to_owned(), &a), ("B".to_owned(), &b)];
        assert_eq!(
            leaders(&lines, Direction::Higher, "r").as_deref(),
            Some("A at r = 1; B at 2")
        );
        assert_eq!(
            leaders(&lines[..1], Direction::Lower, "r").as_deref(),
            Some("A at every r")
        );
        let nothing: Series = vec![(1.0, None)];
        assert_eq!(
            leaders(&[("C".to_owned(), &nothing)], Direction::Higher, "r"),
            None
        );
    }

    #[test]
    fn the_best_is_named_with_what_is_not_told_apart_from_it() {
        let records = synthetic::rank();
        let results = ResultSet::new(&records);
        let metric = find("pearson").expect("listed");
        let name = |label: &str| results.palette.style(label).name;
        let groups: Vec<_> = results
            .groups
            .iter()
            .filter(|g| g.task == "digits")
            .collect();
        let mut places = Vec::new();
        for group in groups {
            let found = compare(&results, &[group], metric).expect("methods");
            let point = |label: &str| {
                let value = aggregate(group, label, "pearson").value?;
                mark(value, 0.0)
            };
            let text = best(&found, name, point, two).expect("a best");
            assert!(text.starts_with("DataInf, groups of 32, 0.9"), "{text}");
            let alike = found.alike();
            let alike: Vec<String> = alike.iter().map(|i| name(found.labels[*i])).collect();
            let rest = match alike.is_empty() {
                true => "; told apart from every other".to_owned(),
                false => format!("; not told apart from it: {}", list(&alike)),
            };
            assert!(text.ends_with(&rest), "{text}");
            places.push((group.number("lora.rank").expect("swept"), found));
        }
        let text = winners(&places, name, "rank r").expect("a best");
        assert!(
            text.starts_with("DataInf, groups of 32 at every rank r (") && text.ends_with(')'),
            "{text}"
        );
        let decided = places
            .iter()
            .filter(|(_, found)| found.is_decided())
            .count();
        assert_eq!(text.contains("nowhere"), decided == 0, "{text}");
        let single = synthetic::single();
        let results = ResultSet::new(&single);
        let found = compare(&results, &[&results.groups[0]], metric).expect("methods");
        let text = winners(&[(1.0, found)], str::to_owned, "r").expect("a best");
        assert!(
            text.ends_with("(one seed: nothing is told apart)"),
            "{text}"
        );
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(list(&names), "a, b, c and 2 more");
    }
}
