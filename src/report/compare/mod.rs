//! Two results side by side: what changed in settings, environment and time, and whether the results are the same.
//!
//! In: two folders of `infbench run` or `infbench theory`, or two files of `infbench score`. Out: a text, and whether
//! anything outside timings differs beyond the tolerance. Values are compared by [`crate::results::difference`],
//! differences of metrics are paired by task and seed (`paired`), tensors beside the records number by number
//! (`tensors`).

mod changes;
mod error;
mod paired;
mod sides;
mod tensors;
mod text;

use std::fmt::Write as _;
use std::path::Path;

use super::number;
use crate::progress::plural;
use crate::results::difference::Differences;
use sides::{Item, Side};
use text::{section, shown};

pub use error::CompareError;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// For a reader.
    pub text: String,
    /// The last line of `text`: the same, or what differs.
    pub verdict: String,
    /// Whether the results differ beyond the tolerance, or one side lacks something.
    pub differs: bool,
}

/// Compares two results; numbers that differ by no more than `tolerance`, relative to the larger of both, count as
/// equal. Numbers of a tensor are held against its largest.
///
/// # Errors
/// Paths that are no results, results of two kinds, files that cannot be read.
pub fn compare(a: &Path, b: &Path, tolerance: f64) -> Result<Compared, CompareError> {
    let sides = [Side::read(a)?, Side::read(b)?];
    if sides[0].kind() != sides[1].kind() {
        return Err(CompareError::Kinds {
            a: a.to_owned(),
            b: b.to_owned(),
            kinds: [sides[0].kind(), sides[1].kind()],
        });
    }
    let matched = sides::matched(&sides);
    let mut text = String::new();
    for (name, side) in ["A", "B"].iter().zip(&sides) {
        let _ = writeln!(text, "{name}: {}", side.title());
    }
    text.push_str(&matched.text());

    let pairs = &matched.pairs;
    let settings = changes::lines(pairs.iter().map(|pair| pair.map(|item| &item.settings)));
    let environment = changes::lines(pairs.iter().map(|pair| pair.map(|item| &item.environment)));
    text.push_str(&section("Settings", &settings));
    text.push_str(&section("Environment", &environment));

    let mut found = Differences::new(tolerance);
    let mut files = 0;
    for pair in pairs {
        let [x, y] = pair;
        found.values(&x.place, &x.results, &y.results);
        files += tensors::beside(&x.tensors, &y.tensors, &mut found)?;
    }
    let records = pairs
        .iter()
        .filter_map(|[x, y]| x.record.as_ref().zip(y.record.as_ref()));
    let records: Vec<_> = records.collect();
    text.push_str(&paired::tables(&records));

    let alone = matched.alone();
    let verdict = verdict(&found, pairs, files, alone, settings.is_empty());
    let _ = writeln!(text, "\n{verdict}");
    if let Some(first) = &found.first {
        let _ = writeln!(text, "First difference: {}", shown(first));
    }
    let largest = found.largest.as_ref();
    if let Some(largest) = largest.filter(|largest| Some(*largest) != found.first.as_ref()) {
        let _ = writeln!(text, "Largest difference: {}", shown(largest));
    }
    Ok(Compared {
        text,
        verdict,
        differs: found.beyond > 0 || alone > 0,
    })
}

/// The result in a sentence.
fn verdict(
    found: &Differences,
    pairs: &[[&Item; 2]],
    files: usize,
    alone: usize,
    same_settings: bool,
) -> String {
    let plain = |n: usize| number::plain(n as f64);
    let shown = |n: usize, what: &str| format!("{} {what}{}", plain(n), plural(n));
    let is_result = pairs.first().is_some_and(|[item, _]| item.record.is_none());
    let kind = if is_result { "result" } else { "cell" };
    let files = match files {
        0 => String::new(),
        files => format!(" and {} of tensors", shown(files, "file")),
    };
    let cells = format!(
        "{}{files} in {}",
        shown(found.values, "value"),
        shown(pairs.len(), kind)
    );
    let (beyond, limit) = (plain(found.beyond), found.tolerance);
    match () {
        () if found.beyond > 0 && limit > 0.0 => {
            format!("DIFFERENT: {beyond} of {cells} differ by more than {limit:e} (relative).")
        }
        () if found.beyond > 0 => format!("DIFFERENT: {beyond} of {cells} differ."),
        () if alone > 0 => format!(
            "DIFFERENT: {} only on one side; no difference beyond the tolerance in {cells}.",
            shown(alone, "cell")
        ),
        () if found.different > 0 => format!(
            "Equal within {limit:e} (relative): {} of {cells} differ by less.",
            plain(found.different)
        ),
        () if same_settings => format!("Same bytes outside timings: {cells}."),
        () => format!("Same results outside timings, though settings differ: {cells}."),
    }
}
