//! Variants of one method that differ in numbers only: a knob, and what it is turned to.

use super::data::distinct;
use super::palette::{MARKERS, Palette, Style};
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
        let key = family(label);
        match found.iter_mut().find(|(other, _)| *other == key) {
            Some((_, members)) => members.push(label),
            None => found.push((key, vec![label])),
        }
    }
    let mut families: Vec<Family> = Vec::with_capacity(found.len());
    for (key, labels) in found {
        let mut style = palette.style(labels[0]);
        if labels.len() > 1 {
            style.name = name(&key, &labels);
        }
        // points alone show no dash: two of one colour need two markers
        let looks: Vec<_> = families
            .iter()
            .map(|f| (f.style.colour, f.style.marker))
            .collect();
        for marker in MARKERS {
            if !looks.contains(&(style.colour, style.marker)) {
                break;
            }
            style.marker = marker;
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
    fn knobs_make_a_family_and_variants_do_not() {
        for (a, b, same) in [
            ("datainf", "datainf:group_size=8", true),
            (
                "lissa:iterations=5,scale=auto",
                "lissa:scale=auto,iterations=50",
                true,
            ),
            ("lissa", "lissa:variant=code", false),
            (
                "datainf:group_size=8",
                "datainf:group_size=8,shuffle=false",
                false,
            ),
        ] {
            assert_eq!(family(a) == family(b), same, "{a} and {b}");
        }
    }

    #[test]
    fn a_family_is_named_with_its_values() {
        let labels = [
            "exact",
            "datainf",
            "datainf:group_size=8",
            "logra:out=4,in=4",
            "logra:out=8,in=16",
            "nystrom:rank=4",
        ];
        let palette = Palette::new(labels);
        let names = families(labels, &palette).into_iter();
        let names: Vec<String> = names.map(|family| family.style.name).collect();
        assert_eq!(
            names,
            [
                "Exact",
                "DataInf, group size 1, 8",
                "LoGra, out·in 4·4, 8·16",
                "Nyström, rank 4"
            ]
        );
    }
}
