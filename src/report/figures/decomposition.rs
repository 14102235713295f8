//! The gap to retraining in parts: a bar a method.

use super::{Outcome, caption, held_text, interval_text, slug};
use crate::metrics::decomposition::Switch;
use crate::metrics::find;
use crate::report::aggregate::Aggregate;
use crate::report::axis::Axis;
use crate::report::marks::{Mark, Said};
use crate::report::number;
use crate::report::palette::{Colour, Dash, INK, Marker, Style};
use crate::report::parts::{Gaps, MethodGap, Part, distinct, of_group};
use crate::report::sheet::{Entry, PanelSpec, Point, Sheet, short_name};
use crate::report::study::{Group, Study};
use crate::report::tables::damping_text;

/// Pixels of a row.
const ROW: f64 = 42.0;
/// The bar: pixels below the middle of its row, and height.
const BAR: (f64, f64) = (-6.0, 22.0);
/// The marker of the gap below it.
const GAP: f64 = 13.0;
/// Intervals of parts that are shorter than this share of the axis are in the table alone.
const SHOWN: f64 = 0.006;

/// Title, what is held, the cells, and their gaps.
type Panel<'p> = (&'p str, &'p str, &'p Group<'p>, Gaps);

/// One figure a metric, with a panel a task; nothing where no gap was split.
pub fn draw(study: &Study) -> Vec<Outcome> {
    let slices = study.slices(None);
    let panels: Vec<Panel> = slices
        .iter()
        .filter_map(|slice| Some((slice, *slice.groups.first()?)))
        .flat_map(|(slice, group)| {
            let gaps = of_group(group).into_iter();
            gaps.map(move |gaps| (slice.title.as_str(), slice.held.as_str(), group, gaps))
        })
        .collect();
    distinct(panels.iter().map(|(.., gaps)| gaps.metric.clone()))
        .into_iter()
        .map(|metric| {
            let own = panels.iter().filter(|(.., gaps)| gaps.metric == metric);
            of_metric(study, &metric, &own.collect::<Vec<_>>())
        })
        .collect()
}

