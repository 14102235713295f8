//! A figure while it is collected: its panels, what they show in words, and what is missing from them.

use super::shared::{caption, change_between, compared, metric_axis};
use super::{Figure, Outcome, findings, omitted};
use crate::look::{Colour, Dash, Look, Marker};
use crate::metrics::{Metric, find};
use crate::report::chart::{
    Axis, AxisScale, Chart, DataPoint, Entry, Layer, Limits, Panel, Series, points,
};
use crate::report::data::{
    Aggregate, Comparison, DTYPE, Group, MissingData, ResultSet, Slice, aggregate, aggregate_cell,
    ascending, axis_short, axis_title, compare, tick_text, value,
};
use crate::report::palette::Style;
use crate::results::record::Record;

/// A figure without a caption.
#[derive(Default)]
pub struct Draft {
    /// What is drawn.
    pub chart: Chart,
    /// What there is to be seen.
    pub findings: Vec<String>,
    /// What is missing.
    pub missing: MissingData,
    /// Seeds of the numbers that are means over seeds, for what is said of their intervals.
    pub seeds: Vec<usize>,
    /// Whether a number of a single cell has an interval.
    has_own: bool,
    /// Settings that are held.
    pub held: String,
}

/// A line of a panel: its look, its points, and its offset in pixels (see [`dodge`]).
pub type Line = (Style, Series, f64);

/// Horizontal offset in pixels of the `place`-th of `count` lines, which keeps their intervals apart.
pub fn dodge(place: usize, count: usize) -> f64 {
    let step = (18.0 / count.max(1) as f64).min(4.0);
    (place as f64 - (count as f64 - 1.0) / 2.0) * step
}

/// A number as a point that links to the records of its group.
pub fn point(
    results: &ResultSet,
    group: &Group,
    label: Option<&str>,
    of: &Aggregate,
) -> Option<DataPoint> {
    Some(of.point()?.with_record(results.origin(group, label)))
}

impl Draft {
    /// Without panels yet, which get `columns` columns and plots `height` pixels high.
    pub fn new(columns: usize, height: f64) -> Self {
        let mut draft = Self::default();
        (draft.chart.columns, draft.chart.height) = (columns, height);
        draft
    }

    /// A metric of a method at a setting.
    pub fn measure(
        &mut self,
        results: &ResultSet,
        group: &Group,
        label: &str,
        metric: &str,
    ) -> Aggregate {
        let result = aggregate(group, label, metric);
        self.missing
            .number(&results.palette.name(label), group, &result);
        self.counts(&result);
        result
    }

    /// Counts a number, for what is said of the intervals.
    pub fn counts(&mut self, number: &Aggregate) {
        match number.value {
            None => {}
            Some(_) if number.over_seeds => self.seeds.push(number.seeds),
            Some(_) => self.has_own |= number.interval.is_some(),
        }
    }

    /// Adds a panel of a metric along a swept setting, with a line per method, and the sentence `{lead} is {methods}`.
    /// `also` is shown by the vertical axis, too. Without a value there is no panel.
    pub fn along(
        &mut self,
        results: &ResultSet,
        slice: &Slice,
        key: &str,
        metric: &str,
        lead: &str,
        also: Option<&DataPoint>,
    ) -> Option<&mut Panel> {
        let mut series: Vec<(&str, Series)> = Vec::new();
        for label in compared(results, metric) {
            let of = |group: &&Group| {
                let result = self.measure(results, group, label, metric);
                let point = point(results, group, Some(label), &result);
                Some((group.number(key)?, point))
            };
            series.push((label, slice.groups.iter().filter_map(of).collect()));
        }
        let shown = points(series.iter().map(|(_, series)| series)).chain(also);
        let y = metric_axis(metric, shown)?;
        let mut x = Axis::at_values(axis_title(key), &values(&slice.groups, key));
        for (value, text) in &mut x.ticks {
            if let Some(named) = tick_text(key, *value) {
                *text = named;
            }
        }
        let said = sentence(results, slice, key, metric, &series, lead);
        self.findings.extend(said);
        // a method stands at its place among all, so that it is the same in panels that lack some
        let all = &results.methods;
        let lines = series.into_iter().map(|(label, series)| {
            let place = all.iter().position(|other| other == label);
            let dodge = dodge(place.unwrap_or(0), all.len());
            (results.palette.style(label), series, dodge)
        });
        Some(self.lines("", (x, y), lines))
    }

