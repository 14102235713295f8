//! The records as a study: groups of cells that differ in their seed only, the swept settings, and
//! the slices that a figure shows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::chart::RecordRef;
use super::number;
use super::palette::Palette;
use crate::metrics::Metric;
use crate::results::record::{MethodRecord, Record, Status};

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
        self.axes
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
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

/// A setting that was swept.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptAxis {
    /// Dotted path.
    pub key: String,
    /// Whether every value is a number (or a choice of layers or a type of numbers, which are counted).
    pub numeric: bool,
}

/// Part of a study that a figure shows: one setting along x, the others held.
#[derive(Clone, Debug)]
pub struct Slice<'a, 's> {
    /// The task and the values of what is not a number, e.g. `digits, blocks = whole`.
    pub title: String,
    /// Values at which the other numeric settings are held, e.g. `damping c = 0.1`; empty when there are none.
    pub held: String,
    /// The groups, ascending in x when there is one.
    pub groups: Vec<&'s Group<'a>>,
}

/// All records.
#[derive(Debug)]
pub struct Study<'a> {
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
pub fn cell_name(study: &Study, record: &Record) -> String {
    let own = |group: &&Group| {
        group
            .records
            .iter()
            .any(|other| std::ptr::eq(*other, record))
    };
    let mut parts = Vec::new();
    if let Some(group) = study.groups.iter().find(own) {
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

/// The setting that is counted in layers.
pub const LAYERS: &str = "lora.layers";
/// The setting whose values are types of numbers, in the order of [`DTYPES`].
pub const DTYPE: &str = "store.dtype";
/// Types of stored gradients with their bits of precision, ascending.
const DTYPES: [(&str, usize); 3] = [("bf16", 8), ("f16", 11), ("f32", 24)];

impl<'a> Study<'a> {
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

/// The cell's task, also of a failed cell; one of GLUE by its own name.
pub fn task_name(record: &Record) -> String {
    if let Some(task) = glue_task(record) {
        return task;
    }
    let configured = || {
        let task = record.config.get("task")?;
        task.as_str()
            .or_else(|| task.get("name")?.as_str())
            .map(str::to_owned)
    };
    let axis = || {
        record
            .cell
            .axes
            .get("task.name")
            .or(record.cell.axes.get("task"))?
            .as_str()
            .map(str::to_owned)
    };
    record
        .task
        .as_ref()
        .map(|task| task.name.clone())
        .or_else(axis)
        .or_else(configured)
        .unwrap_or_else(|| "task".to_owned())
}

/// A task of GLUE as its authors write it.
fn glue_task(record: &Record) -> Option<String> {
    let task = record.config.get("task")?;
    if task.get("name")?.as_str()? != "glue" {
        return None;
    }
    Some(match task.get("task")?.as_str()? {
        "sst2" => "SST-2".to_owned(),
        "cola" => "CoLA".to_owned(),
        other => other.to_uppercase(),
    })
}

/// One method of one cell.
pub fn method<'r>(record: &'r Record, label: &str) -> Option<&'r MethodRecord> {
    record.methods.iter().find(|method| method.label == label)
}

/// Axis label of a swept setting.
pub fn axis_title(key: &str) -> String {
    match key {
        "lora.rank" => "LoRA rank r".into(),
        "lora.alpha" => "LoRA α".into(),
        LAYERS => "Adapted layers".into(),
        "task.train" => "Training examples n".into(),
        "task.query" => "Queries m".into(),
        "task.dim" => "Block size d".into(),
        "task.blocks" => "Blocks L".into(),
        "task.flip" => "Share of flipped labels".into(),
        "task.spectrum_decay" => "Spectrum decay p".into(),
        "task.norm_tail" => "Spread of log gradient norms".into(),
        "influence.damping" => "Damping c (λ = c · mean eigenvalue)".into(),
        "train.epochs" => "Epochs".into(),
        "train.lr" => "Learning rate".into(),
        DTYPE => "Stored gradients (bits of precision)".into(),
        other => other.to_owned(),
    }
}

/// What a number on the axis of a swept setting stands for, where that is a name.
pub fn tick_text(key: &str, number: f64) -> Option<String> {
    let place = (key == DTYPE && number >= 0.0).then_some(number as usize)?;
    let (name, bits) = DTYPES.get(place)?;
    Some(format!("{name} ({bits})"))
}

/// Short name of a swept setting, for `name = value`.
pub fn axis_short(key: &str) -> String {
    match key {
        "lora.rank" => "rank r".into(),
        LAYERS => "layers".into(),
        "task.train" => "n".into(),
        "task.query" => "m".into(),
        "task.dim" => "d".into(),
        "task.blocks" => "blocks L".into(),
        "influence.damping" => "damping c".into(),
        other => other.rsplit('.').next().unwrap_or(other).replace('_', " "),
    }
}

/// A setting's value for readers.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(x) => x.as_f64().map_or_else(|| x.to_string(), number::plain),
        Value::Object(map) if map.get("name").is_some_and(Value::is_string) => {
            value_text(&map["name"])
        }
        Value::Object(map) => {
            let fields: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k} {}", value_text(v)))
                .collect();
            // layers from 1 to 3
            let range = map.len() == 2 && map.contains_key("from") && map.contains_key("to");
            fields.join(if range { " " } else { ", " })
        }
        Value::Array(list) => list.iter().map(value_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_that_differ_in_their_seed_are_one_group() {
        let records = synthetic::rank();
        let study = Study::new(&records);
        assert_eq!((study.groups.len(), study.failed()), (8, 1));
        assert!(study.groups.iter().all(|group| group.records.len() == 3));
        assert_eq!(
            study.methods[..3],
            ["exact", "datainf", "datainf:group_size=8"]
        );
        let slices = study.slices(Some("lora.rank"));
        assert_eq!(
            slices
                .iter()
                .map(|slice| slice.title.as_str())
                .collect::<Vec<_>>(),
            ["digits", "sentences"]
        );
        assert!(
            slices
                .iter()
                .all(|slice| slice.groups.len() == 4 && slice.held.is_empty())
        );
        let held: Vec<_> = study
            .slices(None)
            .iter()
            .map(|slice| (slice.held.clone(), slice.groups.len()))
            .collect();
        assert_eq!(held, vec![("rank r = 4".to_owned(), 1); 2]);
    }

    #[test]
    fn settings_swept_together_are_one_axis() {
        let records = synthetic::size();
        let study = Study::new(&records);
        assert_eq!(
            study
                .sweeps()
                .iter()
                .map(|axis| axis.key.as_str())
                .collect::<Vec<_>>(),
            ["task.train"]
        );
        assert_eq!(study.slices(Some("task.train"))[0].groups.len(), 5);
        assert_eq!(study.slices(None)[0].held, "n = 10,000, m = 200");
    }

    #[test]
    fn types_of_numbers_stand_in_order_of_their_precision() {
        let mut records = synthetic::layers();
        for record in &mut records {
            record.cell.axes.clear();
            let dtype = ["f32", "bf16", "f16"][record.cell.index % 3];
            record.cell.axes.insert(DTYPE.into(), json!(dtype));
        }
        let study = Study::new(&records);
        assert_eq!(study.sweeps()[0].key, DTYPE);
        let slices = study.slices(Some(DTYPE));
        let numbers = slices[0].groups.iter().filter_map(|g| g.number(DTYPE));
        let names: Vec<String> = numbers.filter_map(|n| tick_text(DTYPE, n)).collect();
        assert_eq!(names, ["bf16 (8)", "f16 (11)", "f32 (24)"]);
        assert_eq!(study.slices(None)[0].held, "dtype = f32 (24)");
        assert_eq!(tick_text("lora.rank", 1.0), None);
        assert!(!study.exact_is_measured());
        records[0].config = json!({"store": {"reference": "f32"}});
        assert!(Study::new(&records).exact_is_measured());
    }

    #[test]
    fn an_exact_method_whose_selection_failed_stays_the_reference_and_keeps_its_metrics() {
        let mut records = synthetic::single();
        let record = &mut records[0];
        let place = record.methods.iter().position(|m| m.name == "exact");
        let place = place.expect("exact is among the methods");
        let mut second = record.methods[place].clone();
        second.label = "exact:solver=primal".to_owned();
        record.methods.insert(place + 1, second);
        let metric = crate::metrics::find("pearson").expect("listed");
        let told = |records: &[Record]| {
            let study = Study::new(records);
            let group = &study.groups[0];
            let compared: Vec<String> = study
                .compared(metric)
                .iter()
                .map(ToString::to_string)
                .collect();
            let auc = crate::report::aggregate::aggregate(group, "exact", "detection_auc");
            let seconds = crate::report::aggregate::value(&records[0], "exact", "total_seconds");
            (compared, auc, seconds)
        };
        let before = told(&records);
        assert!(!before.0.contains(&"exact".to_owned()));
        assert!(before.0.contains(&"exact:solver=primal".to_owned()));
        assert!(before.1.value.is_some() && before.2.is_some());
        // training on what it selects failed: scores and metrics are there
        let exact = &mut records[0].methods[place];
        exact.status = Status::Failed;
        exact.error = Some("killed".to_owned());
        assert_eq!(told(&records), before);
        // it failed to score: the other one is the reference
        let exact = &mut records[0].methods[place];
        (exact.seconds, exact.peak_bytes) = (None, None);
        exact.metrics.clear();
        let (compared, auc, seconds) = told(&records);
        assert!(compared.contains(&"exact".to_owned()));
        assert!(!compared.contains(&"exact:solver=primal".to_owned()));
        assert_eq!((auc.value, auc.failed, seconds), (None, 1, None));
    }

    #[test]
    fn values_read_as_words() {
        for (value, text) in [
            (json!({"last": 2}), "last 2"),
            (json!({"from": 1, "to": 3}), "from 1 to 3"),
            (json!({"epochs": 10, "lr": 0.5}), "epochs 10, lr 0.5"),
            (json!({"name": "digits", "flip": 0.2}), "digits"),
            (json!(["query", "value"]), "query, value"),
        ] {
            assert_eq!(value_text(&value), text);
        }
    }

    #[test]
    fn tasks_of_glue_go_by_their_names() {
        let records = synthetic::glue();
        let study = Study::new(&records);
        let axes: Vec<&str> = study.axes.iter().map(|axis| axis.key.as_str()).collect();
        assert_eq!(axes, ["lora.rank"]);
        let slices = study.slices(Some("lora.rank"));
        let titles: Vec<&str> = slices.iter().map(|slice| slice.title.as_str()).collect();
        assert_eq!(titles, ["MRPC", "SST-2", "WNLI", "QQP"]);
        assert!(slices.iter().all(|slice| slice.groups.len() == 4));
        assert_eq!(study.groups[1].setting(), "rank r = 2");
    }

    #[test]
    fn layers_are_counted_also_in_failed_cells() {
        let records = synthetic::layers();
        let study = Study::new(&records);
        let slices = study.slices(Some("lora.layers"));
        assert_eq!(slices.len(), 1);
        assert_eq!(
            slices[0]
                .groups
                .iter()
                .filter_map(|group| group.number("lora.layers"))
                .collect::<Vec<_>>(),
            [1.0, 2.0, 3.0, 4.0]
        );
        let mut failed = records.clone();
        failed.iter_mut().for_each(|record| record.model = None);
        assert_eq!(
            Study::new(&failed).groups[2].number("lora.layers"),
            Some(3.0)
        );
    }
}
