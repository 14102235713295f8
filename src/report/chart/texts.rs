//! Whether the texts of a figure can be read: from the SVG that plotters writes, for tests.

use roxmltree::{Document, Node};

use super::layout::WIDTH;
use super::{Chart, Layout, font, svg};

/// A text with its left, top, right and bottom in the SVG's units.
fn text_box(node: Node) -> (String, [f64; 4]) {
    let attribute = |name| node.attribute(name).expect("texts of plotters have it");
    let number = |name| attribute(name).parse::<f64>().expect("a number");
    let text = node.text().unwrap_or_default().trim().to_owned();
    let (x, y, em) = (number("x"), number("y"), number("font-size"));
    let (length, height) = (font::width(&text, em), 0.9 * em);
    let before = match attribute("text-anchor") {
        "start" => 0.0,
        "middle" => length / 2.0,
        _ => length,
    };
    let above = match attribute("dy") {
        "0.76em" => 0.0,
        "0.5ex" => height / 2.0,
        _ => height,
    };
    let bounds = match node.attribute("transform") {
        // it reads upwards
        Some(_) => [
            x - above,
            y + before - length,
            x - above + height,
            y + before,
        ],
        None => [
            x - before,
            y - above,
            x - before + length,
            y - above + height,
        ],
    };
    (text, bounds)
}

/// Checks that every text is within the figure and no two overlap.
///
/// # Errors
/// Says which.
pub fn check_texts(chart: &Chart) -> Result<(), String> {
    let drawn = svg(chart, "").map_err(|error| error.to_string())?;
    let document = Document::parse(&drawn).map_err(|error| error.to_string())?;
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name("text"));
    let texts: Vec<(String, [f64; 4])> = texts.map(text_box).collect();
    let [width, height] = [WIDTH, Layout::new(chart).height].map(|x| 4.0 * x);
    for (i, (text, a)) in texts.iter().enumerate() {
        if a[0] < 0.0 || a[1] < 0.0 || a[2] > width || a[3] > height {
            return Err(format!("`{text}` leaves the figure: {a:?}"));
        }
        for (other, b) in &texts[..i] {
            if !(a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3]) {
                return Err(format!("`{text}` covers `{other}`: {a:?} {b:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn texts_that_overlap_or_leave_the_figure_are_found() {
    let axis = |title: &str| super::Axis::linear(title, 0.0, 1.0);
    let chart = |panel| Chart {
        columns: 1,
        height: 60.0,
        panels: vec![panel],
        ..Chart::default()
    };
    let panel = |title: &str, y| super::Panel::new(title, axis("x"), y);
    check_texts(&chart(panel("A", axis("y")))).expect("apart");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(str::to_owned);
    let problem = check_texts(&chart(panel("A", super::Axis::rows(&names))));
    let problem = problem.expect_err("rows lower than their names");
    assert!(problem.contains("covers"), "{problem}");
    let problem = check_texts(&chart(panel(&"word".repeat(40), axis("y"))));
    let problem = problem.expect_err("a heading of one long word");
    assert!(problem.contains("leaves the figure"), "{problem}");
}
