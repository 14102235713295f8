//! `infbench theory` from outside: verdicts, files, exit codes, and a claim that is false.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use infbench::config::theory::parse;
use infbench::gradients::store::{GradientStore, TensorInfo};
use infbench::progress::Progress;
use infbench::results::theory::Verdict;
use infbench::runner::claims::run_claims;
use infbench::theory::{Case, Claim, Finding, Info};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;

fn infbench() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("infbench"))
}

fn theory(yaml: &str, folder: &Path) -> assert_cmd::assert::Assert {
    let file = folder.join("t.yaml");
    fs::write(&file, yaml).unwrap();
    infbench()
        .arg("theory")
        .arg(&file)
        .arg("--out")
        .arg(folder.join("out"))
        .assert()
}

const SMALL: &str = "\
name: small
seeds: [0, 1]
gradients: {train: 12, query: 3, blocks: 2, dim: 32}
vary: {dim: [16, 32], damping: [0.1, 10.0]}
complexity: {train: [8, 16, 32], dim: [8, 16, 32], blocks: [1, 2, 3], repeats: 1}
";

#[test]
fn every_claim_has_a_verdict_and_everything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let claims = SMALL.replace(
        "seeds:",
        "claims: [jensen, ceiling, second_order, groups]\nseeds:",
    );
    theory(&claims, folder.path()).success().stdout(
        contains("jensen")
            .and(contains("holds"))
            .and(contains("12/12")),
    );
    let out = folder.path().join("out");
    let results: Value =
        serde_json::from_str(&fs::read_to_string(out.join("theory.json")).unwrap()).unwrap();
    assert_eq!(results["schema"], 1);
    // the base, dim 16 and damping 10, with two seeds and two blocks
    assert_eq!(results["cases"].as_array().unwrap().len(), 12);
    for claim in results["claims"].as_array().unwrap() {
        assert_eq!(claim["verdict"], "holds", "{claim}");
    }
    let page = fs::read_to_string(out.join("theory.md")).unwrap();
    for figure in ["theory_bounds", "theory_tightness", "theory_groups"] {
        assert!(page.contains(figure), "{figure}");
        for ending in ["svg", "png"] {
            let file = out.join(format!("figures/{figure}.{ending}"));
            assert!(file.is_file(), "{}", file.display());
        }
    }
    assert!(page.contains("Not drawn"), "{page}");
}

