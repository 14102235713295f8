//! Training examples as text, coloured by what each token adds to a score.

use maud::{Markup, html};

use super::markup::clean;
use super::section::{Part, Section};
use crate::report::data::{ResultSet, cell_name};
use crate::report::number;
use crate::results::record::{ExampleByToken, Extreme, MethodByToken};

/// The examples that `outputs.tokens` asked for; empty when there are none.
pub fn section(results: &ResultSet) -> Section {
    let mut cells = results.records.clone();
    cells.retain(|record| !record.by_token.is_empty());
    let parts = cells.into_iter().map(|record| Part {
        id: format!("tokens-{}", record.cell.id),
        title: cell_name(results, record),
        body: html! { @for one in &record.by_token { (example(results, one)) } },
    });
    let about = "For the first queries the training example that helps most and the one that harms most, by the method \
                 named. A token's colour is what it adds to the example's score: the stronger, the more, over the largest of the \
                 example; green is helpful (negative), red harmful (positive). The numbers add up to the score. Only tokens that the \
                 loss predicts are shown.";
    Section::of_parts("tokens", "Influence by token", about, parts)
}

fn example(results: &ResultSet, example: &ExampleByToken) -> Markup {
    let extreme = match example.extreme {
        Extreme::MostHelpful => "helps",
        Extreme::MostHarmful => "harms",
    };
    let mut methods: Vec<&MethodByToken> = example.methods.iter().collect();
    methods.sort_by_key(|method| method.label != example.by);
    let (first, rest) = methods.split_at(methods.len().min(1));
    let show = |methods: &[&MethodByToken]| {
        html! { @for method in methods { (tokens(results, example, method)) } }
    };
    html! {
        div.by-token {
            p {
                "Query " (example.query) ": training example " (example.example) " " (extreme) " most by "
                (results.palette.name(&example.by)) "."
            }
            (quoted("Query", &example.asked))
            (quoted("Example, before its predicted tokens", &example.given))
            (show(first))
            @if !rest.is_empty() { details { summary { "Other methods" } (show(rest)) } }
        }
    }
}

/// A text with what it is; nothing of an empty one.
fn quoted(what: &str, text: &str) -> Markup {
    html! { @if !text.is_empty() { p.tokens { b { (what) ":" } " " (clean(text.trim())) } } }
}

/// The tokens in colours, with their scores to be read on hovering.
fn tokens(results: &ResultSet, example: &ExampleByToken, method: &MethodByToken) -> Markup {
    let sizes = method.scores.iter().map(|score| score.abs());
    let sizes = sizes.filter(|size| size.is_finite());
    let largest = sizes.fold(f64::MIN_POSITIVE, f64::max);
    let colour = |score: f64| {
        let colour = if score < 0.0 { "good" } else { "bad" };
        let percent = (50.0 * score.abs() / largest).round();
        let percent = if score.is_finite() { percent } else { 0.0 };
        format!("background:color-mix(in srgb,var(--{colour}) {percent}%,transparent)")
    };
    html! {
        p.tokens {
            b { (results.palette.name(&method.label)) } " "
            (number::significant(method.scores.iter().sum(), 3)) ": "
            @for (token, &score) in example.tokens.iter().zip(&method.scores) {
                span title=(format!("{score:.3e}")) style=(colour(score)) {
                    @match &token.text { Some(text) => (clean(text)), None => { "#" (token.token) " " } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::results::record::TokenInfo;

    fn token(position: u32, text: Option<&str>) -> TokenInfo {
        TokenInfo {
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
        let html = section(&ResultSet::new(&records)).body.0;
        for part in [
            "Query 2: training example 17 helps most by DataInf.",
            "var(--good) 50%,transparent)\"> a&lt;b</span>",
            "<b>Query:</b> what is &lt;b&gt;?</p>",
            // a quarter of the largest; without a text the id
            "var(--bad) 13%,transparent)\">#44 </span>",
            "var(--bad) 0%,transparent)\">!</span>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("before its predicted"), "{html}");
        let [first, second] = ["<b>DataInf</b>", "<b>Exact</b> 3.00"].map(|t| html.find(t));
        assert!(first < second && first.is_some(), "{html}");
        records[0].by_token.clear();
        assert!(section(&ResultSet::new(&records)).body.0.is_empty());
    }
}
