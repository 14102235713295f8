//! Which model a GGUF file holds, and its heads.

use super::error::GgufError;
use super::metadata::Metadata;
use crate::input::or_meant;

/// Architectures that are read. Mistral is "llama" in llama.cpp.
const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// The architecture of a file.
pub(super) fn architecture(metadata: &Metadata) -> Result<&'static str, GgufError> {
    const KEY: &str = "general.architecture";
    const TYPE: &str = "general.type";
    if metadata.text(TYPE)?.is_some_and(|kind| kind != "model") {
        return Err(metadata.unsupported(TYPE, "\"model\""));
    }
    let found = metadata.text(KEY)?.ok_or_else(|| metadata.missing(KEY))?;
    let known = ARCHITECTURES.into_iter().find(|known| *known == found);
    known.ok_or_else(|| {
        let allowed = ARCHITECTURES.map(|name| format!("\"{name}\"")).join(", ");
        metadata.unsupported(KEY, allowed + &or_meant(found, &ARCHITECTURES))
    })
}

/// Numbers that every part of the file has to agree on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heads {
    pub query: usize,
    pub key: usize,
    pub size: usize,
}

/// The heads that a file names.
pub(super) fn heads(metadata: &Metadata, architecture: &str) -> Result<Heads, GgufError> {
    let key = |name: &str| format!("{architecture}.attention.{name}");
    let width = required(metadata, &format!("{architecture}.embedding_length"))?;
    let (query_key, kv_key) = (key("head_count"), key("head_count_kv"));
    let query = required(metadata, &query_key)?;
    let kv = metadata.same_size(&kv_key)?.map_or(query, |kv| kv as usize);
    if kv == 0 || query % kv != 0 {
        return Err(metadata.unsupported(&kv_key, format!("a divisor of {query}, the heads")));
    }
    let size_key = key("key_length");
    let size = match metadata.size(&size_key)? {
        Some(size) => size as usize,
        None if width % query == 0 => width / query,
        None => {
            let allowed = format!("a divisor of {width}, the width");
            return Err(metadata.unsupported(&query_key, allowed));
        }
    };
    if size == 0 || size % 2 != 0 {
        return Err(metadata.unsupported(&size_key, "an even number"));
    }
    Ok(Heads {
        query,
        key: kv,
        size,
    })
}

/// A size that has to be there and is not 0.
pub(super) fn required(metadata: &Metadata, key: &str) -> Result<usize, GgufError> {
    match metadata.same_size(key)? {
        Some(0) => Err(metadata.unsupported(key, "a whole number from 1 on")),
        Some(size) => Ok(size as usize),
        None => Err(metadata.missing(key)),
    }
}
