//! What a language model answers to some queries, before and after its fine-tune.

use maud::{Markup, html};

use super::markup::clean;
use super::section::{Part, Section};
use crate::report::data::{ResultSet, cell_name};
use crate::results::record::{AnswerInfo, Generated, Record};

const ABOUT: &str = "What the model answers to the first queries, always by the most likely next token, before and after \
                     the fine-tune, beside the answer in the data. One seed per setting. Cut off after 48 tokens: …";

/// The answers of `outputs.answers`, a part per fine-tune: of the seeds of a setting the first, and of settings with the
/// same answers (they share the fine-tune) the first. Empty when there are none.
pub fn section(results: &ResultSet) -> Section {
    let mut shown: Vec<&Record> = Vec::new();
    for group in &results.groups {
        let mut records = group.records.iter();
        let first = records.find(|record| !record.answers.is_empty());
        let is_new = |own: &&&Record| shown.iter().all(|other| other.answers != own.answers);
        shown.extend(first.filter(is_new));
    }
    let parts = shown.into_iter().map(|record| Part {
        id: format!("answers-{}", record.cell.id),
        title: cell_name(results, record),
        body: html! { @for one in &record.answers { (answer(one)) } },
    });
    Section::of_parts("answers", "Generated answers", ABOUT, parts)
}

fn answer(answer: &AnswerInfo) -> Markup {
    let generated = |text: &Generated| match (text.text.trim(), text.ended) {
        ("", true) => "(nothing)".to_owned(),
        (own, true) => own.to_owned(),
        (own, false) => format!("{own} …"),
    };
    let texts = [
        (format!("Query {}", answer.query), answer.prompt.clone()),
        ("In the data".to_owned(), answer.expected.clone()),
        ("Before".to_owned(), generated(&answer.before)),
        ("After".to_owned(), generated(&answer.after)),
    ];
    html! {
        dl.answer { @for (what, text) in texts { dt { (what) } dd.tokens { (clean(text.trim())) } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn answers_of_a_fine_tune_are_shown_once() {
        let mut records = synthetic::glue();
        let text = |text: &str, ended| Generated {
            text: text.to_owned(),
            ended,
        };
        for record in &mut records {
            record.answers = vec![AnswerInfo {
                query: 4,
                prompt: "Reverse <i>: a b ->".to_owned(),
                expected: "b a".to_owned(),
                before: text(" I am", false),
                after: text(" b a", true),
            }];
        }
        let one = section(&ResultSet::new(&records));
        let html = &one.body.0;
        assert_eq!(html.matches("<section").count(), 1);
        for part in [
            "<dt>Query 4</dt>",
            ">Reverse &lt;i&gt;: a b -&gt;</dd>",
            ">I am …</dd>",
            "<dt>After</dt><dd class=\"tokens\">b a</dd>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        records[0].answers[0].after.text = "c".to_owned();
        let two = section(&ResultSet::new(&records)).body.0;
        assert_eq!(two.matches("<section").count(), 2);
        records.iter_mut().for_each(|record| record.answers.clear());
        assert!(section(&ResultSet::new(&records)).body.0.is_empty());
    }
}
