//! What a diffusion model draws before and after its fine-tune.

use std::path::Path;

use super::page::{Section, escape};
use super::study::{Study, cell_name};
use crate::results::record::{Record, SampleFacts};

/// Pictures of the records, whose files are in `root`; of the seeds of a setting the first. Empty when there are none.
pub fn section(study: &Study, root: Option<&Path>) -> Section {
    let firsts = study.groups.iter().filter_map(|group| {
        let mut records = group.records.iter();
        records.find(|record| !record.samples.is_empty())
    });
    let cells: Vec<(String, String, String)> = firsts
        .map(|record| (id(record), cell_name(study, record), cell(record, root)))
        .collect();
    let html: String = cells
        .iter()
        .map(|(id, name, html)| {
            format!(
                "<section id=\"{id}\"><h3>{}</h3>\n{html}</section>\n",
                escape(name)
            )
        })
        .collect();
    Section {
        id: "pictures".to_owned(),
        title: "Pictures".to_owned(),
        parts: cells
            .iter()
            .map(|(id, name, _)| (id.clone(), name.clone()))
            .collect(),
        html,
    }
}

fn id(record: &Record) -> String {
    format!("pictures-{}", record.cell.id)
}

fn cell(record: &Record, root: Option<&Path>) -> String {
    samples(&record.samples, root)
}

/// Samples before and after, a row per caption.
fn samples(samples: &[SampleFacts], root: Option<&Path>) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let row = |sample: &SampleFacts| {
        let images = |files: &[String]| -> String {
            files
                .iter()
                .map(|file| image(root, file, &sample.prompt))
                .collect()
        };
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            escape(&sample.prompt),
            images(&sample.before),
            images(&sample.after)
        )
    };
    let rows: String = samples.iter().map(row).collect();
    format!(
        "<p class=\"how\">Samples for captions of queries. Those before and after the fine-tune begin with the same noise.</p>\n\
         <div class=\"scroll\"><table class=\"pictures\"><thead><tr><th>Caption</th><th>Before</th><th>After</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n"
    )
}

/// A picture within the page; its file's name where the file is not there.
fn image(root: Option<&Path>, file: &str, text: &str) -> String {
    match root.and_then(|root| std::fs::read(root.join(file)).ok()) {
        Some(bytes) => format!(
            "<img src=\"data:image/png;base64,{}\" alt=\"{}\">",
            base64(&bytes),
            escape(text)
        ),
        None => format!("<code>{}</code>", escape(file)),
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
        let image = "<td><img src=\"data:image/png;base64,Zm9v\" alt=\"a &lt;cat&gt;\"></td>";
        assert!(html.contains(image), "{html}");
        assert!(html.contains("<code>none.png</code>"), "{html}");
        records[0].samples.clear();
        assert!(section(&Study::new(&records), None).html.is_empty());
    }
}
