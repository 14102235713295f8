//! Weights of one part of a pipeline: one or several safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use memmap2::Mmap;
use safetensors::SafeTensors;
use thiserror::Error;

use crate::models::files;
use crate::models::parameter::Parameter;

/// Why weights cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WeightsError {
    /// All.
    #[error("{path}: {reason}")]
    Any {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// See the [module](self).
pub struct Files {
    path: PathBuf,
    map: Mmap,
    known_as: fn(&str) -> String,
}

impl Files {
    /// Opens.
    ///
    /// # Errors
    /// When not.
    pub fn open(
        folder: &Path,
        stem: &str,
        known_as: fn(&str) -> String,
    ) -> Result<Self, WeightsError> {
        let path = folder.join(format!("{stem}.safetensors"));
        let any = |e: std::io::Error| WeightsError::Any {
            path: path.clone(),
            reason: e.to_string(),
        };
        let file = std::fs::File::open(&path).map_err(any)?;
        // SAFETY: read only.
        let map = unsafe { Mmap::map(&file) }.map_err(any)?;
        Ok(Self {
            path,
            map,
            known_as,
        })
    }

    /// Loads.
    ///
    /// # Errors
    /// When not.
    pub fn load(&self, parameters: Vec<Parameter>, device: &Device) -> Result<(), WeightsError> {
        let any = |reason: String| WeightsError::Any {
            path: self.path.clone(),
            reason,
        };
        let file = SafeTensors::deserialize(&self.map).map_err(|e| any(e.to_string()))?;
        let views: BTreeMap<String, _> = file
            .iter()
            .map(|(name, view)| ((self.known_as)(name), view))
            .collect();
        for mut parameter in parameters {
            let view = views
                .get(&parameter.name)
                .ok_or_else(|| any(format!("lacks {}", parameter.name)))?;
            if view.shape() != parameter.slot.shape() {
                return Err(any(format!("shape of {}", parameter.name)));
            }
            let append = files::reader(view.dtype()).ok_or_else(|| any("type".into()))?;
            let mut values = Vec::new();
            append(view.data(), &mut values);
            parameter.slot.set(&values, device);
        }
        Ok(())
    }
}
