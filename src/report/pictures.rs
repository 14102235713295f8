//! What a diffusion model draws before and after its fine-tune, and which training images help and harm a query image most.

use std::collections::BTreeMap;
use std::path::Path;

use super::number;
use super::page::{Section, escape};
use super::study::{Study, cell_name};
use crate::results::record::{ImageFacts, QueryImage, Record, SampleFacts, ScoredImage};

/// Pictures of the records, whose files are in `root`; of the seeds of a setting the first. Empty when there are none.
pub fn section(study: &Study, root: Option<&Path>) -> Section {
    let firsts = study.groups.iter().filter_map(|group| {
        let mut records = group.records.iter();
        records.find(|record| !record.samples.is_empty() || !record.by_image.is_empty())
    });
    let (mut gallery, mut parts, mut html) = (Gallery::default(), Vec::new(), String::new());
    for record in firsts {
        let (id, name) = (id(record), cell_name(study, record));
        html.push_str(&format!(
            "<section id=\"{id}\"><h3>{}</h3>\n{}</section>\n",
            escape(&name),
            cell(study, record, &mut gallery)
        ));
        parts.push((id, name));
    }
    Section {
        id: "pictures".to_owned(),
        title: "Pictures".to_owned(),
        parts,
        html: match html.is_empty() {
            true => html,
            false => format!("{}{html}", gallery.style(root)),
        },
    }
}

fn id(record: &Record) -> String {
    format!("pictures-{}", record.cell.id)
}

fn cell(study: &Study, record: &Record, gallery: &mut Gallery) -> String {
    let queries = record.by_image.iter();
    let queries: String = queries
        .map(|query| of_query(study, query, gallery))
        .collect();
    let about = match queries.is_empty() {
        true => "",
        false => {
            "<p class=\"how\">For some queries, the training images that every method calls most helpful (lowest scores first) and most \
             harmful (highest first), with their scores. A green frame: the query's class; red: another.</p>\n"
        }
    };
    format!("{}{about}{queries}", samples(&record.samples, gallery))
}

/// A query image with its most helpful and most harmful training images, a row per method.
fn of_query(study: &Study, query: &QueryImage, gallery: &mut Gallery) -> String {
    let own = gallery.image(&query.image.picture, &described(&query.image));
    let mut scored = |all: &[ScoredImage]| -> String {
        let one = |scored: &ScoredImage| {
            let kind = match (&query.image.class, &scored.image.class) {
                (Some(own), Some(class)) if own == class => "own",
                (Some(_), Some(_)) => "other",
                _ => "",
            };
            format!(
                "<span class=\"scored {kind}\">{}<small>{}</small></span>",
                gallery.image(&scored.image.picture, &described(&scored.image)),
                number::significant(scored.score, 2)
            )
        };
        all.iter().map(one).collect()
    };
    let rows: Vec<String> = query
        .methods
        .iter()
        .map(|method| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
                escape(&study.palette.style(&method.label).name),
                scored(&method.helpful),
                scored(&method.harmful)
            )
        })
        .collect();
    format!(
        "<div class=\"query\">{}<p><b>Query {}</b><br>{}</p></div>\n\
         <div class=\"scroll\"><table class=\"pictures\"><thead><tr><th>Method</th><th>Most helpful</th><th>Most harmful</th></tr></thead>\n\
         <tbody>{}</tbody></table></div>\n",
        own,
        query.query,
        escape(&described(&query.image)),
        rows.concat()
    )
}

/// Caption and class of an image.
fn described(image: &ImageFacts) -> String {
    match &image.class {
        Some(class) => format!("{} ({class})", image.text),
        None => image.text.clone(),
    }
}

/// Samples before and after, a row per caption.
fn samples(samples: &[SampleFacts], gallery: &mut Gallery) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let mut row = |sample: &SampleFacts| {
        let mut images = |files: &[String]| -> String {
            let all = files.iter().map(|file| gallery.image(file, &sample.prompt));
            all.collect()
        };
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            escape(&sample.prompt),
            images(&sample.before),
            images(&sample.after)
        )
    };
    let rows: String = samples.iter().map(&mut row).collect();
    format!(
        "<p class=\"how\">Samples for captions of queries. Those before and after the fine-tune begin with the same noise.</p>\n\
         <div class=\"scroll\"><table class=\"pictures\"><thead><tr><th>Caption</th><th>Before</th><th>After</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n"
    )
}

/// The pictures of a page: each is in it once, as the background of a class.
#[derive(Default)]
struct Gallery {
    files: BTreeMap<String, usize>,
}

impl Gallery {
    /// A picture, with what it is for those who do not see it.
    fn image(&mut self, file: &str, text: &str) -> String {
        let next = self.files.len();
        let at = self.files.entry(file.to_owned()).or_insert(next);
        let text = escape(text);
        format!(
            "<span class=\"picture p{at}\" role=\"img\" aria-label=\"{text}\" title=\"{text}\"></span>"
        )
    }

    /// The classes; a note for pictures whose files are not in `root`.
    fn style(&self, root: Option<&Path>) -> String {
        let (mut classes, mut missing) = (String::new(), 0);
        for (file, at) in &self.files {
            match root.and_then(|root| std::fs::read(root.join(file)).ok()) {
                Some(bytes) => {
                    let data = base64(&bytes);
                    classes.push_str(&format!(
                        ".p{at}{{background-image:url(data:image/png;base64,{data})}}\n"
                    ));
                }
                None => missing += 1,
            }
        }
        let note = match missing {
            0 => String::new(),
            count => format!("<p class=\"how\">{count} picture files are not there.</p>\n"),
        };
        format!("<style>\n{classes}</style>\n{note}")
    }
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at > chunk.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;
    use crate::results::record::ImagesByMethod;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10
        let all = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (text, expected) in all {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn extreme_images_stand_with_their_scores_by_method() {
        let image = |file: &str, class: &str| ImageFacts {
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
        let html = section(&Study::new(&records), None).html;
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
        records[0].samples = vec![SampleFacts {
            prompt: "a <cat>".to_owned(),
            before: vec!["a.png".to_owned()],
            after: vec!["none.png".to_owned()],
        }];
        let html = section(&Study::new(&records), Some(folder.path())).html;
        assert!(
            html.contains(".p0{background-image:url(data:image/png;base64,Zm9v)}"),
            "{html}"
        );
        let image = "<td><span class=\"picture p0\" role=\"img\" aria-label=\"a &lt;cat&gt;\"";
        assert!(html.contains(image), "{html}");
        assert!(html.contains("1 picture files are not there"), "{html}");
        records[0].samples.clear();
        assert!(section(&Study::new(&records), None).html.is_empty());
    }
}
