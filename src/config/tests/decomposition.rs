//! `ground_truth.decomposition:` as it is read from a file.

use crate::config::grid::parse;

const BASE: &str = "name: t\ntask: {name: digits, train: 100, query: 20}\n\
    influence: {methods: [exact, datainf, true_hessian, 'lissa:iterations=5']}\n\
    lora: {rank: 1}\nground_truth:\n  subset_retraining: {fractions: [0.5]}\n";

fn error(decomposition: &str) -> String {
    let text = format!("{BASE}  decomposition: {decomposition}\n");
    let error = parse("t.yaml", &text, None, &[]).unwrap_err();
    let help = miette::Diagnostic::help(&*error).map(|help| format!(" ({help})"));
    format!("{error}{}", help.unwrap_or_default())
}

#[test]
fn wrong_settings_are_one_error_with_what_is_allowed() {
    for (settings, parts) in [
        (
            "{method: [datainf]}",
            &["unknown field `method`", "did you mean `methods`"][..],
        ),
        (
            "{methods: [datinf]}",
            &[
                "decomposition.methods[0]",
                "unknown method `datinf` (did you mean `datainf`?)",
            ],
        ),
        (
            "{methods: [datainf, 'lissa:iterations=50']}",
            &[
                "decomposition.methods[1]",
                "exact, datainf, true_hessian, lissa:iterations=5",
            ],
        ),
        (
            "{methods: [datainf, datainf]}",
            &[
                "decomposition.methods[1]",
                "the method `datainf` is given twice",
            ],
        ),
        (
            "{methods: [true_hessian]}",
            &["decomposition.methods[0]", "the upper end of the ladder"],
        ),
        ("{methods: []}", &["decomposition.methods", "at least 1"]),
        (
            "{metrics: [lds_5]}",
            &["metrics[0]", "lds_5", "allowed: loo_pearson, lds_50"],
        ),
        (
            "{metrics: [lds_50, lds_50]}",
            &["metrics[1]", "the metric `lds_50` is given twice"],
        ),
        (
            "{metrics: [lds_90]}",
            &[
                "metrics[0]",
                "add 0.9 to ground_truth.subset_retraining.fractions",
            ],
        ),
        (
            "{metrics: [loo_pearson]}",
            &[
                "metrics[0]",
                "nothing is retrained for `loo_pearson`; add ground_truth.leave_one_out",
            ],
        ),
        ("{damping: [0]}", &["damping[0]", "0 is out of range"]),
        (
            "{damping: [0.1, 0.1]}",
            &["damping[1]", "0.1 is given twice"],
        ),
        (
            "{negative: absolut}",
            &["negative", "absolut", "did you mean `absolute`?"],
        ),
    ] {
        let found = error(settings);
        assert!(
            parts.iter().all(|part| found.contains(part)),
            "{settings}: {found}"
        );
    }
    let text = BASE.replace("subset_retraining: {fractions: [0.5]}", "decomposition: {}");
    let found = parse("t.yaml", &text, None, &[]).unwrap_err().to_string();
    assert!(
        found.contains("add leave_one_out or subset_retraining"),
        "{found}"
    );
}

#[test]
fn by_default_all_methods_but_the_upper_end_and_all_metrics_are_split() {
    let text = format!("{BASE}  leave_one_out: {{}}\n  decomposition: {{}}\n");
    let plan = parse("t.yaml", &text, None, &[]).unwrap();
    let settings = &plan.cells[0].settings;
    let truth = settings.ground_truth.as_ref().unwrap();
    let config = truth.decomposition.as_ref().unwrap();
    assert_eq!(
        config.metrics(&truth.retrained()),
        ["loo_pearson", "lds_50"]
    );
    let labels: Vec<&str> = config
        .methods(&settings.influence.methods)
        .iter()
        .map(|spec| spec.label.as_str())
        .collect();
    assert_eq!(labels, ["exact", "datainf", "lissa:iterations=5"]);
}

#[test]
fn cells_without_it_do_not_know_of_it() {
    let plan = parse("t.yaml", BASE, None, &[]).unwrap();
    let settings = serde_json::to_value(&plan.cells[0].settings).unwrap();
    assert!(settings["ground_truth"].get("decomposition").is_none());
}
