//! A report of any kind, and the one writer of its files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use maud::{Markup, html};
use serde_json::Value;

use super::figures::{Figure, Outcome};
use super::html::{Colours, Page, Part, Section, figure};
use super::tables::{Table, clean};
use super::{ReportError, chart};
use crate::atomic;

/// A report: of a run, of a theory experiment, or of an item of the paper beside ours.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// Heading.
    pub title: String,
    /// What it is, in plain text: for search engines and previews.
    pub about: String,
    /// What stands below the heading of the page.
    pub head: Markup,
    /// Paragraphs below the heading of the Markdown file.
    pub text: Vec<String>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Figures that are not drawn: title and reason.
    pub omitted: Vec<(String, String)>,
    /// What the Markdown file shows of the figures.
    pub in_text: FiguresInText,
    /// The tables.
    pub tables: Vec<Table>,
    /// Whether they stand above the figures on the page.
    pub tables_first: bool,
    /// The page's other sections.
    pub sections: Vec<Section>,
    /// What the page's script shows of the records.
    pub data: Value,
    /// Names of the files.
    pub names: Names,
}

/// What a Markdown file shows of the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FiguresInText {
    /// Nothing.
    #[default]
    None,
    /// Them and their captions.
    Captions,
    /// Also what is to be seen in them, and which are not drawn.
    Findings,
}

/// Names of a report's files.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The Markdown file.
    pub markdown: String,
    /// The numbers as CSV, where there are some.
    pub csv: Option<(String, Table)>,
    /// The page.
    pub page: String,
    /// Start of the figures' names.
    pub prefix: String,
}

impl Report {
    /// Without any content yet, with the names of its Markdown file and its page.
    pub fn new(markdown: impl Into<String>, page: impl Into<String>) -> Self {
        Self {
            names: Names {
                markdown: markdown.into(),
                page: page.into(),
                ..Names::default()
            },
            ..Self::default()
        }
    }

    /// Sorts figures into those that are drawn and those that are not.
    pub fn add_figures(&mut self, outcomes: impl IntoIterator<Item = Outcome>) {
        for outcome in outcomes {
            match outcome {
                Ok(figure) => self.figures.push(figure),
                Err(omitted) => self.omitted.push(omitted),
            }
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", clean(&self.title));
        for paragraph in &self.text {
            let _ = write!(text, "\n{paragraph}\n");
        }
        for table in &self.tables {
            let _ = write!(text, "\n{}", table.markdown());
        }
        if self.in_text == FiguresInText::None {
            return text;
        }
        for figure in &self.figures {
            let (title, caption) = (clean(&figure.title), clean(&figure.caption));
            let file = format!("figures/{}{}.svg", self.names.prefix, figure.id);
            let _ = write!(text, "\n## {title}\n\n![{title}]({file})\n\n{caption}\n");
            if self.in_text == FiguresInText::Findings && !figure.findings.is_empty() {
                let items: Vec<String> = figure.findings.iter().map(|f| clean(f)).collect();
                let _ = write!(text, "\n- {}\n", items.join("\n- "));
            }
        }
        if self.in_text == FiguresInText::Findings && !self.omitted.is_empty() {
            let _ = write!(text, "\n{}", self.not_drawn().markdown());
        }
        text
    }

    /// The figures that are not there with their reasons.
    fn not_drawn(&self) -> Table {
        let reasons = self.omitted.iter();
        let reasons = reasons.map(|(title, reason)| format!("{title}: {reason}."));
        Table::list("Not drawn", "", reasons)
    }

    /// As one self-contained page.
    pub fn html(&self) -> String {
        let mut colours = Colours::default();
        let figures = self.figures_section(&mut colours);
        let mut sections = vec![figures, self.tables_section()];
        if self.tables_first {
            sections.reverse();
        }
        sections.extend(self.sections.iter().cloned());
        sections.retain(|section| !section.body.0.is_empty());
        Page {
            title: &self.title,
            about: &self.about,
            head: &self.head,
            sections: &sections,
            data: &self.data,
            colours: &colours,
        }
        .html()
    }

    /// The figures, and those that are not there with their reasons.
    fn figures_section(&self, colours: &mut Colours) -> Section {
        let mut section = Section::new("figures", "Figures", html! {});
        for drawn in &self.figures {
            let id = format!("figure-{}", drawn.id);
            section.add_own(id, &drawn.title, figure(drawn, colours));
        }
        if !self.omitted.is_empty() {
            section.add(Part::of_table("omitted", &self.not_drawn()));
        }
        section
    }

    fn tables_section(&self) -> Section {
        let tables = self.tables.iter().enumerate();
        let parts = tables.map(|(i, table)| Part::of_table(format!("table-{i}"), table));
        Section::of_parts("tables", "Tables", "", parts)
    }

    /// Writes everything into the folder `out`, which is made when it is missing; the paths, the page last.
    ///
    /// # Errors
    /// A file that cannot be written, or a failure of the drawing library.
    pub fn write(&self, out: &Path, png: bool) -> Result<Vec<PathBuf>, ReportError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Write { path, source }
        };
        let folder = match self.figures.is_empty() {
            true => out.to_owned(),
            false => out.join("figures"),
        };
        std::fs::create_dir_all(&folder).map_err(fail(&folder))?;
        let mut files = Vec::new();
        let mut drawings = Vec::new();
        for figure in &self.figures {
            let path = |ending| folder.join(format!("{}{}.{ending}", self.names.prefix, figure.id));
            files.push((path("svg"), chart::svg(&figure.chart, &figure.title)?));
            drawings.extend(png.then(|| (path("png"), &figure.chart)));
        }
        files.push((out.join(&self.names.markdown), self.markdown()));
        let csv = self.names.csv.iter();
        files.extend(csv.map(|(name, table)| (out.join(name), table.csv())));
        files.push((out.join(&self.names.page), self.html()));
        for (path, text) in &files {
            atomic::write(path, text.as_bytes()).map_err(fail(path))?;
        }
        for (path, drawing) in &drawings {
            chart::png(drawing, path)?;
        }
        let drawings = drawings.into_iter().map(|(path, _)| path);
        let files = files.into_iter().map(|(path, _)| path);
        Ok(drawings.chain(files).collect())
    }
}
