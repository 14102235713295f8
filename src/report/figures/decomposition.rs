//! The gap to retraining in parts: a bar per method.

use super::draft::Draft;
use super::{Outcome, findings, omitted, references, slug, why_missing};
use crate::metrics::decomposition::Switch;
use crate::report::chart::{
    Axis, DataPoint, Entry, Layer, Paint, Panel, RecordRef, Stroke, short_name,
};
use crate::report::data::{Group, ResultSet, Slice, ascending, distinct, metric_title};
use crate::report::gap_decomposition::{GapComponent, GapDecomposition, MethodGap, of_group};
use crate::report::number;
use crate::report::palette::{Colour, Dash, INK, Look, Marker, Style, WHITE};
use crate::report::tables::damping_text;

/// Pixels of a row; heights within it are in shares of it, downwards from its middle.
const ROW: f64 = 42.0;
/// Middle and height of the bar.
const BAR: (f64, f64) = (-6.0 / ROW, 22.0 / ROW);
/// The marker of the gap below it.
const GAP: f64 = 13.0 / ROW;
/// Half of the cap of an interval.
const CAP: f64 = 2.5 / ROW;
/// Intervals of parts that are shorter than this share of the axis are in the table alone.
const SHOWN: f64 = 0.006;

/// A task at its reference setting with its gaps by one metric.
type Row<'s, 'r> = (Slice<'r, 's>, &'s Group<'r>, GapDecomposition);

/// One figure per metric, with a panel per task; nothing where no gap was split.
pub fn draw(results: &ResultSet) -> Vec<Outcome> {
    let mut all: Vec<Row> = Vec::new();
    for (slice, group) in references(results) {
        let gaps = of_group(group).into_iter();
        all.extend(gaps.map(|gaps| (slice.clone(), group, gaps)));
    }
    let metrics = distinct(all.iter().map(|(.., gaps)| gaps.metric.as_str()));
    let of_metric = |metric: &&str| {
        let own = all.iter().filter(|(.., gaps)| gaps.metric == *metric);
        of_metric(results, metric, &own.collect::<Vec<_>>())
    };
    metrics.iter().map(of_metric).collect()
}

fn of_metric(results: &ResultSet, metric: &str, rows: &[&Row]) -> Outcome {
    let name = metric_title(metric);
    let title = format!("Where the gap to retraining comes from: {name}");
    let all = || rows.iter().flat_map(|(.., gaps)| &gaps.methods);
    if all().all(|method| method.gap.value.is_none()) {
        return omitted(title, "no gap is defined");
    }
    let most = rows.iter().map(|(.., gaps)| gaps.methods.len()).max();
    let mut draft = Draft::new(1, ROW * most.unwrap_or(1) as f64);
    let look = Look::new(INK, Marker::Diamond, Dash::Solid);
    let gap = Style::new("the gap: all parts together", look);
    for (slice, group, gaps) in rows {
        draft.covers(slice);
        let styles = gaps.methods.iter().map(|m| results.palette.style(&m.label));
        let styles: Vec<Style> = styles.collect();
        let names: Vec<String> = styles.iter().map(short_name).collect();
        let (low, high) = extent(gaps);
        let x = Axis::linear(format!("Gap to retraining: 1 − {name}"), low, high);
        let mut panel = Panel::new(&slice.title, x, Axis::rows(&names));
        for (row, (method, Style { name, .. })) in gaps.methods.iter().zip(&styles).enumerate() {
            draft.missing.number(name, group, &method.gap);
            draft.counts(&method.gap);
            let record = results.origin(group, Some(&method.label));
            let layers = row_layers(method, (&panel.x, -(row as f64)), record, &gap);
            panel.layers.extend(layers);
            let said = sentence(&slice.title, name, method);
            draft.findings.extend(said);
        }
        let zero = Layer::line(panel.upright(0.0), Stroke::new(INK, 1.2, Dash::Solid));
        panel.layers.push(zero);
        draft.chart.panels.push(panel);
    }
    let parts = all().flat_map(|method| &method.parts);
    let mut kinds = distinct(parts.map(|part| (&part.switches, &part.title)));
    kinds.sort();
    let parts = kinds.into_iter().map(|(switches, title)| Entry {
        marker: Some(Marker::Square),
        dash: None,
        ..Entry::line(title, colour(switches), Dash::Solid)
    });
    draft.chart.legend = parts.chain([Entry::method(&gap)]).collect();
    let dampings = ascending(rows.iter().flat_map(|(.., gaps)| gaps.dampings.clone()));
    let dampings = number::list(dampings.into_iter().map(number::plain));
    let text = [
        "A ladder of scores leads from the retraining truth to each method, one switch a rung; a part is what the \
         agreement with retraining loses on its rung. Parts that lose stand right of 0, parts that win left of it; \
         together they are the gap (diamond).",
        &format!(
            "Rungs above the damping's have c = {}, at which influence by the ladder's upper end agrees best with \
             retraining; the damping's part is the step to the cell's own c.",
            dampings
        ),
        &draft.intervals(),
        "Thin bars are the intervals of the parts, paired: both rungs on the same resamples or seeds.",
        &damping_text(results),
        "A query that is undefined on some rung is in no part.",
    ];
    let id = format!("decomposition_{}", slug(metric));
    draft.outcome(id, title, &text, "")
}

