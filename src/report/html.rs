//! The page of a study: what came out, figures, tables, records.

use std::path::Path;

use maud::html;
use serde_json::Value;

use super::answers;
use super::by_token;
use super::figures::Figure;
use super::page::{
    Colours, Environments, Links, Page, Section, Settings, data, entries, figure, headline, how,
    inline, record_anchor, section,
};
use super::pictures;
use super::study::{Study, anchor};
use super::tables::{Cell, Table, damping_text, entry_of};

/// The whole page; pictures that the records name are in the folder `results`.
pub fn page(
    study: &Study,
    title: &str,
    (figures, omitted): (&[Figure], &[(String, String)]),
    tables: &[Table],
    results: Option<&Path>,
) -> String {
    let mut colours = Colours::default();
    let (records, data) = record_sections(study);
    let sections = [
        figures_section(figures, omitted, &mut colours),
        tables_section(study, tables),
        pictures::section(study, results),
        answers::section(study),
        by_token::section(study),
    ];
    let sections = sections.into_iter().chain(records);
    let mut descriptions: Vec<&str> = study.records.iter().map(|r| r.description.trim()).collect();
    descriptions.dedup();
    descriptions.retain(|text| !text.is_empty());
    let head = html! {
        @for text in &descriptions { p.asked { (text) } }
        (headline(study))
    };
    Page {
        title: title.to_owned(),
        about: descriptions.first().map_or(title, |text| text).to_owned(),
        head: head.into_string(),
        sections: sections
            .filter(|section| !section.html.is_empty())
            .collect(),
        data,
        colours,
    }
    .html()
}

/// The records that points lead to, their settings and environments, and the data of the page's script.
pub fn record_sections(study: &Study) -> ([Section; 2], Value) {
    let settings = Settings::new(study);
    let environments = Environments::new(study);
    let sections = [
        Section {
            id: "records".to_owned(),
            title: "Records".to_owned(),
            parts: Vec::new(),
            html: html! {
                (how("One entry a setting, with a cell for every seed. Points of figures and rows of tables lead here. \
                      Numbers of single cells are rounded; `records.jsonl` has every digit."))
                (entries(study, &settings, &environments))
            }
            .into_string(),
        },
        Section {
            id: "settings".to_owned(),
            title: "Settings and environment".to_owned(),
            parts: Vec::new(),
            html: html! {
                p.how { (damping_text(study)) }
                (environments.html())
                details { summary { "Settings that all cells share" } (settings.html()) }
            }
            .into_string(),
        },
    ];
    (sections, data(study, &settings, &environments))
}

/// The figures, and those that are not there with their reasons.
pub fn figures_section(
    figures: &[Figure],
    omitted: &[(String, String)],
    colours: &mut Colours,
) -> Section {
    let mut parts: Vec<(String, String)> = figures
        .iter()
        .map(|figure| (format!("figure-{}", figure.id), figure.title.clone()))
        .collect();
    if !omitted.is_empty() {
        parts.push(("omitted".to_owned(), "Not drawn".to_owned()));
    }
    let html = html! {
        @for drawn in figures { (figure(drawn, colours)) }
        @if !omitted.is_empty() {
            section #omitted {
                h3 { "Not drawn" }
                ul { @for (title, reason) in omitted { li { (title) ": " (inline(reason)) "." } } }
            }
        }
    };
    Section {
        id: "figures".to_owned(),
        title: "Figures".to_owned(),
        parts,
        html: html.into_string(),
    }
}

fn tables_section(study: &Study, tables: &[Table]) -> Section {
    let row = |cells: &[Cell]| entry_of(study, cells).map(anchor);
    let text = |text: &str| {
        let record = study.records.iter().find(|record| record.cell.id == text);
        record.map(|record| record_anchor(record))
    };
    let links = Links {
        row: &row,
        text: &text,
        ..Links::NONE
    };
    let id = |i: usize| format!("table-{i}");
    Section {
        id: "tables".to_owned(),
        title: "Tables".to_owned(),
        parts: tables
            .iter()
            .enumerate()
            .map(|(i, table)| (id(i), table.title.clone()))
            .collect(),
        html: html! { @for (i, table) in tables.iter().enumerate() { (section(table, &id(i), &links)) } }
            .into_string(),
    }
}
