//! The page in Markdown, HTML and CSV, and as text for a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use super::items::Item;
use super::rows::{Gap, Row};
use super::setup::Setting;
use crate::metrics::find;
use crate::report::aggregate::Aggregate;
use crate::report::figures::Figure;
use crate::report::html::{figures_section, record_sections};
use crate::report::number::{self, MISSING};
use crate::report::page::{self as shell, Colours, escape, inline};
use crate::report::palette::Palette;
use crate::report::study::Study;
use crate::report::tables::{Cell, Table, clean, metric_cell};

/// A heading with a table or a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// Column headers; empty for a list.
    pub headers: Vec<String>,
    /// Rows of the table, or of the list, which has one column.
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// A list of sentences.
    pub fn list(title: &str, note: &str, sentences: Vec<String>) -> Self {
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            headers: Vec::new(),
            rows: sentences
                .into_iter()
                .map(|sentence| vec![sentence])
                .collect(),
        }
    }

    /// As a part of the HTML page.
    fn shell(&self, id: &str) -> shell::Section {
        let note = format!("<p class=\"how\">{}</p>\n", inline(&self.note));
        let html = if self.headers.is_empty() {
            let items: String = self
                .rows
                .iter()
                .map(|row| format!("<li>{}</li>\n", inline(&row[0])))
                .collect();
            format!("{note}<ul>\n{items}</ul>\n")
        } else {
            let cell = |text: &String| Cell {
                text: text.clone(),
                sort: text.split(' ').next().and_then(|first| first.parse().ok()),
            };
            let table = Table {
                title: self.title.clone(),
                note: String::new(),
                headers: self.headers.clone(),
                rows: self
                    .rows
                    .iter()
                    .map(|row| row.iter().map(cell).collect())
                    .collect(),
            };
            format!("{note}{}", shell::body(&table, &shell::Links::NONE))
        };
        shell::Section {
            id: id.to_owned(),
            title: self.title.clone(),
            parts: Vec::new(),
            html,
        }
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    item: &'static str,
    shows: &'static str,
    /// File name without ending.
    pub name: String,
    /// Sentences at the top.
    pub facts: Vec<String>,
    /// Tables and lists.
    pub sections: Vec<Section>,
    /// Figures.
    pub figures: Vec<Figure>,
    /// The numbers as CSV.
    pub csv: String,
}

impl Page {
    /// Without any content yet.
    pub fn new(item: &Item, name: &str) -> Self {
        Self {
            item: item.title,
            shows: item.shows,
            name: name.to_owned(),
            facts: Vec::new(),
            sections: Vec::new(),
            figures: Vec::new(),
            csv: String::new(),
        }
    }

