//! Sentences that say what a figure shows, from the numbers that it is drawn from.
//!
//! "Falls" and "rises" are said where the difference of the two ends, paired by seeds, is told apart from 0. A best
//! method is named with those that the report's one comparison ([`Comparison`]) does not tell apart from it.

use crate::metrics::interval::Interval;
use crate::metrics::{Direction, find};
use crate::report::chart::{DataPoint, Series};
use crate::report::data::{Comparison, ascending, entry};
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
    show(point.value) + &number::ends(point.interval, &show)
}

/// How a line goes from its first to its last value: `falls from 0.93 at rank r = 1 to 0.61 at 8`, where `difference`
/// is the interval of the difference between the two, if something pairs them.
pub fn change(
    series: &[(f64, Option<DataPoint>)],
    x: &str,
    show: impl Fn(f64) -> String,
    difference: Option<Interval>,
) -> Option<String> {
    let defined = series.iter();
    let mut defined = defined.filter_map(|(at, point)| Some((number::plain(*at), point.as_ref()?)));
    let (from, first) = defined.next()?;
    let Some((to, last)) = defined.next_back() else {
        return Some(format!("is {} at {x} = {from}", with_interval(first, show)));
    };
    let (verb, rest) = match difference {
        Some(i) if i.low <= 0.0 && i.high >= 0.0 => {
            ("goes", " (paired difference not told apart from 0)")
        }
        Some(_) if last.value < first.value => ("falls", ""),
        Some(_) => ("rises", ""),
        None => ("goes", ""),
    };
    let (first, last) = (show(first.value), show(last.value));
    Some(format!(
        "{verb} from {first} at {x} = {from} to {last} at {to}{rest}"
    ))
}

/// Which line is best where: `LiSSA, scaled at every rank r`, or `A at rank r = 1, 2; B at 4, 8`.
pub fn leaders(lines: &[(String, &Series)], direction: Direction, x: &str) -> Option<String> {
    let points = lines.iter().flat_map(|(_, series)| series.iter());
    let points = points.filter(|(_, point)| point.is_some());
    let places = ascending(points.map(|(at, _)| *at));
    let first = |at: f64| {
        let values = lines.iter().filter_map(|(name, series)| {
            let (_, point) = series.iter().find(|(x, _)| *x == at)?;
            Some((name, point.as_ref()?.value))
        });
        let better = |a: f64, b: f64| match direction {
            Direction::Lower => a < b,
            _ => a > b,
        };
        let best = values.reduce(|best, other| if better(other.1, best.1) { other } else { best });
        Some((at, best?.0.clone()))
    };
    by_name(places.into_iter().filter_map(first), x)
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
    let decided = places.iter().filter(|(_, found)| found.is_decided());
    let decided: Vec<String> = decided.map(|(at, _)| number::plain(*at)).collect();
    let untold: Option<Vec<&str>> = places.iter().map(|(_, found)| found.untold()).collect();
    let rest = match (
        untold.as_ref().and_then(|untold| untold.first()),
        decided.len(),
    ) {
        (Some(why), _) => format!("{why}: nothing is told apart"),
        (_, 0) => "nowhere told apart from every other method".to_owned(),
        (_, all) if all == places.len() => "told apart from every other method".to_owned(),
        _ => {
            let places = joined(&decided);
            format!("told apart from every other method at {places} alone")
        }
    };
    Some(format!("{text} ({rest})"))
}

/// `A at every x`, or `A at x = 1, 2; B at 4`.
fn by_name(firsts: impl Iterator<Item = (f64, String)>, x: &str) -> Option<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (at, name) in firsts {
        entry(&mut found, name).push(number::plain(at));
    }
    match found.as_slice() {
        [] => None,
        [(name, places)] if places.len() > 1 => Some(format!("{name} at every {x}")),
        [(name, places), rest @ ..] => {
            let first = format!("{name} at {x} = {}", places.join(", "));
            let rest = rest.iter();
            let rest = rest.map(|(name, places)| format!("; {name} at {}", places.join(", ")));
            Some(first + &rest.collect::<String>())
        }
    }
}

