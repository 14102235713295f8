//! A small latent diffusion model from a folder of captioned images: tokenizer, autoencoder, text encoder and UNet,
//! written as a pipeline in diffusers' layout.
//!
//! In: [`PipelineSettings`]. Out: a folder that [`PipelineConfig`](crate::models::diffusion::PipelineConfig) and diffusers
//! open, with `pretraining.json` (settings, losses, what is held out), loss curves and pictures beside it. First the
//! autoencoder is trained; then text encoder and UNet together on its latents, as an exponential moving average. A run
//! that was ended goes on where it was; a folder that is finished is left as it is.

mod autoencoder;
mod dataset;
mod denoiser;
mod error;
mod folder;
mod outline;
mod record;
mod run;
pub mod settings;
mod state;
mod training;

pub use error::PretrainingError;
pub use outline::outline;
pub use record::{PretrainingRecord, StageRecord};
pub use run::{Outcome, RECORD, is_of_others, pretrain};
pub use settings::PipelineSettings;