fn of_metric(study: &Study, metric: &str, panels: &[&Panel]) -> Outcome {
    let name = find(metric).map_or(metric, |metric| metric.title);
    let title = format!("Where the gap to retraining comes from: {name}");
    let rows = |gaps: &Gaps| gaps.methods.len();
    let most = panels.iter().map(|panel| rows(&panel.3)).max().unwrap_or(1);
    let (mut specs, mut aggregates) = (Vec::new(), Vec::new());
    for (title, .., gaps) in panels {
        let names = gaps.methods.iter();
        let names: Vec<String> = names
            .map(|method| short_name(&study.palette.style(&method.label)))
            .collect();
        let (low, high) = extent(gaps);
        specs.push(PanelSpec {
            title: (*title).to_owned(),
            x: Axis::linear(format!("Gap to retraining: 1 − {name}"), low, high),
            y: Axis::rows(&names),
        });
        aggregates.extend(gaps.methods.iter().map(|method| method.gap));
    }
    if aggregates.iter().all(|gap| gap.value.is_none()) {
        return Outcome::omitted(title, "no gap is defined");
    }
    let parts = panels
        .iter()
        .flat_map(|(.., gaps)| gaps.methods.iter().flat_map(|method| &method.parts));
    let mut kinds = distinct(parts.map(|part| (part.switches.clone(), part.title.clone())));
    kinds.sort();
    let gap = Style {
        name: "the gap: all parts together".to_owned(),
        colour: INK,
        marker: Marker::Diamond,
        dash: Dash::Solid,
    };
    let mut entries: Vec<Entry> = kinds
        .iter()
        .map(|(switches, title)| Entry {
            name: title.clone(),
            colour: colour(switches),
            marker: Some(Marker::Square),
            dash: None,
        })
        .collect();
    entries.push(Entry::method(&gap));
    let mut sheet = Sheet::new(1, ROW * most as f64, specs, &entries, &[]);
    let mut seen = Vec::new();
    for (panel, (title, _, group, gaps)) in panels.iter().enumerate() {
        let (low, high) = extent(gaps);
        let zero = [(0.0, 0.5), (0.0, 0.5 - rows(gaps) as f64)];
        for (row, method) in gaps.methods.iter().enumerate() {
            let y = -(row as f64);
            let origin = study.origin(group, Some(&method.label));
            seen.extend(sentence(study, title, method));
            let mut intervals = Vec::new();
            for (part, from, loss) in bars(method) {
                let said = Said {
                    series: part.title.clone(),
                    numbers: match part.loss.low.zip(part.loss.high) {
                        Some((low, high)) => format!(
                            "{} [{}, {}]",
                            number::fixed(loss, 3),
                            number::fixed(low, 3),
                            number::fixed(high, 3)
                        ),
                        None => number::fixed(loss, 3),
                    },
                    origin: Some(origin.clone()),
                };
                sheet.bar(
                    panel,
                    (from, from + loss),
                    y,
                    BAR,
                    colour(&part.switches),
                    said,
                );
                let wide = loss.abs() > SHOWN * (high - low);
                let ends = part.loss.low.zip(part.loss.high).filter(|_| wide);
                intervals.extend(ends.map(|(low, high)| (from + low, from + high)));
            }
            // one below the other, so that neighbours do not cover one another
            let step = (BAR.1 - 6.0) / intervals.len().max(1) as f64;
            for (i, ends) in intervals.iter().enumerate() {
                let down = BAR.0 - BAR.1 / 2.0 + 3.0 + (i as f64 + 0.5) * step;
                sheet.thin_interval(panel, *ends, y, down);
            }
            match method.gap.value {
                Some(value) => {
                    let interval = method.gap.low.zip(method.gap.high);
                    let mark = Mark {
                        point: Point { value, interval },
                        origin: Some(origin),
                    };
                    sheet.mark(panel, mark, y, GAP, &gap);
                }
                None if method.gap.failed > 0 => sheet.annotate_left(panel, y, "failed"),
                None => sheet.annotate_left(panel, y, "undefined"),
            }
        }
        sheet.line(panel, &zero, INK, 1.2, Dash::Solid, 1.0);
    }
    let mut dampings = distinct(panels.iter().flat_map(|(.., gaps)| gaps.dampings.clone()));
    dampings.sort_by(f64::total_cmp);
    let dampings: Vec<String> = dampings.into_iter().map(number::plain).collect();
    let text = caption(&[
        "A ladder of scores leads from the retraining truth to each method, one switch a rung; a part is what the \
         agreement with retraining loses on its rung. Parts that lose stand right of 0, parts that win left of it; \
         together they are the gap (diamond).",
        &format!(
            "Rungs above the damping's have c = {}, at which influence by the ladder's upper end agrees best with \
             retraining; the damping's part is the step to the cell's own c.",
            dampings.join(", ")
        ),
        &interval_text(&aggregates),
        "Thin bars are the intervals of the parts, paired: both rungs on the same resamples or seeds.",
        &damping_text(study),
        &held_text(panels[0].1),
        &undefined_text(&aggregates),
    ]);
    let id = format!("decomposition_{}", slug(metric));
    Outcome::drawn(id, title, text, sheet.finish()).finding(seen)
}

/// The gap of a method and the largest of its parts.
fn sentence(study: &Study, title: &str, method: &MethodGap) -> Option<String> {
    let gap = method.gap.value?;
    let parts = method.parts.iter();
    let (part, loss) = parts
        .filter_map(|part| Some((&part.title, part.loss.value?)))
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let interval = method.gap.low.zip(method.gap.high);
    let interval = interval.map_or(String::new(), |(low, high)| {
        format!(" [{}, {}]", number::fixed(low, 3), number::fixed(high, 3))
    });
    Some(format!(
        "{title}, {}: the gap is {}{interval}; the largest part is {part} ({}).",
        study.palette.style(&method.label).name,
        number::fixed(gap, 3),
        number::fixed(loss, 3)
    ))
}

fn undefined_text(gaps: &[Aggregate]) -> String {
    let sum = |of: fn(&Aggregate) -> usize| gaps.iter().map(of).sum::<usize>();
    match sum(|gap| gap.undefined) {
        0 => String::new(),
        undefined => format!(
            "{} of {} queries, counted by method, are undefined on some rung and in no part.",
            number::plain(undefined as f64),
            number::plain(sum(|gap| gap.cases) as f64)
        ),
    }
}