/// `A, B and C`
fn joined(names: &[String]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// `A, B, C and 2 more`
pub fn list(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        None | Some(0) => joined(names),
        Some(more) => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// ` (A; B)`
pub fn aside(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join("; ")),
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
    let alike = comparison.alike().into_iter();
    let alike: Vec<String> = alike.map(|i| name(comparison.labels[i])).collect();
    let rest = match comparison.untold() {
        Some(why) => format!("{why}: nothing is told apart"),
        None if alike.is_empty() => "told apart from every other".to_owned(),
        None => format!("not told apart from it: {}", list(&alike)),
    };
    let value = with_interval(&point(best)?, show);
    let controls = comparison.better_controls(&name);
    Some(format!("{}, {value}; {rest}{controls}", name(best)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::contrast::Contrast;
    use crate::report::data::{ResultSet, compare};
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
        let rise = vec![(1.0, mark(0.6, 0.01)), (8.0, mark(0.7, 0.01))];
        let open = "goes from 0.60 at n = 1 to 0.70 at 8 (paired difference not told apart from 0)";
        for (series, differences, expected) in [
            // far below the spread of the seeds, and yet the same in each of them
            (
                &fall[..],
                &[-0.31, -0.33, -0.32][..],
                "falls from 0.93 at n = 1 to 0.61 at 8",
            ),
            (&rise, &[-0.1, 0.3, 0.1], open),
            (
                &rise,
                &[0.11, 0.1, 0.09],
                "rises from 0.60 at n = 1 to 0.70 at 8",
            ),
            // one seed says nothing, and neither do ends that nothing pairs, even where their intervals are disjoint
            (&rise, &[0.5], "goes from 0.60 at n = 1 to 0.70 at 8"),
            (&fall, &[], "goes from 0.93 at n = 1 to 0.61 at 8"),
            (&rise[..1], &[], "is 0.60 [0.59, 0.61] at n = 1"),
            (&fall[1..2], &[], ""),
        ] {
            let known = Contrast::of_seeds(differences).and_then(|contrast| contrast.interval());
            let found = change(series, "n", two, known).unwrap_or_default();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn leaders_are_named_where_they_lead() {
        let a: Series = vec![(1.0, mark(0.9, 0.0)), (2.0, mark(0.5, 0.0))];
        let b: Series = vec![(1.0, mark(0.8, 0.0)), (2.0, mark(0.6, 0.0))];
        let nothing: Series = vec![(1.0, None)];
        let lines = [
            ("A".to_owned(), &a),
            ("B".to_owned(), &b),
            ("C".to_owned(), &nothing),
        ];
        for (lines, direction, expected) in [
            (&lines[..], Direction::Higher, Some("A at r = 1; B at 2")),
            (&lines, Direction::Lower, Some("B at r = 1; A at 2")),
            (&lines[..1], Direction::Lower, Some("A at every r")),
            (&lines[2..], Direction::Higher, None),
        ] {
            assert_eq!(leaders(lines, direction, "r").as_deref(), expected);
        }
    }

    #[test]
    fn lists_are_cut_and_one_seed_tells_nothing_apart() {
        let single = synthetic::single();
        let results = ResultSet::new(&single);
        let metric = find("pearson").expect("listed");
        let found = compare(&results, &[&results.groups[0]], metric).expect("methods");
        let text = winners(&[(1.0, found)], str::to_owned, "r").expect("a best");
        assert!(
            text.ends_with("(one seed: nothing is told apart)"),
            "{text}"
        );
        let names = ["a", "b", "c", "d", "e"].map(str::to_owned);
        let lists = [0, 1, 3, 5].map(|count| list(&names[..count]));
        assert_eq!(lists, ["", "a", "a, b and c", "a, b, c and 2 more"]);
    }
}
