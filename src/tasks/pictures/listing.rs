//! Lists of captioned images: JSON lines, an image a line, such as the `metadata.jsonl` of an image folder of Hugging
//! Face's datasets.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::{Fit, PictureError, fit, read};
use crate::data::Picture;
use crate::input::{self, listed, quote};
use crate::tasks::glue::TextError;
use crate::tasks::json_lines;

/// The fields that may name an image, relative to the list's folder: the first that is there.
const IMAGE: [&str; 2] = ["image", "file_name"];

/// A list of images with what is said of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    path: PathBuf,
    rows: Vec<Row>,
}

/// An image of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its line, from 1.
    line: usize,
    /// Its name, as the list gives it.
    pub name: String,
    fields: Map<String, Value>,
}

impl Row {
    /// Whether the list says anything of `field`.
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }
}

impl Listing {
    /// Reads the list in `path`; the images are not looked at.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is no object or names no image.
    pub fn read(path: &Path) -> Result<Self, TextError> {
        let text = input::text(path)?;
        let mut listing = Self {
            path: path.to_owned(),
            rows: Vec::new(),
        };
        for (line, fields) in json_lines::objects(path, &text) {
            let fields = fields.map_err(|problem| listing.wrong(line, problem))?;
            let found = IMAGE
                .iter()
                .find_map(|name| Some((name, fields.get(*name)?)));
            let (field, value) = found.ok_or_else(|| {
                let problem = format!(
                    "names no image: the field `{}` or `{}` is needed; found: {}",
                    IMAGE[0],
                    IMAGE[1],
                    names(&fields)
                );
                listing.wrong(line, problem)
            })?;
            let name = value
                .as_str()
                .filter(|name| !name.is_empty())
                .ok_or_else(|| {
                    let found = quote(&value.to_string());
                    listing.wrong(line, format!("`{field}` is {found}; a path is needed"))
                })?;
            let name = name.to_owned();
            listing.rows.push(Row { line, name, fields });
        }
        Ok(listing)
    }

    /// The list's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The images, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The text of a field of an image, which may be empty.
    ///
    /// # Errors
    /// When it is missing or no text.
    pub fn text<'a>(&self, row: &'a Row, field: &str) -> Result<&'a str, TextError> {
        match row.fields.get(field) {
            Some(Value::String(text)) => Ok(text),
            Some(other) => {
                let found = quote(&other.to_string());
                Err(self.wrong(row.line, format!("`{field}` is {found}; a text is needed")))
            }
            None => {
                let found = names(&row.fields);
                Err(self.wrong(
                    row.line,
                    format!("the field `{field}` is missing; found: {found}"),
                ))
            }
        }
    }

    /// Reads images; with a size they become squares of as many pixels a side.
    ///
    /// # Errors
    /// The first that is missing or cannot be decoded, with its line.
    pub fn pictures(
        &self,
        rows: &[&Row],
        size: Option<usize>,
        how: Fit,
    ) -> Result<Vec<Picture>, TextError> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let one = |row: &&Row| {
            let picture = read(&folder.join(&row.name));
            let picture =
                picture.map_err(|error: PictureError| self.wrong(row.line, error.to_string()))?;
            Ok(match size {
                Some(size) => fit(&picture, size, how),
                None => picture,
            })
        };
        rows.par_iter().map(one).collect()
    }

    /// An error about an image of the list.
    pub fn about(&self, row: &Row, problem: String) -> TextError {
        self.wrong(row.line, problem)
    }

    fn wrong(&self, line: usize, problem: String) -> TextError {
        TextError::Line {
            path: self.path.clone(),
            line,
            problem,
        }
    }
}

/// The fields of a line, for messages.
fn names(fields: &Map<String, Value>) -> String {
    listed(&fields.keys().collect::<Vec<_>>())
}
