//! A figure on the page: panels that find their own places, a legend, and a caption that says what is to be seen.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::markup::{inline, items};
use super::svg::drawing;
use super::theme::Colours;
use crate::report::figures::Figure;
use crate::report::marks::Part;
use crate::report::scene::Scene;
use crate::report::sheet::Entry;

/// Sentences of a caption that are shown at once; the others are folded away.
const AT_ONCE: usize = 6;

/// The figure with heading, panels, legend and caption.
pub fn figure(figure: &Figure, colours: &mut Colours) -> Markup {
    let id = format!("figure-{}", figure.id);
    let scene = &figure.scene;
    html! {
        figure id=(id) aria-labelledby={ (id) "-title" } aria-describedby={ (id) "-caption" } {
            h3 id={ (id) "-title" } { (figure.title) }
            div.panels {
                @for (panels, bounds, label) in groups(scene, &figure.title) {
                    // the axes' names, for the words of a point
                    @let axes = (panels.len() == 1).then(|| &scene.parts.panels[panels[0]]).filter(|part| !part.y.is_empty());
                    div.panel data-x=[axes.map(|part| &part.x)] data-y=[axes.map(|part| &part.y)] {
                        (PreEscaped(drawing(scene, &panels, bounds, &label, colours)))
                    }
                }
            }
            (legend(&scene.parts.legend, colours))
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
    for note in &figure.scene.parts.notes {
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

/// Panels that stand on one drawing, with its bounds and what it shows. Panels whose rows are named at the
/// left share one; without a sheet there is one for everything.
fn groups(scene: &Scene, title: &str) -> Vec<(Vec<usize>, [f64; 4], String)> {
    let mut groups: Vec<(Vec<usize>, [f64; 4], String)> = Vec::new();
    for (i, part) in scene.parts.panels.iter().enumerate() {
        match groups.last_mut().filter(|_| part.joined) {
            Some((panels, bounds, label)) => {
                panels.push(i);
                bounds[2] = part.bounds[2];
                bounds[3] = bounds[3].max(part.bounds[3]);
                let _ = write!(label, "; {}", part.x);
            }
            None => groups.push((vec![i], part.bounds, label(part, title))),
        }
    }
    if groups.is_empty() {
        let bounds = [0.0, 0.0, scene.width, scene.height];
        groups.push((Vec::new(), bounds, title.to_owned()));
    }
    groups
}

fn label(part: &Part, title: &str) -> String {
    let heading = if part.title.is_empty() {
        title
    } else {
        &part.title
    };
    if part.y.is_empty() {
        format!("{heading}: {}", part.x)
    } else {
        format!("{heading}: {} against {}", part.y, part.x)
    }
}

fn legend(entries: &[Entry], colours: &mut Colours) -> Markup {
    let mut sample = |entry: &Entry| {
        let mut scene = Scene::new(30.0, 14.0);
        if let Some(dash) = entry.dash {
            scene.line(&[(1.0, 7.0), (29.0, 7.0)], entry.colour, 2.0, dash);
        }
        if let Some(marker) = entry.marker {
            scene.marker((15.0, 7.0), marker, 4.2, entry.colour);
        }
        drawing(&scene, &[], [0.0, 0.0, 30.0, 14.0], "", colours)
            .replace(" role=\"group\" aria-label=\"\"", " aria-hidden=\"true\"")
    };
    html! {
        @if !entries.is_empty() {
            ul.keys {
                @for (key, entry) in entries.iter().enumerate() {
                    li data-k=(key) { (PreEscaped(sample(entry))) (entry.name) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::axis::Axis;
    use crate::report::palette::{Dash, Marker};
    use crate::report::sheet::{PanelSpec, Sheet};

    fn drawn(y: fn(usize) -> Axis) -> Figure {
        let specs = (0..2)
            .map(|i| PanelSpec {
                title: format!("panel {i}"),
                x: Axis::linear("x", 0.0, 1.0),
                y: y(i),
            })
            .collect();
        let entry = Entry {
            name: "A <line>".to_owned(),
            colour: [9, 9, 9],
            marker: Some(Marker::Plus),
            dash: Some(Dash::Dashed),
        };
        let sheet = Sheet::new(2, 100.0, specs, &[entry], &["A note.".to_owned()]);
        Figure {
            id: "f".to_owned(),
            title: "T".to_owned(),
            findings: (0..8).map(|i| format!("Finding {i}.")).collect(),
            caption: "How `it` was made.".to_owned(),
            scene: sheet.finish(),
        }
    }

    #[test]
    fn panels_stand_alone_unless_they_share_the_names_of_their_rows() {
        let mut colours = Colours::default();
        let apart = figure(&drawn(|_| Axis::linear("y", 0.0, 1.0)), &mut colours).0;
        assert_eq!(apart.matches("class=\"panel\"").count(), 2);
        assert!(apart.contains("aria-label=\"panel 1: y against x\""));
        let rows = |i: usize| Axis::rows(&[if i == 0 { "row" } else { "" }.to_owned()]);
        let joined = figure(&drawn(rows), &mut colours).0;
        assert_eq!(joined.matches("class=\"panel\"").count(), 1);
    }

    #[test]
    fn the_caption_has_findings_notes_and_marked_up_words() {
        let text = figure(
            &drawn(|_| Axis::linear("y", 0.0, 1.0)),
            &mut Colours::default(),
        )
        .0;
        assert!(text.contains("<li>Finding 5.</li></ul><details><summary>2 more</summary>"));
        assert!(text.contains("<p>How <code>it</code> was made. A note.</p></figcaption>"));
        // the note is not drawn a second time, and the legend is text
        assert_eq!(text.matches("A note.").count(), 1);
        assert!(text.contains("</svg>A &lt;line&gt;</li>"), "{text}");
    }
}
