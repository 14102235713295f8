//! Values, differences and sections of a comparison as text.

use serde_json::Value;

use crate::report::data::value_text;
use crate::report::tables::cut;
use crate::results::difference::Difference;

/// Longest value shown, in characters.
const LONGEST: usize = 60;

/// `a.jsonl:1, lora.rank=1 seed=0, methods[exact].non_finite: 0 → 1`
pub fn shown(difference: &Difference) -> String {
    let [a, b] = &difference.values;
    let finite = difference.relative.is_finite();
    let relative = finite.then(|| format!(" (relative {:.2e})", difference.relative));
    let relative = relative.unwrap_or_default();
    format!(
        "{}: {} → {}{relative}",
        difference.place,
        exact(a.as_ref()),
        exact(b.as_ref())
    )
}

/// A value with all its digits.
pub fn exact(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |value| {
        cut(&value.to_string(), LONGEST)
    })
}

/// A setting in few words.
pub fn setting(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), |value| {
        cut(&value_text(value), LONGEST)
    })
}

/// A heading with its lines, or that nothing changed.
pub fn section(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return format!("{title}: the same\n");
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{title}, A → B:\n{lines}")
}
