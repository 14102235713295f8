//! Training examples as text, coloured by what each token adds to a score.

use super::number;
use super::page::{Section, escape};
use super::study::{Study, cell_name};
use crate::results::record::{ExampleByToken, Extreme, MethodByToken, Record};

/// The examples that `outputs.tokens` asked for; empty when there are none.
pub fn section(study: &Study) -> Section {
    let cells = study
        .records
        .iter()
        .filter(|record| !record.by_token.is_empty());
    let about = "<p class=\"how\">For the first queries the training example that helps most and the one that harms most, by the method \
                 named. A token's colour is what it adds to the example's score: the stronger, the more, over the largest of the \
                 example; <span class=\"good\">helpful</span> (negative) or <span class=\"bad\">harmful</span> (positive). The numbers add up \
                 to the score. Only tokens that the loss predicts are shown.</p>\n";
    let html: String = cells.map(|record| cell(study, record)).collect();
    Section {
        id: "tokens".to_owned(),
        title: "Influence by token".to_owned(),
        parts: Vec::new(),
        html: match html.is_empty() {
            true => html,
            false => format!("{about}{html}"),
        },
    }
}

fn id(record: &Record) -> String {
    format!("tokens-{}", record.cell.id)
}

fn cell(study: &Study, record: &Record) -> String {
    let examples = record.by_token.iter().map(|one| example(study, one));
    let examples: String = examples.collect();
    format!(
        "<section id=\"{}\"><h3>{}</h3>\n{examples}</section>\n",
        id(record),
        escape(&cell_name(study, record)),
    )
}

fn example(study: &Study, example: &ExampleByToken) -> String {
    let extreme = match example.extreme {
        Extreme::MostHelpful => "helps",
        Extreme::MostHarmful => "harms",
    };
    let own = example
        .methods
        .iter()
        .position(|method| method.label == example.by);
    let first = own.unwrap_or(0);
    let rest: String = (0..example.methods.len())
        .filter(|&k| k != first)
        .map(|k| text(study, example, &example.methods[k]))
        .collect();
    let shown = example
        .methods
        .get(first)
        .map(|method| text(study, example, method));
    let rest = match rest.is_empty() {
        true => rest,
        false => format!("<details><summary>Other methods</summary>{rest}</details>\n"),
    };
    format!(
        "<div class=\"by-token\"><p>Query {}: training example {} {extreme} most by {}.</p>\n{}{}{}{rest}</div>\n",
        example.query,
        example.example,
        escape(&study.palette.style(&example.by).name),
        quoted("Query", &example.asked),
        quoted("Example, before its predicted tokens", &example.given),
        shown.unwrap_or_default()
    )
}

/// A text with what it is; nothing of an empty one.
fn quoted(what: &str, text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!(
            "<p class=\"tokens\"><b>{what}:</b> {}</p>\n",
            escape(text.trim())
        ),
    }
}

/// The tokens in colours, with their scores to be read on hovering.
fn text(study: &Study, example: &ExampleByToken, method: &MethodByToken) -> String {
    let sizes = method.scores.iter().map(|score| score.abs());
    let largest = sizes
        .filter(|size| size.is_finite())
        .fold(f64::MIN_POSITIVE, f64::max);
    let tokens = example.tokens.iter().zip(&method.scores);
    let spans: String = tokens
        .map(|(token, &score)| {
            let reads = token.text.clone().unwrap_or_else(|| format!("#{} ", token.token));
            let colour = if score < 0.0 { "good" } else { "bad" };
            let percent = match score.is_finite() {
                true => (50.0 * score.abs() / largest).round(),
                false => 0.0,
            };
            format!(
                "<span title=\"{score:.3e}\" style=\"background:color-mix(in srgb,var(--{colour}) {percent}%,transparent)\">{}</span>",
                escape(&reads)
            )
        })
        .collect();
    let total: f64 = method.scores.iter().sum();
    format!(
        "<p class=\"tokens\"><b>{}</b> {}: {spans}</p>\n",
        escape(&study.palette.style(&method.label).name),
        number::significant(total, 3)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::results::record::TokenFacts;

    fn token(position: u32, text: Option<&str>) -> TokenFacts {
        TokenFacts {
            position,
            token: 40 + position,
            text: text.map(str::to_owned),
        }
    }

    #[test]
    fn tokens_are_coloured_by_the_sign_and_size_of_their_scores() {
        let mut records = synthetic::glue();
        records.truncate(1);
        let method = |label: &str, scores: &[f64]| MethodByToken {
            label: label.to_owned(),
            scores: scores.into(),
        };
        records[0].by_token = vec![ExampleByToken {
            query: 2,
            example: 17,
            extreme: Extreme::MostHelpful,
            by: "datainf".to_owned(),
            asked: "what is <b>?".to_owned(),
            given: String::new(),
            tokens: vec![token(3, Some(" a<b")), token(4, None), token(5, Some("!"))],
            methods: vec![
                method("exact", &[0.0, 1.0, 2.0]),
                method("datainf", &[-4.0, 1.0, f64::NAN]),
            ],
        }];
        let html = section(&Study::new(&records)).html;
        assert!(
            html.contains("Query 2: training example 17 helps most by DataInf."),
            "{html}"
        );
        assert!(
            html.contains("var(--good) 50%,transparent)\"> a&lt;b</span>"),
            "{html}"
        );
        assert!(
            html.contains("<b>Query:</b> what is &lt;b&gt;?</p>"),
            "{html}"
        );
        assert!(!html.contains("before its predicted"), "{html}");
        // a quarter of the largest; without a text the id
        assert!(
            html.contains("var(--bad) 13%,transparent)\">#44 </span>"),
            "{html}"
        );
        assert!(
            html.contains("var(--bad) 0%,transparent)\">!</span>"),
            "{html}"
        );
        let [first, second] = ["<b>DataInf</b>", "<b>Exact</b> 3.00"].map(|t| html.find(t));
        assert!(first < second && first.is_some(), "{html}");
        records[0].by_token.clear();
        assert!(section(&Study::new(&records)).html.is_empty());
    }
}
