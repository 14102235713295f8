//! The records as a [`ResultSet`]: groups of cells that differ in their seed only, the swept settings and the slices that
//! a figure shows; numbers aggregated over seeds with what is missing from them, and the one comparison of methods.

mod aggregate;
mod comparison;
mod names;
mod slices;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::metrics::Metric;
use crate::report::chart::RecordRef;
use crate::report::palette::Palette;
use crate::results::record::{MethodRecord, Record, Status};
use names::DTYPES;

pub use aggregate::{
    Aggregate, MissingData, Reading, aggregate, aggregate_by, aggregate_cell, aggregate_value,
    curve, curve_end, has_values, value,
};
pub use comparison::{
    Comparison, Units, by_task, change, compare, compare_by, compared_metrics, seeds_by_task,
};
pub use names::{DTYPE, LAYERS, axis_short, axis_title, task_name, tick_text, value_text};
pub use slices::{Slice, SweptAxis};

/// Cells with the same settings, one a seed.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Position among the groups.
    pub index: usize,
    /// The task's name.
    pub task: String,
    /// The swept settings and their values here.
    pub axes: Vec<(String, Value)>,
    /// The cells, by seed.
    pub records: Vec<&'a Record>,
}

impl Group<'_> {
    /// Value of a swept setting.
    pub fn axis(&self, key: &str) -> Option<&Value> {
        let axis = self.axes.iter().find(|(name, _)| name == key);
        axis.map(|(_, value)| value)
    }

    /// Value of a swept setting as a number: its own, or, for `lora.layers`, how many layers are adapted, and for
    /// `store.dtype` its place among the types.
    pub fn number(&self, key: &str) -> Option<f64> {
        let value = self.axis(key)?;
        if key == DTYPE {
            let mut types = DTYPES.iter();
            let place = types.position(|(name, _)| value.as_str() == Some(*name));
            return place.map(|place| place as f64);
        }
        if key != LAYERS {
            return value.as_f64();
        }
        let counted = self
            .records
            .iter()
            .find_map(|record| record.model.as_ref())
            .map(|model| model.adapted_layers as f64);
        counted.or_else(|| match value {
            Value::Array(list) => Some(list.len() as f64),
            Value::Object(map) => match (map.get("from"), map.get("to")) {
                (Some(from), Some(to)) => Some(to.as_f64()? - from.as_f64()? + 1.0),
                _ => map.get("last").or(map.get("first")).and_then(Value::as_f64),
            },
            _ => None,
        })
    }

    /// Cells that failed.
    pub fn failed(&self) -> usize {
        self.records
            .iter()
            .filter(|record| record.status == Status::Failed)
            .count()
    }

    /// The settings as text: `rank r = 4, n = 1,000`; empty when nothing was swept.
    pub fn setting(&self) -> String {
        let shown = self
            .axes
            .iter()
            .filter(|(key, value)| !(key == "task.name" || key == "task" && !value.is_null()));
        shown
            .map(|(key, value)| format!("{} = {}", axis_short(key), value_text(value)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// All records.
#[derive(Debug)]
pub struct ResultSet<'a> {
    /// The records, by experiment, cell index, seed.
    pub records: Vec<&'a Record>,
    /// Cells that differ in their seed only.
    pub groups: Vec<Group<'a>>,
    /// What was swept, in the order of the sweep.
    pub axes: Vec<SweptAxis>,
    /// Method labels, in the order of the settings.
    pub methods: Vec<String>,
    /// How methods look.
    pub palette: Palette,
}

/// What a reader knows a cell by: `grammars, rank r = 4, seed 0`.
pub fn cell_name(results: &ResultSet, record: &Record) -> String {
    let own = |group: &&Group| {
        group
            .records
            .iter()
            .any(|other| std::ptr::eq(*other, record))
    };
    let mut parts = Vec::new();
    if let Some(group) = results.groups.iter().find(own) {
        parts.push(group.task.clone());
        parts.push(group.setting());
        parts.retain(|part| !part.is_empty());
    }
    parts.push(format!("seed {}", record.cell.seed));
    parts.join(", ")
}

/// Id of a group's entry on the page.
pub fn anchor(group: usize) -> String {
    format!("e{group}")
}

impl<'a> ResultSet<'a> {
    /// Sorts and groups; the order in which the records come does not matter.
    pub fn new(records: &'a [Record]) -> Self {
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_by(|a, b| {
            let key = |r: &'a Record| (&r.experiment, r.cell.index, r.cell.seed, &r.cell.id);
            key(a).cmp(&key(b))
        });
        let (mut groups, mut axes, mut methods): (Vec<Group>, Vec<SweptAxis>, Vec<String>) =
            (Vec::new(), Vec::new(), Vec::new());
        for record in &sorted {
            let pairs: Vec<(String, Value)> = record
                .cell
                .axes
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let task = task_name(record);
            for (key, value) in &pairs {
                let numeric = value.is_number() || key == LAYERS || key == DTYPE;
                match axes.iter_mut().find(|axis| axis.key == *key) {
                    Some(axis) => axis.numeric &= numeric,
                    None => axes.push(SweptAxis {
                        key: key.clone(),
                        numeric,
                    }),
                }
            }
            match groups
                .iter_mut()
                .find(|group| group.task == task && group.axes == pairs)
            {
                Some(group) => group.records.push(record),
                None => groups.push(Group {
                    index: groups.len(),
                    task,
                    axes: pairs,
                    records: vec![record],
                }),
            }
            // Merges the cell's methods into the list, keeping the order of the settings.
            let mut at = 0;
            for method in &record.methods {
                match methods.iter().position(|label| *label == method.label) {
                    Some(position) => at = position + 1,
                    None => {
                        methods.insert(at.min(methods.len()), method.label.clone());
                        at += 1;
                    }
                }
            }
        }
        // which of GLUE's tasks a cell has, and its folder, is told by the task's name
        let told = |axis: &SweptAxis| {
            let same = |group: &Group, other: &Group| {
                group.task != other.task || group.axis(&axis.key) == other.axis(&axis.key)
            };
            let mut pairs = groups
                .iter()
                .flat_map(|a| groups.iter().map(move |b| (a, b)));
            !axis.numeric && axis.key.starts_with("task.") && pairs.all(|(a, b)| same(a, b))
        };
        let told: Vec<String> = axes
            .iter()
            .filter(|axis| told(axis))
            .map(|axis| axis.key.clone())
            .collect();
        axes.retain(|axis| !told.contains(&axis.key));
        for group in &mut groups {
            group.axes.retain(|(key, _)| !told.contains(key));
        }
        let palette = Palette::new(methods.iter().map(String::as_str));
        Self {
            records: sorted,
            groups,
            axes,
            methods,
            palette,
        }
    }

    /// Where a number of a group comes from; of one method when a label is given.
    pub fn origin(&self, group: &Group, label: Option<&str>) -> RecordRef {
        RecordRef {
            anchor: anchor(group.index),
            method: label.and_then(|label| self.methods.iter().position(|other| other == label)),
            records: group.records.len(),
        }
    }

    /// What `query_accuracy` is, in a few words: of examples, or of the tokens that a language model has to predict.
    pub fn accuracy_title(&self) -> &'static str {
        let units: BTreeSet<&str> = self
            .records
            .iter()
            .filter_map(|record| record.training.as_ref())
            .map(|training| training.accuracy_of.as_str())
            .filter(|unit| !unit.is_empty())
            .collect();
        let of_tokens = units.contains("target tokens");
        match (of_tokens, units.len()) {
            (true, 1) => "Share of tokens right",
            (true, _) => "Share of examples or tokens right",
            (false, _) => "Query accuracy",
        }
    }

    /// Cells that failed.
    pub fn failed(&self) -> usize {
        self.groups.iter().map(Group::failed).sum()
    }

    /// Cells in which metrics against exact influence are undefined because it failed or did not converge.
    pub fn without_reference(&self) -> usize {
        let without = |record: &&&Record| !record.no_reference.is_empty();
        self.records.iter().filter(without).count()
    }

    /// Whether exact influence itself is held against exact on gradients that were not rounded.
    pub fn exact_is_measured(&self) -> bool {
        let reference = |record: &&&Record| record.config["store"]["reference"] == "f32";
        self.records.iter().any(|record| reference(&record))
    }

    /// Whether a method's own scores are what the others are held against: exact influence (the first, where there are
    /// several ways to solve for it), unless the reference is exact influence on other gradients.
    fn is_reference(&self, label: &str) -> bool {
        let first = |record: &&'a Record| {
            let mut methods = record.methods.iter();
            methods.find(|method| method.may_be_reference())
        };
        let mut references = self.records.iter().filter_map(first);
        !self.exact_is_measured() && references.any(|method| method.label == label)
    }

    /// The methods that a metric says something about, in the order of the settings: the one place that decides that
    /// exact influence is not compared with itself.
    pub fn compared(&self, metric: &Metric) -> Vec<&str> {
        let compares = |label: &&String| metric.compares(self.is_reference(label));
        let labels = self.methods.iter().filter(compares);
        labels.map(String::as_str).collect()
    }
}

/// Each once, in the order of their first places.
pub fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// One method of one cell.
pub fn method<'r>(record: &'r Record, label: &str) -> Option<&'r MethodRecord> {
    record.methods.iter().find(|method| method.label == label)
}

#[cfg(test)]
mod tests;
