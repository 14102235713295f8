//! The paper's figures, tables and theorem as experiments of this bench: which one, in which sizes, and where it stands.
//!
//! What each shows and the numbers that it gives are in [`crate::report::paper::items`]. The experiments are those of
//! `experiments/`, built in.

pub mod status;
mod variants;

use serde_json::Value;

pub use variants::VARIANTS;

use crate::config::Plan;
use crate::config::error::ConfigError;
use crate::config::{grid, theory};
use crate::input::Problem;
use crate::resolve;
use crate::results::Record;

/// One way to reproduce an item.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// The item of [`crate::report::paper::items::items`].
    pub item: &'static str,
    /// Name for `--profile`.
    pub name: &'static str,
    /// What is run.
    pub source: Source,
    /// How it differs from the paper's experiment, in a few words.
    pub what: &'static str,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Cells of an experiment of `infbench run`.
    Run {
        /// Its file in `experiments/`, without ending.
        file: &'static str,
        /// Its profile.
        profile: Option<&'static str>,
        /// Settings that are changed.
        set: &'static [&'static str],
        /// The ranks that the item shows; all when empty.
        ranks: &'static [u64],
    },
    /// An experiment of `infbench theory`.
    Theory {
        /// Its file in `experiments/`, without ending.
        file: &'static str,
        /// Which claims.
        claims: &'static [&'static str],
    },
}

macro_rules! experiments {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../experiments/", $name, ".yaml")))),*]
    };
}

/// The experiments by file name.
const FILES: &[(&str, &str)] = experiments![
    "glue_rank",
    "glue_detection",
    "glue_clean",
    "glue_selection",
    "llama_table2",
    "styles",
    "subjects",
    "quickstart",
    "rank",
    "retraining",
    "sentences",
    "smoke",
    "theory_synthetic",
    "theory_gradients"
];

/// The ways to reproduce an item, its default first.
pub fn variants(item: &str) -> impl Iterator<Item = &'static Variant> {
    let of = move |variant: &&'static Variant| variant.item == item;
    VARIANTS.iter().filter(of)
}

/// Text of an experiment, and the name that errors give it.
fn file(name: &str) -> (String, &'static str) {
    let found = FILES.iter().find(|(known, _)| *known == name);
    let (_, text) = found.expect("every variant names a built-in experiment");
    (format!("experiments/{name}.yaml"), text)
}

impl Variant {
    /// `figure-1-laptop`: name of the pages.
    pub fn page(&self) -> String {
        format!("{}-{}", self.item, self.name)
    }

    /// Folder of the results below `runs`: the experiment's own, unless settings of it are changed.
    pub fn folder(&self, plan: &Plan) -> String {
        match self.source {
            Source::Run { set: &[], .. } => plan.folder(),
            _ => self.page(),
        }
    }

    /// The experiment with `overrides` after the variant's own settings: all its cells, also those that the item does not
    /// show. `check_files`: whether the files that it names have to be there.
    ///
    /// # Errors
    /// The first wrong setting; a theory experiment or none.
    pub fn plan(&self, overrides: &[String], check_files: bool) -> Result<Plan, Box<ConfigError>> {
        let Source::Run {
            file: name,
            profile,
            set,
            ..
        } = self.source
        else {
            unreachable!("only experiments with cells are planned");
        };
        let (path, text) = file(name);
        let own = set.iter().map(|text| (*text).to_owned());
        let all: Vec<String> = own.chain(overrides.iter().cloned()).collect();
        if check_files {
            resolve::parse(&path, text, profile, &all)
        } else {
            grid::parse(&path, text, profile, &all)
        }
    }

    /// The theory experiment with the item's claims alone.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn theory_plan(&self) -> Result<theory::TheoryPlan, Box<ConfigError>> {
        let Source::Theory { file: name, claims } = self.source else {
            unreachable!("only theory experiments have claims");
        };
        let (path, text) = file(name);
        let mut plan = theory::parse(&path, text)?;
        plan.claims.retain(|claim| claims.contains(claim));
        if claims.contains(&"complexity") {
            // what is timed does not vary with the settings
            plan.settings.truncate(1);
        } else {
            plan.complexity = None;
        }
        Ok(plan)
    }

    /// Whether the item shows a cell with these swept settings.
    pub fn shows(&self, axes: &serde_json::Map<String, Value>) -> bool {
        let Source::Run { ranks, .. } = self.source else {
            return true;
        };
        let rank = axes.get("lora.rank").and_then(Value::as_u64);
        ranks.is_empty() || rank.is_none_or(|rank| ranks.contains(&rank))
    }

    /// Whether a record is one of this variant's.
    pub fn has(&self, record: &Record) -> bool {
        let Source::Run {
            file, profile, set, ..
        } = self.source
        else {
            return false;
        };
        record.experiment == file
            && record.profile.as_deref() == profile
            && set.iter().all(|setting| has_setting(record, setting))
            && self.shows(&record.cell.axes)
    }
}

/// Whether a record's settings hold `path=value`.
fn has_setting(record: &Record, setting: &str) -> bool {
    let Some((path, value)) = setting.split_once('=') else {
        return false;
    };
    let found = record
        .config
        .pointer(&format!("/{}", path.replace('.', "/")));
    let wanted: Option<f64> = value.parse().ok();
    match (found.and_then(Value::as_f64), wanted) {
        (Some(found), Some(wanted)) => found == wanted,
        _ => found.and_then(Value::as_str) == Some(value),
    }
}

/// The variant of an item by name, or its default.
///
/// # Errors
/// A name that none of them has.
pub fn choose(item: &str, name: Option<&str>) -> Result<&'static Variant, Problem> {
    let first = || variants(item).next().expect("every item has a variant");
    match name {
        None => Ok(first()),
        Some(name) => variants(item)
            .find(|variant| variant.name == name)
            .ok_or_else(|| Problem::unknown("profile", name, variants(item).map(|v| v.name))),
    }
}

#[cfg(test)]
mod tests;
