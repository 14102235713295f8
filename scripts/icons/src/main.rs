//! Draws icon sets of Iconify (`icons.json` of the npm packages `@iconify-json/NAME`) as squares on white, with a caption
//! each: `icons SIZE OUT LIST.jsonl NAME=FOLDER …` writes OUT/NAME/ICON.png and appends to OUT/LIST.jsonl.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: icons SIZE OUT LIST.jsonl NAME=FOLDER …");
    let size: u32 = next()?.parse()?;
    let out = PathBuf::from(next()?);
    let list = out.join(next()?);
    fs::create_dir_all(&out)?;
    // a list appears whole or not at all
    let unfinished = list.with_extension("unfinished");
    let mut lines = BufWriter::new(File::create(&unfinished)?);
    for set in arguments {
        let (name, folder) = set.split_once('=').ok_or("a set is NAME=FOLDER")?;
        let (drawn, failed) = draw_set(name, Path::new(folder), size, &out, &mut lines)?;
        println!("{name}: {drawn} icons, {failed} that could not be drawn");
    }
    lines.flush()?;
    fs::rename(unfinished, list)?;
    Ok(())
}

/// Draws every icon of a set; how many were drawn, and how many could not be.
fn draw_set(
    set: &str,
    folder: &Path,
    size: u32,
    out: &Path,
    lines: &mut impl std::io::Write,
) -> Result<(usize, usize), Failure> {
    let text = fs::read_to_string(folder.join("icons.json"))?;
    let all: Value = serde_json::from_str(&text)?;
    fs::create_dir_all(out.join(set))?;
    let (mut drawn, mut failed) = (0, 0);
    for (icon, about) in all["icons"].as_object().ok_or("no icons")? {
        if about["hidden"] == true || is_variant(icon) {
            continue;
        }
        let side = |field: &str, usual: f64| {
            let of = |value: &Value| value[field].as_f64();
            of(about).or_else(|| of(&all)).unwrap_or(usual)
        };
        let [left, top] = ["left", "top"].map(|field| side(field, 0.0));
        let [width, height] = ["width", "height"].map(|field| side(field, 16.0));
        let body = about["body"].as_str().ok_or("an icon without a body")?;
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{left} {top} {width} {height}" width="{width}" height="{height}">{body}</svg>"#
        );
        let Some(picture) = draw(&svg, size) else {
            failed += 1;
            continue;
        };
        let file = format!("{set}/{icon}.png");
        picture.save_png(out.join(&file))?;
        let name = icon.replace('-', " ");
        let line = json!({
            "file_name": file, "set": set, "name": name, "text": format!("an icon of {name}"),
        });
        writeln!(lines, "{line}")?;
        drawn += 1;
    }
    Ok((drawn, failed))
}

/// Skin tones, flags, letters and keys: many pictures that differ little.
fn is_variant(icon: &str) -> bool {
    icon.contains("skin-tone")
        || icon.contains("tone-")
        || icon.ends_with("-tone")
        || icon.starts_with("flag-")
        || icon.ends_with("-flag")
        || ["regional", "keycap", "input-"].iter().any(|start| icon.starts_with(start))
}

/// A square on white; nothing for icons of another shape and what resvg does not read.
fn draw(svg: &str, size: u32) -> Option<Pixmap> {
    let tree = Tree::from_str(svg, &Options::default()).ok()?;
    let (width, height) = (tree.size().width(), tree.size().height());
    if width != height {
        return None;
    }
    let mut picture = Pixmap::new(size, size)?;
    picture.fill(Color::WHITE);
    let scale = size as f32 / width;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    Some(picture)
}
