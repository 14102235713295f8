//! A figure while it is collected: its panels, what they show in words, and what is missing from them.

use super::findings;
use super::shared::{caption, change_between, compared, dodge, interval_text, metric_axis};
use super::{Figure, Outcome};
use crate::metrics::{Metric, find};
use crate::report::chart::{Axis, Chart, DataPoint, Entry, Layer, Panel, Scale, Series, points};
use crate::report::data::{
    Aggregate, Comparison, DTYPE, Group, MissingData, ResultSet, Slice, aggregate, aggregate_cell,
    axis_short, axis_title, compare, tick_text, value,
};
use crate::report::palette::{Colour, Dash, Marker, Style};
use crate::results::record::Record;

/// A figure without a caption.
pub struct Draft<'s> {
    results: &'s ResultSet<'s>,
    /// What is drawn.
    pub chart: Chart,
    /// What there is to be seen.
    pub findings: Vec<String>,
    /// What is missing.
    pub missing: MissingData,
    /// The numbers, for what is said of their intervals.
    pub aggregates: Vec<Aggregate>,
    /// Settings that are held.
    pub held: String,
}

impl<'s> Draft<'s> {
    /// Without panels yet, which get `columns` columns and plots `height` pixels high.
    pub fn new(results: &'s ResultSet<'s>, columns: usize, height: f64) -> Self {
        Self {
            results,
            chart: Chart {
                columns,
                height,
                ..Chart::default()
            },
            findings: Vec::new(),
            missing: MissingData::default(),
            aggregates: Vec::new(),
            held: String::new(),
        }
    }

    /// A metric of a method at a setting.
    pub fn measure(&mut self, group: &Group, label: &str, metric: &str) -> Aggregate {
        let result = aggregate(group, label, metric);
        let name = self.results.palette.style(label).name;
        self.missing.number(&name, group, &result);
        self.aggregates.push(result);
        result
    }

    /// The number as a point that links to the records of its group.
    pub fn point(&self, group: &Group, label: Option<&str>, of: &Aggregate) -> Option<DataPoint> {
        let point = DataPoint::from(of.value?).within(of.low.zip(of.high));
        Some(point.with_record(Some(self.results.origin(group, label))))
    }

    /// Adds a panel of a metric along a swept setting, with a line a method, and the sentence `{lead} is {methods}`.
    /// `also` is shown by the vertical axis, too. Without a value there is no panel.
    pub fn along(
        &mut self,
        slice: &Slice,
        key: &str,
        metric: &str,
        lead: &str,
        also: Option<&DataPoint>,
    ) -> Option<&mut Panel> {
        let results = self.results;
        let labels = compared(results, metric);
        let mut series: Vec<(&str, Series)> = Vec::new();
        for label in &labels {
            let of = |group: &&Group| {
                let result = self.measure(group, label, metric);
                Some((group.number(key)?, self.point(group, Some(label), &result)))
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
        self.findings
            .extend(sentence(results, slice, key, metric, &series, lead));
        let mut panel = Panel::new("", x, y);
        // a method stands at its place among all, so that it is the same in panels that lack some
        let all = &results.methods;
        panel.layers = series
            .into_iter()
            .map(|(label, series)| {
                let place = all.iter().position(|other| other == label);
                let dodge = dodge(place.unwrap_or(0), all.len());
                Layer::series(&results.palette.style(label), series, dodge)
            })
            .collect();
        self.chart.panels.push(panel);
        self.chart.panels.last_mut()
    }

    /// A number of the cells themselves along a swept setting.
    pub fn of_cells(
        &mut self,
        slice: &Slice,
        key: &str,
        pick: impl Fn(&Record) -> Option<f64>,
    ) -> Series {
        let mut of = |group: &&Group| {
            let x = group.number(key)?;
            let result = aggregate_cell(group, &pick);
            self.aggregates.push(result);
            Some((x, self.point(group, None, &result)))
        };
        slice.groups.iter().filter_map(&mut of).collect()
    }

    /// Adds a panel with a line a style.
    pub fn lines(
        &mut self,
        title: &str,
        (x, y): (Axis, Axis),
        lines: Vec<(usize, &Style, Series)>,
        count: usize,
    ) {
        let mut panel = Panel::new(title, x, y);
        let layer = |(place, style, series)| Layer::series(style, series, dodge(place, count));
        panel.layers = lines.into_iter().map(layer).collect();
        self.chart.panels.push(panel);
    }

    /// Methods in the legend.
    pub fn legend<'l>(&mut self, labels: impl IntoIterator<Item = &'l str>) {
        let entry = |label| Entry::method(&self.results.palette.style(label));
        self.chart.legend.extend(labels.into_iter().map(entry));
    }

    /// All methods in the legend.
    pub fn legend_of_all(&mut self) {
        self.legend(self.results.methods.iter().map(String::as_str));
    }

    /// Counts the cells of groups; what is missing in a sentence, which is empty when nothing is.
    pub fn missing<'g, 'r: 'g>(
        &mut self,
        groups: impl IntoIterator<Item = &'g &'g Group<'r>>,
    ) -> String {
        let groups = groups.into_iter();
        groups.for_each(|group| self.missing.group(group));
        self.missing.text().unwrap_or_default()
    }

