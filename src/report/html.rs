//! The self-contained page: inline figures, sortable tables, provenance, every cell. No request leaves it.

use std::fmt::Write;

use serde_json::Value;

use super::figures::Figure;
use super::number::{self, MISSING};
use super::study::{Study, task_name, value_text};
use super::tables::{Table, damping_text};
use crate::results::record::{MethodRecord, Record, Status};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Text as HTML and XML text or attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// [`escape`]d text with `code` between backticks.
fn inline(text: &str) -> String {
    let pieces: Vec<String> = text.split('`').map(escape).collect();
    if pieces.len().is_multiple_of(2) {
        return escape(text);
    }
    let piece = |(i, piece): (usize, &String)| {
        if i % 2 == 1 {
            format!("<code>{piece}</code>")
        } else {
            piece.clone()
        }
    };
    pieces.iter().enumerate().map(piece).collect()
}

/// The whole page.
pub fn page(
    study: &Study,
    title: &str,
    figures: &[(Figure, String)],
    tables: &[Table],
    omitted: &[(String, String)],
) -> String {
    let mut body = String::new();
    let mut contents: Vec<(String, String)> = Vec::new();
    for (figure, svg) in figures {
        contents.push((format!("figure-{}", figure.id), figure.title.clone()));
        body.push_str(&format!(
            "<figure id=\"figure-{}\"><h2>{}</h2><div class=\"card\">{svg}</div><figcaption>{}</figcaption></figure>\n",
            figure.id,
            escape(&figure.title),
            inline(&figure.caption)
        ));
    }
    for (i, table) in tables.iter().enumerate() {
        contents.push((format!("table-{i}"), format!("Table: {}", table.title)));
        body.push_str(&table_html(table, i));
    }
    if !omitted.is_empty() {
        contents.push(("omitted".into(), "Figures not drawn".into()));
        body.push_str("<section id=\"omitted\"><h2>Figures not drawn</h2><ul>\n");
        for (title, reason) in omitted {
            body.push_str(&format!(
                "<li>{}: {}.</li>\n",
                escape(title),
                inline(reason)
            ));
        }
        body.push_str("</ul></section>\n");
    }
    contents.push(("provenance".into(), "Provenance".into()));
    body.push_str(&provenance(study));
    contents.push(("cells".into(), "Cells".into()));
    body.push_str("<section id=\"cells\"><h2>Cells</h2>\n");
    study
        .records
        .iter()
        .for_each(|record| body.push_str(&cell(study, record)));
    body.push_str("</section>\n");

    let links: String = contents
        .iter()
        .map(|(id, text)| format!("<li><a href=\"#{id}\">{}</a></li>\n", escape(text)))
        .collect();
    let mut descriptions: Vec<&str> = study.records.iter().map(|r| r.description.trim()).collect();
    descriptions.dedup();
    let descriptions: String = descriptions
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| format!("<p>{}</p>\n", escape(text)))
        .collect();
    let failed = match study.failed() {
        0 => "none failed".to_owned(),
        count => format!("<strong class=\"bad\">{count} failed</strong>"),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1>\n{descriptions}\
         <p>{} cells ({failed}), {} methods. {}</p></header>\n<nav><h2>Contents</h2><ul>\n{links}</ul></nav>\n<main>\n{body}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        study.records.len(),
        study.methods.len(),
        escape(&damping_text(study)),
        title = escape(title),
    )
}

fn table_html(table: &Table, i: usize) -> String {
    let mut text = format!(
        "<section id=\"table-{i}\"><h2>{}</h2><p>{}</p>\n<div class=\"scroll\"><table class=\"sortable\"><thead><tr>",
        escape(&table.title),
        escape(&table.note)
    );
    for (column, header) in table.headers.iter().enumerate() {
        let class = if table.is_numeric(column) {
            " class=\"number\""
        } else {
            ""
        };
        let _ = write!(
            text,
            "<th scope=\"col\"{class}><button type=\"button\">{}</button></th>",
            escape(header)
        );
    }
    text.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        text.push_str("<tr>");
        for cell in row {
            match cell.sort {
                Some(value) => {
                    let _ = write!(
                        text,
                        "<td class=\"number\" data-v=\"{value:e}\">{}</td>",
                        escape(&cell.text)
                    );
                }
                None if cell.text == MISSING => {
                    text.push_str("<td class=\"number missing\">–</td>")
                }
                None => {
                    let _ = write!(text, "<td>{}</td>", escape(&cell.text));
                }
            }
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div></section>\n");
    text
}

/// Distinct values in order of appearance.
fn distinct(values: impl Iterator<Item = String>) -> String {
    let mut list: Vec<String> = Vec::new();
    for value in values {
        if !list.contains(&value) {
            list.push(value);
        }
    }
    list.join("; ")
}

fn provenance(study: &Study) -> String {
    let all = |pick: &dyn Fn(&Record) -> String| {
        distinct(study.records.iter().map(|record| pick(record)))
    };
    let mut starts: Vec<&str> = study
        .records
        .iter()
        .map(|record| record.provenance.started.as_str())
        .collect();
    starts.sort_unstable();
    let mut seeds: Vec<u64> = study
        .records
        .iter()
        .map(|record| record.cell.seed)
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    let rows = [
        ("Experiment", all(&|r| r.experiment.clone())),
        (
            "Profile",
            all(&|r| r.profile.clone().unwrap_or_else(|| "none".into())),
        ),
        (
            "Version of infbench",
            all(&|r| r.provenance.version.clone()),
        ),
        (
            "Commit",
            all(&|r| {
                r.provenance
                    .commit
                    .clone()
                    .unwrap_or_else(|| "not in a repository".into())
            }),
        ),
        (
            "Started (UTC)",
            distinct(
                [starts.first(), starts.last()]
                    .into_iter()
                    .flatten()
                    .map(|s| (*s).to_owned()),
            ),
        ),
        (
            "Wall time of all cells",
            number::seconds(study.records.iter().map(|r| r.provenance.seconds).sum()),
        ),
        (
            "Processor",
            all(&|r| r.provenance.cpu.clone().unwrap_or_else(|| "unknown".into())),
        ),
        (
            "Logical CPUs, threads used",
            all(&|r| format!("{}, {}", r.provenance.cores, r.provenance.threads)),
        ),
        (
            "Memory",
            all(&|r| {
                r.provenance
                    .memory_bytes
                    .map_or("unknown".into(), |bytes| number::bytes(bytes as f64))
            }),
        ),
        ("Device of the model", all(&|r| r.provenance.device.clone())),
        ("System", all(&|r| r.provenance.os.clone())),
        (
            "Libraries",
            all(&|r| {
                r.provenance
                    .libraries
                    .iter()
                    .map(|(name, version)| format!("{name} {}", value_text(version)))
                    .collect::<Vec<_>>()
                    .join(", ")
            }),
        ),
        (
            "Seeds",
            seeds
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("Layout of the records", all(&|r| r.schema.to_string())),
    ];
    let rows: String = rows
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>\n",
                escape(if value.is_empty() { MISSING } else { value })
            )
        })
        .collect();
    format!(
        "<section id=\"provenance\"><h2>Provenance</h2><p>{}</p><div class=\"scroll\"><table>\n{rows}</table></div></section>\n",
        escape(&damping_text(study))
    )
}

