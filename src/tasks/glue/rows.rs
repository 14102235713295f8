//! An example of GLUE, and what its files call the fields and labels.

use super::name::GlueName;
use crate::input::quote;

/// What is read from files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The examples, in order.
    pub examples: Vec<Example>,
    /// Broken rows of QQP's archive, which are no examples.
    pub passed_over: usize,
}

/// One or two texts and a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The first text.
    pub first: String,
    /// The second text of a pair.
    pub second: Option<String>,
    /// The label, 0 or 1.
    pub label: usize,
}

/// What a task calls its fields: the hub's name first, then the archive's.
pub(super) struct Names {
    pub(super) first: &'static [&'static str],
    pub(super) second: &'static [&'static str],
    pub(super) label: &'static [&'static str],
}

pub(super) fn names(task: GlueName) -> Names {
    let (first, second, label): (&[_], &[_], &[_]) = match task {
        GlueName::Mrpc => (
            &["sentence1", "#1 String"],
            &["sentence2", "#2 String"],
            &["label", "Quality"],
        ),
        GlueName::Qqp => (&["question1"], &["question2"], &["label", "is_duplicate"]),
        GlueName::Qnli => (&["question"], &["sentence"], &["label"]),
        GlueName::Rte | GlueName::Wnli => (&["sentence1"], &["sentence2"], &["label"]),
        GlueName::Sst2 | GlueName::Cola => (&["sentence"], &[], &["label"]),
    };
    Names {
        first,
        second,
        label,
    }
}

/// 0 and 1, or what the archive writes instead.
pub(super) fn label(text: &str, task: GlueName) -> Result<usize, String> {
    match (text, task) {
        ("0", _) => Ok(0),
        ("1", _) => Ok(1),
        ("entailment", GlueName::Rte | GlueName::Qnli) => Ok(0),
        ("not_entailment", GlueName::Rte | GlueName::Qnli) => Ok(1),
        (_, GlueName::Rte | GlueName::Qnli) => Err(format!(
            "the label is {}; allowed: 0, 1, entailment, not_entailment",
            quote(text)
        )),
        _ => Err(format!("the label is {}; allowed: 0, 1", quote(text))),
    }
}