    /// Notes below the figure; empty ones are left out.
    pub fn note(&mut self, texts: &[&str]) {
        let texts = texts.iter().filter(|text| !text.is_empty());
        self.chart
            .notes
            .extend(texts.map(|text| (*text).to_owned()));
    }

    /// Values of 0 or less, which a logarithmic axis cannot show.
    pub fn off_axis(&self) -> usize {
        let log = self
            .chart
            .panels
            .iter()
            .filter(|panel| panel.y.scale == Scale::Log);
        let off = log
            .flat_map(|panel| &panel.layers)
            .map(|layer| match layer {
                Layer::Points { points, .. } => {
                    let all = points.iter().flatten();
                    all.filter(|(_, y)| y.value <= 0.0).count()
                }
                _ => 0,
            });
        off.sum()
    }

    /// How the intervals were made.
    pub fn intervals(&self) -> String {
        interval_text(&self.aggregates)
    }

    /// What is held.
    pub fn held(&self) -> String {
        match self.held.as_str() {
            "" => String::new(),
            held => format!("Held: {held}."),
        }
    }

    /// The figure with the sentences of its caption; `empty` says why there is none when there is no panel.
    pub fn outcome(
        self,
        id: impl Into<String>,
        title: impl Into<String>,
        text: &[&str],
        empty: &str,
    ) -> Outcome {
        if self.chart.panels.is_empty() {
            return Outcome::omitted(title, empty);
        }
        Outcome::Drawn(Box::new(Figure {
            id: id.into(),
            title: title.into(),
            findings: self.findings,
            caption: caption(text),
            chart: self.chart,
        }))
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
    let places: Vec<(f64, Comparison)> = slice
        .groups
        .iter()
        .filter_map(|group| Some((group.number(key)?, compare(results, &[group], found)?)))
        .collect();
    let name = |label: &str| results.palette.style(label).name;
    let first = findings::winners(&places, name, &x)?;
    let subject = if found.is_computed() {
        "datainf"
    } else {
        "exact"
    };
    let line = series.iter().find(|(label, _)| *label == subject);
    let change = line.and_then(|(label, series)| {
        let of = |record: &Record| {
            let value = value(record, label, metric)?;
            Some(if Metric::is_factor(found) {
                value.ln()
            } else {
                value
            })
        };
        let known = change_between(slice, series, &of);
        findings::change(series, &x, |value| findings::show(metric, value), known)
    });
    let change = change.map_or(String::new(), |change| {
        format!("; {} {change}", name(subject))
    });
    Some(format!("{lead} is {first}{change}."))
}

/// The distinct values of a swept setting, ascending.
pub fn values<'g, 'r: 'g>(
    groups: impl IntoIterator<Item = &'g &'g Group<'r>>,
    key: &str,
) -> Vec<f64> {
    let mut values: Vec<f64> = groups.into_iter().filter_map(|g| g.number(key)).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Lines a panel shows that stand for settings, not for methods.
pub const MOST: usize = 8;

/// From dark to light, one a line: not the methods' colours.
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
    names
        .enumerate()
        .map(|(i, name)| Style {
            name,
            colour: COLOURS[i * MOST / count],
            marker: MARKERS[i % MARKERS.len()],
            dash: Dash::Solid,
        })
        .collect()
}
