//! An image folder as a task describes it.

use std::path::Path;

use super::settings::{Captions, ImageSettings};
use crate::tasks::glue::TextError;
use crate::tasks::pictures::{Listing, Row};

/// An image folder and what is taken of it.
pub struct ImageSource<'a> {
    /// The task.
    pub task: &'static str,
    /// Its settings.
    pub settings: &'a ImageSettings,
    /// The folder.
    pub path: &'a Path,
    /// What a reader is told who does not have it.
    pub needs: &'static str,
    /// The field with the class.
    pub class: &'static str,
    /// Whether all images may be without a class.
    pub may_lack_classes: bool,
    /// Training images and queries of a class where the settings do not say.
    pub sizes: [Option<usize>; 2],
    /// What captions are made of.
    pub captions: Plain,
}

/// What captions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// The field `text`.
    Text,
    /// These words and the text of this field, in which `_` is a space.
    Field(&'static str, &'static str),
}

impl Plain {
    /// `plain` or, for captions that name the class, `styled`.
    pub fn of(captions: Captions, plain: Self, styled: Self) -> Self {
        match captions {
            Captions::Plain => plain,
            Captions::Styled => styled,
        }
    }
}

impl ImageSource<'_> {
    /// Training images of a class.
    pub(super) fn train(&self) -> Option<usize> {
        self.settings.train.or(self.sizes[0])
    }

    /// Query images of a class.
    pub(super) fn query(&self) -> Option<usize> {
        self.settings.query.or(self.sizes[1])
    }

    /// The caption of an image.
    pub(super) fn caption(&self, listing: &Listing, row: &Row) -> Result<String, TextError> {
        match self.captions {
            Plain::Text => Ok(listing.text(row, "text")?.to_owned()),
            Plain::Field(start, field) => {
                let text = listing.text(row, field)?.replace('_', " ");
                Ok(format!("{start} {text}"))
            }
        }
    }
}
