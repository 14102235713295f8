//! Units of work: in other processes, in any order, done twice at a time or interrupted, they leave the same bytes
//! outside timings as one process does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Two cells that share a base and a fine-tune, with retrainings; gradients go to a file.
const EXPERIMENT: &str = "
name: units
task: {name: digits, train: 40, query: 10, flip: 0.2}
model: {name: transformer, hidden: 8, heads: 2, layers: 1, ffn: 8, pretrain: {epochs: 1, lr: 2.0e-3, batch_size: 32}}
lora: {targets: [value], rank: 1, dropout: 0}
train: {epochs: 2, lr: 1.0e-2, batch_size: 20}
influence: {methods: [exact, datainf]}
ground_truth:
  leave_one_out: {examples: 3, seeds: 2}
  subset_retraining: {fractions: [0.5], subsets: 4, seeds: 2}
store: {in_memory_mib: 0}
outputs: {report: false}
sweep: {influence.damping: [0.01, 0.1]}
";

struct Folder {
    root: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("units.yaml"), EXPERIMENT).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A command on the experiment with its results in the folder `out`.
    fn command(&self, verb: &str, out: &str, rest: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infbench"));
        command.arg(verb).arg(self.path("units.yaml"));
        command.arg("--out").arg(self.path(out)).args(rest);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, verb: &str, out: &str, rest: &[&str]) -> Output {
        self.command(verb, out, rest).output().unwrap()
    }

    /// Starts units; in slices of the retrainings as small as they get.
    fn start(&self, out: &str, units: &str) -> Child {
        self.command("run", out, &["--unit", units])
            .spawn()
            .unwrap()
    }

    /// The table of the units, a line each.
    fn units(&self, out: &str) -> Vec<Vec<String>> {
        let listed = self.run("plan", out, &["--units", "--slice", "1e-6"]);
        assert!(listed.status.success(), "{}", text(&listed.stderr));
        let table = text(&listed.stdout);
        let lines = table.lines().skip(1).take_while(|line| !line.is_empty());
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    }

    fn same(&self, a: &str, b: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_infbench"))
            .args([
                "compare".as_ref(),
                self.path(a).as_os_str(),
                self.path(b).as_os_str(),
            ])
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Files below a folder that are not under their last names.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().display().to_string());
        if path.is_dir() {
            found.extend(unfinished(&path));
        } else if name.starts_with(".writing-") || name.contains(".part-") {
            found.push(path);
        }
    }
    found
}

#[test]
fn units_of_many_processes_leave_what_one_leaves() {
    let folder = Folder::new();
    let one = folder.run("run", "one", &["--quiet"]);
    assert!(one.status.success(), "{}", text(&one.stderr));

    let units = folder.units("many");
    let ids: Vec<&str> = units.iter().map(|unit| unit[0].as_str()).collect();
    let of = |kind: &str| ids.iter().filter(|id| id.starts_with(kind)).count();
    let counts = ["base-", "tune-", "retrain-", "score-", "collect"].map(of);
    assert_eq!(counts, [1, 1, 8, 2, 1], "{ids:?}");
    assert!(units.iter().all(|unit| unit[1] == "to"), "nothing is done");

    // what needs something else says so and makes nothing
    let early = folder.run("run", "many", &["--unit", ids[10]]);
    assert_eq!(early.status.code(), Some(1));
    let needs = format!("{}: needs {}, {}", ids[10], ids[0], ids[1]);
    assert!(
        text(&early.stderr).contains(&needs),
        "{}",
        text(&early.stderr)
    );
    let unknown = folder.run("run", "many", &["--unit", "score-0123456789abcdef"]);
    assert_eq!(unknown.status.code(), Some(2));

    // every unit twice, at the same time, by processes of their own
    for stage in [&ids[..1], &ids[1..10], &ids[10..12]] {
        let both = [0, 1].map(|_| folder.start("many", &stage.join(",")));
        for child in both {
            let ended = child.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", text(&ended.stderr));
        }
    }
    let collected = folder.run("run", "many", &["--unit", "collect"]);
    assert!(collected.status.success(), "{}", text(&collected.stderr));
    assert!(folder.units("many").iter().all(|unit| unit[1] == "done"));
    assert_eq!(unfinished(&folder.path("many")), Vec::<PathBuf>::new());
    let same = folder.same("one", "many");
    assert!(same.status.success(), "{}", text(&same.stdout));
}

#[cfg(unix)]
#[test]
fn an_interrupted_unit_leaves_no_trace_and_is_done_later() {
    let folder = Folder::new();
    let longer = EXPERIMENT.replace("{epochs: 1, lr", "{epochs: 100000, lr");
    fs::write(folder.path("units.yaml"), longer).unwrap();
    let base = folder.units("out")[0][0].clone();
    let rest = ["--unit", &base, "--grace", "0"];
    let child = folder.command("run", "out", &rest).spawn().unwrap();
    let running = folder.path("out").join(format!("units/{base}.json"));
    while !running.is_file() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let signal = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(75), "{}", text(&ended.stderr));
    assert!(!running.exists(), "nothing says that it is running");
    assert_eq!(unfinished(&folder.path("out")), Vec::<PathBuf>::new());

    fs::write(folder.path("units.yaml"), EXPERIMENT).unwrap();
    let units = folder.units("out");
    let score = units.iter().find(|unit| unit[0].starts_with("score-"));
    let score = &score.unwrap()[0];
    let whole = folder.run("run", "out", &["--unit", score, "--with-needs"]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
}

#[test]
fn folders_of_two_hosts_are_joined_unless_they_contradict_each_other() {
    let folder = Folder::new();
    let units = folder.units("a");
    let ids = units.iter().map(|unit| unit[0].as_str());
    let scores: Vec<&str> = ids.filter(|id| id.starts_with("score-")).collect();
    for (index, out) in ["a", "b"].into_iter().enumerate() {
        let ran = folder.run("run", out, &["--unit", scores[index], "--with-needs"]);
        assert!(ran.status.success(), "{}", text(&ran.stderr));
    }
    let merge = |a: &str, b: &str, into: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_infbench"));
        command.arg("merge").arg(folder.path(a)).arg(folder.path(b));
        command.arg("--into").arg(folder.path(into));
        command.output().unwrap()
    };
    let joined = merge("a", "b", "c");
    assert!(joined.status.success(), "{}", text(&joined.stderr));
    let one = folder.run("run", "one", &["--quiet"]);
    assert!(one.status.success(), "{}", text(&one.stderr));
    let same = folder.same("one", "c");
    assert!(same.status.success(), "{}", text(&same.stdout));

    let cell = scores[1].trim_start_matches("score-");
    let path = folder.path("b").join(format!("cells/{cell}.json"));
    let right = fs::read_to_string(&path).unwrap();
    let wrong = right.replacen("\"non_finite\": 0", "\"non_finite\": 7", 1);
    assert_ne!(right, wrong);
    fs::write(&path, wrong).unwrap();
    let refused = merge("c", "b", "d");
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(
        message.contains(cell) && message.contains("non_finite is 0 and 7"),
        "{message}"
    );
    assert!(!folder.path("d").exists(), "nothing is written");
}
