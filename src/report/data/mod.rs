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
use crate::report::number;
use crate::report::palette::Palette;
use crate::results::record::{MethodRecord, Record, Status};
use names::DTYPES;

pub use aggregate::{
    Aggregate, MissingData, Reading, aggregate, aggregate_by, aggregate_cell, aggregate_value,
    curve, curve_end, has_values, value,
};
pub use comparison::{
    Comparison, Units, by_task, change, compare, compare_by, compared_metrics, means_by_seed,
    numbers,
};
pub use names::{
    DTYPE, LAYERS, axis_short, axis_title, metric_title, task_name, tick_text, value_text,
};
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
        match key {
            DTYPE => {
                let place = DTYPES.iter().position(|(name, _)| value == name);
                place.map(|place| place as f64)
            }
            LAYERS => {
                let mut models = self.records.iter().filter_map(|r| r.model.as_ref());
                let counted = models.next().map(|model| model.adapted_layers as f64);
                counted.or_else(|| layers(value))
            }
            _ => value.as_f64(),
        }
    }

    /// Cells that failed.
    pub fn failed(&self) -> usize {
        let failed = |record: &&&Record| record.status == Status::Failed;
        self.records.iter().filter(failed).count()
    }

    /// The settings as text: `rank r = 4, n = 1,000`; empty when nothing was swept.
    pub fn setting(&self) -> String {
        let is_task =
            |key: &str, value: &Value| key == "task.name" || key == "task" && !value.is_null();
        let shown = self.axes.iter().filter(|(key, value)| !is_task(key, value));
        number::list(
            shown.map(|(key, value)| format!("{} = {}", axis_short(key), value_text(value))),
        )
    }

    /// Task and settings.
    pub fn name(&self) -> String {
        number::list([self.task.clone(), self.setting()])
    }
}