    /// A number of the cells themselves along a swept setting.
    pub fn of_cells(
        &mut self,
        results: &ResultSet,
        slice: &Slice,
        key: &str,
        pick: impl Fn(&Record) -> Option<f64>,
    ) -> Series {
        let of = |group: &&Group| {
            let x = group.number(key)?;
            let result = aggregate_cell(group, &pick);
            self.counts(&result);
            Some((x, point(results, group, None, &result)))
        };
        slice.groups.iter().filter_map(of).collect()
    }

    /// Adds a panel of lines with a vertical axis that shows all of them; none where no point can be shown.
    pub fn fitted(
        &mut self,
        title: &str,
        x: Axis,
        (y_title, scale, limits): (&str, AxisScale, Limits),
        lines: impl IntoIterator<Item = Line>,
    ) -> Option<&mut Panel> {
        let lines: Vec<Line> = lines.into_iter().collect();
        let shown = points(lines.iter().map(|(_, series, _)| series));
        let y = Axis::fit(y_title, shown, scale, limits)?;
        Some(self.lines(title, (x, y), lines))
    }

    /// Adds a panel of lines.
    pub fn lines(
        &mut self,
        title: &str,
        (x, y): (Axis, Axis),
        lines: impl IntoIterator<Item = Line>,
    ) -> &mut Panel {
        let layers = lines.into_iter();
        let layers = layers.map(|(style, series, dodge)| Layer::series(&style, series, dodge));
        self.chart.panels.push(Panel {
            layers: layers.collect(),
            ..Panel::new(title, x, y)
        });
        let last = self.chart.panels.len() - 1;
        &mut self.chart.panels[last]
    }

    /// Methods in the legend.
    pub fn legend<'l>(&mut self, results: &ResultSet, labels: impl IntoIterator<Item = &'l str>) {
        let entry = |label| Entry::method(&results.palette.style(label));
        self.chart.legend.extend(labels.into_iter().map(entry));
    }

    /// Counts the cells of a slice that is shown, and says what is held there.
    pub fn covers(&mut self, slice: &Slice) {
        let groups = slice.groups.iter();
        groups.for_each(|group| self.missing.group(group));
        if self.held.is_empty() {
            self.held.clone_from(&slice.held);
        }
    }

    /// Values of 0 or less, which a logarithmic axis cannot show.
    pub fn off_axis(&self) -> usize {
        let panels = self.chart.panels.iter();
        let log = panels.filter(|panel| panel.y.scale != AxisScale::Linear);
        let points = log.flat_map(|panel| &panel.layers);
        let points = points.flat_map(|layer| match layer {
            Layer::Points { points, .. } => points.as_slice(),
            _ => &[],
        });
        points.flatten().filter(|(_, y)| y.value <= 0.0).count()
    }

    /// How the intervals were made.
    pub fn intervals(&self) -> String {
        let ends = self.seeds.iter().min().zip(self.seeds.iter().max());
        let bars = ends.map(|(fewest, most)| match fewest == most {
            true => format!("Bars: 95 % t-interval over {most} seeds"),
            false => format!("Bars: 95 % t-interval over {fewest} to {most} seeds"),
        });
        match (bars, self.has_own) {
            (Some(bars), false) => bars + ".",
            (Some(bars), true) => bars + "; where there is one seed, the interval within its cell.",
            (None, true) => "One seed: bars are the 95 % interval within the cell.".to_owned(),
            (None, false) => "No intervals: one seed.".to_owned(),
        }
    }

    /// The figure, its caption the sentences of `text` with what is held and what is missing, which is also noted below
    /// the drawing; `empty` says why there is none when there is no panel.
    pub fn outcome(
        mut self,
        id: impl Into<String>,
        title: impl Into<String>,
        text: &[&str],
        empty: &str,
    ) -> Outcome {
        let title = title.into();
        if self.chart.panels.is_empty() {
            return omitted(title, empty);
        }
        let missing = self.missing.text();
        self.chart.notes.splice(0..0, missing.clone());
        let held = Some(self.held).filter(|held| !held.is_empty());
        let held = held.map(|held| format!("Held: {held}."));
        let rest = [held, missing].map(Option::unwrap_or_default);
        let text = text.iter().copied().chain(rest.iter().map(String::as_str));
        Ok(Figure {
            id: id.into(),
            title,
            findings: self.findings,
            caption: caption(text),
            chart: self.chart,
        })
    }
}

