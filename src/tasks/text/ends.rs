//! Which tokens end a text that a checkpoint generates.

use std::path::Path;

use super::{CausalTokenizer, TokenizerError};
use crate::checkpoints::{Fields, gguf};

/// Settings of generation in a checkpoint's folder.
const GENERATION_FILE: &str = "generation_config.json";

/// The tokens that end a text: those of generation_config.json, else of config.json, else the tokenizer's.
///
/// # Errors
/// Files that cannot be read, or name something else than ids.
pub fn ends_of_texts(
    folder: &Path,
    tokenizer: &CausalTokenizer,
) -> Result<Vec<u32>, TokenizerError> {
    const FIELD: &str = "eos_token_id";
    let mut places = Vec::new();
    if !gguf::is_gguf(folder) {
        places.push(Fields::read_if_there(&folder.join(GENERATION_FILE))?);
    }
    places.push(Fields::of_model(folder)?);
    for fields in places {
        let Some(value) = fields.get(FIELD) else {
            continue;
        };
        let id = |value: &serde_json::Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let found: Option<Vec<u32>> = match value {
            serde_json::Value::Array(values) => values.iter().map(id).collect(),
            one => id(one).map(|id| vec![id]),
        };
        let wrong = || fields.unsupported(FIELD, value, "an id, or a list of ids");
        return Ok(found.ok_or_else(wrong)?);
    }
    Ok(vec![tokenizer.eos().1])
}
