//! Latent diffusion: UNet, autoencoder, text encoder and noise schedule of Stable Diffusion 1.x and its relatives, in
//! the layout of diffusers' pipelines.

pub mod adapter;
pub mod clip_text;
pub mod cost;
pub mod encode;
mod error;
mod layers;
mod network;
mod parts;
pub mod pipeline;
mod recompute;
mod resnet;
pub mod sampling;
pub mod schedule;
mod settings;
mod time;
mod transformer;
pub mod unet;
pub mod unet_config;
pub mod vae;
pub mod vae_config;

pub use clip_text::{ClipText, ClipTextConfig};
pub use error::PipelineError;
pub use pipeline::{ATTENTION, PipelineConfig, is_pipeline};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use unet::Unet;
pub use unet_config::UnetConfig;
pub use vae::{Posterior, Vae};
pub use vae_config::VaeConfig;
