//! A pipeline in the folders of diffusers: `unet/`, `vae/`, `text_encoder/` and `scheduler/`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::error::PipelineError;
use super::parts::Parts;
use super::{
    ClipText, ClipTextConfig, Schedule, Unet, UnetConfig, Vae, VaeConfig, cost, vae_config,
};
use crate::checkpoints::layout::{
    PIPELINE_FILE, PIPELINE_STEM, SCHEDULER, TEXT_ENCODER, UNET, VAE,
};
use crate::checkpoints::shards::{Naming, Shards};
use crate::models::batch::InputShape;
use crate::models::error::ModelError;
use crate::models::load;
use crate::models::model::Model;

/// Names of a UNet's weights.
const UNET_NAMING: Naming = Naming {
    stem: PIPELINE_STEM,
    prefix: "",
    today: str::to_owned,
};
/// Names of an autoencoder's weights.
const VAE_NAMING: Naming = Naming {
    stem: PIPELINE_STEM,
    prefix: "",
    today: vae_config::today,
};
/// Names of a text encoder's weights.
const TEXT_NAMING: Naming = Naming {
    stem: "model",
    prefix: "text_model",
    today: str::to_owned,
};

/// What carries an adapter unless settings say otherwise: the matrices of all attentions, as in the paper's code and in
/// diffusers' training scripts.
pub const ATTENTION: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];

/// Whether a folder holds a diffusion pipeline, whole or in part, and not another checkpoint.
pub fn is_pipeline(folder: &Path) -> bool {
    folder.join(UNET).is_dir() || folder.join(PIPELINE_FILE).is_file()
}

/// Settings of all parts of a pipeline, which fit each other.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineConfig {
    folder: PathBuf,
    /// The UNet's.
    pub unet: UnetConfig,
    /// The autoencoder's.
    pub vae: VaeConfig,
    /// The text encoder's.
    pub text: ClipTextConfig,
    /// The noise schedule.
    pub schedule: Schedule,
}

impl Model {
    /// The UNet of a diffusion pipeline.
    ///
    /// # Errors
    /// When the input is none for it, or its weights cannot be loaded.
    pub fn of_pipeline(
        pipeline: &PipelineConfig,
        input: &InputShape,
        device: &Device,
    ) -> Result<Self, ModelError> {
        pipeline.admits(input)?;
        let unet = pipeline.load_unet(device)?;
        Ok(Self::of_network(Box::new(unet), device))
    }
}

impl PipelineConfig {
    /// Reads the settings in the folders of the pipeline in `folder`.
    ///
    /// # Errors
    /// When a folder is missing, a setting is not supported, or the parts do not fit each other.
    pub fn read(folder: &Path) -> Result<Self, PipelineError> {
        let part = |name: &str| {
            let path = folder.join(name);
            if path.is_dir() {
                Ok(path)
            } else {
                Err(PipelineError::NoFolder { path })
            }
        };
        let config = Self {
            unet: UnetConfig::read(&part(UNET)?)?,
            vae: VaeConfig::read(&part(VAE)?)?,
            text: ClipTextConfig::read(&part(TEXT_ENCODER)?)?,
            schedule: Schedule::read(&part(SCHEDULER)?)?,
            folder: folder.to_owned(),
        };
        let [found, expected] = [config.vae.latents, config.unet.inputs];
        if found != expected {
            let path = folder.join(VAE);
            return Err(PipelineError::Channels {
                path,
                found,
                expected,
            });
        }
        let mut widths = config.unet.levels.iter().map(|level| level.context);
        match widths.find(|width| *width != config.text.hidden) {
            None => Ok(config),
            Some(expected) => Err(PipelineError::TextWidth {
                path: folder.join(TEXT_ENCODER),
                found: config.text.hidden,
                expected,
            }),
        }
    }

    /// The form of inputs with latents of these heights and widths.
    pub fn input(&self, [height, width]: [usize; 2]) -> InputShape {
        InputShape::Latents {
            shape: [self.unet.inputs, height, width],
            width: self.text.hidden,
        }
    }

