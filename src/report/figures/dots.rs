//! Rows of methods, columns of metrics, a dot with its interval in each: detection of flipped labels and runtime (the content
//! of the paper's Figure 2), retrieval of the query's class, and influence against retraining, below its noise ceiling.

use super::draft::{Draft, point};
use super::{Outcome, findings, mean_point, metric_axis, omitted, references, taken, why_missing};
use crate::metrics::{MetricValue, find};
use crate::report::chart::{Axis, DataPoint, Entry, Layer, Panel, Stroke, short_name};
use crate::report::data::{Aggregate, Group, ResultSet, compare};
use crate::report::number::MISSING;
use crate::report::palette::{Dash, GREY};
use crate::results::record::Record;

/// Height of a row, pixels.
const ROW: f64 = 24.0;

/// What a figure of dots shows.
pub struct Dots {
    /// File name without ending.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it is, for the caption.
    pub text: &'static str,
    /// One column of panels each, as far as they were taken.
    pub metrics: &'static [&'static str],
    /// Shown beside them.
    pub beside: &'static [&'static str],
    /// Why there is no figure when none of the metrics was taken; `None` says nothing of it.
    pub without: Option<&'static str>,
}

/// Detection of flipped labels and runtime, side by side.
pub const DETECTION: Dots = Dots {
    id: "detection",
    title: "Detection of flipped labels, and runtime",
    text: "Left: AUC of the influence on the mean query loss against flipped labels (dashed: chance). \
           Right: seconds for all scores, gradients not included (logarithmic).",
    metrics: &["detection_auc"],
    beside: &["total_seconds"],
    without: Some("no cell has flipped labels and the metric `detection_auc`"),
};

/// Class AUC and class recall.
pub const RETRIEVAL: Dots = Dots {
    id: "class_retrieval",
    title: "Retrieval of the query's class",
    text: "Do the most helpful training examples share the query's class? AUC of the negated influence (dashed: chance), \
           and the share of same-class examples among as many most helpful ones as the class has.",
    metrics: &["class_auc", "class_recall", "class_recall_published"],
    beside: &[],
    without: Some("no cell has classes and the metrics `class_auc` or `class_recall`"),
};

/// The linear datamodeling score.
pub const LDS: Dots = Dots {
    id: "lds",
    title: "Predicting retraining on subsets: linear datamodeling score",
    text: "Spearman's ρ over random subsets between the summed influence of the examples in a subset and the \
           query loss after training on it, mean over queries (0 is chance). Grey: what a method could reach \
           that knew every expected loss, given the noise of retraining, with its interval.",
    metrics: &["lds_50", "lds_90", "lds_99"],
    beside: &[],
    without: None,
};

/// Leave-one-out.
pub const LEAVE_ONE_OUT: Dots = Dots {
    id: "leave_one_out",
    title: "Predicting retraining without one example",
    text: "Correlation over training examples between influence and the loss that leaving the example out saves \
           (paired seeds), mean over the queries whose signal exceeds the noise (0 is chance). Grey: Pearson's r \
           that the expected truth itself would have with the measured one.",
    metrics: &["loo_pearson", "loo_spearman"],
    beside: &[],
    without: None,
};

/// Where guesses lie by a metric.
pub fn chance(metric: &str) -> Option<f64> {
    match metric {
        "detection_auc" | "class_auc" => Some(0.5),
        _ if metric.starts_with("lds_") || metric.starts_with("loo_") => Some(0.0),
        _ => None,
    }
}

/// What a method could reach at most by agreement with retraining, given its noise: mean over seeds with its t-interval;
/// of a single cell its own.
pub fn ceiling(group: &Group, metric: &str) -> Option<DataPoint> {
    let of = |record: &&Record| {
        let truth = record.ground_truth.as_ref()?;
        if metric.starts_with("loo_") {
            return Some(truth.leave_one_out.as_ref()?.ceiling.clone());
        }
        let percent: u32 = metric.strip_prefix("lds_")?.parse().ok()?;
        let subsets = truth.subsets.iter().find(|s| s.percent == percent)?;
        Some(subsets.ceiling.clone())
    };
    let values: Vec<MetricValue> = group.records.iter().filter_map(of).collect();
    let defined = values.iter().filter_map(|value| value.value);
    let point = mean_point(defined, (Some(0.0), Some(1.0)))?;
    Some(match values.as_slice() {
        [only] => point.within(only.low.zip(only.high)),
        _ => point,
    })
}

