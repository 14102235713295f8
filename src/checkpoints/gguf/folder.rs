//! A GGUF file written as a folder of Hugging Face.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{Gguf, GgufError};
use crate::atomic::{self, AtomicFile};
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
    /// What the file lacks, or a refusal of the file system; each file is then whole or not there.
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
        let mut written = Vec::new();
        let failed = |path: &Path, error: io::Error| FolderError::Write {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        for (name, value) in files {
            let path = folder.join(name);
            let text: Value = value;
            atomic::write(&path, format!("{text:#}\n").as_bytes())
                .map_err(|error| failed(&path, error))?;
            written.push(path);
        }
        let path = folder.join(WEIGHTS_FILE);
        self.write_weights(&path, numbers)
            .map_err(|error| failed(&path, error))?;
        written.push(path);
        Ok(written)
    }

    /// A safetensors file of all tensors, sorted by name.
    fn write_weights(&self, path: &Path, numbers: NumberType) -> io::Result<()> {
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
        let mut file = AtomicFile::create(path)?;
        let mut out = BufWriter::new(file.file());
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (name, ..) in self.tensors() {
            for value in self.values(name).unwrap_or_default() {
                match numbers {
                    NumberType::Bf16 => out.write_all(&bf16::from_f32(value).to_le_bytes())?,
                    NumberType::F32 => out.write_all(&value.to_le_bytes())?,
                }
            }
        }
        out.flush()?;
        drop(out);
        file.commit()
    }
}
