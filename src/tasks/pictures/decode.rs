//! PNG, JPEG and WebP to 8-bit RGB.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use thiserror::Error;

use crate::data::Picture;
use crate::input::{self, InputError, shorten};

/// What is read.
const KINDS: &str = "a PNG, JPEG or WebP image";
/// Most characters of a decoder's message.
const LONGEST: usize = 120;

/// Why a file is no image.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PictureError {
    /// The file cannot be read, or is something else.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Of another format, or of none.
    #[error("{path} is not {KINDS}")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// Damaged.
    #[error("{path}: cannot be decoded: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
    /// 16 bits of grey.
    #[error(
        "{path} is a greyscale image of 16 bits, which PIL's convert(\"RGB\") turns white (it cuts off at 255); save it with 8 bits"
    )]
    Grey16 {
        /// The file.
        path: PathBuf,
    },
}

/// Reads an image. The format is told by the content, whatever the file is called.
///
/// Of 16 bits a channel the upper 8 are kept, as PIL keeps them.
///
/// # Errors
/// A file that cannot be read, is no image, is damaged or cut off, or has a single channel of 16 bits.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let bytes = input::bytes(path)?;
    let damaged = |reason: String| PictureError::Damaged {
        path: path.to_owned(),
        reason: shorten(&reason, LONGEST),
    };
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let reader = reader.map_err(|error| damaged(error.to_string()))?;
    let format = reader.format().filter(ImageFormat::reading_enabled);
    let Some(format) = format else {
        let start = &bytes[..bytes.len().min(512)];
        return Err(match input::explain(path, start, KINDS) {
            Some(foreign) => foreign.into(),
            None => PictureError::Kind {
                path: path.to_owned(),
            },
        });
    };
    if format == ImageFormat::Jpeg && !ends(&bytes) {
        return Err(damaged(
            "the file ends in the middle of the image".to_owned(),
        ));
    }
    let decoded = reader.into_decoder().and_then(|decoder| {
        let kind = decoder.color_type();
        Ok((kind, DynamicImage::from_decoder(decoder)?))
    });
    let (kind, decoded) = decoded.map_err(|error| damaged(error.to_string()))?;
    if kind == ColorType::L16 {
        return Err(PictureError::Grey16 {
            path: path.to_owned(),
        });
    }
    let upper = |levels: Vec<u16>| levels.into_iter().map(|level| (level >> 8) as u8).collect();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let rgb = match kind {
        ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            upper(decoded.into_rgb16().into_raw())
        }
        _ => decoded.into_rgb8().into_raw(),
    };
    Ok(Picture { width, height, rgb })
}

/// Whether a JPEG file has its end marker. Decoders paint what is missing grey.
fn ends(bytes: &[u8]) -> bool {
    // segments FF xx length …; in the scan that follows the first SOS, FF is never followed by D9 but at the end
    let mut at = 2;
    while let [0xFF, marker, high, low, ..] = bytes[at.min(bytes.len())..] {
        if marker == 0xDA {
            return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    // the decoder says what is wrong with the segments
    at < bytes.len()
}
