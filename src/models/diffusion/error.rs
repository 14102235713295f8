//! Why a pipeline cannot be loaded.

use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoints::HuggingFaceError;
use crate::checkpoints::shards::ShardsError;
use crate::input::quote;

/// Why a pipeline cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PipelineError {
    /// There is no such folder, or a part of it is missing.
    #[error(
        "there is no folder {path}. A diffusion pipeline is a folder with unet, vae, text_encoder, tokenizer and scheduler, as diffusers' `save_pretrained` writes it"
    )]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Settings that there are not.
    #[error(transparent)]
    Config(#[from] HuggingFaceError),
    /// Weights that cannot be read.
    #[error(transparent)]
    Weights(#[from] ShardsError),
    /// The text encoder's states are not as wide as what the UNet attends to.
    #[error(
        "{path}: the text encoder gives states of width {found} (`hidden_size`); allowed: {expected}, which is `cross_attention_dim` of the UNet"
    )]
    TextWidth {
        /// The text encoder's folder.
        path: PathBuf,
        /// Its width.
        found: usize,
        /// What the UNet takes.
        expected: usize,
    },
    /// An image whose latents are not finite.
    #[error("{image}: its latents are not finite: the weights in {autoencoder} are damaged, or too large for f32", image = quote(image))]
    Image {
        /// The image's file.
        image: String,
        /// The autoencoder's folder.
        autoencoder: PathBuf,
    },
    /// Captions whose states are not finite.
    #[error(
        "{encoder}: the text encoder makes numbers of a caption that are not finite: its weights are damaged"
    )]
    Captions {
        /// The text encoder's folder.
        encoder: PathBuf,
    },
    /// The autoencoder's latents have another number of channels than the UNet takes.
    #[error(
        "{path}: the autoencoder's latents have {found} channels (`latent_channels`); allowed: {expected}, which is `in_channels` of the UNet"
    )]
    Channels {
        /// The autoencoder's folder.
        path: PathBuf,
        /// Its channels.
        found: usize,
        /// What the UNet takes.
        expected: usize,
    },
}
