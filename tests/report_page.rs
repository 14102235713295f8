//! The page's structure, read by a strict parser: ids, links, captions, the records behind points, its size.

mod synthetic;

use std::collections::{BTreeMap, BTreeSet};

use infbench::report::{self, ReportOptions};
use infbench::results::Record;
use infbench::results::theory::load;
use roxmltree::{Document, Node};
use serde_json::{Value, json};

fn page(records: &[Record]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ReportOptions {
        png: false,
        ..ReportOptions::default()
    };
    report::write(records, folder.path(), &options).expect("the records can be reported");
    std::fs::read_to_string(folder.path().join("report.html")).expect("written")
}

/// The page without document type, style and scripts, empty elements closed: what is left must be well-formed XML.
fn markup(page: &str) -> String {
    let mut text = page.replacen("<!DOCTYPE html>", "", 1);
    // the only elements without an end
    let meta = regex::Regex::new("<meta ([^>]*)>").expect("a right expression");
    text = meta.replace_all(&text, "<meta $1/>").into_owned();
    for (open, close) in [("<style>", "</style>"), ("<script", "</script>")] {
        while let Some(start) = text.find(open) {
            let end = text[start..].find(close).expect("closed") + start + close.len();
            text.replace_range(start..end, "");
        }
    }
    text
}

/// The data that the page's script reads.
fn data(page: &str) -> Value {
    let open = "<script type=\"application/json\" id=\"data\">";
    let start = page.find(open).expect("there is data") + open.len();
    let end = start + page[start..].find("</script>").expect("closed");
    serde_json::from_str(&page[start..end]).expect("data are JSON")
}

fn classes<'a>(node: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
    node.attribute("class").unwrap_or("").split(' ')
}

fn has_class(node: Node, class: &str) -> bool {
    classes(node).any(|found| found == class)
}

fn text(node: Node) -> String {
    node.descendants()
        .filter_map(|n| n.text().filter(|_| n.is_text()))
        .collect()
}

/// What every page has to keep; returns its links from points.
fn check(name: &str, page: &str) -> Vec<String> {
    let markup = markup(page);
    let document = Document::parse(&markup).unwrap_or_else(|e| panic!("{name}: {e}"));
    let nodes = || document.descendants().filter(Node::is_element);
    let mut ids = BTreeMap::new();
    for node in nodes() {
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id, node).is_none(), "{name}: two of id {id}");
        }
    }
    // nothing is asked of another place, and links within lead somewhere
    for node in nodes() {
        for attribute in ["src", "srcset", "data", "action", "poster"] {
            assert_eq!(node.attribute(attribute), None, "{name}: {attribute}");
        }
        assert!(!["link", "iframe", "object", "img"].contains(&node.tag_name().name()));
        if let Some(target) = node.attribute("href") {
            match target.strip_prefix('#') {
                Some(id) => assert!(ids.contains_key(id), "{name}: no id {id}"),
                None => assert!(
                    !target.contains(':') && !target.starts_with('/'),
                    "{target}"
                ),
            }
        }
        for attribute in ["aria-labelledby", "aria-describedby"] {
            if let Some(id) = node.attribute(attribute) {
                assert!(ids.contains_key(id), "{name}: {attribute} {id}");
            }
        }
    }
    assert!(!page.contains("http"), "{name} names an address");
    for tag in ["title", "h1", "nav", "main"] {
        assert_eq!(
            nodes().filter(|n| n.has_tag_name(tag)).count(),
            1,
            "{name}: {tag}"
        );
    }
    let entries = data(page)["entries"].as_object().expect("entries").clone();
    let mut points = Vec::new();
    for figure in nodes().filter(|node| node.has_tag_name("figure")) {
        let id = figure.attribute("id").expect("figures have an id");
        let caption = figure.children().find(|n| n.has_tag_name("figcaption"));
        let caption = text(caption.expect("a caption"));
        assert!(caption.len() > 40, "{name}: {id} says `{caption}`");
        assert!(
            !caption.contains("NaN") && !caption.contains("inf "),
            "{caption}"
        );
        let drawings = figure.descendants().filter(|n| n.has_tag_name("svg"));
        for svg in drawings.filter(|n| n.attribute("aria-hidden").is_none()) {
            assert!(
                !svg.attribute("aria-label").unwrap_or("").is_empty(),
                "{id}"
            );
        }
        let links: Vec<Node> = figure
            .descendants()
            .filter(|n| n.has_tag_name("a"))
            .collect();
        assert!(!links.is_empty(), "{name}: no point of {id} is linked");
        for link in &links {
            let target = link
                .attribute("href")
                .expect("a link")
                .trim_start_matches('#');
            assert!(
                !link.attribute("aria-label").unwrap_or("").is_empty(),
                "{id}"
            );
            let at = ids[target];
            if has_class(at, "entry") {
                assert!(entries.contains_key(target), "{name}: no data of {target}");
            } else {
                assert_eq!(at.tag_name().name(), "tr", "{name}: {target}");
            }
            points.push(target.to_owned());
        }
        // a marker is a filled shape of a series: each leads to records
        let markers = figure.descendants().filter(|node| {
            let shape = ["path", "circle"].contains(&node.tag_name().name());
            shape && !has_class(*node, "l") && node.ancestors().any(|n| has_class(n, "s"))
        });
        for marker in markers {
            let linked = marker.ancestors().any(|n| n.has_tag_name("a"));
            assert!(linked, "{name}: {id} has a point without records");
        }
    }
    for table in nodes().filter(|node| has_class(*node, "data")) {
        let rows: Vec<Node> = table
            .descendants()
            .filter(|n| n.has_tag_name("tr"))
            .collect();
        let cells = |row: &Node| row.children().filter(Node::is_element).count();
        assert!(
            rows.iter().all(|row| cells(row) == cells(&rows[0])),
            "{name}: a ragged table"
        );
    }
    points
}

