//! Grouping, slices and names.

use serde_json::json;

use super::*;
use crate::report::synthetic;

fn titles<'s>(slices: &'s [Slice]) -> Vec<&'s str> {
    slices.iter().map(|slice| slice.title.as_str()).collect()
}

fn keys<'s>(axes: impl IntoIterator<Item = &'s SweptAxis>) -> Vec<&'s str> {
    axes.into_iter().map(|axis| axis.key.as_str()).collect()
}

#[test]
fn cells_that_differ_in_their_seed_are_one_group() {
    let records = synthetic::rank();
    let results = ResultSet::new(&records);
    assert_eq!(
        (results.groups.len(), results.failed(), results.seeds()),
        (8, 1, 3)
    );
    assert!(results.groups.iter().all(|group| group.records.len() == 3));
    assert_eq!(
        results.methods[..3],
        ["exact", "datainf", "datainf:group_size=8"]
    );
    let slices = results.slices(Some("lora.rank"));
    assert_eq!(titles(&slices), ["digits", "sentences"]);
    assert!(
        slices
            .iter()
            .all(|s| s.groups.len() == 4 && s.held.is_empty())
    );
    for slice in results.slices(None) {
        assert_eq!((slice.held.as_str(), slice.groups.len()), ("rank r = 4", 1));
    }
}

#[test]
fn settings_swept_together_are_one_axis() {
    let records = synthetic::size();
    let results = ResultSet::new(&records);
    assert_eq!(keys(results.sweeps()), ["task.train"]);
    assert_eq!(results.slices(Some("task.train"))[0].groups.len(), 5);
    assert_eq!(results.slices(None)[0].held, "n = 10,000, m = 200");
}

#[test]
fn types_of_numbers_stand_in_order_of_their_precision() {
    let mut records = synthetic::layers();
    for record in &mut records {
        record.cell.axes.clear();
        let dtype = ["f32", "bf16", "f16"][record.cell.index % 3];
        record.cell.axes.insert(DTYPE.into(), json!(dtype));
    }
    let results = ResultSet::new(&records);
    assert_eq!(results.sweeps()[0].key, DTYPE);
    let slices = results.slices(Some(DTYPE));
    let numbers = slices[0].groups.iter().filter_map(|g| g.number(DTYPE));
    let names: Vec<String> = numbers.filter_map(|n| tick_text(DTYPE, n)).collect();
    assert_eq!(names, ["bf16 (8)", "f16 (11)", "f32 (24)"]);
    assert_eq!(results.slices(None)[0].held, "dtype = f32 (24)");
    assert_eq!(tick_text("lora.rank", 1.0), None);
    assert!(!results.exact_is_measured());
    records[0].config = json!({"store": {"reference": "f32"}});
    assert!(ResultSet::new(&records).exact_is_measured());
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
        let results = ResultSet::new(records);
        let group = &results.groups[0];
        let compared = results.compared(metric).into_iter();
        let compared: Vec<String> = compared.map(str::to_owned).collect();
        let auc = super::aggregate(group, "exact", "detection_auc");
        let seconds = super::value(&records[0], "exact", "total_seconds");
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
    let results = ResultSet::new(&records);
    assert_eq!(keys(&results.axes), ["lora.rank"]);
    let slices = results.slices(Some("lora.rank"));
    assert_eq!(titles(&slices), ["MRPC", "SST-2", "WNLI", "QQP"]);
    assert!(slices.iter().all(|slice| slice.groups.len() == 4));
    assert_eq!(results.groups[1].name(), "MRPC, rank r = 2");
}

#[test]
fn layers_are_counted_also_in_failed_cells() {
    let mut records = synthetic::layers();
    let results = ResultSet::new(&records);
    let slices = results.slices(Some(LAYERS));
    assert_eq!(slices.len(), 1);
    let counted = slices[0]
        .groups
        .iter()
        .filter_map(|group| group.number(LAYERS));
    assert_eq!(counted.collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    records.iter_mut().for_each(|record| record.model = None);
    assert_eq!(ResultSet::new(&records).groups[2].number(LAYERS), Some(3.0));
}
