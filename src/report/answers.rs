//! What a language model answers to some queries, before and after its fine-tune.

use super::page::{Section, escape};
use super::study::{Study, cell_name};
use crate::results::record::{AnswerFacts, Generated, Record};

/// The answers of `outputs.answers`, a part per fine-tune: of the seeds of a setting the first, and of settings with the
/// same answers (they share the fine-tune) the first. Empty when there are none.
pub fn section(study: &Study) -> Section {
    let mut shown: Vec<&Record> = Vec::new();
    for group in &study.groups {
        let Some(record) = group.records.iter().find(|r| !r.answers.is_empty()) else {
            continue;
        };
        if shown.iter().all(|other| other.answers != record.answers) {
            shown.push(record);
        }
    }
    let html: String = shown.iter().map(|record| cell(study, record)).collect();
    let parts = shown
        .iter()
        .map(|record| (id(record), cell_name(study, record)));
    let about = "<p class=\"how\">What the model answers to the first queries, always by the most likely next token, before and after \
                 the fine-tune, beside the answer in the data. One seed per setting. Cut off after 48 tokens: …</p>\n";
    Section {
        id: "answers".to_owned(),
        title: "Generated answers".to_owned(),
        parts: parts.collect(),
        html: match html.is_empty() {
            true => html,
            false => format!("{about}{html}"),
        },
    }
}

fn id(record: &Record) -> String {
    format!("answers-{}", record.cell.id)
}

fn cell(study: &Study, record: &Record) -> String {
    let answers: String = record.answers.iter().map(answer).collect();
    format!(
        "<section id=\"{}\"><h3>{}</h3>\n{answers}</section>\n",
        id(record),
        escape(&cell_name(study, record))
    )
}

fn answer(answer: &AnswerFacts) -> String {
    let row = |what: &str, text: &str| {
        format!(
            "<dt>{what}</dt><dd class=\"tokens\">{}</dd>\n",
            escape(text.trim())
        )
    };
    let generated = |text: &Generated| match (text.text.trim(), text.ended) {
        ("", true) => "(nothing)".to_owned(),
        (own, true) => own.to_owned(),
        (own, false) => format!("{own} …"),
    };
    format!(
        "<dl class=\"answer\">\n{}{}{}{}</dl>\n",
        row(&format!("Query {}", answer.query), &answer.prompt),
        row("In the data", &answer.expected),
        row("Before", &generated(&answer.before)),
        row("After", &generated(&answer.after)),
    )
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
            record.answers = vec![AnswerFacts {
                query: 4,
                prompt: "Reverse <i>: a b ->".to_owned(),
                expected: "b a".to_owned(),
                before: text(" I am", false),
                after: text(" b a", true),
            }];
        }
        let one = section(&Study::new(&records));
        assert_eq!(one.parts.len(), 1);
        let html = &one.html;
        assert!(html.contains("<dt>Query 4</dt>"), "{html}");
        assert!(
            html.contains(">Reverse &lt;i&gt;: a b -&gt;</dd>"),
            "{html}"
        );
        assert!(html.contains(">I am …</dd>"), "{html}");
        assert!(
            html.contains("<dt>After</dt><dd class=\"tokens\">b a</dd>"),
            "{html}"
        );
        records[0].answers[0].after.text = "c".to_owned();
        assert_eq!(section(&Study::new(&records)).parts.len(), 2);
        records.iter_mut().for_each(|record| record.answers.clear());
        assert!(section(&Study::new(&records)).html.is_empty());
    }
}