/// The bars of a method with their intervals, and its gap, in the row at `y`.
fn row_layers(
    method: &MethodGap,
    (x, y): (&Axis, f64),
    record: RecordRef,
    gap: &Style,
) -> Vec<Layer> {
    let (top, bottom) = (y - BAR.0 + BAR.1 / 2.0, y - BAR.0 - BAR.1 / 2.0);
    let (mut layers, mut intervals) = (Vec::new(), Vec::new());
    for (part, from, loss) in bars(method) {
        let to = from + loss;
        let ends = part.loss.interval;
        let numbers = numbers(&DataPoint::from(loss).within(ends));
        layers.push(Layer::Shape {
            points: vec![(from, top), (to, top), (to, bottom), (from, bottom)],
            paint: Paint::Fill(colour(&part.switches), 1.0),
            series: Some((part.title.clone(), numbers, record.clone())),
        });
        let ends = ends.filter(|_| loss.abs() > SHOWN * (x.high - x.low));
        intervals.extend(ends.map(|(low, high)| (from + low, from + high)));
    }
    // one below the other, so that neighbours do not cover one another
    let step = (BAR.1 - 6.0 / ROW) / intervals.len().max(1) as f64;
    for (i, (low, high)) in intervals.into_iter().enumerate() {
        let y = top - 3.0 / ROW - (i as f64 + 0.5) * step;
        // ink on white, to be read on any colour
        for (colour, width) in [(WHITE, 3.4), (INK, 1.2)] {
            let stroke = Stroke::new(colour, width, Dash::Solid);
            layers.push(Layer::line([(low, y), (high, y)], stroke));
            let caps = [low, high].into_iter().filter(|end| x.shows(*end));
            layers.extend(caps.map(|end| Layer::line([(end, y - CAP), (end, y + CAP)], stroke)));
        }
    }
    layers.push(match method.gap.point() {
        Some(point) => Layer::dots(gap, [(point.with_record(record), (y - GAP).into())]),
        None => Layer::word(y, why_missing(&method.gap)),
    });
    layers
}

/// `0.123 [0.100, 0.150]`
fn numbers(point: &DataPoint) -> String {
    findings::with_interval(point, |x| number::fixed(x, 3))
}

/// The gap of a method and the largest of its parts.
fn sentence(task: &str, name: &str, method: &MethodGap) -> Option<String> {
    let parts = method.parts.iter();
    let losses = parts.filter_map(|part| Some((&part.title, part.loss.value?)));
    let (part, loss) = losses.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
    let (gap, loss) = (numbers(&method.gap.point()?), number::fixed(loss, 3));
    Some(format!(
        "{task}, {name}: the gap is {gap}; the largest part is {part} ({loss})."
    ))
}

/// The bars of a method with where each begins and how far it goes: losses to the right from 0, gains to the left.
fn bars(method: &MethodGap) -> impl Iterator<Item = (&GapComponent, f64, f64)> {
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
fn extent(gaps: &GapDecomposition) -> (f64, f64) {
    let (mut low, mut high) = (0.0f64, 0.0f64);
    let mut ends = Vec::new();
    for method in &gaps.methods {
        for (part, from, loss) in bars(method) {
            (low, high) = (low.min(from + loss), high.max(from + loss));
            let (low, high) = part.loss.interval.unwrap_or_default();
            ends.extend([from + low, from + high]);
        }
        ends.extend(<[f64; 2]>::from(method.gap.interval.unwrap_or_default()));
        high = high.max(method.gap.value.unwrap_or(0.0));
    }
    let far = 0.2 * (high - low);
    let (least, most) = (low - far, high + far);
    for end in ends {
        (low, high) = (low.min(end.max(least)), high.max(end.min(most)));
    }
    let high = if high > low { high } else { 1.0 };
    let room = 0.03 * (high - low);
    let low = if low < 0.0 { low - room } else { -room / 3.0 };
    (low, high + room)
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

    #[test]
    fn every_part_has_a_colour_of_its_own() {
        let colours = distinct(SWITCHES.map(|switch| colour(&[switch])));
        assert_eq!(colours.len(), SWITCHES.len());
    }
}