/// One row of panels per task, at the reference setting; guesses are a dashed line, the ceiling is one with a band for its
/// interval.
pub fn draw(results: &ResultSet, dots: &Dots) -> Option<Outcome> {
    let mut metrics = taken(results, dots.metrics);
    if metrics.is_empty() {
        return Some(omitted(dots.title, dots.without?));
    }
    metrics.extend(dots.beside);
    let mut draft = Draft::new(metrics.len(), ROW * results.methods.len() as f64 + 8.0);
    for (slice, group) in references(results) {
        let mut of = |metric: &&str| -> Vec<Aggregate> {
            let methods = results.methods.iter();
            methods
                .map(|label| draft.measure(results, group, label, metric))
                .collect()
        };
        let numbers: Vec<Vec<Aggregate>> = metrics.iter().map(&mut of).collect();
        if !numbers[0].iter().any(Aggregate::applies) {
            continue;
        }
        draft.covers(&slice);
        for (column, (metric, numbers)) in metrics.iter().zip(&numbers).enumerate() {
            let methods = results.methods.iter().zip(numbers);
            let points = methods.map(|(label, result)| point(results, group, Some(label), result));
            let points: Vec<Option<DataPoint>> = points.collect();
            let most = ceiling(group, metric);
            let name = |label: &String| match column {
                0 => short_name(&results.palette.style(label)),
                _ => String::new(),
            };
            let names: Vec<String> = results.methods.iter().map(name).collect();
            // without a value the axis is drawn over an arbitrary range, with a word at every row
            let x = metric_axis(metric, points.iter().flatten().chain(&most));
            let x = x.unwrap_or_else(|| Axis {
                ticks: Vec::new(),
                ..Axis::linear(*metric, 0.0, 1.0)
            });
            let mut panel = Panel::new(slice.title.clone(), x, Axis::rows(&names));
            let ceiling = most.iter();
            let ceiling = ceiling.flat_map(|most| Layer::level(most, |x| panel.upright(x)));
            let mut layers: Vec<Layer> = ceiling.collect();
            let shows = |x: &f64| panel.x.can_show(*x) && panel.x.shows(*x);
            if let Some(guess) = chance(metric).filter(shows) {
                let dashed = Stroke::reference(Dash::Dashed);
                layers.push(Layer::line(panel.upright(guess), dashed));
            }
            for (row, (label, point)) in results.methods.iter().zip(&points).enumerate() {
                let (y, style) = (-(row as f64), results.palette.style(label));
                layers.push(match point {
                    Some(point) => Layer::dots(&style, [(point.clone(), y.into())]),
                    None => Layer::word(y, why_missing(&numbers[row])),
                });
            }
            panel.layers = layers;
            let said = sentence(results, group, &slice.title, metric, &points, most.as_ref());
            draft.findings.extend(said);
            if draft.chart.legend.is_empty() && most.is_some() {
                let ceiling = Entry::line("noise ceiling", GREY, Dash::Solid);
                draft.chart.legend.push(ceiling);
            }
            draft.chart.panels.push(panel);
        }
    }
    let text = [dots.text, &draft.intervals()];
    let empty = "no value at the reference setting";
    Some(draft.outcome(dots.id, dots.title, &text, empty))
}

/// The best by a metric, with what it is held against.
fn sentence(
    results: &ResultSet,
    group: &Group,
    title: &str,
    metric: &str,
    points: &[Option<DataPoint>],
    most: Option<&DataPoint>,
) -> Option<String> {
    let found = find(metric)?;
    let name = |label: &str| results.palette.name(label);
    let point = |label: &str| {
        let at = results.methods.iter().position(|other| other == label)?;
        points[at].clone()
    };
    let show = |value| findings::show(metric, value);
    let comparison = compare(results, &[group], found)?;
    let best = findings::best(&comparison, name, point, show)?;
    let first = comparison.best().map(|i| comparison.labels[i]);
    let others = ["exact", "datainf"].into_iter().filter(|subject| {
        let known = results.methods.iter().any(|label| label == subject);
        known && first != Some(subject)
    });
    let others = others.map(|subject| {
        let value = point(subject).map_or(MISSING.to_owned(), |point| show(point.value));
        format!("{} {value}", name(subject))
    });
    let ceiling = most.map(|most| format!("noise ceiling {}", findings::with_interval(most, show)));
    let rest = findings::aside(others.chain(ceiling));
    Some(format!("{title}, {}: best is {best}{rest}.", found.title))
}

#[cfg(test)]
mod tests {
    use super::super::all;
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn they_are_drawn_where_something_was_retrained() {
        let records = synthetic::retraining(2);
        let figures = all(&ResultSet::new(&records)).into_iter().flatten();
        let found: Vec<String> = figures.map(|figure| figure.id).collect();
        for id in ["lds", "leave_one_out", "selection"] {
            assert!(found.iter().any(|found| found == id), "{id}: {found:?}");
        }
    }

    #[test]
    fn a_ceiling_is_the_cells_own_or_the_mean_over_seeds() {
        let records = synthetic::retraining(1);
        let single = ResultSet::new(&records);
        let own = ceiling(&single.groups[0], "lds_90").expect("recorded");
        assert_eq!(
            (own.value, own.interval),
            (0.95, Some((0.95 - 0.03, 0.95 + 0.03)))
        );
        let records = synthetic::retraining(2);
        let two = ResultSet::new(&records);
        let mean = ceiling(&two.groups[0], "loo_pearson").expect("recorded");
        assert!((mean.value - 0.905).abs() < 1e-12);
        // t of one degree of freedom is 12.706, the standard error 0.005
        let (low, high) = mean.interval.expect("two seeds");
        assert!((low - (0.905 - 0.06353)).abs() < 1e-4 && (high - 0.96853).abs() < 1e-4);
        assert_eq!(ceiling(&two.groups[0], "lds_70"), None);
    }
}
