//! A figure on the page: panels that find their own places, a legend, and a caption that says what is to be seen.

use std::fmt::Write as _;

use super::markup::{escape, inline};
use super::svg::drawing;
use super::theme::Colours;
use crate::report::figures::Figure;
use crate::report::marks::Part;
use crate::report::scene::Scene;
use crate::report::sheet::Entry;

/// Sentences of a caption that are shown at once; the others are folded away.
const AT_ONCE: usize = 6;

/// The figure with heading, panels, legend and caption.
pub fn figure(figure: &Figure, colours: &mut Colours) -> String {
    let id = escape(&format!("figure-{}", figure.id));
    let mut text = format!(
        "<figure id=\"{id}\" aria-labelledby=\"{id}-title\" aria-describedby=\"{id}-caption\">\
         <h3 id=\"{id}-title\">{}</h3>\n<div class=\"panels\">",
        escape(&figure.title)
    );
    for (panels, bounds, label) in groups(&figure.scene, &figure.title) {
        let axes = match panels.as_slice() {
            [only] => axes(&figure.scene.parts.panels[*only]),
            _ => String::new(),
        };
        let _ = write!(text, "<div class=\"panel\"{axes}>");
        text.push_str(&drawing(&figure.scene, &panels, bounds, &label, colours));
        text.push_str("</div>\n");
    }
    text.push_str("</div>\n");
    text.push_str(&legend(&figure.scene.parts.legend, colours));
    let _ = writeln!(
        text,
        "<figcaption id=\"{id}-caption\">{}<p>{}</p></figcaption></figure>",
        seen(&figure.findings),
        inline(&whole_caption(figure))
    );
    text
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

fn seen(findings: &[String]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let list = |items: &[String]| {
        let items: String = items
            .iter()
            .map(|item| format!("<li>{}</li>", inline(item)))
            .collect();
        format!("<ul class=\"seen\">{items}</ul>")
    };
    let (first, rest) = findings.split_at(findings.len().min(AT_ONCE));
    let mut text = list(first);
    if !rest.is_empty() {
        let _ = write!(
            text,
            "<details><summary>{} more</summary>{}</details>",
            rest.len(),
            list(rest)
        );
    }
    text
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

/// The axes' names, for the words of a point.
fn axes(part: &Part) -> String {
    if part.y.is_empty() {
        return String::new();
    }
    format!(
        " data-x=\"{}\" data-y=\"{}\"",
        escape(&part.x),
        escape(&part.y)
    )
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

fn legend(entries: &[Entry], colours: &mut Colours) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut text = String::from("<ul class=\"keys\">");
    for (key, entry) in entries.iter().enumerate() {
        let mut scene = Scene::new(30.0, 14.0);
        if let Some(dash) = entry.dash {
            scene.line(&[(1.0, 7.0), (29.0, 7.0)], entry.colour, 2.0, dash);
        }
        if let Some(marker) = entry.marker {
            scene.marker((15.0, 7.0), marker, 4.2, entry.colour);
        }
        let sample = drawing(&scene, &[], [0.0, 0.0, 30.0, 14.0], "", colours)
            .replace(" role=\"group\" aria-label=\"\"", " aria-hidden=\"true\"");
        let _ = write!(
            text,
            "<li data-k=\"{key}\">{sample}{}</li>",
            escape(&entry.name)
        );
    }
    text.push_str("</ul>\n");
    text
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
        let apart = figure(&drawn(|_| Axis::linear("y", 0.0, 1.0)), &mut colours);
        assert_eq!(apart.matches("class=\"panel\"").count(), 2);
        assert!(apart.contains("aria-label=\"panel 1: y against x\""));
        let rows = |i: usize| Axis::rows(&[if i == 0 { "row" } else { "" }.to_owned()]);
        let joined = figure(&drawn(rows), &mut colours);
        assert_eq!(joined.matches("class=\"panel\"").count(), 1);
    }

    #[test]
    fn the_caption_has_findings_notes_and_marked_up_words() {
        let text = figure(
            &drawn(|_| Axis::linear("y", 0.0, 1.0)),
            &mut Colours::default(),
        );
        assert!(text.contains("<li>Finding 5.</li></ul><details><summary>2 more</summary>"));
        assert!(text.contains("<p>How <code>it</code> was made. A note.</p></figcaption>"));
        // the note is not drawn a second time, and the legend is text
        assert_eq!(text.matches("A note.").count(), 1);
        assert!(text.contains("</svg>A &lt;line&gt;</li>"), "{text}");
    }
}
