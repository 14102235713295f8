//! The images that a pipeline is trained on, and what is held out of them.

use rand::seq::SliceRandom;

use super::error::PretrainingError;
use super::settings::ImageSettings;
use crate::data::Picture;
use crate::random;
use crate::tasks::pictures::Listing;

/// Images of one size with their captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dataset {
    /// The images of the list, those held out last.
    pub pictures: Vec<Picture>,
    /// A caption each.
    pub captions: Vec<String>,
    /// How many of them are held out.
    pub held_out: usize,
    /// What the autoencoder sees besides.
    pub more: Vec<Picture>,
}

impl Dataset {
    /// Reads all images; `seed` draws those that are held out.
    pub fn read(settings: &ImageSettings, seed: u64) -> Result<Self, PretrainingError> {
        let (size, fit) = (Some(settings.resolution), settings.fit);
        let listing = Listing::read(&settings.path)?;
        let mut rows: Vec<_> = listing.rows().iter().collect();
        if rows.len() <= settings.held_out {
            return Err(PretrainingError::TooFew {
                path: settings.path.clone(),
                found: rows.len(),
                held_out: settings.held_out,
            });
        }
        rows.shuffle(&mut random::rng(seed, "pretraining", "held out"));
        let captions = rows.iter().map(|row| listing.text(row, "text"));
        let captions = captions.map(|text| text.map(str::to_owned));
        let mut more = Vec::new();
        for path in &settings.autoencoder_only {
            let listing = Listing::read(path)?;
            let rows: Vec<_> = listing.rows().iter().collect();
            more.extend(listing.pictures(&rows, size, fit)?);
        }
        Ok(Self {
            captions: captions.collect::<Result<_, _>>()?,
            pictures: listing.pictures(&rows, size, fit)?,
            held_out: settings.held_out,
            more,
        })
    }

    /// How many captioned images are trained on.
    pub fn trained(&self) -> usize {
        self.pictures.len() - self.held_out
    }

    /// Hash of pixels and captions.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for picture in self.pictures.iter().chain(&self.more) {
            hasher.update(&(picture.width as u64).to_le_bytes());
            hasher.update(&picture.rgb);
        }
        for caption in &self.captions {
            hasher.update(&(caption.len() as u64).to_le_bytes());
            hasher.update(caption.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}
