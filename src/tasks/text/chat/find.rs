//! Where a checkpoint's chat template is.

use std::path::{Path, PathBuf};

use crate::checkpoints::layout::{
    CHAT_TEMPLATE_FILE, CHAT_TEMPLATES_FOLDER, TOKENIZER_CONFIG_FILE,
};
use crate::checkpoints::{Fields, gguf};
use crate::input;
use crate::tasks::text::error::TokenizerError;

/// Name of the template that is used.
pub(super) const DEFAULT: &str = "default";

/// Field of the tokenizer's settings.
const FIELD: &str = "chat_template";

/// The template's text, and the file that it stands in.
pub(super) fn find(folder: &Path, settings: &Fields) -> Result<(PathBuf, String), TokenizerError> {
    let path = folder.join(CHAT_TEMPLATE_FILE);
    if path.is_file() {
        return Ok((path.clone(), input::text(&path)?));
    }
    let from = if gguf::is_gguf(folder) {
        folder.to_owned()
    } else {
        folder.join(TOKENIZER_CONFIG_FILE)
    };
    let others = std::fs::read_dir(folder.join(CHAT_TEMPLATES_FOLDER));
    let none = |names: &[String]| TokenizerError::File {
        path: folder.to_owned(),
        reason: if names.is_empty() {
            format!(
                "the model has no chat template: neither {CHAT_TEMPLATE_FILE} nor `{FIELD}` in {TOKENIZER_CONFIG_FILE}"
            )
        } else {
            format!(
                "the model has several chat templates, but none with the name `{DEFAULT}`: {}",
                input::listed(names)
            )
        },
    };
    if let Ok(others) = others {
        // these replace what the settings say
        let names = others.flatten().map(|entry| entry.path());
        let names: Vec<String> = names
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "jinja")
            })
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        if !names.is_empty() {
            return Err(none(&names));
        }
    }
    let Some(value) = settings.get(FIELD) else {
        return Err(none(&[]));
    };
    if let Some(source) = value.as_str() {
        return Ok((from, source.to_owned()));
    }
    let named = |value: &serde_json::Value| {
        let text = |field: &str| value.get(field)?.as_str().map(str::to_owned);
        Some((text("name")?, text("template")?))
    };
    let all: Option<Vec<(String, String)>> = value
        .as_array()
        .and_then(|list| list.iter().map(named).collect());
    let all = all.ok_or_else(|| {
        let allowed = "a template, or a list of objects with `name` and `template`";
        settings.unsupported(FIELD, value, allowed)
    })?;
    let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let default = all.into_iter().find(|(name, _)| name == DEFAULT);
    default
        .map(|(_, source)| (from, source))
        .ok_or_else(|| none(&names))
}
