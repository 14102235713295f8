//! 8-bit RGB to PNG.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::data::Picture;

/// The bytes of a PNG file.
///
/// # Panics
/// When the sides of the picture are not those of its pixels.
pub fn png(picture: &Picture) -> Vec<u8> {
    let mut bytes = Vec::new();
    let side = |side: usize| u32::try_from(side).expect("images have fewer than 2³² pixels a side");
    PngEncoder::new(&mut bytes)
        .write_image(
            &picture.rgb,
            side(picture.width),
            side(picture.height),
            ExtendedColorType::Rgb8,
        )
        .expect("three bytes a pixel, written to memory");
    bytes
}
