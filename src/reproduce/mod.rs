//! The paper's figures, tables and theorem as experiments of this bench: which one, in which sizes, and where it stands.
//!
//! What each shows and the numbers that it gives are in [`crate::report::paper::items`]. The experiments are those of
//! `experiments/`, built in.

pub mod status;

use serde_json::Value;

use crate::config::Plan;
use crate::config::error::ConfigError;
use crate::config::{grid, theory};
use crate::input::Problem;
use crate::resolve;
use crate::results::Record;

/// One way to reproduce an item.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// The item of [`crate::report::paper::items::ITEMS`].
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
    /// Nothing: why.
    Absent(&'static str),
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
    "quickstart",
    "rank",
    "retraining",
    "sentences",
    "smoke",
    "theory_synthetic",
    "theory_gradients"
];

const fn run(file: &'static str, profile: Option<&'static str>, ranks: &'static [u64]) -> Source {
    Source::Run {
        file,
        profile,
        set: &[],
        ranks,
    }
}

const LAPTOP: &str = "all-MiniLM-L6-v2 on a part of the examples";
const PAPER: &str = "RoBERTa-large, all examples, 20 seeds";

const fn variant(
    item: &'static str,
    name: &'static str,
    what: &'static str,
    source: Source,
) -> Variant {
    Variant {
        item,
        name,
        source,
        what,
    }
}

