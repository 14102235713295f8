//! The parts of a result set that figures show: along one swept setting, the others held.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Group, ResultSet, axis_short, tick_text, value_text};
use crate::report::number;

/// A setting that was swept.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptAxis {
    /// Dotted path.
    pub key: String,
    /// Whether every value is a number (or a choice of layers or a type of numbers, which are counted).
    pub numeric: bool,
}

/// Part of a result set that a figure shows: one setting along x, the others held.
#[derive(Clone, Debug)]
pub struct Slice<'a, 's> {
    /// The task and the values of what is not a number, e.g. `digits, blocks = whole`.
    pub title: String,
    /// Values at which the other numeric settings are held, e.g. `damping c = 0.1`; empty when there are none.
    pub held: String,
    /// The groups, ascending in x when there is one.
    pub groups: Vec<&'s Group<'a>>,
}

impl<'a> ResultSet<'a> {
    /// The numeric settings with at least two values, one of each set that was swept together.
    pub fn sweeps(&self) -> Vec<&SweptAxis> {
        let mut kept: Vec<&SweptAxis> = Vec::new();
        for axis in self.axes.iter().filter(|axis| axis.numeric) {
            let values: BTreeSet<u64> = self
                .groups
                .iter()
                .filter_map(|group| group.number(&axis.key))
                .map(f64::to_bits)
                .collect();
            let twin = |other: &&&SweptAxis| {
                self.follows(&axis.key, &other.key) && self.follows(&other.key, &axis.key)
            };
            if values.len() > 1 && !kept.iter().any(|other| twin(&other)) {
                kept.push(axis);
            }
        }
        kept
    }

    /// Whether setting `key` is decided by setting `by` (swept together by `zip`).
    fn follows(&self, key: &str, by: &str) -> bool {
        self.groups.iter().all(|group| {
            let same = self
                .groups
                .iter()
                .filter(|other| other.axis(by) == group.axis(by));
            same.into_iter()
                .all(|other| other.axis(key) == group.axis(key))
        })
    }

    /// The slices along the setting `x` (or at single settings, without): every value of what is not
    /// a number has a slice; other numbers are held at a reference: rank 4 and damping 0.1 (the
    /// paper's) where they occur, otherwise the largest.
    pub fn slices(&self, x: Option<&str>) -> Vec<Slice<'a, '_>> {
        let fixed =
            |axis: &&SweptAxis| x.is_none_or(|x| axis.key != x && !self.follows(&axis.key, x));
        let (numbers, names): (Vec<&SweptAxis>, Vec<&SweptAxis>) = self
            .axes
            .iter()
            .filter(fixed)
            .partition(|axis| axis.numeric);
        let mut slices: Vec<(Vec<Value>, Slice)> = Vec::new();
        for group in &self.groups {
            let mut key = vec![Value::from(group.task.clone())];
            key.extend(
                names
                    .iter()
                    .map(|axis| group.axis(&axis.key).cloned().unwrap_or(Value::Null)),
            );
            match slices.iter_mut().find(|(other, _)| *other == key) {
                Some((_, slice)) => slice.groups.push(group),
                None => {
                    let named = names
                        .iter()
                        .filter(|axis| axis.key != "task.name" && axis.key != "task");
                    let mut title = vec![group.task.clone()];
                    title.extend(named.filter_map(|axis| {
                        Some(format!(
                            "{} = {}",
                            axis_short(&axis.key),
                            value_text(group.axis(&axis.key)?)
                        ))
                    }));
                    slices.push((
                        key,
                        Slice {
                            title: title.join(", "),
                            held: String::new(),
                            groups: vec![group],
                        },
                    ));
                }
            }
        }
        slices
            .into_iter()
            .map(|(_, mut slice)| {
                let mut held = Vec::new();
                for axis in &numbers {
                    // One axis after the other, so that axes swept together do not empty the slice.
                    let values: Vec<f64> = slice
                        .groups
                        .iter()
                        .filter_map(|group| group.number(&axis.key))
                        .collect();
                    let Some(reference) = reference(&axis.key, &values) else {
                        continue;
                    };
                    slice
                        .groups
                        .retain(|group| group.number(&axis.key) == Some(reference));
                    held.push(format!(
                        "{} = {}",
                        axis_short(&axis.key),
                        tick_text(&axis.key, reference).unwrap_or_else(|| number::plain(reference))
                    ));
                }
                if let Some(x) = x {
                    slice.groups.retain(|group| group.number(x).is_some());
                    let number = |group: &Group| group.number(x).unwrap_or(f64::NAN);
                    slice.groups.sort_by(|a, b| number(a).total_cmp(&number(b)));
                }
                slice.held = held.join(", ");
                slice
            })
            .filter(|slice| !slice.groups.is_empty())
            .collect()
    }
}

fn reference(key: &str, values: &[f64]) -> Option<f64> {
    let preferred = match key {
        "lora.rank" => Some(4.0),
        "influence.damping" => Some(0.1),
        _ => None,
    };
    preferred
        .filter(|value| values.contains(value))
        .or_else(|| values.iter().copied().max_by(f64::total_cmp))
}
