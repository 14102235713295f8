//! Where and with what the records were computed: every distinct environment once.

use maud::{Markup, html};

use crate::report::data::{ResultSet, value_text};
use crate::report::number::{self, MISSING};
use crate::results::record::{Provenance, Record};

/// The distinct environments, numbered from 1.
pub struct Environments {
    list: Vec<Provenance>,
}

impl Environments {
    /// Of all records.
    pub fn new(results: &ResultSet) -> Self {
        let mut list = Vec::new();
        for record in &results.records {
            let environment = without_time(&record.provenance);
            if !list.contains(&environment) {
                list.push(environment);
            }
        }
        Self { list }
    }

    /// Of one provenance.
    pub fn one(provenance: &Provenance) -> Self {
        Self {
            list: vec![without_time(provenance)],
        }
    }

    /// Number of a record's.
    pub fn of(&self, record: &Record) -> usize {
        let environment = without_time(&record.provenance);
        let position = self.list.iter().position(|other| *other == environment);
        position.map_or(0, |at| at + 1)
    }

    /// A table, one column an environment.
    pub fn html(&self) -> Markup {
        html! {
            div.scroll tabindex="0" role="region" aria-label="Environments" {
                table {
                    thead {
                        tr {
                            td {}
                            @for i in 1..=self.list.len() {
                                th scope="col" id={ "env-" (i) } { "Environment " (i) }
                            }
                        }
                    }
                    tbody {
                        @for (name, of) in ROWS {
                            tr {
                                th scope="row" { (name) }
                                @for environment in &self.list { td { (number::or_missing(of(environment))) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Name of a row and what stands in it.
type Row = (&'static str, fn(&Provenance) -> String);

const ROWS: [Row; 8] = [
    ("Version of infbench", |p| p.version.clone()),
    ("Commit", |p| {
        known(p.commit.as_ref(), "not in a repository")
    }),
    ("Processor", |p| known(p.cpu.as_ref(), "unknown")),
    ("Logical CPUs, threads used", |p| {
        number::list([p.cores, p.threads])
    }),
    ("Memory", |p| {
        known(
            p.memory_bytes.map(|bytes| number::bytes(bytes as f64)),
            "unknown",
        )
    }),
    ("Device of the model", |p| p.device.clone()),
    ("System", |p| p.os.clone()),
    ("Libraries", |p| {
        number::list(
            p.libraries
                .iter()
                .map(|(name, version)| format!("{name} {}", value_text(version))),
        )
    }),
];

fn known(text: Option<impl ToString>, otherwise: &str) -> String {
    text.map_or_else(|| otherwise.to_owned(), |text| text.to_string())
}

/// What cells have in common that ran on the same machine with the same program.
fn without_time(provenance: &Provenance) -> Provenance {
    Provenance {
        started: String::new(),
        seconds: 0.0,
        ..provenance.clone()
    }
}

/// A cell's gradients in words.
pub fn gradients_text(record: &Record) -> String {
    let Some(gradients) = &record.gradients else {
        return MISSING.to_owned();
    };
    let padding = gradients
        .padding
        .map(|share| format!(", {} % padding", number::fixed(100.0 * share, 1)));
    let lambdas = || gradients.blocks.iter().map(|block| block.lambda);
    format!(
        "{} blocks, λ between {} and {}; {} in {} ({} examples/s{}, {})",
        gradients.blocks.len(),
        number::significant(lambdas().fold(f64::INFINITY, f64::min), 3),
        number::significant(lambdas().fold(f64::NEG_INFINITY, f64::max), 3),
        number::bytes(gradients.bytes as f64),
        number::seconds(gradients.seconds),
        number::significant(gradients.examples_per_second, 3),
        padding.unwrap_or_default(),
        gradients.storage
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn an_environment_is_listed_once_whatever_the_time() {
        let mut records = synthetic::rank();
        records[5].provenance.threads = 1;
        let results = ResultSet::new(&records);
        let environments = Environments::new(&results);
        assert_eq!(environments.list.len(), 2);
        assert_eq!(environments.of(&records[0]), 1);
        assert_eq!(environments.of(&records[5]), 2);
    }
}
