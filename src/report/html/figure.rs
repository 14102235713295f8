//! A figure on the page: panels that find their own places, a legend, and a caption that says what is to be seen.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::markup::{inline, items};
use super::svg::{panels, sample};
use super::theme::Colours;
use crate::report::chart::{Bounds, Chart, Entry, Layout, Panel};
use crate::report::figures::Figure;

/// Sentences of a caption that are shown at once; the others are folded away.
const AT_ONCE: usize = 6;

/// The figure with heading, panels, legend and caption.
pub fn figure(figure: &Figure, colours: &mut Colours) -> Markup {
    let id = format!("figure-{}", figure.id);
    let chart = &figure.chart;
    let layout = Layout::new(chart);
    html! {
        figure id=(id) aria-labelledby={ (id) "-title" } aria-describedby={ (id) "-caption" } {
            h3 id={ (id) "-title" } { (figure.title) }
            div.panels {
                @for (own, bounds, label) in groups(chart, &layout, &figure.title) {
                    // the axes' names, for the words of a point
                    @let axes = (own.len() == 1).then(|| &chart.panels[own[0]]).filter(|panel| !panel.y.title.is_empty());
                    div.panel data-x=[axes.map(|panel| &panel.x.title)] data-y=[axes.map(|panel| &panel.y.title)] {
                        (PreEscaped(panels((chart, &layout), &own, bounds, &label, colours)))
                    }
                }
            }
            (legend(&chart.legend, colours))
            figcaption id={ (id) "-caption" } {
                (seen(&figure.findings))
                p { (inline(&whole_caption(figure))) }
            }
        }
    }
}

/// The caption with the notes of the drawing that it does not repeat.
fn whole_caption(figure: &Figure) -> String {
    let mut caption = figure.caption.clone();
    for note in &figure.chart.notes {
        if !caption.contains(note.as_str()) {
            caption = format!("{caption} {note}").trim().to_owned();
        }
    }
    caption
}

fn seen(findings: &[String]) -> Markup {
    let (first, rest) = findings.split_at(findings.len().min(AT_ONCE));
    html! {
        @if !first.is_empty() { ul.seen { (items(first)) } }
        @if !rest.is_empty() {
            details { summary { (rest.len()) " more" } ul.seen { (items(rest)) } }
        }
    }
}

/// Panels of one drawing, with its bounds and what it shows. Panels whose rows are named at the left share one.
fn groups(chart: &Chart, layout: &Layout, title: &str) -> Vec<(Vec<usize>, Bounds, String)> {
    let mut groups: Vec<(Vec<usize>, Bounds, String)> = Vec::new();
    for (i, (panel, place)) in chart.panels.iter().zip(&layout.panels).enumerate() {
        let is_joined = panel.y.title.is_empty() && i % chart.columns.max(1) > 0;
        match groups.last_mut().filter(|_| is_joined) {
            Some((panels, bounds, label)) => {
                panels.push(i);
                bounds[2] = place.bounds[2];
                bounds[3] = bounds[3].max(place.bounds[3]);
                let _ = write!(label, "; {}", panel.x.title);
            }
            None => groups.push((vec![i], place.bounds, label(panel, title))),
        }
    }
    groups
}

fn label(panel: &Panel, title: &str) -> String {
    let (x, y) = (&panel.x.title, &panel.y.title);
    match (panel.title.as_str(), y.as_str()) {
        ("", "") => format!("{title}: {x}"),
        ("", y) => format!("{title}: {y} against {x}"),
        (heading, "") => format!("{heading}: {x}"),
        (heading, y) => format!("{heading}: {y} against {x}"),
    }
}

fn legend(entries: &[Entry], colours: &mut Colours) -> Markup {
    html! {
        @if !entries.is_empty() {
            ul.keys {
                @for (key, entry) in entries.iter().enumerate() {
                    li data-k=(key) { (PreEscaped(sample(entry, colours))) (entry.name) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::Axis;
    use crate::report::palette::Dash;

    fn shown(y: fn(usize) -> Axis) -> String {
        let panel = |i| Panel::new(format!("panel {i}"), Axis::linear("x", 0.0, 1.0), y(i));
        let chart = Chart {
            columns: 2,
            height: 100.0,
            panels: (0..2).map(panel).collect(),
            legend: vec![Entry::line("A <line>", [9, 9, 9], Dash::Dashed)],
            notes: vec!["A note.".to_owned()],
        };
        let drawn = Figure {
            id: "f".to_owned(),
            title: "T".to_owned(),
            findings: (0..8).map(|i| format!("Finding {i}.")).collect(),
            caption: "How `it` was made.".to_owned(),
            chart,
        };
        figure(&drawn, &mut Colours::default()).into_string()
    }

    #[test]
    fn panels_stand_alone_unless_they_share_the_names_of_their_rows() {
        let apart = shown(|_| Axis::linear("y", 0.0, 1.0));
        assert_eq!(apart.matches("class=\"panel\"").count(), 2);
        assert!(apart.contains("aria-label=\"panel 1: y against x\""));
        let joined = shown(|i| Axis::rows(&[["row", ""][i].to_owned()]));
        assert_eq!(joined.matches("class=\"panel\"").count(), 1);
        // findings, notes (not drawn a second time) and marked-up words; the legend is text
        for part in [
            "<li>Finding 5.</li></ul><details><summary>2 more</summary>",
            "<p>How <code>it</code> was made. A note.</p></figcaption>",
            "</svg>A &lt;line&gt;</li>",
        ] {
            assert!(apart.contains(part), "{part}: {apart}");
        }
        assert_eq!(apart.matches("A note.").count(), 1);
    }
}