    fn heading(&self) -> String {
        format!("{} of the paper, and here", self.item)
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\nIn the paper: {}.\n", self.heading(), self.shows);
        for fact in &self.facts {
            let _ = write!(text, "\n{}\n", clean(fact));
        }
        for section in &self.sections {
            let _ = write!(text, "\n## {}\n", section.title);
            if !section.note.is_empty() {
                let _ = write!(text, "\n{}\n", clean(&section.note));
            }
            text.push('\n');
            if section.headers.is_empty() {
                for row in &section.rows {
                    let _ = writeln!(text, "- {}", clean(&row[0]));
                }
                continue;
            }
            let line = |cells: &[String]| {
                let cells: Vec<String> = cells.iter().map(|cell| clean(cell)).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            text.push_str(&line(&section.headers));
            text.push_str(&line(&vec!["---".to_owned(); section.headers.len()]));
            section
                .rows
                .iter()
                .for_each(|row| text.push_str(&line(row)));
        }
        for figure in &self.figures {
            let _ = write!(
                text,
                "\n## {}\n\n![{}](figures/{}_{}.svg)\n\n{}\n",
                figure.title,
                figure.title,
                self.name,
                figure.id,
                clean(&figure.caption)
            );
        }
        text
    }

    /// As one self-contained HTML page; points of the figures lead to the records of the study.
    pub fn html(&self, study: Option<&Study>) -> String {
        let mut colours = Colours::default();
        let mut sections: Vec<shell::Section> = self
            .sections
            .iter()
            .enumerate()
            .map(|(i, section)| section.shell(&format!("part-{i}")))
            .collect();
        sections.push(figures_section(&self.figures, &[], &mut colours));
        let mut data = Value::Null;
        if let Some(study) = study {
            let (records, found) = record_sections(study);
            sections.extend(records);
            data = found;
        }
        let facts: String = self
            .facts
            .iter()
            .map(|fact| format!("<li>{}</li>\n", inline(fact)))
            .collect();
        shell::Page {
            title: self.heading(),
            about: self.shows.to_owned(),
            head: format!(
                "<p class=\"asked\">In the paper: {}.</p>\n<ul class=\"facts\">{facts}</ul>",
                escape(self.shows)
            ),
            sections: sections
                .into_iter()
                .filter(|section| !section.html.is_empty())
                .collect(),
            data,
            colours,
        }
        .html()
    }

    /// The sentences, what has a number of the paper, and the answers.
    pub fn terminal(&self) -> String {
        let mut text = format!("{}\n\n", self.heading());
        for section in &self.sections {
            if section.headers.is_empty() {
                section.rows.iter().for_each(|row| {
                    let _ = writeln!(text, "- {}", row[0]);
                });
                text.push('\n');
                continue;
            }
            let Some(paper) = section.headers.iter().position(|h| h == "Paper") else {
                continue;
            };
            let shown: Vec<&Vec<String>> = std::iter::once(&section.headers)
                .chain(section.rows.iter().filter(|row| row[paper] != MISSING))
                .collect();
            if shown.len() == 1 {
                continue;
            }
            let width = |column: usize| {
                let cells = shown.iter().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..section.headers.len()).map(width).collect();
            for row in &shown {
                let cells = row.iter().zip(&widths);
                let line: Vec<String> = cells.map(|(c, w)| format!("{c:w$}", w = *w)).collect();
                let _ = writeln!(text, "{}", line.join("  ").trim_end());
            }
            text.push('\n');
        }
        for fact in &self.facts {
            let _ = writeln!(text, "{fact}");
        }
        text
    }
}

/// A number of the paper.
pub fn number_text(x: f64, metric: &str) -> String {
    match find(metric).map(|metric| metric.unit) {
        Some("s") => number::seconds(x),
        _ if metric == "time_ratio" => number::significant(x, 3),
        _ => number::fixed(x, 3),
    }
}

/// The paper's numbers beside ours.
pub fn numbers(rows: &[Row], palette: &Palette) -> Section {
    let text = number_text;
    let of = |row: &Row| {
        let paper = row.paper.map_or(MISSING.to_owned(), |number| {
            let deviation = number.deviation.map_or(String::new(), |d| {
                format!(" (deviation {})", number::fixed(d, 3))
            });
            format!("{}{deviation}", text(number.value, &row.metric))
        });
        let ours = row.ours.as_ref();
        let name = match row.method.as_str() {
            "full" => "all examples".to_owned(),
            "random" => "random choice".to_owned(),
            label => palette.style(label).name,
        };
        vec![
            row.task.clone(),
            if row.setting.is_empty() {
                MISSING.to_owned()
            } else {
                row.setting.clone()
            },
            name,
            row.title(),
            paper,
            ours.map_or(MISSING.to_owned(), |ours| shown(&row.metric, ours)),
            row.gap().map_or(MISSING.to_owned(), gap),
            ours.map_or(MISSING.to_owned(), |ours| ours.seeds.to_string()),
            ours.map_or(MISSING.to_owned(), |o| {
                format!("{} / {}", o.undefined, o.failed)
            }),
            row.paper
                .map_or(MISSING.to_owned(), |number| number.source.to_owned()),
        ]
    };
    Section {
        title: "Numbers".to_owned(),
        note: "Here: mean over seeds ± half of the 95 % t-interval (×÷: geometric mean and the factor of the interval of the logarithms); with one seed the value and its interval within the cell in brackets. A dash in the paper's column: it gives no number. Paper's less ours: the difference (of times × the ratio, paper's over ours) with our 95 % interval in brackets; the paper's number is taken as it stands, so that what its own runs vary by is not in it."
            .to_owned(),
        headers: [
            "Task",
            "Setting",
            "Method",
            "Measure",
            "Paper",
            "Here",
            "Paper's less ours",
            "Seeds",
            "Undefined / failed",
            "Source",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: rows.iter().map(of).collect(),
    }
}

/// `−0.284 [−0.452, −0.116]`, or of times `× 0.80 [0.71, 0.90]`.
fn gap(gap: Gap) -> String {
    let show = |x: f64| match gap.ratio {
        true => number::significant(x, 3),
        false => number::fixed(x, 3),
    };
    let sign = if gap.ratio { "× " } else { "" };
    let interval = gap.interval.map_or(String::new(), |(low, high)| {
        format!(" [{}, {}]", show(low), show(high))
    });
    format!("{sign}{}{interval}", show(gap.value))
}

/// A number of ours with its interval.
pub fn shown(metric: &str, ours: &Aggregate) -> String {
    // accuracies and ratios are no metrics of records: shown as the one that they are like
    let like = match metric {
        "selection_accuracy" => "detection_auc",
        "time_ratio" => "relative_error",
        other => other,
    };
    find(like).map_or(MISSING.to_owned(), |metric| metric_cell(metric, ours).text)
}

/// The paper's settings beside ours.
pub fn settings(settings: &[Setting]) -> Section {
    let of = |setting: &Setting| {
        vec![
            setting.what.to_owned(),
            setting.fields.join(", "),
            setting.paper.unwrap_or(MISSING).to_owned(),
            setting.here.clone(),
            match setting.same() {
                Some(true) => "yes",
                Some(false) => "no",
                None => MISSING,
            }
            .to_owned(),
        ]
    };
    Section {
        title: "Settings".to_owned(),
        note: "Everything that decides a fine-tune. A dash in the paper's column: neither its text nor its code says it. Not recorded: these records are from before there was such a setting.".to_owned(),
        headers: ["What", "Fields", "In the paper", "Here", "The same"]
            .map(str::to_owned)
            .to_vec(),
        rows: settings.iter().map(of).collect(),
    }
}

/// The rows as CSV; missing numbers are empty.
pub fn csv(item: &Item, rows: &[Row]) -> String {
    let number = |x: Option<f64>| x.map(|x| x.to_string()).unwrap_or_default();
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = [
        "item",
        "task",
        "setting",
        "method",
        "metric",
        "paper",
        "paper_deviation",
        "paper_source",
        "here",
        "low",
        "high",
        "seeds",
        "cases",
        "undefined",
        "failed",
        "gap",
        "gap_low",
        "gap_high",
        "gap_kind",
    ];
    table.write_record(header).expect("memory takes every row");
    for row in rows {
        let (ours, gap) = (row.ours.unwrap_or_default(), row.gap());
        let count = |count: usize| {
            if row.ours.is_some() {
                count.to_string()
            } else {
                String::new()
            }
        };
        let fields = [
            item.name.to_owned(),
            row.task.clone(),
            row.setting.clone(),
            row.method.clone(),
            row.metric.clone(),
            number(row.paper.map(|paper| paper.value)),
            number(row.paper.and_then(|paper| paper.deviation)),
            row.paper
                .map_or(String::new(), |paper| paper.source.to_owned()),
            number(ours.value),
            number(ours.low),
            number(ours.high),
            count(ours.seeds),
            count(ours.cases),
            count(ours.undefined),
            count(ours.failed),
            number(gap.map(|gap| gap.value)),
            number(gap.and_then(|gap| gap.interval).map(|ends| ends.0)),
            number(gap.and_then(|gap| gap.interval).map(|ends| ends.1)),
            gap.map_or("", |gap| if gap.ratio { "ratio" } else { "difference" })
                .to_owned(),
        ];
        table.write_record(fields).expect("memory takes every row");
    }
    let bytes = table.into_inner().expect("memory takes every row");
    String::from_utf8(bytes).expect("every field is text")
}