/// All ways, by item; the first of an item is its default.
pub const VARIANTS: &[Variant] = &[
    variant(
        "figure-1",
        "laptop",
        LAPTOP,
        run("glue_rank", Some("laptop"), &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "paper",
        PAPER,
        run("glue_rank", Some("paper"), &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "small",
        "small models on digits, clusters and sentences",
        run("rank", None, &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "smoke",
        "two tiny fine-tunes, to see that it works",
        run("smoke", None, &[]),
    ),
    variant(
        "figure-2",
        "laptop",
        LAPTOP,
        run("glue_detection", Some("laptop"), &[4]),
    ),
    variant(
        "figure-2",
        "paper",
        PAPER,
        run("glue_detection", Some("paper"), &[4]),
    ),
    variant(
        "figure-2",
        "small",
        "a small transformer on digits",
        run("quickstart", None, &[4]),
    ),
    variant(
        "figure-5",
        "laptop",
        LAPTOP,
        run("glue_clean", Some("laptop"), &[]),
    ),
    variant(
        "figure-5",
        "paper",
        PAPER,
        run("glue_clean", Some("paper"), &[]),
    ),
    variant(
        "figure-5",
        "small",
        "a small transformer on digits",
        Source::Run {
            file: "quickstart",
            profile: None,
            set: &["task.flip=0"],
            ranks: &[1, 2, 4],
        },
    ),
    variant(
        "figure-6",
        "laptop",
        LAPTOP,
        run("glue_detection", Some("laptop"), &[1, 2, 8]),
    ),
    variant(
        "figure-6",
        "paper",
        PAPER,
        run("glue_detection", Some("paper"), &[1, 2, 8]),
    ),
    variant(
        "figure-6",
        "small",
        "a small transformer on digits",
        run("quickstart", None, &[1, 2, 8]),
    ),
    variant(
        "figure-7",
        "laptop",
        LAPTOP,
        run("glue_selection", Some("laptop"), &[]),
    ),
    variant(
        "figure-7",
        "paper",
        PAPER,
        run("glue_selection", Some("paper"), &[]),
    ),
    variant(
        "figure-7",
        "small",
        "a small transformer on digits, among other retraining",
        run("retraining", Some("full"), &[]),
    ),
    variant(
        "figure-7",
        "quick",
        "the same on half of the examples",
        run("retraining", Some("quick"), &[]),
    ),
    variant(
        "table-1",
        "synthetic",
        "fitted exponents on synthetic gradients",
        Source::Theory {
            file: "theory_synthetic",
            claims: &["complexity"],
        },
    ),
    variant(
        "table-2",
        "laptop",
        "SmolLM2-135M-Instruct, 20 training texts and 5 queries a class, adapters in the last 10 layers; style and subject generation are missing",
        run("llama_table2", Some("laptop"), &[]),
    ),
    variant(
        "table-2",
        "paper",
        "Llama-2-13B-chat, 90 training texts and 10 queries a class; style and subject generation are missing",
        run("llama_table2", Some("paper"), &[]),
    ),
    variant(
        "table-2",
        "quick",
        "SmolLM2-135M-Instruct, 4 training texts and a query a class, adapters in the last 2 layers",
        run("llama_table2", Some("small"), &[]),
    ),
    variant(
        "table-2",
        "small",
        "the sentence transformations, from our own grammar, told apart by a small transformer",
        run("sentences", None, &[]),
    ),
    variant(
        "table-2",
        "images",
        "style and subject generation",
        Source::Absent(
            "an experiment on a diffusion model (Stable Diffusion v1.5), which this bench has not yet: the table's last two rows",
        ),
    ),
    variant(
        "theorem-1",
        "synthetic",
        "the bound and tighter ones on synthetic gradients",
        Source::Theory {
            file: "theory_synthetic",
            claims: THEOREM,
        },
    ),
    variant(
        "theorem-1",
        "gradients",
        "the same on the gradients of a real fine-tune",
        Source::Theory {
            file: "theory_gradients",
            claims: THEOREM,
        },
    ),
];

const THEOREM: &[&str] = &[
    "ceiling",
    "second_order",
    "second_order_inner",
    "theorem_1",
    "growth_in_d",
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
mod tests {
    use super::*;
    use crate::report::paper::items::ITEMS;

    #[test]
    fn every_item_has_variants_that_are_right_but_for_files_that_are_not_there() {
        for item in ITEMS {
            assert!(variants(item.name).next().is_some(), "{}", item.name);
        }
        for variant in VARIANTS {
            assert!(ITEMS.iter().any(|item| item.name == variant.item));
            match variant.source {
                Source::Run { .. } => {
                    let plan = variant.plan(&[], false).unwrap_or_else(|e| panic!("{e}"));
                    let shown = plan.cells.iter().filter(|cell| variant.shows(&cell.axes));
                    assert!(shown.count() > 0, "{}", variant.page());
                }
                Source::Theory { claims, .. } => match variant.theory_plan() {
                    Ok(plan) => assert_eq!(plan.claims.len(), claims.len()),
                    Err(error) => assert_eq!(error.field, "gradients.path: ", "{error}"),
                },
                Source::Absent(why) => assert!(why.len() > 20),
            }
        }
        let pages: std::collections::BTreeSet<String> =
            VARIANTS.iter().map(Variant::page).collect();
        assert_eq!(pages.len(), VARIANTS.len());
    }

    #[test]
    fn an_unknown_profile_is_named_with_what_is_allowed() {
        let problem = choose("figure-1", Some("labtop")).expect_err("no such profile");
        assert_eq!(
            problem.message,
            "unknown profile `labtop`; allowed: laptop, paper, small, smoke"
        );
        assert_eq!(problem.help.as_deref(), Some("did you mean `laptop`?"));
        assert_eq!(choose("figure-2", None).expect("a default").name, "laptop");
    }

    #[test]
    fn figure_5_of_digits_has_its_own_folder_and_settings() {
        let variant = choose("figure-5", Some("small")).expect("listed");
        let plan = variant.plan(&[], false).expect("right");
        assert_eq!(variant.folder(&plan), "figure-5-small");
        let other = choose("figure-2", Some("small")).expect("listed");
        assert_eq!(
            other.folder(&other.plan(&[], false).expect("right")),
            "quickstart"
        );
        let config = serde_json::to_value(&plan.cells[0].settings).expect("plain JSON");
        assert_eq!(config["task"]["flip"], 0.0);
    }
}
