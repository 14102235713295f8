//! A GGUF file written as a folder of Hugging Face.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{Gguf, GgufError};
use crate::atomic::{self, AtomicFile};
use crate::checkpoints::finite;
use crate::checkpoints::layout::{
    CONFIG_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE,
};

/// The type of the numbers that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NumberType {
    /// bfloat16, rounded to nearest, ties to even
    #[default]
    Bf16,
    /// float32: the numbers of the file
    F32,
}

impl NumberType {
    /// In safetensors, in config.json, and in bytes.
    fn described(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::Bf16 => ("BF16", "bfloat16", 2),
            Self::F32 => ("F32", "float32", 4),
        }
    }
}

/// Why a folder cannot be written.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The file.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A tensor that no model can compute with.
    #[error("{path}: tensor `{name}` {problem}")]
    NotFinite {
        /// The GGUF file.
        path: PathBuf,
        /// The tensor, by Hugging Face's name.
        name: String,
        /// What it holds, and where.
        problem: String,
    },
    /// The file system refused.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Gguf {
    /// Writes config.json, model.safetensors and, where the file has a tokenizer, tokenizer.json and
    /// tokenizer_config.json to `folder`, which is made when it is not there; files of these names are replaced. One
    /// tensor is in memory at a time. Gives the paths of the files.
    ///
    /// # Errors
    /// What the file lacks, numbers that are not finite, or a refusal of the file system; each file is then whole or not
    /// there, and nothing is written beside weights that are not.
    pub fn write_folder(
        &self,
        folder: &Path,
        numbers: NumberType,
    ) -> Result<Vec<PathBuf>, FolderError> {
        // everything is read before anything is written
        let mut config = self.config()?;
        let tokenizer = self.tokenizer()?;
        config.insert("torch_dtype".into(), numbers.described().1.into());
        let mut files = vec![(CONFIG_FILE, config.into())];
        if let Some(tokenizer) = tokenizer {
            files.push((TOKENIZER_FILE, tokenizer.tokenizer));
            files.push((TOKENIZER_CONFIG_FILE, tokenizer.settings.into()));
        }
        let weights = folder.join(WEIGHTS_FILE);
        self.write_weights(&weights, numbers)?;
        let mut written = Vec::new();
        for (name, value) in files {
            let path = folder.join(name);
            let text: Value = value;
            atomic::write(&path, format!("{text:#}\n").as_bytes())
                .map_err(|error| failed(&path, error))?;
            written.push(path);
        }
        written.push(weights);
        Ok(written)
    }

    /// A safetensors file of all tensors, sorted by name.
    fn write_weights(&self, path: &Path, numbers: NumberType) -> Result<(), FolderError> {
        let failed = |error| failed(path, error);
        let (dtype, _, bytes) = numbers.described();
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!({"format": "pt"}));
        let mut start = 0;
        for (name, shape, _) in self.tensors() {
            let end = start + bytes * shape.iter().product::<usize>();
            let described = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
            header.insert(name.to_owned(), described);
            start = end;
        }
        let mut header = Value::from(header).to_string().into_bytes();
        // what follows is aligned
        header.resize(header.len().next_multiple_of(8), b' ');
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let mut file = folder
            .and_then(|()| AtomicFile::create(path))
            .map_err(failed)?;
        let mut out = BufWriter::new(file.file());
        out.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| out.write_all(&header))
            .map_err(failed)?;
        for (name, shape, _) in self.tensors() {
            let values = self.values(name).unwrap_or_default();
            finite::check(&values, shape).map_err(|problem| FolderError::NotFinite {
                path: self.path().to_owned(),
                name: name.to_owned(),
                problem,
            })?;
            let mut write = |value: &f32| match numbers {
                NumberType::Bf16 => out.write_all(&bf16::from_f32(*value).to_le_bytes()),
                NumberType::F32 => out.write_all(&value.to_le_bytes()),
            };
            values.iter().try_for_each(&mut write).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        drop(out);
        file.commit().map_err(failed)
    }
}

fn failed(path: &Path, error: io::Error) -> FolderError {
    FolderError::Write {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