#[test]
fn the_same_experiment_gives_the_same_findings() {
    let folder = tempfile::tempdir().unwrap();
    let claims = SMALL.replace("seeds:", "claims: [jensen, groups, score_bound]\nseeds:");
    let cases = || {
        theory(&claims, folder.path()).success();
        let text = fs::read_to_string(folder.path().join("out/theory.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["cases"].clone()
    };
    assert_eq!(cases(), cases());
}

#[test]
fn table_one_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    // at these sizes the clock decides nothing: whatever the verdict, everything is measured and said
    let claims = SMALL.replace("seeds:", "claims: [complexity]\nseeds:");
    let assert = theory(&claims, folder.path());
    let code = assert.get_output().status.code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
    let text = fs::read_to_string(folder.path().join("out/theory.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    let growth = results["growth"].as_array().unwrap();
    assert_eq!(growth.len(), 18);
    let memory = growth.iter().filter(|g| g["cost"] == "memory");
    for growth in memory {
        assert_eq!(growth["points"].as_array().unwrap().len(), 3, "{growth}");
    }
    assert!(
        folder
            .path()
            .join("out/figures/theory_growth.svg")
            .is_file()
    );
}

#[test]
fn stored_gradients_and_settings_that_do_not_fit_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.safetensors");
    let values = |size: usize| (0..size).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
    let tensors = vec![
        (TensorInfo::new("a", [2, 8]), values(6 * 16)),
        (TensorInfo::new("zero", [3]), vec![0.0; 18]),
    ];
    GradientStore::from_memory(6, tensors)
        .unwrap()
        .save(&path)
        .unwrap();
    let yaml = |more: &str| {
        format!(
            "name: t\nclaims: [jensen, theorem_1]\ngradients: {{path: {}}}\n{more}",
            path.display()
        )
    };
    theory(&yaml("vary: {train: [2, 6]}\n"), folder.path())
        .success()
        .stdout(contains("3/3, 3 cannot tell"));
    let page = fs::read_to_string(folder.path().join("out/theory.md")).unwrap();
    // a block of zeros has no λ, and says so
    assert!(page.contains("| zero | 6 | 3 | λ = 0"), "{page}");
    assert!(page.contains("3 of 3, 3 cannot tell"), "{page}");
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    theory(&yaml("vary: {train: [7]}\n"), folder.path())
        .code(2)
        .stderr(contains("train = 7").and(contains("6 examples")));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn nan_and_infinity_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, bad: Option<(usize, f32)>| {
        let mut values: Vec<f32> = (0..6 * 4).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        if let Some((at, value)) = bad {
            values[at] = value;
        }
        let tensors = vec![
            (TensorInfo::new("a", [4]), values),
            (TensorInfo::new("b", [3]), vec![1.0; 18]),
        ];
        let path = folder.path().join(name);
        GradientStore::from_memory(6, tensors)
            .unwrap()
            .save(&path)
            .unwrap();
        path.display().to_string()
    };
    let good = save("good.safetensors", None);
    let infinite = save("inf.safetensors", Some((21, f32::INFINITY)));
    let nan = save("nan.safetensors", Some((6, f32::NAN)));
    for (train, query, says) in [
        (
            &infinite,
            &good,
            "inf.safetensors: tensor `a` holds inf at row 5, column 1",
        ),
        (
            &good,
            &nan,
            "nan.safetensors: tensor `a` holds NaN at row 1, column 2",
        ),
    ] {
        let yaml = format!("name: t\ngradients: {{path: {train}, query: {query}}}\n");
        theory(&yaml, folder.path()).code(2).stderr(contains(says));
        assert!(!folder.path().join("out").exists());
    }
}

#[test]
fn mistakes_are_one_error_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (yaml, says) in [
        ("name: t\ngradients: {dmi: 8}\n", "did you mean `dim`"),
        (
            "name: t\ngradients: {}\nclaims: [jenssen]\n",
            "did you mean `jensen`",
        ),
        (
            "name: t\ngradients: {path: nowhere.safetensors}\n",
            "nowhere",
        ),
    ] {
        theory(yaml, folder.path()).code(2).stderr(contains(says));
        assert!(!folder.path().join("out").exists(), "{yaml}");
    }
    infbench()
        .args(["theory", "no_such.yaml"])
        .assert()
        .code(2)
        .stderr(contains("no_such.yaml"));
}

#[test]
fn the_listing_has_every_claim() {
    let mut assert = infbench().args(["list", "claims"]).assert().success();
    for info in infbench::theory::infos() {
        assert = assert.stdout(contains(info.name).and(contains(info.statement)));
    }
}

/// A claim that is false where more than one example and one column are.
struct Small;

static SMALL_INFO: Info = Info {
    name: "small",
    title: "Everything is small",
    statement: "n d ≤ 6",
    measures: "n d, held against 6",
    source: "nobody",
};

impl Claim for Small {
    fn info(&self) -> &'static Info {
        &SMALL_INFO
    }

    fn check(&self, case: &Case) -> Finding {
        Finding::at_most((case.examples() * case.dim()) as f64, 6.0, 0.0)
    }
}

#[test]
fn a_false_claim_is_violated_with_a_witness() {
    let folder = tempfile::tempdir().unwrap();
    let plan = parse(
        "t.yaml",
        "name: t\nclaims: [jensen]\ngradients: {train: 2, query: 1, blocks: 1, dim: 3}\nvary: {train: [2, 16]}\n",
    )
    .unwrap();
    let results = run_claims(&plan, &[&Small], folder.path(), &Progress::quiet()).unwrap();
    let claim = &results.claims[0];
    assert_eq!(
        (claim.verdict, claim.held, claim.violated),
        (Verdict::Violated, 1, 1)
    );
    assert_eq!(claim.worst.as_ref().unwrap().measured, 48.0);
    assert_eq!(claim.witness.as_deref(), Some("witness_small.safetensors"));
    // halved as long as it violates: 16 → 8 → 4 examples of 3 columns
    let open = |name: &str| GradientStore::open(&folder.path().join(name)).unwrap();
    let witness = open("witness_small.safetensors");
    assert_eq!((witness.rows(), witness.tensors()[0].dim()), (4, 3));
    assert!(
        witness
            .matching(&open("witness_small.query.safetensors"))
            .is_ok()
    );
    let text = fs::read_to_string(folder.path().join("witness_small.json")).unwrap();
    let about: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(about["cut_down"]["measured"], 12.0);
    assert_eq!(about["cut_down"]["verdict"], "violated");
}
