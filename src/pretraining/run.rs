//! From settings to a finished folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::autoencoder::{self, Autoencoder};
use super::dataset::Dataset;
use super::denoiser::{Denoiser, Latents};
use super::error::PretrainingError;
use super::folder::Folder;
use super::record::{PretrainingRecord, StageRecord};
use super::settings::{PipelineSettings, TrainingSettings};
use super::training::{Trainee, Training};
use crate::checkpoints::layout::{TEXT_ENCODER, UNET, VAE};
use crate::data::{NoiseSettings, Picture};
use crate::device::DeviceChoice;
use crate::finetune::cache::Key;
use crate::input;
use crate::models::diffusion::{ClipText, PipelineConfig, Unet, Vae};
use crate::models::network::Network as _;
use crate::models::parameter::{Parameter, Role, initialise};
use crate::progress::Progress;
use crate::sampling::Sampler;
use crate::tasks::text::{CaptionEncoder, train};

/// Raised when training changes its numbers.
const VERSION: u32 = 1;
/// File of the record.
pub const RECORD: &str = "pretraining.json";
/// Folder of what has been reached.
const STATE: &str = "state";
/// Images that one thread takes at a time while the autoencoder is trained.
const IMAGES: usize = 8;
/// Latents that one thread takes at a time while the UNet is trained.
const LATENTS: usize = 16;
/// Images held out that are drawn with their reconstructions.
const SHOWN: usize = 12;
/// Prompts that are drawn where none are given, and images of each.
const PROMPTS: usize = 4;

/// What has become of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Trained to the end.
    Finished(Box<PretrainingRecord>),
    /// The folder was there, of the same settings and images.
    AlreadyThere(Box<PretrainingRecord>),
    /// Stopped as asked; what was reached is on disk.
    Stopped,
}

/// Trains the pipeline of `settings` and puts it into the folder `out`, which appears whole. Until then it stands beside
/// it, named `….unfinished-KEY`; a run that was ended goes on from there.
///
/// `stop_after` ends the run after so many further steps of a stage.
///
/// # Errors
/// Images that cannot be read, a folder that holds something else, a loss that is not finite.
pub fn pretrain(
    settings: &PipelineSettings,
    out: &Path,
    device: DeviceChoice,
    stop_after: Option<usize>,
    progress: &Progress,
) -> Result<Outcome, PretrainingError> {
    let dataset = Dataset::read(&settings.images, settings.seed)?;
    let key = key(settings, &dataset);
    if let Some(record) = finished(out, &key)? {
        return Ok(Outcome::AlreadyThere(Box::new(record)));
    }
    // without a slash at the end
    let out: PathBuf = out.components().collect();
    let mut work = out.clone().into_os_string();
    work.push(format!(".unfinished-{}", &key[..12]));
    let run = Run {
        settings,
        dataset: &dataset,
        key: &key,
        folder: Folder(PathBuf::from(work)),
        device: device.inner(),
        stop_after,
        progress,
    };
    progress.start(2, "stages");
    let record = run.all();
    progress.end();
    let Some(record) = record? else {
        return Ok(Outcome::Stopped);
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PretrainingError::Write { path, source }
    };
    // the states go last: until the folder has its name they are what a run goes on from
    std::fs::rename(&run.folder.0, &out).map_err(failed(&out))?;
    let state = out.join(STATE);
    std::fs::remove_dir_all(&state).map_err(failed(&state))?;
    Ok(Outcome::Finished(Box::new(record)))
}

/// What of the settings decides the weights: where images are, and what is drawn at the end, does not.
fn deciding(settings: &PipelineSettings) -> PipelineSettings {
    let mut settings = settings.clone();
    settings.images.path = PathBuf::new();
    settings.images.autoencoder_only.clear();
    settings.samples = super::settings::SampleSettings::default();
    settings
}

/// Hash of all that decides the weights.
fn key(settings: &PipelineSettings, dataset: &Dataset) -> String {
    let mut key = Key::new("pipeline");
    key.settings(&(VERSION, deciding(settings)));
    key.text(&dataset.digest());
    key.finish()
}

/// Whether a folder holds a pipeline that was trained here, by other settings.
pub fn is_of_others(out: &Path, settings: &PipelineSettings) -> bool {
    let record = input::json::<PretrainingRecord>(&out.join(RECORD));
    record.is_ok_and(|record| deciding(&record.settings) != deciding(settings))
}

