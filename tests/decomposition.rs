//! Gaps in parts on a real fine-tune, from settings to files, and after a run that was killed.

use std::fs;
use std::path::Path;

use infbench::config::{Plan, grid};
use infbench::device::DeviceChoice;
use infbench::metrics::decomposition::{LadderInfo, PartInfo, Switch};
use infbench::progress::Progress;
use infbench::results::{Record, ResultsDir};
use infbench::runner::cell::CellRunner;
use infbench::runner::{RunOptions, run};

const EXPERIMENT: &str = "
name: parts
task: {name: digits, train: 40, query: 12, flip: 0.2}
model: {name: transformer, hidden: 8, heads: 2, layers: 1, ffn: 16, pretrain: {epochs: 1}}
lora: {rank: 1, dropout: 0}
train: {epochs: 4, lr: 1.0e-2, batch_size: 20}
influence:
  precision: f32
  methods: [exact, datainf, 'lissa:scale=auto,iterations=5', hessian_free, kfac, tracin]
store: {dtype: bf16}
ground_truth:
  leave_one_out: {examples: 20, seeds: 2, min_snr: 0}
  subset_retraining: {fractions: [0.5], subsets: 16, seeds: 2}
  decomposition: {damping: [0.1, 1]}
";

fn plan(extra: &[&str]) -> Plan {
    let extra: Vec<String> = extra.iter().map(|text| (*text).to_owned()).collect();
    grid::parse("parts.yaml", EXPERIMENT, None, &extra).unwrap()
}

fn record(plan: &Plan, folder: &Path) -> Record {
    let results = ResultsDir::create(folder).unwrap();
    let runner = CellRunner::new(&results, DeviceChoice::default(), plan);
    let options = RunOptions {
        resume: true,
        limit: None,
    };
    let summary = run(plan, &runner, &results, options, &Progress::quiet()).unwrap();
    assert_eq!(summary.failed, 0, "{:?}", summary.records[0].error);
    summary.records[0].clone()
}

fn ladders(record: &Record) -> &[LadderInfo] {
    let truth = record.ground_truth.as_ref().expect("retrained");
    &truth.decomposition.as_ref().expect("split").ladders
}

/// Removes every second file of the folders in `cache` that begin with `start`.
fn lose(cache: &Path, start: &str) {
    let mut lost = 0;
    for entry in fs::read_dir(cache).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !folder.is_dir() || !name.starts_with(start) {
            continue;
        }
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        for file in files.iter().step_by(2) {
            fs::remove_file(file).unwrap();
            lost += 1;
        }
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn parts_add_up_are_written_and_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&[]);
    let first = record(&plan, folder.path());
    let metrics: Vec<&str> = ladders(&first).iter().map(|l| l.metric.as_str()).collect();
    assert_eq!(metrics, ["loo_pearson", "lds_50"]);
    for ladder in ladders(&first) {
        let methods: Vec<&str> = ladder.methods.iter().map(|m| m.method.as_str()).collect();
        let settings = first.methods.iter().map(|m| m.label.as_str());
        assert_eq!(methods, settings.collect::<Vec<_>>());
        for method in &ladder.methods {
            let sum: f64 = method.parts.iter().filter_map(|part| part.loss.value).sum();
            let gap = method.gap.value.expect("defined");
            assert!((sum - gap).abs() < 1e-14, "{method:?}");
            // the lower end is the metric of the method itself
            let own = first
                .methods
                .iter()
                .find(|m| m.label == method.method)
                .unwrap();
            let own = own
                .metrics
                .iter()
                .find(|v| v.metric == ladder.metric)
                .unwrap();
            assert!(
                (1.0 - own.value.unwrap() - gap).abs() < 1e-14,
                "{own:?} {gap}"
            );
            let first_switches: Vec<Switch> = method
                .parts
                .iter()
                .take(5)
                .map(|part| part.switches[0])
                .collect();
            let expected = [
                Switch::Noise,
                Switch::Influence,
                Switch::Fisher,
                Switch::Blocks,
                Switch::BlockDamping,
            ];
            assert_eq!(first_switches, expected);
            // gradients in bf16 are seen, where there are others to compare with
            let precision = method
                .parts
                .iter()
                .find(|part| part.switches == [Switch::Precision]);
            let size = |part: &PartInfo| part.size.as_ref().and_then(|size| size.value);
            match method.method.as_str() {
                "tracin" => assert!(precision.is_none(), "{method:?}"),
                _ => assert!(size(precision.unwrap()).unwrap() > 1e-7, "{precision:?}"),
            }
        }
    }
    let table = fs::read_to_string(folder.path().join("results.csv")).unwrap();
    for row in [
        "datainf,ok,lds_50/gap,",
        "datainf,ok,lds_50/loss/swap,",
        "datainf,ok,lds_50/size/swap,",
        "exact,ok,loo_pearson/agreement/fisher,",
        "tracin,ok,lds_50/loss/approximation+precision,",
    ] {
        assert!(table.contains(row), "{row}");
    }

    // killed in the middle of the retrainings: the record is not there, some retrainings are
    fs::remove_file(folder.path().join(format!("cells/{}.json", first.cell.id))).unwrap();
    lose(&folder.path().join("cache"), "retraining-");
    let second = record(&plan, folder.path());
    assert_eq!(ladders(&second), ladders(&first));
    assert!(!folder.path().join("gradients").exists());
}

#[test]
fn a_hessian_that_is_too_large_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&[
        "influence.methods=[exact]",
        "ground_truth.leave_one_out=null",
        "ground_truth.decomposition.hessian_limit=10",
    ]);
    let record = record(&plan, folder.path());
    let parts = &ladders(&record)[0].methods[0].parts;
    assert_eq!(parts[1].switches, [Switch::Influence, Switch::Fisher]);
    let note = parts[1].note.as_ref().expect("why");
    assert!(note.contains("are more than hessian_limit = 10"), "{note}");
    let companions = &record.gradients.as_ref().unwrap().companions;
    assert_eq!(companions.hessian, None);
}
