//! Differences between the methods of a cell, for its record.

use crate::config::{Cell, MethodSpec};
use crate::metrics::paired::{Difference, PAIRED, Spread, difference, over, spread};
use crate::metrics::{Inputs, find};
use crate::results::record::PairingInfo;

/// Of each method of a cell, in the order of the settings: its label, and what each metric varies by. Empty for one
/// that failed.
pub type Spreads = Vec<Vec<(String, &'static str, Spread)>>;

/// What the paired metrics of one method vary by, of those that the cell's settings have; `is_reference` where its
/// scores are what the others are held against.
pub fn paired(
    cell: &Cell,
    spec: &MethodSpec,
    is_reference: bool,
    inputs: &Inputs,
) -> Vec<(String, &'static str, Spread)> {
    let compares = |metric: &str| find(metric).is_some_and(|metric| metric.compares(is_reference));
    PAIRED
        .iter()
        .filter(|metric| cell.settings.metrics.iter().any(|known| known == *metric))
        .filter(|metric| compares(metric))
        .filter_map(|metric| Some((spec.label.clone(), *metric, spread(metric, inputs)?)))
        .collect()
}

/// The differences of every metric that two methods or more have.
pub fn pairing(spreads: &Spreads) -> Vec<PairingInfo> {
    let of = |metric: &&str| {
        let rows: Vec<(&String, &Spread)> = spreads
            .iter()
            .flatten()
            .filter(|(_, own, _)| own == metric)
            .map(|(label, _, spread)| (label, spread))
            .collect();
        if rows.len() < 2 {
            return None;
        }
        let pairs: Vec<Vec<Difference>> = rows
            .iter()
            .enumerate()
            .map(|(i, (_, own))| {
                let before = rows[..i].iter();
                before.map(|(_, other)| difference(own, other)).collect()
            })
            .collect();
        let table = |pick: fn(&Difference) -> Option<f64>| {
            let row =
                |row: &Vec<Difference>| row.iter().map(pick).map(|x| x.map(rounded)).collect();
            pairs.iter().map(row).collect()
        };
        Some(PairingInfo {
            metric: (*metric).to_owned(),
            over: over(metric).to_owned(),
            methods: rows.iter().map(|(label, _)| (*label).clone()).collect(),
            differences: table(|pair| pair.value),
            errors: table(|pair| pair.error),
        })
    };
    PAIRED.iter().filter_map(of).collect()
}

/// Six significant digits: a record of many methods has many pairs.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_stands_once_and_failed_methods_have_none() {
        let case = |label: &str, values: [f64; 3]| {
            let cases = values.iter().map(|v| Some(*v)).collect();
            vec![(label.to_owned(), "pearson", Spread::Cases(cases))]
        };
        let spreads = vec![
            case("a", [0.0, 0.0, 0.0]),
            Vec::new(),
            case("b", [1.0, 2.0, 3.0]),
            case("c", [1.0, 2.0, 1.0 / 3.0]),
        ];
        let found = pairing(&spreads);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].methods, ["a", "b", "c"]);
        let expected = vec![
            vec![],
            vec![Some(2.0)],
            vec![Some(1.11111), Some(-0.888889)],
        ];
        assert_eq!(found[0].differences, expected);
        // s = 1 over √3
        assert_eq!(found[0].errors[1], [Some(0.57735)]);
        assert_eq!(pairing(&spreads[..2].to_vec()), []);
    }
}
