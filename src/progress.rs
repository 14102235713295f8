//! Progress of long work on standard error: a bar with the time left on a terminal, lines elsewhere, or nothing.
//!
//! One type for everything that takes long: the cells of a run, the retrainings within a cell, the cases of a theory
//! experiment, the examples of `infbench gradients`, the bytes of a download. Who works says how much there is
//! ([`Progress::start`]), what it is at ([`Progress::item`], [`Progress::stage`]) and what is done
//! ([`Progress::finished`], [`Progress::reached`]).

use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};

/// Time between two lines about the same work where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// The unit that is shown with its own prefixes.
const BYTES: &str = "bytes";
/// Time between two messages of a bar.
const MESSAGE_EVERY: Duration = Duration::from_millis(100);

/// Where progress is shown, and how far the work is.
pub struct Progress {
    kind: Kind,
    state: Mutex<State>,
}

enum Kind {
    Quiet,
    Lines,
    Bar(ProgressBar),
}

struct State {
    unit: &'static str,
    total: usize,
    done: usize,
    started: Option<Instant>,
    item_started: Option<Instant>,
    title: String,
    shown: Option<Instant>,
    counted: Option<Counted>,
}

impl State {
    const fn new() -> Self {
        Self {
            unit: "",
            total: 0,
            done: 0,
            started: None,
            item_started: None,
            title: String::new(),
            shown: None,
            counted: None,
        }
    }

    fn spent(&self) -> Duration {
        self.started
            .map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// `3/10 cells`, `1.5 MiB/20 MiB of model.safetensors`
    fn amount(&self) -> String {
        if self.unit == BYTES {
            let [done, total] = [self.done, self.total].map(|bytes| HumanBytes(bytes as u64));
            return format!("{done}/{total} of {}", self.title);
        }
        format!("{}/{} {}", self.done, self.total, self.unit)
    }

    fn open(&self) -> usize {
        self.total.saturating_sub(self.done)
    }
}

/// Like pieces of work within an item.
struct Counted {
    what: String,
    /// Finished when this was first heard of.
    before: usize,
    started: Instant,
    line: Instant,
}

impl Progress {
    /// A bar when standard error is a terminal, lines when it is not; nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Quiet
        } else if std::io::stderr().is_terminal() {
            Kind::Bar(ProgressBar::new(0))
        } else {
            Kind::Lines
        };
        Self {
            kind,
            state: Mutex::new(State::new()),
        }
    }

    /// Nothing at all.
    pub const fn quiet() -> Self {
        Self {
            kind: Kind::Quiet,
            state: Mutex::new(State::new()),
        }
    }

    /// Whether anything is shown.
    pub fn is_shown(&self) -> bool {
        !matches!(self.kind, Kind::Quiet)
    }

    /// How many pieces are finished.
    pub fn done(&self) -> usize {
        self.state().done
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The work starts: `total` pieces of `unit`, e.g. `cells`.
    pub fn start(&self, total: usize, unit: &'static str) {
        let now = Instant::now();
        *self.state() = State {
            unit,
            total,
            started: Some(now),
            shown: Some(now),
            ..State::new()
        };
        if let Kind::Bar(bar) = &self.kind {
            let amount = if unit == BYTES {
                "{bytes}/{total_bytes}".to_owned()
            } else {
                format!("{{pos}}/{{len}} {unit}")
            };
            let style =
                format!("{{bar:30.cyan/dim}} {amount} · {{elapsed}} · ETA {{eta}} · {{wide_msg}}");
            let style = ProgressStyle::with_template(&style);
            bar.set_style(style.expect("the template is well formed"));
            bar.set_length(total as u64);
            bar.enable_steady_tick(Duration::from_millis(500));
        }
    }

    /// A piece of work starts.
    pub fn item(&self, title: String) {
        let mut state = self.state();
        if let Kind::Bar(bar) = &self.kind {
            bar.set_message(title.clone());
        }
        state.title = title;
        state.item_started = Some(Instant::now());
    }

    /// What is being done; the log and a bar show it, the bar at most ten times a second.
    pub fn stage(&self, text: &str) {
        tracing::debug!("{text}");
        let Kind::Bar(bar) = &self.kind else { return };
        let mut state = self.state();
        let now = Instant::now();
        if state.shown.is_none_or(|shown| now - shown > MESSAGE_EVERY) {
            let title = &state.title;
            let between = if title.is_empty() { "" } else { " · " };
            bar.set_message(format!("{title}{between}{text}"));
            state.shown = Some(now);
        }
    }

    /// `done` of `all` like pieces of work within an item are finished: a bar shows it, elsewhere a line every half
    /// minute, with the time left.
    pub fn count(&self, what: &str, done: usize, all: usize) {
        let now = Instant::now();
        let (text, line) = {
            let mut state = self.state();
            let counted = match &mut state.counted {
                Some(counted) if counted.what == what && done > counted.before => counted,
                other => other.insert(Counted {
                    what: what.to_owned(),
                    before: done,
                    started: now,
                    line: now,
                }),
            };
            let line = now - counted.line > LINE_EVERY;
            if line {
                counted.line = now;
            }
            let left = left(now - counted.started, done - counted.before, all - done);
            (format!("{what}: {done}/{all}{left}"), line)
        };
        self.stage(&text);
        if line && matches!(self.kind, Kind::Lines) {
            eprintln!("  {text}");
        }
    }

    /// A piece of work is finished, with what became of it: a line that stays.
    pub fn finished(&self, outcome: &str) {
        let text = {
            let mut state = self.state();
            state.done += 1;
            let own = state
                .item_started
                .map_or(0.0, |s| s.elapsed().as_secs_f64());
            // a bar shows it
            let left = match &self.kind {
                Kind::Bar(_) => String::new(),
                _ => left(state.spent(), state.done, state.open()),
            };
            format!(
                "[{}/{}] {}: {outcome}, {own:.1} s{left}",
                state.done, state.total, state.title
            )
        };
        if let Kind::Bar(bar) = &self.kind {
            bar.inc(1);
        }
        self.line(&text);
    }

    /// So many pieces are finished, of which none is worth a line: a bar shows it, elsewhere a line every half minute.
    pub fn reached(&self, done: usize) {
        self.moved(|_| done);
    }

    /// One more piece is finished: [`Progress::reached`].
    pub fn advance(&self) {
        self.advance_by(1);
    }

    /// So many more pieces are finished: [`Progress::reached`].
    pub fn advance_by(&self, more: usize) {
        self.moved(|done| done + more);
    }

    fn moved(&self, to: impl FnOnce(usize) -> usize) {
        let mut state = self.state();
        state.done = to(state.done);
        match &self.kind {
            Kind::Quiet => {}
            Kind::Bar(bar) => bar.set_position(state.done as u64),
            Kind::Lines => {
                let now = Instant::now();
                if state.shown.is_some_and(|shown| now - shown > LINE_EVERY) {
                    state.shown = Some(now);
                    let left = left(state.spent(), state.done, state.open());
                    eprintln!("{}{left}", state.amount());
                }
            }
        }
    }

    /// The work is over.
    pub fn end(&self) {
        if let Kind::Bar(bar) = &self.kind {
            bar.finish_and_clear();
        }
    }
}

