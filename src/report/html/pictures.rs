//! What a diffusion model draws before and after its fine-tune, and which training images help and harm a query image most.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, PreEscaped, html};

use super::markup::{clean, how};
use super::section::{Part, Section};
use crate::report::data::{ResultSet, cell_name};
use crate::report::number;
use crate::results::record::{ImageInfo, QueryImage, Record, SampleInfo, ScoredImage};

/// Pictures of the records, whose files are in `root`; of the seeds of a setting the first. Empty when there are none.
pub fn section(results: &ResultSet, root: Option<&Path>) -> Section {
    let firsts = results.groups.iter().filter_map(|group| {
        let mut records = group.records.iter();
        records.find(|record| !record.samples.is_empty() || !record.by_image.is_empty())
    });
    let mut gallery = Gallery::default();
    let parts = firsts.map(|record| Part {
        id: format!("pictures-{}", record.cell.id),
        title: cell_name(results, record),
        body: cell(results, record, &mut gallery),
    });
    let mut section = Section::of_parts("pictures", "Pictures", "", parts);
    if !gallery.files.is_empty() {
        section.body.0.insert_str(0, &gallery.style(root).0);
    }
    section
}

fn cell(results: &ResultSet, record: &Record, gallery: &mut Gallery) -> Markup {
    html! {
        (samples(&record.samples, gallery))
        @if !record.by_image.is_empty() {
            (how("For some queries, the training images that every method calls most helpful (lowest scores first) and most \
                  harmful (highest first), with their scores. A green frame: the query's class; red: another."))
        }
        @for query in &record.by_image { (of_query(results, query, gallery)) }
    }
}

/// A table of pictures: a name, and pictures of two kinds.
fn table(headers: [&str; 3], rows: &[(String, [Markup; 2])]) -> Markup {
    html! {
        div.scroll {
            table.pictures {
                thead { tr { @for header in headers { th { (header) } } } }
                tbody {
                    @for (name, pictures) in rows {
                        tr { th scope="row" { (clean(name)) } @for both in pictures { td { (both) } } }
                    }
                }
            }
        }
    }
}

/// A query image with its most helpful and most harmful training images, a row per method.
fn of_query(results: &ResultSet, query: &QueryImage, gallery: &mut Gallery) -> Markup {
    let own = gallery.image(&query.image.picture, &described(&query.image));
    let kind = |scored: &ScoredImage| match (&query.image.class, &scored.image.class) {
        (Some(own), Some(class)) if own == class => "scored own",
        (Some(_), Some(_)) => "scored other",
        _ => "scored",
    };
    let mut scored = |all: &[ScoredImage]| {
        html! {
            @for one in all {
                span class=(kind(one)) {
                    (gallery.image(&one.image.picture, &described(&one.image)))
                    small { (number::significant(one.score, 2)) }
                }
            }
        }
    };
    let methods = query.methods.iter();
    let rows = methods.map(|method| {
        let name = results.palette.name(&method.label);
        (name, [scored(&method.helpful), scored(&method.harmful)])
    });
    let rows: Vec<_> = rows.collect();
    html! {
        div.query { (own) p { b { "Query " (query.query) } br; (clean(&described(&query.image))) } }
        (table(["Method", "Most helpful", "Most harmful"], &rows))
    }
}

/// Caption and class of an image.
fn described(image: &ImageInfo) -> String {
    match &image.class {
        Some(class) => format!("{} ({class})", image.text),
        None => image.text.clone(),
    }
}

/// Samples before and after, a row per caption.
fn samples(samples: &[SampleInfo], gallery: &mut Gallery) -> Markup {
    let rows = samples.iter().map(|sample| {
        let pictures = [&sample.before, &sample.after].map(|files| {
            html! { @for file in files { (gallery.image(file, &sample.prompt)) } }
        });
        (sample.prompt.clone(), pictures)
    });
    let rows: Vec<_> = rows.collect();
    html! {
        @if !rows.is_empty() {
            (how("Samples for captions of queries. Those before and after the fine-tune begin with the same noise."))
            (table(["Caption", "Before", "After"], &rows))
        }
    }
}

/// The pictures of a page: each is in it once, as the background of a class.
#[derive(Default)]
struct Gallery {
    files: BTreeMap<String, usize>,
}

impl Gallery {
    /// A picture, with what it is for those who do not see it.
    fn image(&mut self, file: &str, text: &str) -> Markup {
        let next = self.files.len();
        let at = self.files.entry(file.to_owned()).or_insert(next);
        let text = clean(text);
        html! { span class={ "picture p" (at) } role="img" aria-label=(text) title=(text) {} }
    }

    /// The classes; a note for pictures whose files are not in `root`.
    fn style(&self, root: Option<&Path>) -> Markup {
        let (mut classes, mut missing) = (String::new(), 0);
        for (file, at) in &self.files {
            match root.and_then(|root| std::fs::read(root.join(file)).ok()) {
                Some(bytes) => classes.push_str(&format!(
                    ".p{at}{{background-image:url(data:image/png;base64,{})}}\n",
                    BASE64_STANDARD.encode(bytes)
                )),
                None => missing += 1,
            }
        }
        html! {
            style { (PreEscaped(classes)) }
            @if missing > 0 { p.how { (missing) " picture files are not there." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::results::record::ImagesByMethod;

    #[test]
    fn extreme_images_stand_with_their_scores_by_method() {
        let image = |file: &str, class: &str| ImageInfo {
            file: file.to_owned(),
            text: "a cat".to_owned(),
            class: Some(class.to_owned()),
            picture: file.to_owned(),
        };
        let scored = |file: &str, class: &str, score| ScoredImage {
            example: 3,
            score,
            image: image(file, class),
        };
        let mut records = synthetic::glue();
        records.truncate(1);
        records[0].by_image = vec![QueryImage {
            query: 7,
            image: image("q.png", "sketch"),
            methods: vec![ImagesByMethod {
                label: "hessian_free".to_owned(),
                helpful: vec![scored("a.png", "sketch", -0.25)],
                harmful: vec![scored("q.png", "cartoon", 1.5)],
            }],
        }];
        let html = section(&ResultSet::new(&records), None).body.0;
        for part in [
            "<b>Query 7</b><br>a cat (sketch)",
            "<th scope=\"row\">Hessian-free</th>",
            "<span class=\"scored own\"><span class=\"picture p1\"",
            "<small>−0.25</small>",
            // the query's own picture is there once
            "<span class=\"scored other\"><span class=\"picture p0\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }

    #[test]
    fn samples_are_within_the_page() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.png"), "foo").expect("written");
        let mut records = synthetic::glue();
        records.truncate(1);
        records[0].samples = vec![SampleInfo {
            prompt: "a <cat>".to_owned(),
            before: vec!["a.png".to_owned()],
            after: vec!["none.png".to_owned()],
        }];
        let html = section(&ResultSet::new(&records), Some(folder.path()))
            .body
            .0;
        for part in [
            ".p0{background-image:url(data:image/png;base64,Zm9v)}",
            "<td><span class=\"picture p0\" role=\"img\" aria-label=\"a &lt;cat&gt;\"",
            "1 picture files are not there",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        records[0].samples.clear();
        assert!(section(&ResultSet::new(&records), None).body.0.is_empty());
    }
}