#[test]
fn every_page_is_well_formed_and_every_point_leads_to_its_records() {
    let mut linked = 0;
    for (name, records) in synthetic::all() {
        let page = page(&records);
        linked += check(name, &page).len();
        let markup = markup(&page);
        let document = Document::parse(&markup).expect("checked");
        let rows: BTreeSet<&str> = document
            .descendants()
            .filter_map(|node| node.attribute("id")?.strip_prefix("r-"))
            .collect();
        let ids: BTreeSet<&str> = records.iter().map(|r| r.cell.id.as_str()).collect();
        assert_eq!(rows, ids, "{name}");
    }
    assert!(linked > 1000, "{linked}");
}

#[test]
fn the_data_give_back_the_settings_and_the_numbers_of_every_record() {
    let records = synthetic::layers();
    let data = data(&page(&records));
    let mut found = 0;
    for entry in data["entries"].as_object().expect("by anchor").values() {
        for own in entry["records"].as_array().expect("records") {
            let record = records
                .iter()
                .find(|record| own["id"] == record.cell.id.as_str())
                .expect("of the study");
            found += 1;
            let mut config = data["config"].clone();
            for (path, value) in own["set"].as_object().into_iter().flatten() {
                let pointer = format!("/{}", path.replace('.', "/"));
                *config.pointer_mut(&pointer).expect("a setting") = value.clone();
            }
            assert_eq!(config, record.config);
            assert_eq!(own["seed"], json!(record.cell.seed));
            for (own, method) in own["m"]
                .as_array()
                .expect("methods")
                .iter()
                .zip(&record.methods)
            {
                let at = own[0].as_u64().expect("a position") as usize;
                assert_eq!(data["methods"][at], json!(method.label));
                for (i, metric) in data["metrics"]
                    .as_array()
                    .expect("names")
                    .iter()
                    .enumerate()
                {
                    let value = method.metrics.iter().find(|m| *metric == m.metric.as_str());
                    let value = value.filter(|m| m.cases > 0).and_then(|m| m.value);
                    let short = own[2][i][0].as_f64();
                    match (value, short) {
                        // five significant digits
                        (Some(x), Some(y)) => assert!((x - y).abs() <= 5e-5 * x.abs(), "{x} {y}"),
                        (x, y) => assert_eq!((x, y), (None, None), "{metric}"),
                    }
                }
            }
        }
    }
    assert_eq!(found, records.len());
}

/// Ranks 1 to 12 of two tasks with 21 seeds: 504 cells of ten methods.
fn large() -> Vec<Record> {
    let mut records = Vec::new();
    for base in synthetic::rank() {
        for third in 0..3u64 {
            for more in 0..7u64 {
                let mut record = base.clone();
                let rank = record.cell.axes["lora.rank"].as_u64().expect("swept") + 16 * third;
                record.cell.axes["lora.rank"] = json!(rank);
                record.cell.seed += 3 * more;
                record.cell.index += 8 * third as usize;
                record.cell.id = format!("{:016x}", 0xdef0_0000 + records.len());
                record.config["lora"] = json!({"rank": rank, "dropout": 0.1});
                records.push(record);
            }
        }
    }
    records
}

#[test]
fn five_hundred_cells_are_one_page_that_can_be_sent() {
    let records = large();
    assert_eq!(records.len(), 504);
    let page = page(&records);
    check("large", &page);
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    // a cell more is its row, its numbers, and no more
    let mut half = records;
    half.retain(|record| record.cell.seed < 9);
    let (cells, bytes) = (504 - half.len(), page.len() - self::page(&half).len());
    assert!(bytes < 4_500 * cells, "{} bytes a cell", bytes / cells);
}

#[test]
fn a_theory_page_has_its_verdicts_on_top_and_its_cases_behind_points() {
    let stored =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/theory_synthetic");
    let mut results = load(&stored)
        .expect("readable")
        .expect("it holds theory.json");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // one claim violated, with a witness beside the page
    results.claims[0].verdict = infbench::results::theory::Verdict::Violated;
    results.claims[0].witness = Some("witness_jensen.safetensors".to_owned());
    report::theory::write(&results, folder.path()).expect("written");
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("written");
    let points = check("theory", &page);
    assert!(
        points.iter().any(|id| id.starts_with('a')) && points.iter().any(|id| id.starts_with('g'))
    );
    let verdicts = page.find("id=\"verdicts\"").expect("a table of verdicts");
    assert!(verdicts < page.find("<figure").expect("figures"));
    assert!(page.contains("1 violated") && page.contains("href=\"witness_jensen.safetensors\""));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}
