//! Images from files, as the training scripts of diffusers read them: PIL's `Image.open(path).convert("RGB")`, resized
//! by `BILINEAR`.
//!
//! As there, transparency is dropped (a transparent pixel shows the colour stored under it), a palette becomes its
//! colours, and an orientation noted in EXIF is not applied.

mod decode;
mod listing;
mod resize;

pub use decode::{PictureError, read};
pub use listing::{Listing, Row};
pub use resize::{Fit, fit, resize};
