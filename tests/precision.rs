//! Stored precision and the scores: `store.dtype` as an axis, held against exact influence before the rounding.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::str::contains;
use serde_json::Value;

/// Dimensions of a block.
const DIM: f64 = 32.0;

fn experiment(store: &str) -> String {
    format!(
        "name: precision
task: {{name: gradients, train: 120, query: 9, blocks: 2, dim: {DIM}, norm_tail: 0.5}}
store: {store}
sweep: {{store.dtype: [f32, f16, bf16]}}
outputs: {{report: false}}
influence: {{methods: [exact, datainf, hessian_free]}}
"
    )
}

/// The records by type: f32, f16, bf16.
fn run(folder: &Path, store: &str, arguments: &[&str]) -> [Value; 3] {
    let file = folder.join("precision.yaml");
    fs::write(&file, experiment(store)).unwrap();
    let out = folder.join("out");
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .args(arguments)
        .assert()
        .success();
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    ["f32", "f16", "bf16"].map(|dtype| {
        let of = |record: &&Value| record["config"]["store"]["dtype"] == dtype;
        records.iter().find(of).unwrap().clone()
    })
}

fn metric(record: &Value, method: &str, name: &str) -> f64 {
    let methods = record["methods"].as_array().unwrap();
    let method = methods.iter().find(|m| m["label"] == method).unwrap();
    let metrics = method["metrics"].as_array().unwrap();
    let metric = metrics.iter().find(|m| m["metric"] == name).unwrap();
    metric["value"].as_f64().unwrap()
}

#[test]
fn exact_on_rounded_gradients_errs_by_the_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let records = run(folder.path(), "{reference: f32}", &[]);
    let errors = records
        .each_ref()
        .map(|record| metric(record, "exact", "relative_error"));
    assert_eq!(errors[0], 0.0, "the reference itself");
    // half a unit in the last place of every entry, in F, λ and both gradients, times the condition of F + λI
    for (error, bits) in errors[1..].iter().zip([11, 8]) {
        let unit = 0.5f64.powi(bits);
        let most = 4.0 * unit * (1.0 + DIM / 0.1);
        assert!(
            *error > 0.01 * unit && *error < most,
            "{bits} bits: {errors:?}"
        );
    }
    // three bits fewer are eight times the error, up to the draw of the rounding errors
    let ratio = errors[2] / errors[1];
    assert!((4.0..16.0).contains(&ratio), "{errors:?}");
    // what an approximation adds is far more
    for record in &records {
        assert!(metric(record, "datainf", "relative_error") > 10.0 * errors[2]);
    }
    let bytes = records
        .each_ref()
        .map(|record| record["gradients"]["bytes"].as_u64().unwrap());
    assert_eq!((bytes[0], bytes[1]), (2 * bytes[1], bytes[2]));
}

#[test]
fn without_it_exact_is_its_own_reference() {
    let folder = tempfile::tempdir().unwrap();
    let records = run(folder.path(), "{reference: stored}", &[]);
    for record in &records {
        assert_eq!(metric(record, "exact", "relative_error"), 0.0);
        // records of experiments without the setting keep their identity
        assert_eq!(record["config"]["store"].get("reference"), None);
    }
}

#[test]
fn files_make_the_same_scores_and_do_not_stay() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let memory = run(folders[0].path(), "{reference: f32}", &[]);
    let store = "{reference: f32, in_memory_mib: 0}";
    let mapped = run(folders[1].path(), store, &["--set", "outputs.scores=true"]);
    for (memory, mapped) in memory.iter().zip(&mapped) {
        assert_eq!(mapped["gradients"]["storage"], "mapped");
        for method in ["exact", "datainf", "hessian_free"] {
            assert_eq!(
                metric(memory, method, "relative_error"),
                metric(mapped, method, "relative_error"),
                "{method}"
            );
        }
    }
    assert!(!folders[1].path().join("out/gradients").exists());
}

#[test]
fn the_reference_needs_exact() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precision.yaml");
    let text = experiment("{reference: f32}").replace("[exact, ", "[");
    fs::write(&file, text).unwrap();
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
        .arg("plan")
        .arg(&file)
        .assert()
        .failure()
        .stderr(contains("which is not among the methods"));
}

#[test]
fn exact_that_does_not_converge_is_no_reference() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.yaml");
    // 60 examples in blocks of 200 whose eigenvalues fall as j⁻³, hardly damped: F + λI is singular to rounding
    let text = "name: none
task: {name: gradients, train: 60, query: 4, dim: 200, blocks: 2, spectrum_decay: 3}
influence: {damping: 1.0e-12, methods: [exact, datainf]}
";
    fs::write(&file, text).unwrap();
    let out = folder.path().join("out");
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .assert()
        .success()
        .stdout(contains("1 of 1 cells have no reference"));
    let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
    let record: Value = serde_json::from_str(text.trim()).unwrap();
    let why = record["no_reference"][0].as_str().unwrap();
    assert!(
        why.starts_with("`exact` did not converge in 2 of its blocks"),
        "{why}"
    );
    let of = |label: &str| {
        let methods = record["methods"].as_array().unwrap();
        let method = methods.iter().find(|m| m["label"] == label).unwrap();
        method["metrics"].as_array().unwrap().clone()
    };
    // against itself it would be perfect, and says nothing
    for (label, cases) in [("exact", 0), ("datainf", 4)] {
        for name in ["pearson", "spearman", "relative_error", "top_k_overlap"] {
            let metrics = of(label);
            let metric = metrics.iter().find(|m| m["metric"] == name).unwrap();
            assert_eq!(metric["value"], Value::Null, "{label} {name}");
            assert_eq!(
                (&metric["cases"], &metric["undefined"]),
                (&cases.into(), &cases.into())
            );
        }
    }
    // what needs no reference is there
    let metrics = of("datainf");
    let auc = metrics.iter().find(|m| m["metric"] == "detection_auc");
    assert!(auc.unwrap()["value"].is_f64());
    let tables = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(tables.contains("| the reference | `exact` did not converge in 2 of its blocks"));
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("no reference in 1 cell"));
}