    /// Checks that the UNet takes inputs of this form.
    ///
    /// # Errors
    /// What it takes, when it does not.
    pub fn admits(&self, input: &InputShape) -> Result<(), ModelError> {
        let InputShape::Latents { shape, width } = *input else {
            return Err(ModelError::NoLatents);
        };
        let found = [shape[0], width];
        let expected = [self.unet.inputs, self.text.hidden];
        if found == expected {
            Ok(())
        } else {
            Err(ModelError::Latents { found, expected })
        }
    }

    /// The UNet with blank parameters, for `input`.
    ///
    /// # Errors
    /// When the input is none for it.
    pub fn blank(&self, input: &InputShape, device: &Device) -> Result<Model, ModelError> {
        self.admits(input)?;
        let unet = Unet::new(&self.unet, device);
        Ok(Model::of_network(Box::new(unet), device))
    }

    /// Floating-point operations of encoding so many images, whose latents have these heights and widths, and captions.
    pub fn encoding(&self, images: usize, captions: usize, latents: [usize; 2]) -> f64 {
        let size = latents.map(|side| side * self.vae.factor());
        images as f64 * cost::encoder(&self.vae, size)
            + captions as f64 * cost::text_encoder(&self.text)
    }

    /// Floating-point operations of so many images from latents of these heights and widths.
    pub fn decoding(&self, images: usize, latents: [usize; 2]) -> f64 {
        let size = latents.map(|side| side * self.vae.factor());
        images as f64 * cost::decoder(&self.vae, size)
    }

    /// The folder of a part.
    pub fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What tells the UNet from others: settings, weights and noise schedule.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn hash_of_unet(&self) -> Result<String, PipelineError> {
        let settings = format!("{:?} {:?}", self.unet, self.schedule);
        self.hash(&settings, &[(UNET, UNET_NAMING)])
    }

    /// What tells the autoencoder and the text encoder from others.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn hash_of_encoders(&self) -> Result<String, PipelineError> {
        let settings = format!("{:?} {:?}", self.vae, self.text);
        self.hash(&settings, &[(VAE, VAE_NAMING), (TEXT_ENCODER, TEXT_NAMING)])
    }

    fn hash(&self, settings: &str, parts: &[(&str, Naming)]) -> Result<String, PipelineError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(settings.as_bytes());
        for &(folder, naming) in parts {
            Shards::open(&self.part(folder), naming)?.feed(&mut hasher);
        }
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// The UNet with its weights, without adapters.
    ///
    /// # Errors
    /// When weights are missing, damaged or of other shapes.
    pub fn load_unet(&self, device: &Device) -> Result<Unet, PipelineError> {
        let unet = Unet::new(&self.unet, device);
        self.load(unet, UNET, UNET_NAMING, device)
    }

    /// The autoencoder with its weights.
    ///
    /// # Errors
    /// As [`Self::load_unet`].
    pub fn load_vae(&self, device: &Device) -> Result<Vae, PipelineError> {
        let vae = Vae::new(&self.vae, device);
        self.load(vae, VAE, VAE_NAMING, device)
    }

    /// The text encoder with its weights.
    ///
    /// # Errors
    /// As [`Self::load_unet`].
    pub fn load_text(&self, device: &Device) -> Result<ClipText, PipelineError> {
        let text = ClipText::new(&self.text, device);
        self.load(text, TEXT_ENCODER, TEXT_NAMING, device)
    }

    fn load<T: Parts>(
        &self,
        mut part: T,
        folder: &str,
        naming: Naming,
        device: &Device,
    ) -> Result<T, PipelineError> {
        let shards = Shards::open(&self.folder.join(folder), naming)?;
        let mut parameters = Vec::new();
        part.parameters(&mut parameters);
        load::load(&shards, parameters, device)?;
        Ok(part)
    }
}