/// How many layers a setting chooses, where that is told without the model.
fn layers(value: &Value) -> Option<f64> {
    match value {
        Value::Array(list) => Some(list.len() as f64),
        Value::Object(map) => match (map.get("from"), map.get("to")) {
            (Some(from), Some(to)) => Some(to.as_f64()? - from.as_f64()? + 1.0),
            _ => map.get("last").or(map.get("first"))?.as_f64(),
        },
        _ => None,
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
    let group = results.groups.iter().find(own).map(Group::name);
    number::list([
        group.unwrap_or_default(),
        format!("seed {}", record.cell.seed),
    ])
}

/// Id of a group's entry on the page.
pub fn anchor(group: usize) -> String {
    format!("e{group}")
}

impl<'a> ResultSet<'a> {
    /// Sorts and groups; the order in which the records come does not matter.
    pub fn new(records: &'a [Record]) -> Self {
        let mut sorted: Vec<&Record> = records.iter().collect();
        sorted.sort_by_key(|r| (&r.experiment, r.cell.index, r.cell.seed, &r.cell.id));
        let mut results = Self {
            records: sorted,
            groups: Vec::new(),
            axes: Vec::new(),
            methods: Vec::new(),
            palette: Palette::new([]),
        };
        for record in results.records.clone() {
            results.add(record);
        }
        results.drop_told_axes();
        results.palette = Palette::new(results.labels());
        results
    }

    /// Adds a record to its group, its settings to the axes and its methods to the list, in the order of the settings.
    fn add(&mut self, record: &'a Record) {
        let axes = record.cell.axes.iter();
        let axes: Vec<(String, Value)> = axes.map(|(k, v)| (k.clone(), v.clone())).collect();
        for (key, value) in &axes {
            let numeric = value.is_number() || key == LAYERS || key == DTYPE;
            match self.axes.iter_mut().find(|axis| axis.key == *key) {
                Some(axis) => axis.numeric &= numeric,
                None => self.axes.push(SweptAxis {
                    key: key.clone(),
                    numeric,
                }),
            }
        }
        let task = task_name(record);
        let mut groups = self.groups.iter_mut();
        match groups.find(|group| group.task == task && group.axes == axes) {
            Some(group) => group.records.push(record),
            None => self.groups.push(Group {
                index: self.groups.len(),
                task,
                axes,
                records: vec![record],
            }),
        }
        let mut at = 0;
        for method in &record.methods {
            at = match self.place(&method.label) {
                Some(place) => place + 1,
                None => {
                    at = at.min(self.methods.len());
                    self.methods.insert(at, method.label.clone());
                    at + 1
                }
            };
        }
    }

    /// Drops the settings that the task's name tells: which of GLUE's tasks a cell has, and its folder.
    fn drop_told_axes(&mut self) {
        let is_told = |axis: &SweptAxis| {
            let mut pairs = self
                .groups
                .iter()
                .flat_map(|a| self.groups.iter().map(move |b| (a, b)));
            let same = |(a, b): (&Group, &Group)| {
                a.task != b.task || a.axis(&axis.key) == b.axis(&axis.key)
            };
            !axis.numeric && axis.key.starts_with("task.") && pairs.all(same)
        };
        let kept = |axis: &&SweptAxis| !is_told(axis);
        self.axes = self.axes.iter().filter(kept).cloned().collect();
        for group in &mut self.groups {
            group
                .axes
                .retain(|(key, _)| self.axes.iter().any(|axis| axis.key == *key));
        }
    }

    /// The labels of the methods.
    pub fn labels(&self) -> impl Iterator<Item = &str> + Clone {
        self.methods.iter().map(String::as_str)
    }

    /// Position of a method's label.
    pub fn place(&self, label: &str) -> Option<usize> {
        self.methods.iter().position(|other| other == label)
    }

    /// How many seeds there are.
    pub fn seeds(&self) -> usize {
        let seeds = self.records.iter().map(|record| record.cell.seed);
        seeds.collect::<BTreeSet<u64>>().len()
    }

    /// Where a number of a group comes from; of one method when a label is given.
    pub fn origin(&self, group: &Group, label: Option<&str>) -> RecordRef {
        RecordRef {
            anchor: anchor(group.index),
            method: label.and_then(|label| self.place(label)),
            records: group.records.len(),
        }
    }

    /// What `query_accuracy` is, in a few words: of examples, or of the tokens that a language model has to predict.
    pub fn accuracy_title(&self) -> &'static str {
        let trained = self
            .records
            .iter()
            .filter_map(|record| record.training.as_ref());
        let mut units: BTreeSet<&str> = trained.map(|own| own.accuracy_of.as_str()).collect();
        units.remove("");
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

    /// Failures of methods in all cells.
    pub fn failed_methods(&self) -> usize {
        self.records.iter().map(|r| failed_methods(r)).sum()
    }

    /// Cells in which metrics against exact influence are undefined because it failed or did not converge.
    pub fn without_reference(&self) -> usize {
        let without = |record: &&&Record| !record.no_reference.is_empty();
        self.records.iter().filter(without).count()
    }

    /// Whether exact influence itself is held against exact on gradients that were not rounded.
    pub fn exact_is_measured(&self) -> bool {
        let mut records = self.records.iter();
        records.any(|record| record.config["store"]["reference"] == "f32")
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

/// What is known of a key; with nothing known yet when it is new.
pub fn entry<K: PartialEq, V: Default>(all: &mut Vec<(K, V)>, key: K) -> &mut V {
    let known = all.iter().position(|(other, _)| *other == key);
    let at = known.unwrap_or(all.len());
    if known.is_none() {
        all.push((key, V::default()));
    }
    &mut all[at].1
}

/// The distinct ones, ascending.
pub fn ascending(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    numbers
}

/// Methods that failed in one cell.
pub fn failed_methods(record: &Record) -> usize {
    let failed = |method: &&MethodRecord| method.status == Status::Failed;
    record.methods.iter().filter(failed).count()
}

/// One method of one cell.
pub fn method<'r>(record: &'r Record, label: &str) -> Option<&'r MethodRecord> {
    record.methods.iter().find(|method| method.label == label)
}

#[cfg(test)]
mod tests;