/// The bars of a method with where each begins and how far it goes: losses to the right from 0, gains to the left.
fn bars(method: &MethodGap) -> impl Iterator<Item = (&Part, f64, f64)> {
    let (mut right, mut left) = (0.0, 0.0);
    method.parts.iter().filter_map(move |part| {
        let loss = part.loss.value?;
        let end = if loss >= 0.0 { &mut right } else { &mut left };
        let from = *end;
        *end += loss;
        Some((part, from, loss))
    })
}

/// Range of x: 0, all bars and all gaps, with their intervals unless these go far beyond the bars.
fn extent(gaps: &Gaps) -> (f64, f64) {
    let (mut low, mut high) = (0.0f64, 0.0f64);
    let mut ends = Vec::new();
    for method in &gaps.methods {
        for (part, from, loss) in bars(method) {
            (low, high) = (low.min(from + loss), high.max(from + loss));
            ends.extend([part.loss.low, part.loss.high].map(|end| from + end.unwrap_or(0.0)));
        }
        ends.extend([method.gap.low, method.gap.high].map(|end| end.unwrap_or(0.0)));
        high = high.max(method.gap.value.unwrap_or(0.0));
    }
    let far = 0.2 * (high - low);
    let (least, most) = (low - far, high + far);
    for end in ends {
        (low, high) = (low.min(end.max(least)), high.max(end.min(most)));
    }
    let high = if high > low { high } else { 1.0 };
    let room = 0.03 * (high - low);
    (
        if low < 0.0 { low - room } else { -room / 3.0 },
        high + room,
    )
}

/// Tol's muted scheme, which any colour vision can tell apart, and greys at both ends of the ladder. A part of
/// several switches has the colour of its first.
fn colour(switches: &[Switch]) -> Colour {
    match switches.first() {
        Some(Switch::Influence) => [0x33, 0x22, 0x88],
        Some(Switch::Fisher) => [0x88, 0xcc, 0xee],
        Some(Switch::Blocks) => [0x11, 0x77, 0x33],
        Some(Switch::BlockDamping) => [0x99, 0x99, 0x33],
        Some(Switch::Damping) => [0xdd, 0xcc, 0x77],
        Some(Switch::Swap) => [0xcc, 0x66, 0x77],
        Some(Switch::Approximation) => [0x88, 0x22, 0x55],
        Some(Switch::Convergence) => [0xaa, 0x44, 0x99],
        Some(Switch::Precision) => [0x44, 0xaa, 0x99],
        Some(Switch::Noise) | None => [0xc4, 0xc4, 0xc4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::decomposition::SWITCHES;
    use crate::report::synthetic;

    #[test]
    fn every_part_has_a_colour_of_its_own() {
        let colours = distinct(SWITCHES.map(|switch| colour(&[switch])));
        assert_eq!(colours.len(), SWITCHES.len());
    }

    #[test]
    fn a_figure_a_metric_with_losses_right_and_gains_left_of_zero() {
        for seeds in [1, 3] {
            let records = synthetic::decomposition(seeds);
            let study = Study::new(&records);
            let drawn = draw(&study);
            let ids: Vec<&str> = drawn
                .iter()
                .map(|outcome| match outcome {
                    Outcome::Drawn(figure) => figure.id.as_str(),
                    Outcome::Omitted { reason, .. } => reason,
                })
                .collect();
            assert_eq!(ids, ["decomposition_loo_pearson", "decomposition_lds_50"]);
            let gaps = of_group(&study.groups[0]);
            let (low, high) = extent(&gaps[0]);
            let first = &gaps[0].methods[0];
            let sum = |of: fn(f64) -> f64| -> f64 {
                first
                    .parts
                    .iter()
                    .filter_map(|p| p.loss.value)
                    .map(of)
                    .sum()
            };
            assert!(sum(|x| x.min(0.0)) < 0.0 && low < sum(|x| x.min(0.0)));
            assert!(high > sum(|x| x.max(0.0)));
        }
        let none = synthetic::rank();
        assert!(draw(&Study::new(&none)).is_empty());
    }
}