/// `, about 3 minutes left`; empty where there is nothing to tell it by.
fn left(spent: Duration, made: usize, open: usize) -> String {
    let left = spent.mul_f64(open as f64 / made.max(1) as f64);
    if made == 0 || open == 0 || left.as_secs() == 0 {
        return String::new();
    }
    format!(", about {} left", HumanDuration(left))
}

/// `s` unless there is one.
pub fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `3 cells`
pub fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", plural(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_where_it_is_known() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 1, 2), ", about 2 minutes left");
        for (made, open) in [(0, 2), (3, 0)] {
            assert_eq!(left(minute, made, open), "");
        }
        assert_eq!(left(Duration::from_millis(5), 1, 2), "");
    }

    #[test]
    fn pieces_are_counted_from_where_they_are_first_heard_of() {
        let progress = Progress::quiet();
        progress.start(4, "cells");
        progress.item("first".to_owned());
        progress.count("retraining", 3, 10);
        progress.count("retraining", 4, 10);
        progress.finished("done");
        progress.advance();
        let state = progress.state();
        assert_eq!((state.done, state.total, state.unit), (2, 4, "cells"));
        let counted = state.counted.as_ref().expect("counted");
        assert_eq!((counted.what.as_str(), counted.before), ("retraining", 3));
        assert_eq!(state.amount(), "2/4 cells");
        drop(state);
        progress.start(2 << 20, BYTES);
        progress.item("model.safetensors".to_owned());
        progress.advance_by(1 << 20);
        let amount = progress.state().amount();
        assert_eq!(amount, "1.00 MiB/2.00 MiB of model.safetensors");
    }
}