/// The best method by a metric at each value of a swept setting, by the comparison of the tables; then how the line of
/// DataInf goes, or of exact influence by what is measured in every run (times, memory).
fn sentence(
    results: &ResultSet,
    slice: &Slice,
    key: &str,
    metric: &str,
    series: &[(&str, Series)],
    lead: &str,
) -> Option<String> {
    let found = find(metric)?;
    let x = match key {
        DTYPE => "bits a number".to_owned(),
        key => axis_short(key),
    };
    let groups = slice.groups.iter();
    let place = |group: &&Group| Some((group.number(key)?, compare(results, &[group], found)?));
    let places: Vec<(f64, Comparison)> = groups.filter_map(place).collect();
    let first = findings::winners(&places, |label| results.palette.name(label), &x)?;
    let is_computed = found.is_computed();
    let subject = if is_computed { "datainf" } else { "exact" };
    let line = series.iter().find(|(label, _)| *label == subject);
    let change = line.and_then(|(label, series)| {
        let is_factor = Metric::is_factor(found);
        let scaled = |x: f64| if is_factor { x.ln() } else { x };
        let of = |record: &Record| value(record, label, metric).map(scaled);
        let difference = change_between(slice, series, &of);
        let show = |value| findings::show(metric, value);
        let change = findings::change(series, &x, show, difference)?;
        Some(format!("; {} {change}", results.palette.name(subject)))
    });
    Some(format!("{lead} is {first}{}.", change.unwrap_or_default()))
}

/// The distinct values of a swept setting, ascending.
pub fn values<'g, 'r: 'g>(
    groups: impl IntoIterator<Item = &'g &'g Group<'r>>,
    key: &str,
) -> Vec<f64> {
    ascending(groups.into_iter().filter_map(|g| g.number(key)))
}

/// Most lines of a panel whose lines stand for settings, not for methods.
pub const MOST: usize = 8;

/// From dark to light, one per line: not the methods' colours.
const COLOURS: [Colour; MOST] = [
    [0x44, 0x01, 0x54],
    [0x46, 0x32, 0x7e],
    [0x36, 0x5c, 0x8d],
    [0x27, 0x7f, 0x8e],
    [0x1f, 0xa1, 0x87],
    [0x4a, 0xc1, 0x6d],
    [0x8f, 0xb0, 0x30],
    [0xc8, 0xa0, 0x20],
];
const MARKERS: [Marker; 4] = [Marker::Circle, Marker::Square, Marker::Up, Marker::Diamond];

/// One style for each of the names, of which there are [`MOST`] at most.
pub fn styles(names: impl ExactSizeIterator<Item = String>) -> Vec<Style> {
    let count = names.len();
    let look = |i: usize| Look::new(COLOURS[i * MOST / count], MARKERS[i % 4], Dash::Solid);
    let names = names.enumerate();
    names.map(|(i, name)| Style::new(name, look(i))).collect()
}
