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
            let numbers = self
                .groups
                .iter()
                .filter_map(|group| group.number(&axis.key));
            let values: BTreeSet<u64> = numbers.map(f64::to_bits).collect();
            let twin = |other: &&SweptAxis| {
                self.follows(&axis.key, &other.key) && self.follows(&other.key, &axis.key)
            };
            if values.len() > 1 && !kept.iter().any(twin) {
                kept.push(axis);
            }
        }
        kept
    }

    /// Whether setting `key` is decided by setting `by` (swept together by `zip`).
    fn follows(&self, key: &str, by: &str) -> bool {
        let same = |a: &Group, b: &Group| a.axis(by) != b.axis(by) || a.axis(key) == b.axis(key);
        let mut groups = self.groups.iter();
        groups.all(|group| self.groups.iter().all(|other| same(group, other)))
    }

    /// The slices along the setting `x` (or at single settings, without): every value of what is not
    /// a number has a slice; other numbers are held at a reference: rank 4 and damping 0.1 (the
    /// paper's) where they occur, otherwise the largest.
    pub fn slices(&self, x: Option<&str>) -> Vec<Slice<'a, '_>> {
        let is_fixed =
            |axis: &&SweptAxis| x.is_none_or(|x| axis.key != x && !self.follows(&axis.key, x));
        let fixed = self.axes.iter().filter(is_fixed);
        let (numbers, names): (Vec<&SweptAxis>, Vec<&SweptAxis>) =
            fixed.partition(|axis| axis.numeric);
        let mut slices: Vec<(Vec<Option<&Value>>, Slice)> = Vec::new();
        for group in &self.groups {
            let own = |axis: &&SweptAxis| group.axis(&axis.key).filter(|value| !value.is_null());
            let key: Vec<Option<&Value>> = names.iter().map(own).collect();
            let same = |(other, slice): &&mut (Vec<_>, Slice)| {
                *other == key && slice.groups[0].task == group.task
            };
            match slices.iter_mut().find(same) {
                Some((_, slice)) => slice.groups.push(group),
                None => {
                    let values = names.iter().filter_map(|axis| {
                        let is_task = axis.key == "task.name" || axis.key == "task";
                        let value = group.axis(&axis.key).filter(|_| !is_task)?;
                        Some(format!("{} = {}", axis_short(&axis.key), value_text(value)))
                    });
                    let slice = Slice {
                        title: number::list([group.task.clone()].into_iter().chain(values)),
                        held: String::new(),
                        groups: vec![group],
                    };
                    slices.push((key, slice));
                }
            }
        }
        for (_, slice) in &mut slices {
            let mut held = Vec::new();
            for key in numbers.iter().map(|axis| axis.key.as_str()) {
                // One axis after the other, so that axes swept together do not empty the slice.
                let values: Vec<f64> = slice.groups.iter().filter_map(|g| g.number(key)).collect();
                let Some(reference) = reference(key, &values) else {
                    continue;
                };
                slice
                    .groups
                    .retain(|group| group.number(key) == Some(reference));
                let shown = tick_text(key, reference).unwrap_or_else(|| number::plain(reference));
                held.push(format!("{} = {shown}", axis_short(key)));
            }
            if let Some(x) = x {
                slice.groups.retain(|group| group.number(x).is_some());
                let number = |group: &Group| group.number(x).unwrap_or(f64::NAN);
                slice.groups.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            slice.held = number::list(held);
        }
        let slices = slices.into_iter().map(|(_, slice)| slice);
        slices.filter(|slice| !slice.groups.is_empty()).collect()
    }
}

fn reference(key: &str, values: &[f64]) -> Option<f64> {
    let preferred = match key {
        "lora.rank" => Some(4.0),
        "influence.damping" => Some(0.1),
        _ => None,
    };
    let largest = || values.iter().copied().max_by(f64::total_cmp);
    preferred
        .filter(|value| values.contains(value))
        .or_else(largest)
}