/// The record of a folder that is finished; nothing when there is no folder.
fn finished(out: &Path, key: &str) -> Result<Option<PretrainingRecord>, PretrainingError> {
    let other = |what| PretrainingError::Other {
        path: out.to_owned(),
        what,
    };
    if !out.exists() {
        return Ok(None);
    }
    let record: PretrainingRecord = input::json(&out.join(RECORD))
        .map_err(|_| other("something else than a pipeline that was trained here"))?;
    if record.key == key {
        return Ok(Some(record));
    }
    Err(other("a pipeline of other settings or images"))
}

struct Run<'a> {
    settings: &'a PipelineSettings,
    dataset: &'a Dataset,
    key: &'a str,
    folder: Folder,
    device: Device,
    stop_after: Option<usize>,
    progress: &'a Progress,
}

/// A stage that is over.
struct Stage<T> {
    trained: T,
    record: StageRecord,
}

impl Run<'_> {
    /// Both stages; nothing when the run was stopped.
    fn all(&self) -> Result<Option<PretrainingRecord>, PretrainingError> {
        let captions: Vec<&str> = self.dataset.captions.iter().map(String::as_str).collect();
        let text = &self.settings.text_encoder;
        let trained = &captions[..self.dataset.trained()];
        let tokenizer = train::clip(trained, text.vocabulary, text.length)?;
        self.folder.describe(self.settings, &tokenizer, 1.0)?;
        let config = PipelineConfig::read(&self.folder.0)?;
        let Some(mut vae) = self.autoencoder(&config)? else {
            return Ok(None);
        };
        let (latents, scaling_factor) = self.latents(&vae.trained, &captions)?;
        self.folder
            .describe(self.settings, &tokenizer, scaling_factor)?;
        let Some(mut denoiser) = self.denoiser(&config, latents)? else {
            return Ok(None);
        };
        let Denoiser { unet, text, .. } = &mut denoiser.trained;
        self.folder.weights(VAE, "", vae.trained.parameters())?;
        self.folder.weights(UNET, "", unet.parameters())?;
        self.folder
            .weights(TEXT_ENCODER, "text_model.", text.parameters())?;
        let held_out: Vec<&Picture> = self.dataset.pictures[self.dataset.trained()..]
            .iter()
            .collect();
        let (back, psnr) = autoencoder::reconstruct(&vae.trained, &held_out, &self.device);
        self.draw(&held_out, &back, &captions[self.dataset.trained()..])?;
        let timesteps = NoiseSettings::default().timesteps;
        let record = PretrainingRecord {
            key: self.key.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: self.settings.clone(),
            images: self.dataset.trained(),
            autoencoder_only: self.dataset.more.len(),
            autoencoder: vae.record,
            psnr,
            held_out_losses: denoiser.trained.held_out(&timesteps, self.settings.seed),
            timesteps,
            denoiser: denoiser.record,
        };
        self.folder
            .write("losses.csv", record.curves().as_bytes())?;
        self.folder.json(RECORD, &record)?;
        Ok(Some(record))
    }

    /// Trains a stage from its initial weights, or what is on disk of it.
    fn train<T: Trainee>(
        &self,
        mut trainee: T,
        stage: &'static str,
        settings: &TrainingSettings,
        piece: usize,
    ) -> Result<Option<Stage<T>>, PretrainingError> {
        let start = Instant::now();
        self.progress.item(stage.to_owned());
        let training = Training {
            stage,
            settings,
            seed: self.settings.seed,
            piece,
            path: &self
                .folder
                .0
                .join(STATE)
                .join(format!("{stage}.safetensors")),
            key: self.key,
            device: &self.device,
            progress: self.progress,
            stop_after: self.stop_after,
        };
        let Some(losses) = training.run(&mut trainee)? else {
            return Ok(None);
        };
        let count = trainee.parameters().iter().map(|p| p.slot.count()).sum();
        let record = StageRecord::new(count, start.elapsed().as_secs_f64(), &losses);
        let last = record.losses.last().copied().unwrap_or(f64::NAN);
        self.progress.finished(&format!("loss {last:.4}"));
        Ok(Some(Stage {
            record,
            trained: trainee,
        }))
    }

    fn initialise(&self, parameters: Vec<Parameter<'_>>) {
        initialise(parameters, &[Role::Base], self.settings.seed, &self.device);
    }

    fn autoencoder(&self, config: &PipelineConfig) -> Result<Option<Stage<Vae>>, PretrainingError> {
        let own = &self.settings.autoencoder;
        let mut vae = Vae::new(&config.vae, &self.device);
        self.initialise(vae.parameters());
        let all = self.dataset.pictures[..self.dataset.trained()].iter();
        let pictures: Vec<&Picture> = all.chain(&self.dataset.more).collect();
        let side = self.settings.images.resolution / config.vae.factor();
        let trainee = Autoencoder {
            vae,
            pictures: &pictures,
            kl: own.kl,
            flip: own.flip,
            latents: [own.latents, side, side],
            device: self.device.clone(),
        };
        let stage = self.train(trainee, "autoencoder", &own.training, IMAGES)?;
        Ok(stage.map(|stage| Stage {
            trained: stage.trained.vae,
            record: stage.record,
        }))
    }

    /// Latents and token ids of all images, and the factor that gives the latents of the trained ones standard
    /// deviation 1.
    fn latents(&self, vae: &Vae, captions: &[&str]) -> Result<(Latents, f64), PretrainingError> {
        let pictures: Vec<&Picture> = self.dataset.pictures.iter().collect();
        let (mut means, spreads) = autoencoder::posteriors(vae, &pictures, &self.device);
        let size = means.len() / pictures.len();
        let trained = &means[..self.dataset.trained() * size];
        let count = trained.len() as f64;
        let mean = trained.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let squares = trained.iter().map(|&x| (f64::from(x) - mean).powi(2));
        let factor = 1.0 / (squares.sum::<f64>() / count).sqrt();
        let scaled = factor as f32;
        means.iter_mut().for_each(|mean| *mean *= scaled);
        let deviations = spreads.iter().map(|spread| (spread * 0.5).exp() * scaled);
        let encoder = CaptionEncoder::open(&self.folder.0)?;
        let side =
            self.settings.images.resolution >> (self.settings.autoencoder.channels.len() - 1);
        let latents = Latents {
            deviations: deviations.collect(),
            means,
            shape: [self.settings.autoencoder.latents, side, side],
            captions: encoder.encode(captions)?.ids,
            empty: encoder.encode(&[""])?.ids.remove(0),
        };
        Ok((latents, factor))
    }

    fn denoiser(
        &self,
        config: &PipelineConfig,
        latents: Latents,
    ) -> Result<Option<Stage<Denoiser>>, PretrainingError> {
        let own = &self.settings.unet;
        let mut unet = Unet::new(&config.unet, &self.device);
        let mut text = ClipText::new(&config.text, &self.device);
        self.initialise(unet.parameters());
        self.initialise(text.parameters());
        let trainee = Denoiser {
            unet,
            text,
            schedule: config.schedule.clone(),
            latents: Arc::new(latents),
            trained: self.dataset.trained(),
            empty_captions: own.empty_captions,
            device: self.device.clone(),
        };
        self.train(trainee, "unet", &own.training, LATENTS)
    }

    /// Draws images held out above what the autoencoder makes of them, and samples.
    fn draw(
        &self,
        held_out: &[&Picture],
        back: &[Picture],
        captions: &[&str],
    ) -> Result<(), PretrainingError> {
        let shown = held_out.len().min(SHOWN);
        let originals: Vec<Picture> = held_out[..shown].iter().map(|p| (*p).clone()).collect();
        let scale = 96_usize.div_ceil(self.settings.images.resolution);
        let table = Picture::table(&[&originals, &back[..shown]], scale, 2);
        self.folder.write("reconstructions.png", &table.png())?;
        let samples = &self.settings.samples;
        let mut prompts: Vec<&str> = samples.prompts.iter().map(String::as_str).collect();
        if prompts.is_empty() {
            prompts = captions[..captions.len().min(PROMPTS)].to_vec();
        }
        let sampler = Sampler::open(&self.folder.0, &prompts, &self.device)?;
        let size = [self.settings.images.resolution; 2];
        let shape = sampler.latents_of(size)?;
        let noise = sampler.noise(self.settings.seed, PROMPTS, shape);
        let unet = sampler.unet(size)?;
        let images = sampler.images(&unet, PROMPTS, &noise, shape, samples.sampling)?;
        let rows: Vec<&[Picture]> = images.chunks(PROMPTS).collect();
        let table = Picture::table(&rows, scale, 2);
        self.folder.write("samples.png", &table.png())
    }
}
