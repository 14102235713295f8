//! Resizing by PIL's `BILINEAR`, level by level the same.
//!
//! Pillow's `Resample.c`: first the rows, then the columns; each pass weighs by a triangle as wide as the step between
//! output pixels (so that shrinking averages), in fixed point with 22 bits, and rounds to 8 bits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Picture;

/// Bits after the point of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// How an image becomes a square.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The shorter side to the size, then the middle of the longer: `Resize(size)`, `CenterCrop(size)`, as diffusers'
    /// script trains.
    #[default]
    Crop,
    /// Both sides to the size, whatever the shape was: `Resize((size, size))`, as the paper's public code does before it
    /// takes gradients.
    Stretch,
}

/// `picture` as a square of `size` pixels a side.
pub fn fit(picture: &Picture, size: usize, fit: Fit) -> Picture {
    if fit == Fit::Stretch {
        return resize(picture, size, size);
    }
    let short = picture.width.min(picture.height);
    let scaled = |side: usize| (size * side).checked_div(short).unwrap_or(0).max(size);
    let (width, height) = (scaled(picture.width), scaled(picture.height));
    let whole = resize(picture, width, height);
    // torchvision rounds the margins as Python does: a half to the even number
    let margin = |side: usize| ((side - size) as f64 / 2.0).round_ties_even() as usize;
    let (left, top) = (margin(width), margin(height));
    let rows = whole.rgb.chunks_exact(3 * width).skip(top).take(size);
    Picture {
        width: size,
        height: size,
        rgb: rows
            .flat_map(|row| &row[3 * left..3 * (left + size)])
            .copied()
            .collect(),
    }
}

/// `picture` with other sides, each at least 1.
pub fn resize(picture: &Picture, width: usize, height: usize) -> Picture {
    let mut rgb = picture.rgb.clone();
    if width != picture.width {
        let taps = taps(picture.width, width);
        rgb = rgb
            .chunks_exact(3 * picture.width)
            .flat_map(|row| {
                let pixel = |tap: &Taps| weighted(tap, |at| &row[3 * at..3 * at + 3], 3);
                taps.iter().flat_map(pixel).collect::<Vec<u8>>()
            })
            .collect();
    }
    if height != picture.height {
        let taps = taps(picture.height, height);
        let row = 3 * width;
        let line = |tap: &Taps| weighted(tap, |at| &rgb[at * row..(at + 1) * row], row);
        rgb = taps.iter().flat_map(line).collect();
    }
    Picture { width, height, rgb }
}

/// The input pixels of an output pixel: the first, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The taps of every output pixel along one side.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let one = f64::from(1u32 << PRECISION);
    let taps = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weight = |x: usize| {
            let distance = (x as f64 - centre + 0.5) * (1.0 / support);
            (1.0 - distance.abs()).max(0.0)
        };
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| (0.5 + weight / sum * one) as i32;
        Taps {
            first,
            weights: weights.into_iter().map(fixed).collect(),
        }
    };
    (0..to).map(taps).collect()
}

/// Σ weight · value for `count` values side by side, rounded to 8 bits.
fn weighted<'a>(taps: &Taps, values: impl Fn(usize) -> &'a [u8], count: usize) -> Vec<u8> {
    let mut sums = vec![1i32 << (PRECISION - 1); count];
    for (offset, weight) in taps.weights.iter().enumerate() {
        for (sum, value) in sums.iter_mut().zip(values(taps.first + offset)) {
            *sum += weight * i32::from(*value);
        }
    }
    let level = |sum: i32| (sum >> PRECISION).clamp(0, 255) as u8;
    sums.into_iter().map(level).collect()
}
