//! What the paper shows, and the numbers that it gives: `items.yaml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A figure, a table or the theorem.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Name on the command line.
    pub name: String,
    /// As the paper calls it.
    pub title: String,
    /// What it shows.
    pub shows: String,
    /// The metrics that it compares methods by; of `selection_accuracy`, the last epoch.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// The methods that it has, by label.
    pub methods: Vec<String>,
    /// Name of the report's figure with the same content.
    #[serde(default)]
    pub figure: Option<String>,
    /// Whether a table with a column per method stands above the numbers one by one.
    #[serde(default)]
    pub is_wide: bool,
    /// Its numbers.
    #[serde(default)]
    pub numbers: Vec<Number>,
    /// What a reader asks of it, to be answered by our records.
    #[serde(default)]
    pub questions: Vec<Question>,
    /// How its experiment was set up, beside what the setup has that it is `like`.
    #[serde(default)]
    setup: Setup,
}

/// A number of the paper.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// The task as the paper names it; empty where it is a mean over tasks.
    #[serde(default)]
    pub task: String,
    /// LoRA rank.
    #[serde(default)]
    pub rank: Option<u64>,
    /// The method, by label.
    pub method: String,
    /// The metric; `time_ratio` is the runtime over DataInf's.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// Standard deviation that stands with it.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Where it stands.
    pub source: String,
}

/// A question that records answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// By the metric, the first method is better than the second.
    Better(String, String, String),
    /// The metric of the method falls from the lowest to the highest rank.
    FallsWithRank(String, String),
    /// Training on the choice of the method is more accurate at the end than on a random choice.
    SelectsWell(String),
}

/// What is set, and how; `like` names another setup, whose settings are added.
type Setup = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paper {
    items: Vec<Item>,
    tasks: BTreeMap<String, String>,
    setups: BTreeMap<String, Setup>,
}

static PAPER: LazyLock<Paper> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("items.yaml")).expect("a test reads the built-in file")
});

/// Everything of the paper that is a figure, a table or a theorem.
pub fn items() -> &'static [Item] {
    &PAPER.items
}

/// The item of that name.
pub fn find(name: &str) -> Option<&'static Item> {
    items().iter().find(|item| item.name == name)
}

impl Item {
    /// How its experiment on `task` was set up, by the paper's text and code; empty of an item without a fine-tune.
    pub fn setup_on(&self, task: &str) -> Setup {
        let of_task = PAPER.setups.get(task).filter(|_| !self.setup.is_empty());
        let mut setup = of_task.unwrap_or(&self.setup).clone();
        while let Some(other) = setup.remove("like") {
            for (what, value) in &PAPER.setups[&other] {
                setup.entry(what.clone()).or_insert_with(|| value.clone());
            }
        }
        setup
    }
}

impl Number {
    /// Whether it belongs to a task of this bench.
    pub fn is_of(&self, task: &str) -> bool {
        let ours = PAPER.tasks.get(&self.task).unwrap_or(&self.task);
        task == ours || task == self.task
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics;

    #[test]
    fn names_are_unique_and_numbers_are_of_methods_and_metrics_that_are_compared() {
        let names: BTreeSet<&str> = items().iter().map(|item| item.name.as_str()).collect();
        assert_eq!((names.len(), items().len()), (8, 8));
        for item in items() {
            for number in &item.numbers {
                assert!(item.methods.contains(&number.method), "{number:?}");
                let known = item.metrics.contains(&number.metric) || number.metric == "time_ratio";
                assert!(known, "{number:?}");
            }
            for metric in &item.metrics {
                assert!(metrics::find(metric).is_some() || metric == "selection_accuracy");
            }
        }
        assert!(find("figure-3").is_none());
    }

    #[test]
    fn a_setup_has_what_the_one_has_that_it_is_like() {
        let setup = |item, task| find(item).expect("listed").setup_on(task);
        for (item, task, what, value) in [
            ("figure-1", "glue", "rank", "1, 2, 4"),
            ("figure-1", "glue", "batch", "32"),
            ("table-2", "grammars", "rank", "8"),
            ("table-2", "subjects", "rank", "4"),
            ("table-2", "subjects", "batch", "1 × 4 accumulated"),
        ] {
            assert_eq!(setup(item, task)[what], value, "{item} {task}");
        }
        assert!(setup("table-1", "styles").is_empty());
    }
}
