//! Grouping, slices and names.

use serde_json::json;

use super::*;
use crate::report::synthetic;

#[test]
fn cells_that_differ_in_their_seed_are_one_group() {
    let records = synthetic::rank();
    let results = ResultSet::new(&records);
    assert_eq!((results.groups.len(), results.failed()), (8, 1));
    assert!(results.groups.iter().all(|group| group.records.len() == 3));
    assert_eq!(
        results.methods[..3],
        ["exact", "datainf", "datainf:group_size=8"]
    );
    let slices = results.slices(Some("lora.rank"));
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
    let held: Vec<_> = results
        .slices(None)
        .iter()
        .map(|slice| (slice.held.clone(), slice.groups.len()))
        .collect();
    assert_eq!(held, vec![("rank r = 4".to_owned(), 1); 2]);
}

#[test]
fn settings_swept_together_are_one_axis() {
    let records = synthetic::size();
    let results = ResultSet::new(&records);
    assert_eq!(
        results
            .sweeps()
            .iter()
            .map(|axis| axis.key.as_str())
            .collect::<Vec<_>>(),
        ["task.train"]
    );
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
        let compared: Vec<String> = results
            .compared(metric)
            .iter()
            .map(ToString::to_string)
            .collect();
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
    let axes: Vec<&str> = results.axes.iter().map(|axis| axis.key.as_str()).collect();
    assert_eq!(axes, ["lora.rank"]);
    let slices = results.slices(Some("lora.rank"));
    let titles: Vec<&str> = slices.iter().map(|slice| slice.title.as_str()).collect();
    assert_eq!(titles, ["MRPC", "SST-2", "WNLI", "QQP"]);
    assert!(slices.iter().all(|slice| slice.groups.len() == 4));
    assert_eq!(results.groups[1].setting(), "rank r = 2");
}

#[test]
fn layers_are_counted_also_in_failed_cells() {
    let records = synthetic::layers();
    let results = ResultSet::new(&records);
    let slices = results.slices(Some("lora.layers"));
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
        ResultSet::new(&failed).groups[2].number("lora.layers"),
        Some(3.0)
    );
}
