//! Variants of one method that differ in numbers only: a knob, and what it is turned to.

use super::data::{distinct, entry};
use super::palette::{Look, MARKERS, Palette, Style};
use crate::look::Given;

/// Labels of one method that differ in numeric options only.
#[derive(Clone, Debug, PartialEq)]
pub struct Family<'l> {
    /// The labels, in the order of the settings.
    pub labels: Vec<&'l str>,
    /// The first one's look, with the name of the family and the values of its knob.
    pub style: Style,
}

/// The families of `labels`, in the order of their first members.
pub fn families<'l>(
    labels: impl IntoIterator<Item = &'l str>,
    palette: &Palette,
) -> Vec<Family<'l>> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for label in labels {
        entry(&mut found, family(label)).push(label);
    }
    let mut families: Vec<Family> = Vec::with_capacity(found.len());
    for (key, labels) in found {
        let mut style = palette.style(labels[0]);
        if labels.len() > 1 {
            style.name = name(&key, &labels);
        }
        // points alone show no dash: two of one colour need two markers
        let seen = |look: Look| (look.colour, look.marker);
        let taken: Vec<_> = families.iter().map(|f| seen(f.style.look)).collect();
        for marker in MARKERS {
            if !taken.contains(&seen(style.look)) {
                break;
            }
            style.look.marker = marker;
        }
        families.push(Family { labels, style });
    }
    families
}

/// Values up to which all are named; of more, the ends.
const NAMED: usize = 3;

/// The label without its numeric options.
fn family(label: &str) -> String {
    let (name, options) = Given::parse(label);
    let kept = options.iter().filter(|(_, value)| !is_number(value));
    let mut kept: Vec<String> = kept.map(|(key, value)| format!("{key}={value}")).collect();
    kept.sort_unstable();
    match kept.is_empty() {
        true => name.to_owned(),
        false => format!("{name}:{}", kept.join(",")),
    }
}

fn is_number(value: &str) -> bool {
    value.parse::<f64>().is_ok()
}

/// The family's name with the values of what differs, e.g. `Lanczos, rank 4, 16, 64`; `rank 4 to 256` of more.
fn name(family: &str, labels: &[&str]) -> String {
    let all: Vec<Given> = labels.iter().map(|label| Given::parse(label).1).collect();
    let value = |options: &Given, key: &str| -> String {
        let default = if key == "group_size" { "1" } else { "default" };
        options.get(key).unwrap_or(default).to_owned()
    };
    let numeric = all
        .iter()
        .flat_map(Given::iter)
        .filter(|(_, value)| is_number(value));
    let mut keys = distinct(numeric.map(|(key, _)| key));
    keys.retain(|key| all.iter().any(|o| value(o, key) != value(&all[0], key)));
    let values = all.iter().map(|options| {
        let values: Vec<String> = keys.iter().map(|key| value(options, key)).collect();
        values.join("·")
    });
    let values = match &values.collect::<Vec<_>>()[..] {
        [first, .., last] if labels.len() > NAMED => format!("{first} to {last}"),
        few => few.join(", "),
    };
    let bare = Palette::new([family]).name(family);
    let keys: Vec<String> = keys.iter().map(|key| key.replace('_', " ")).collect();
    format!("{bare}, {} {values}", keys.join("·"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knobs_make_a_family_named_with_its_values_and_variants_do_not() {
        let labels = [
            "exact",
            "datainf",
            "datainf:group_size=8",
            "datainf:group_size=8,shuffle=false",
            "lissa:iterations=5,scale=auto",
            "lissa:scale=auto,iterations=50",
            "lissa:variant=code",
            "logra:out=4,in=4",
            "logra:out=8,in=16",
            "nystrom:rank=4",
        ];
        let families = families(labels, &Palette::new(labels)).into_iter();
        let names: Vec<String> = families.map(|family| family.style.name).collect();
        let expected = [
            "Exact",
            "DataInf, group size 1, 8",
            "DataInf, groups of 8, in order",
            "LiSSA, scaled, iterations 5, 50",
            "LiSSA (code)",
            "LoGra, out·in 4·4, 8·16",
            "Nyström, rank 4",
        ];
        assert_eq!(names, expected);
    }
}
