//! Sentences that say what a figure shows, from the numbers that it is drawn from.
//!
//! "Falls" and "rises" are said where the intervals of the two ends do not overlap; otherwise the ends are
//! given with the word that their intervals overlap. A leader is named with those whose intervals reach its own.

use crate::metrics::{Direction, find};
use crate::report::marks::{Mark, Marks};
use crate::report::number;
use crate::report::sheet::Point;

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
pub fn with_interval(point: &Point, show: impl Fn(f64) -> String) -> String {
    match point.interval {
        Some((low, high)) => format!("{} [{}, {}]", show(point.value), show(low), show(high)),
        None => show(point.value),
    }
}

/// Whether two intervals have no value in common; `None` when one is missing.
fn apart(a: &Point, b: &Point) -> Option<bool> {
    let (a, b) = (a.interval?, b.interval?);
    Some(a.1 < b.0 || b.1 < a.0)
}

/// How a line goes from its first to its last value: `falls from 0.93 at rank r = 1 to 0.61 at 8`.
pub fn change(
    marks: &[(f64, Option<Mark>)],
    x: &str,
    show: impl Fn(f64) -> String,
) -> Option<String> {
    let mut defined = marks
        .iter()
        .filter_map(|(at, mark)| Some((*at, &mark.as_ref()?.point)));
    let first = defined.next()?;
    let Some(last) = defined.next_back() else {
        return Some(format!(
            "is {} at {x} = {}",
            with_interval(first.1, show),
            number::plain(first.0)
        ));
    };
    let ends = |verb: &str, rest: &str| {
        format!(
            "{verb} from {} at {x} = {} to {} at {}{rest}",
            show(first.1.value),
            number::plain(first.0),
            show(last.1.value),
            number::plain(last.0)
        )
    };
    Some(match apart(first.1, last.1) {
        Some(true) if last.1.value < first.1.value => ends("falls", ""),
        Some(true) => ends("rises", ""),
        Some(false) => ends("goes", " (intervals overlap)"),
        None => ends("goes", ""),
    })
}

/// Whether `a` is better than `b`.
fn better(direction: Direction, a: f64, b: f64) -> bool {
    match direction {
        Direction::Lower => a < b,
        _ => a > b,
    }
}

