//! Progress on standard error: a bar with the time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::config::Cell;
use crate::results::record::{Record, Status};

/// Progress of a run.
pub struct Progress {
    kind: Kind,
    state: Mutex<State>,
}

enum Kind {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

#[derive(Default)]
struct State {
    total: usize,
    finished: usize,
    started: Option<Instant>,
    cell_started: Option<Instant>,
    title: String,
    shown: Option<Instant>,
}

impl Progress {
    /// A bar when standard error is a terminal, lines when it is not.
    pub fn new() -> Self {
        let kind = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template(
                "{bar:30.cyan/dim} {pos}/{len} cells · {elapsed} · ETA {eta} · {wide_msg}",
            );
            bar.set_style(style.expect("the template is well formed"));
            Kind::Bar(bar)
        } else {
            Kind::Lines
        };
        Self {
            kind,
            state: Mutex::default(),
        }
    }

    /// Nothing at all.
    pub fn quiet() -> Self {
        Self {
            kind: Kind::Quiet,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A line that stays, above the bar.
    pub fn line(&self, text: &str) {
        match &self.kind {
            Kind::Quiet => {}
            Kind::Lines => eprintln!("{text}"),
            // an empty bar is not shown before there is something to count
            Kind::Bar(_) if self.state().started.is_none() => eprintln!("{text}"),
            Kind::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
        }
    }

    /// The run starts with `todo` cells; `done` are finished already.
    pub fn start(&self, todo: usize, done: usize) {
        *self.state() = State {
            total: todo,
            started: Some(Instant::now()),
            ..State::default()
        };
        if done > 0 {
            self.line(&format!(
                "{done} finished cell{} found, not run again (--no-resume runs all)",
                plural(done)
            ));
        }
        if let Kind::Bar(bar) = &self.kind {
            bar.set_length(todo as u64);
            bar.enable_steady_tick(Duration::from_millis(500));
        }
    }

    /// A cell starts.
    pub fn cell(&self, cell: &Cell) {
        let mut state = self.state();
        state.title = cell.title();
        state.cell_started = Some(Instant::now());
        if let Kind::Bar(bar) = &self.kind {
            bar.set_message(state.title.clone());
        }
    }

    /// What the running cell is doing; the log and a bar show it, the bar at most ten times a second.
    pub fn stage(&self, text: &str) {
        tracing::debug!("{text}");
        let Kind::Bar(bar) = &self.kind else { return };
        let mut state = self.state();
        let now = Instant::now();
        if state
            .shown
            .is_none_or(|shown| now - shown > Duration::from_millis(100))
        {
            bar.set_message(format!("{} · {text}", state.title));
            state.shown = Some(now);
        }
    }

    /// Counts work of one kind after another within a cell.
    pub fn counter(&self) -> Counter<'_> {
        Counter {
            progress: self,
            state: Mutex::default(),
        }
    }

    /// A cell is done and its record on disk.
    pub fn finished(&self, cell: &Cell, record: &Record) {
        let (text, left) = {
            let mut state = self.state();
            state.finished += 1;
            let seconds = state
                .cell_started
                .map_or(0.0, |started| started.elapsed().as_secs_f64());
            let elapsed = state
                .started
                .map_or(Duration::ZERO, |started| started.elapsed());
            let left = elapsed
                .div_f64(state.finished as f64)
                .mul_f64((state.total - state.finished.min(state.total)) as f64);
            (
                format!(
                    "[{}/{}] {}: {}, {seconds:.1} s",
                    state.finished,
                    state.total,
                    cell.title(),
                    outcome(record)
                ),
                left,
            )
        };
        match &self.kind {
            Kind::Quiet => {}
            Kind::Lines if left.as_secs() > 0 => {
                eprintln!("{text} (about {} left)", HumanDuration(left))
            }
            Kind::Lines => eprintln!("{text}"),
            Kind::Bar(bar) => {
                bar.inc(1);
                bar.suspend(|| eprintln!("{text}"));
            }
        }
    }

    /// The run is over.
    pub fn end(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

/// How often work within a cell is heard of where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Many like pieces of work within a cell, with the time left.
pub struct Counter<'p> {
    progress: &'p Progress,
    state: Mutex<Option<Counted>>,
}

struct Counted {
    what: String,
    /// Finished when this was first heard of.
    before: usize,
    started: Instant,
    line: Instant,
}

impl Counter<'_> {
    /// `done` of `all` pieces of `what` are finished: shown by a bar, as a line every half minute elsewhere.
    pub fn heard(&self, what: &str, done: usize, all: usize) {
        let now = Instant::now();
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let counted = match &mut *state {
            Some(counted) if counted.what == what && done > counted.before => counted,
            other => other.insert(Counted {
                what: what.to_owned(),
                before: done,
                started: now,
                line: now,
            }),
        };
        let made = done - counted.before;
        let left = (now - counted.started).mul_f64((all - done) as f64 / made.max(1) as f64);
        let left = if made == 0 || done == all {
            String::new()
        } else {
            format!(", about {} left", HumanDuration(left))
        };
        let text = format!("retraining, {what}: {done}/{all}{left}");
        self.progress.stage(&text);
        if matches!(self.progress.kind, Kind::Lines) && now - counted.line > LINE_EVERY {
            counted.line = now;
            eprintln!("  {text}");
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// `s` unless there is one.
pub fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// One cell's outcome in a few words.
fn outcome(record: &Record) -> String {
    if record.status == Status::Failed {
        return format!(
            "FAILED: {}",
            record.error.as_deref().unwrap_or("no reason recorded")
        );
    }
    let failed: Vec<&str> = record
        .methods
        .iter()
        .filter(|m| m.status == Status::Failed)
        .map(|m| m.label.as_str())
        .collect();
    if !failed.is_empty() {
        return format!("FAILED in {}", failed.join(", "));
    }
    let headline = |metric: &str, label: &str| {
        let method = record.methods.iter().find(|m| m.label == label)?;
        let value = method.metrics.iter().find(|m| m.metric == metric)?.value?;
        Some(format!("{label} {value:.3}"))
    };
    let pairs: Vec<String> = ["datainf", "hessian_free"]
        .iter()
        .filter_map(|label| headline("pearson", label))
        .collect();
    if pairs.is_empty() {
        "done".to_owned()
    } else {
        format!("Pearson with exact: {}", pairs.join(", "))
    }
}
