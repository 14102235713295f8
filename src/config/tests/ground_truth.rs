//! `ground_truth:` as it is read from a file.

use crate::config::grid::parse;

const BASE: &str = "name: t\ntask: {name: digits, train: 100, query: 20}\n";

fn error(extra: &str) -> String {
    let text = format!("{BASE}{extra}");
    parse("t.yaml", &text, None, &[]).unwrap_err().to_string()
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    let case = |settings: &str, place: &str, text: &str| {
        let found = error(&format!("ground_truth: {settings}\n"));
        assert!(
            found.starts_with(&format!("t.yaml:3:{place}")) && found.contains(text),
            "{found}"
        );
    };
    case("{}", "15: ground_truth: ", "nothing to retrain for");
    case("{leave_one: {}}", "16: ", "unknown field `leave_one`");
    case("{leave_one_out: {seeds: 1}}", "39: ", "1 is out of range");
    case(
        "{leave_one_out: {examples: 101}}",
        "42: ground_truth.leave_one_out.examples: ",
        "101 is more than the 100 training examples",
    );
    let fractions = |list: &str| format!("{{subset_retraining: {{fractions: {list}}}}}");
    case(
        &fractions("[0.5, 0.6]"),
        "53: ",
        "0.6 is not a share that has a metric; allowed: 0.5, 0.9, 0.99",
    );
    case(&fractions("[0.5, 0.5]"), "53: ", "given twice");
    case(
        "{selection: {keep: 1}}",
        "34: ",
        "allowed: above 0 and below 1",
    );
    case("{removal: {shares: [0.2, 0.1]}}", "40: ", "ascend");
    case(
        "{removal: {shares: [0.2, 0.201]}}",
        "40: ",
        "as many whole examples as 0.2",
    );
    let none = error("train: {epochs: 0}\nground_truth: {removal: {}}\n");
    assert!(
        none.contains("nothing to retrain with train.epochs = 0"),
        "{none}"
    );
    let text = "name: t\ntask: gradients\nground_truth: {removal: {}}\n";
    let none = parse("t.yaml", text, None, &[]).unwrap_err().to_string();
    assert!(
        none.contains("3:1: ground_truth: the task `gradients` has no model"),
        "{none}"
    );
    let metric =
        error("metrics: [lds_90]\nground_truth: {subset_retraining: {fractions: [0.5]}}\n");
    assert!(
        metric.contains("add 0.9 to ground_truth.subset_retraining.fractions"),
        "{metric}"
    );
}

#[test]
fn cells_without_it_keep_their_ids_and_metrics_follow_it() {
    let cell = |extra: &str| {
        let plan = parse("t.yaml", &format!("{BASE}{extra}"), None, &[]).unwrap();
        plan.cells[0].clone()
    };
    let plain = serde_json::to_value(&cell("").settings).unwrap();
    assert!(plain.get("ground_truth").is_none());
    assert!(
        cell("")
            .settings
            .metrics
            .iter()
            .all(|name| !name.starts_with("l"))
    );
    let with = cell("ground_truth: {leave_one_out: {}, subset_retraining: {fractions: [0.9]}}\n");
    let new: Vec<&String> = with
        .settings
        .metrics
        .iter()
        .filter(|name| name.starts_with("l"))
        .collect();
    assert_eq!(new, ["loo_pearson", "loo_spearman", "lds_90"]);
    assert_ne!(with.id, cell("").id);
    let truth = with.settings.ground_truth.unwrap();
    // (100 + 1)·5, and 100·5 subsets of 0.9
    assert_eq!(
        truth.retrainings(100, 3, 10),
        (505.0 + 450.0, 505.0 + 500.0)
    );
}