fn cell(study: &Study, record: &Record) -> String {
    let axes: Vec<String> = record
        .cell
        .axes
        .iter()
        .filter(|(key, _)| *key != "task.name")
        .map(|(key, value)| format!("{key} = {}", value_text(value)))
        .collect();
    let bad = record.status == Status::Failed
        || record
            .methods
            .iter()
            .any(|method| method.status == Status::Failed);
    let state = match (record.status, bad) {
        (Status::Failed, _) => " <strong class=\"bad\">failed</strong>",
        (Status::Ok, true) => " <strong class=\"bad\">a method failed</strong>",
        _ => "",
    };
    let mut text = format!(
        "<details id=\"cell-{id}\"><summary><code>{id}</code> {} · seed {}{state}</summary>\n",
        escape(
            &std::iter::once(task_name(record))
                .chain(axes)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        record.cell.seed,
        id = escape(&record.cell.id),
    );
    if let Some(error) = &record.error {
        let _ = writeln!(text, "<p class=\"bad\">{}</p>", escape(error));
    }
    if let Some(gradients) = &record.gradients {
        let lambdas = gradients.blocks.iter().map(|block| block.lambda);
        let padding = gradients.padding.map_or(String::new(), |share| {
            format!(", {} % padding", number::fixed(100.0 * share, 1))
        });
        let (low, high) = lambdas.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| {
            (a.min(x), b.max(x))
        });
        let _ = writeln!(
            text,
            "<p>{} blocks, λ between {} and {}; gradients {} in {} ({} examples/s{padding}, {}).</p>",
            gradients.blocks.len(),
            number::significant(low, 3),
            number::significant(high, 3),
            number::bytes(gradients.bytes as f64),
            number::seconds(gradients.seconds),
            number::significant(gradients.examples_per_second, 3),
            escape(&gradients.storage),
        );
    }
    if !record.methods.is_empty() {
        text.push_str("<div class=\"scroll\"><table><thead><tr><th>Method</th><th>Setting</th><th>Metrics</th><th>Runtime</th><th>Peak memory</th><th>Residual</th></tr></thead><tbody>\n");
        record
            .methods
            .iter()
            .for_each(|method| text.push_str(&method_row(study, method)));
        text.push_str("</tbody></table></div>\n");
    }
    let config =
        serde_json::to_string_pretty(&record.config).unwrap_or_else(|_| Value::Null.to_string());
    let _ = writeln!(
        text,
        "<details><summary>Settings</summary><pre>{}</pre></details></details>",
        escape(&config)
    );
    text
}

fn method_row(study: &Study, method: &MethodRecord) -> String {
    let metrics = match (&method.status, &method.error) {
        (Status::Failed, error) => format!(
            "<span class=\"bad\">failed: {}</span>",
            escape(error.as_deref().unwrap_or("no reason recorded"))
        ),
        _ => method
            .metrics
            .iter()
            .filter(|value| value.cases > 0)
            .map(|value| {
                let shown = value
                    .value
                    .map_or(MISSING.to_owned(), |x| number::significant(x, 4));
                let undefined = if value.undefined > 0 {
                    format!(" ({} of {} undefined)", value.undefined, value.cases)
                } else {
                    String::new()
                };
                format!("{} {shown}{undefined}", escape(&value.metric))
            })
            .collect::<Vec<_>>()
            .join("<br>"),
    };
    let shown = |x: Option<f64>, show: &dyn Fn(f64) -> String| x.map_or(MISSING.to_owned(), show);
    format!(
        "<tr><td>{}</td><td><code>{}</code></td><td>{metrics}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
        escape(&study.palette.style(&method.label).name),
        escape(&method.label),
        shown(method.seconds.as_ref().map(|s| s.total()), &number::seconds),
        shown(
            method.peak_bytes.as_ref().map(|b| b.peak() as f64),
            &number::bytes
        ),
        shown(method.evidence.residual, &|r| number::significant(r, 2)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup() {
        assert_eq!(inline("a `b<` c"), "a <code>b&lt;</code> c");
        assert_eq!(inline("a ` b"), "a ` b");
        assert_eq!(
            escape("<a href=\"x\">&'"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;"
        );
    }
}
