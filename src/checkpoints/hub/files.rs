//! Which files of a model are needed: of a checkpoint, or of a diffusion pipeline with its parts in folders.

use std::path::Path;

use serde_json::Value;

use crate::checkpoints::layout::{
    CONFIG_FILE, PIPELINE_FILE, PIPELINE_STEM, SCHEDULER, SCHEDULER_FILE, TEXT_ENCODER, TOKENIZER,
    TOKENIZER_SETTINGS, TOKENIZERS, UNET, VAE,
};

/// How much of a checkpoint is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its settings and tokenizer.
    Description,
    /// The weights, too.
    Whole,
}

/// How the name of a list of shards ends.
const INDEX: &str = ".safetensors.index.json";

/// The ways to the weights whose names begin with `stem`: in one file, in shards, and in half precision where that is all
/// there is.
fn weights(stem: &str) -> [Vec<String>; 3] {
    [".safetensors", INDEX, ".fp16.safetensors"].map(|ending| vec![format!("{stem}{ending}")])
}

/// The ways to a tokenizer in `folder`, which is empty or ends with a slash.
fn tokenizers(folder: &str) -> [Vec<String>; 3] {
    TOKENIZERS.map(|names| names.iter().map(|name| format!("{folder}{name}")).collect())
}

/// The first of the ways of which all files are there; where there is none, the first of all.
fn first(ways: [Vec<String>; 3], has: &dyn Fn(&str) -> bool) -> Vec<String> {
    let complete = |names: &&Vec<String>| names.iter().all(|name| has(name));
    ways.iter().find(complete).unwrap_or(&ways[0]).clone()
}

/// The files that `part` needs, apart from the shards that an index names; `has` tells which files there are.
pub(super) fn needed(part: Part, has: &dyn Fn(&str) -> bool) -> Vec<String> {
    let (mut names, tokenizer, stems) = if has(PIPELINE_FILE) {
        let settings = [UNET, VAE, TEXT_ENCODER].map(|folder| format!("{folder}/{CONFIG_FILE}"));
        let scheduler = format!("{SCHEDULER}/{SCHEDULER_FILE}");
        let names = [PIPELINE_FILE.to_owned(), scheduler].into_iter();
        let stems = [
            format!("{UNET}/{PIPELINE_STEM}"),
            format!("{VAE}/{PIPELINE_STEM}"),
            format!("{TEXT_ENCODER}/model"),
        ];
        let tokenizer = tokenizers(&format!("{TOKENIZER}/"));
        (names.chain(settings).collect(), tokenizer, stems.to_vec())
    } else {
        let stems = vec!["model".to_owned()];
        (vec![CONFIG_FILE.to_owned()], tokenizers(""), stems)
    };
    names.extend(first(tokenizer, has));
    if part == Part::Whole {
        let stems = stems.iter();
        names.extend(stems.flat_map(|stem| first(weights(stem), has)));
    }
    names
}

/// Files that change a tokenizer, where there are any.
pub(super) fn settings(has: &dyn Fn(&str) -> bool) -> [String; 4] {
    let folder = if has(PIPELINE_FILE) {
        format!("{TOKENIZER}/")
    } else {
        String::new()
    };
    TOKENIZER_SETTINGS.map(|name| format!("{folder}{name}"))
}

/// The files of `part` that a snapshot lacks. Of shards, those that the index names; a broken index names none.
pub(super) fn missing(folder: &Path, part: Part) -> Vec<String> {
    // an empty file is there, and missing
    let mut names = needed(part, &|name| folder.join(name).exists());
    let shards: Vec<String> = names.iter().flat_map(|name| shards(folder, name)).collect();
    names.extend(shards);
    names.retain(|name| !is_there(&folder.join(name)));
    names
}

/// The files that a list of shards names; none of another file.
fn shards(folder: &Path, name: &str) -> Vec<String> {
    let Some(stem) = name.strip_suffix(INDEX) else {
        return Vec::new();
    };
    let beside = stem.rfind('/').map_or("", |slash| &stem[..=slash]);
    let bytes = std::fs::read(folder.join(name)).unwrap_or_default();
    let index: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let files = index["weight_map"].as_object().into_iter().flatten();
    let files = files.filter_map(|(_, file)| file.as_str());
    let mut files: Vec<String> = files.map(|file| format!("{beside}{file}")).collect();
    files.sort();
    files.dedup();
    files
}

/// Whether a file of the cache is there, and not empty as a full disk or a crash leaves it.
pub(super) fn is_there(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.len() > 0)
}