/// Which line is best where: `LiSSA, scaled at every rank r`, or `A at rank r = 1, 2; B at 4, 8`.
pub fn leaders(lines: &[(String, &Marks)], direction: Direction, x: &str) -> Option<String> {
    let mut places: Vec<f64> = lines
        .iter()
        .flat_map(|(_, marks)| marks.iter().filter(|(_, mark)| mark.is_some()))
        .map(|(at, _)| *at)
        .collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let mut found: Vec<(&str, Vec<f64>)> = Vec::new();
    for at in &places {
        let values = lines.iter().filter_map(|(name, marks)| {
            let (_, mark) = marks.iter().find(|(x, _)| x == at)?;
            Some((name.as_str(), mark.as_ref()?.point.value))
        });
        let first = values.reduce(|best, other| {
            if better(direction, other.1, best.1) {
                other
            } else {
                best
            }
        });
        let Some((name, _)) = first else { continue };
        match found.iter_mut().find(|(other, _)| *other == name) {
            Some((_, places)) => places.push(*at),
            None => found.push((name, vec![*at])),
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

/// The best of several points, its value, and whose intervals overlap with its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Leader {
    /// Its position in the list.
    pub at: usize,
    /// Positions of those that its interval does not tell from it, the better ones first.
    pub overlapping: Vec<usize>,
    /// Whether every one of the points has an interval.
    pub intervals: bool,
}

/// The best point; `None` of none.
pub fn leader(points: &[Option<Point>], direction: Direction) -> Option<Leader> {
    let mut order: Vec<(usize, Point)> = points
        .iter()
        .enumerate()
        .filter_map(|(i, point)| Some((i, (*point)?)))
        .collect();
    order.sort_by(|a, b| match direction {
        Direction::Lower => a.1.value.total_cmp(&b.1.value),
        _ => b.1.value.total_cmp(&a.1.value),
    });
    let (at, first) = *order.first()?;
    let overlapping = order[1..]
        .iter()
        .filter(|(_, other)| apart(&first, other) == Some(false))
        .map(|(i, _)| *i)
        .collect();
    Some(Leader {
        at,
        overlapping,
        intervals: order.iter().all(|(_, point)| point.interval.is_some()),
    })
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

/// `LiSSA, scaled: 0.89 [0.88, 0.90]; the intervals of A and B overlap with it`
pub fn best(
    points: &[(String, Option<Point>)],
    direction: Direction,
    show: impl Fn(f64) -> String,
) -> Option<String> {
    let values: Vec<Option<Point>> = points.iter().map(|(_, point)| *point).collect();
    let leader = leader(&values, direction)?;
    let point = values[leader.at]?;
    let others: Vec<String> = leader
        .overlapping
        .iter()
        .map(|i| points[*i].0.clone())
        .collect();
    let rest = match (others.len(), leader.intervals) {
        (0, true) if values.iter().flatten().count() > 1 => {
            "; no other interval reaches it".to_owned()
        }
        (0, _) => String::new(),
        (1, _) => format!("; the interval of {} overlaps with its own", others[0]),
        _ => format!("; the intervals of {} overlap with its own", list(&others)),
    };
    Some(format!(
        "{}, {}{rest}",
        points[leader.at].0,
        with_interval(&point, show)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(value: f64, half: f64) -> Option<Mark> {
        Some(
            Point {
                value,
                interval: (half > 0.0).then_some((value - half, value + half)),
            }
            .into(),
        )
    }

    fn two(x: f64) -> String {
        number::fixed(x, 2)
    }

    #[test]
    fn a_fall_is_one_only_where_the_intervals_say_so() {
        let fall = vec![
            (1.0, mark(0.93, 0.01)),
            (2.0, None),
            (8.0, mark(0.61, 0.05)),
        ];
        assert_eq!(
            change(&fall, "rank r", two).as_deref(),
            Some("falls from 0.93 at rank r = 1 to 0.61 at 8")
        );
        let vague = vec![(1.0, mark(0.6, 0.1)), (8.0, mark(0.7, 0.1))];
        assert_eq!(
            change(&vague, "n", two).as_deref(),
            Some("goes from 0.60 at n = 1 to 0.70 at 8 (intervals overlap)")
        );
        let bare = vec![(1.0, mark(0.6, 0.0)), (8.0, mark(0.7, 0.0))];
        assert_eq!(
            change(&bare, "n", two).as_deref(),
            Some("goes from 0.60 at n = 1 to 0.70 at 8")
        );
        assert_eq!(
            change(&fall[..1], "n", two).as_deref(),
            Some("is 0.93 [0.92, 0.94] at n = 1")
        );
        assert_eq!(change(&[(1.0, None)], "n", two), None);
    }

    #[test]
    fn leaders_are_named_where_they_lead() {
        let a: Marks = vec![(1.0, mark(0.9, 0.0)), (2.0, mark(0.5, 0.0))];
        let b: Marks = vec![(1.0, mark(0.8, 0.0)), (2.0, mark(0.6, 0.0))];
        let lines = [("A".to_owned(), &a), ("B".to_owned(), &b)];
        assert_eq!(
            leaders(&lines, Direction::Higher, "r").as_deref(),
            Some("A at r = 1; B at 2")
        );
        assert_eq!(
            leaders(&lines[..1], Direction::Lower, "r").as_deref(),
            Some("A at every r")
        );
        let nothing: Marks = vec![(1.0, None)];
        assert_eq!(
            leaders(&[("C".to_owned(), &nothing)], Direction::Higher, "r"),
            None
        );
    }

    #[test]
    fn the_best_is_named_with_what_its_interval_does_not_exclude() {
        let point = |value, half| mark(value, half).map(|mark| mark.point);
        let points = [
            ("A".to_owned(), point(0.5, 0.01)),
            ("B".to_owned(), point(0.9, 0.05)),
            ("C".to_owned(), point(0.88, 0.05)),
            ("D".to_owned(), None),
        ];
        assert_eq!(
            best(&points, Direction::Higher, two).as_deref(),
            Some("B, 0.90 [0.85, 0.95]; the interval of C overlaps with its own")
        );
        assert_eq!(
            best(&points, Direction::Lower, two).as_deref(),
            Some("A, 0.50 [0.49, 0.51]; no other interval reaches it")
        );
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(list(&names), "a, b, c and 2 more");
    }
}
