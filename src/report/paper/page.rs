//! The page in Markdown, HTML and CSV, and as text for a terminal.

use std::fmt::Write as _;

use maud::html;
use serde_json::Value;

use super::items::Item;
use super::rows::{Gap, Row};
use super::setup::Setting;
use crate::metrics::find;
use crate::report::aggregate::Aggregate;
use crate::report::figures::Figure;
use crate::report::html::{figures_section, record_sections};
use crate::report::number::{self, MISSING};
use crate::report::page::{self as shell, Colours};
use crate::report::palette::Palette;
use crate::report::study::Study;
use crate::report::tables::{Table, clean, metric_cell};

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
    pub sections: Vec<Table>,
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
            text.push('\n');
            text.push_str(&section.markdown());
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
            .map(|(i, table)| {
                let body = shell::body(table, &shell::Links::NONE);
                shell::Section {
                    id: format!("part-{i}"),
                    title: table.title.clone(),
                    parts: Vec::new(),
                    html: html! { (shell::how(&table.note)) (body) }.into_string(),
                }
            })
            .collect();
        sections.push(figures_section(&self.figures, &[], &mut colours));
        let mut data = Value::Null;
        if let Some(study) = study {
            let (records, found) = record_sections(study);
            sections.extend(records);
            data = found;
        }
        let head = html! {
            p.asked { "In the paper: " (self.shows) "." }
            ul.facts { (shell::items(&self.facts)) }
        };
        shell::Page {
            title: self.heading(),
            about: self.shows.to_owned(),
            head: head.into_string(),
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
            let mut shown = section.clone();
            if !section.headers.is_empty() {
                let paper = section.headers.iter().position(|h| h == "Paper");
                shown
                    .rows
                    .retain(|row| paper.is_some_and(|at| row[at].text != MISSING));
            }
            if !shown.rows.is_empty() {
                let _ = writeln!(text, "{}", shown.text(""));
            }
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
pub fn numbers(rows: &[Row], palette: &Palette) -> Table {
    let of = |row: &Row| {
        let paper = row.paper.map_or(MISSING.to_owned(), |number| {
            let deviation = number.deviation.map_or(String::new(), |d| {
                format!(" (deviation {})", number::fixed(d, 3))
            });
            format!("{}{deviation}", number_text(number.value, &row.metric))
        });
        let ours = row.ours.as_ref();
        let name = match row.method.as_str() {
            "full" => "all examples".to_owned(),
            "random" => "random choice".to_owned(),
            label => palette.style(label).name,
        };
        [
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
    Table::of_texts(
        "Numbers",
        "Here: mean over seeds ± half of the 95 % t-interval (×÷: geometric mean and the factor of the interval of the logarithms); with one seed the value and its interval within the cell in brackets. A dash in the paper's column: it gives no number. Paper's less ours: the difference (of times × the ratio, paper's over ours) with our 95 % interval in brackets; the paper's number is taken as it stands, so that what its own runs vary by is not in it.",
        [
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
        ],
        rows.iter().map(of),
    )
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
pub fn settings(settings: &[Setting]) -> Table {
    let of = |setting: &Setting| {
        [
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
    Table::of_texts(
        "Settings",
        "Everything that decides a fine-tune. A dash in the paper's column: neither its text nor its code says it. Not recorded: these records are from before there was such a setting.",
        ["What", "Fields", "In the paper", "Here", "The same"],
        settings.iter().map(of),
    )
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
