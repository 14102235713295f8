//! Names of the files in a checkpoint's folder, as Hugging Face's tools give them.

use std::path::Path;

/// Name of the file in a checkpoint's folder.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the tokenizer's file in a checkpoint's folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Settings that override the tokenizer's file.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The chat template, in checkpoints that do not have it in the settings of their tokenizer.
pub const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";
/// Folder of further chat templates, each by its name with the ending `.jinja`.
pub const CHAT_TEMPLATES_FOLDER: &str = "additional_chat_templates";
/// Special tokens, in checkpoints whose settings do not have them.
pub const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
/// Ids of tokens added to the vocabulary, in older checkpoints.
pub const ADDED_TOKENS_FILE: &str = "added_tokens.json";
/// The vocabulary of WordPiece, a token a line.
pub const WORD_PIECE_FILE: &str = "vocab.txt";
/// The vocabulary of byte-level BPE and its merges.
pub const BPE_FILES: [&str; 2] = ["vocab.json", "merges.txt"];
/// What a tokenizer can be made of: any of these, the first that is there.
pub const TOKENIZERS: [&[&str]; 3] = [&[TOKENIZER_FILE], &[WORD_PIECE_FILE], &BPE_FILES];
/// Files that change a tokenizer, or what it is given, when they are there.
pub const TOKENIZER_SETTINGS: [&str; 4] = [
    TOKENIZER_CONFIG_FILE,
    CHAT_TEMPLATE_FILE,
    SPECIAL_TOKENS_FILE,
    ADDED_TOKENS_FILE,
];
/// Name of the weights in a checkpoint's folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Name of the list of files of weights in shards.
pub const SHARDS_FILE: &str = "model.safetensors.index.json";

/// The list of the parts of a diffusion pipeline, in diffusers' layout.
pub const PIPELINE_FILE: &str = "model_index.json";
/// Folders of the parts of a pipeline.
pub const UNET: &str = "unet";
/// See [`UNET`].
pub const VAE: &str = "vae";
/// See [`UNET`].
pub const TEXT_ENCODER: &str = "text_encoder";
/// See [`UNET`].
pub const TOKENIZER: &str = "tokenizer";
/// See [`UNET`].
pub const SCHEDULER: &str = "scheduler";
/// Start of the names of the weights of UNet and autoencoder.
pub const PIPELINE_STEM: &str = "diffusion_pytorch_model";
/// Name of the file in the scheduler's folder.
pub const SCHEDULER_FILE: &str = "scheduler_config.json";

/// How the name of a file in llama.cpp's format ends.
pub const GGUF: &str = "gguf";

/// Whether `path` is the name of a GGUF file.
pub fn is_gguf(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && extension.is_some_and(|found| found.eq_ignore_ascii_case(GGUF))
}

/// Whether a folder holds the files of a tokenizer; a GGUF file has its own.
pub fn has_tokenizer(folder: &Path) -> bool {
    if is_gguf(folder) {
        return true;
    }
    let whole = |names: &[&str]| names.iter().all(|name| folder.join(name).is_file());
    TOKENIZERS.iter().any(|names| whole(names))
}
