//! The same drawing in a fraction of the bytes: plotters writes every dash of a line as an element with all its attributes.

/// Opaque polylines of the same stroke, one after another, as one path; without attributes that say what is the default.
pub(super) fn compact(svg: &str) -> String {
    let mut out = String::with_capacity(svg.len() / 2);
    // the path that is open, by all but its points
    let mut open = "";
    for line in svg.split_inclusive('\n') {
        let polyline = line.strip_prefix("<polyline ").and_then(|rest| {
            let (style, points) = rest.split_once(" points=\"")?;
            let points = points.trim_end().strip_suffix("\"/>")?;
            style.contains(" opacity=\"1\"").then_some((style, points))
        });
        let style = polyline.map_or("", |(style, _)| style);
        if style != open {
            if !open.is_empty() {
                out.push_str("\"/>\n");
            }
            if !style.is_empty() {
                out.push_str(&format!(
                    "<path {} d=\"",
                    style.replace(" opacity=\"1\"", "")
                ));
            }
            open = style;
        }
        match polyline {
            Some((_, points)) => out.push_str(&path(points)),
            None if line.starts_with('<') => out.push_str(&line.replace(" opacity=\"1\"", "")),
            None => out.push_str(line),
        }
    }
    if !open.is_empty() {
        out.push_str("\"/>\n");
    }
    out
}

/// Points `x,y x,y …` as a path from the first through the others.
fn path(points: &str) -> String {
    let mut points = points.split_whitespace();
    let first = points.next().map(|point| format!("M{point}"));
    let others: Vec<&str> = points.collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!("L{}", others.join(" "))
    };
    first.unwrap_or_default() + &others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_become_one_path_and_everything_else_stays() {
        let dash = |style: &str, points: &str| {
            format!("<polyline fill=\"none\" {style} points=\"{points} \"/>\n")
        };
        let thin = "opacity=\"1\" stroke=\"#222222\" stroke-width=\"5\"";
        let faint = "opacity=\"0.5\" stroke=\"#222222\" stroke-width=\"5\"";
        let text = "<text x=\"1\" opacity=\"1\">\na\n</text>\n";
        let svg = [
            dash(thin, "1,2 3,4"),
            dash(thin, "5,6 7,8 9,9"),
            text.to_owned(),
            dash(faint, "1,2 3,4"),
            dash(faint, "5,6 7,8"),
            dash(thin, "0,0 1,1"),
        ];
        let path = |d: &str| {
            format!("<path fill=\"none\" stroke=\"#222222\" stroke-width=\"5\" d=\"{d}\"/>\n")
        };
        // what is seen through is darker where it overlaps: it stays apart
        let expected = [
            path("M1,2L3,4M5,6L7,8 9,9"),
            text.replace(" opacity=\"1\"", ""),
            dash(faint, "1,2 3,4"),
            dash(faint, "5,6 7,8"),
            path("M0,0L1,1"),
        ];
        assert_eq!(compact(&svg.concat()), expected.concat());
        assert_eq!(compact("</svg>"), "</svg>");
    }
}
