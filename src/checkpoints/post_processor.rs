//! BOS before a text and EOS after it, as tokenizer.json writes it.

use serde_json::{Map, Value, json};

/// A special token and its id.
pub type SpecialToken<'a> = (&'a str, u64);

/// `post_processor` of tokenizer.json that puts `begin` before every text and `end` after it; null for neither.
pub fn begin_and_end(begin: Option<SpecialToken<'_>>, end: Option<SpecialToken<'_>>) -> Value {
    if begin.is_none() && end.is_none() {
        return Value::Null;
    }
    let around = |text: &str, kind: u32| -> Vec<Value> {
        let token = |special: Option<SpecialToken<'_>>| {
            special.map(|(token, _)| json!({"SpecialToken": {"id": token, "type_id": kind}}))
        };
        let text = json!({"Sequence": {"id": text, "type_id": kind}});
        let all = [token(begin), Some(text), token(end)];
        all.into_iter().flatten().collect()
    };
    let pair = [around("A", 0), around("B", 1)].concat();
    let special: Map<String, Value> = [begin, end]
        .into_iter()
        .flatten()
        .map(|(token, id)| {
            let described = json!({"id": token, "ids": [id], "tokens": [token]});
            (token.to_owned(), described)
        })
        .collect();
    json!({
        "type": "TemplateProcessing", "single": around("A", 0), "pair": pair,
        "special_tokens": special,
    })
}
