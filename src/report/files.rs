//! The files of a report, of a run, of theory or beside the paper.

use std::path::{Path, PathBuf};

use super::figures::Figure;
use super::{ReportError, chart};
use crate::atomic;

/// What is written into a folder.
pub(super) struct Files<'a> {
    /// Figures: `figures/<prefix><id>.svg`.
    pub figures: &'a [Figure],
    /// Start of the figures' names.
    pub prefix: String,
    /// Whether figures are also written as PNG.
    pub png: bool,
    /// Names and contents of the other files, in the order of writing.
    pub texts: Vec<(String, String)>,
}

impl Files<'_> {
    /// Writes everything into `out`, which is made when it is missing; the paths, in the order of writing.
    ///
    /// # Errors
    /// A file that cannot be written, or a failure of the drawing library.
    pub fn write(&self, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Write { path, source }
        };
        let folder = out.join("figures");
        let needed = if self.figures.is_empty() {
            out
        } else {
            &folder
        };
        std::fs::create_dir_all(needed).map_err(fail(needed))?;
        let mut files = Vec::new();
        for figure in self.figures {
            let path = |ending| folder.join(format!("{}{}.{ending}", self.prefix, figure.id));
            let svg = path("svg");
            let text = chart::svg(&figure.chart, &figure.title)?;
            atomic::write(&svg, text.as_bytes()).map_err(fail(&svg))?;
            files.push(svg);
            if self.png {
                let png = path("png");
                chart::png(&figure.chart, &png)?;
                files.push(png);
            }
        }
        for (name, text) in &self.texts {
            let path = out.join(name);
            atomic::write(&path, text.as_bytes()).map_err(fail(&path))?;
            files.push(path);
        }
        Ok(files)
    }
}
