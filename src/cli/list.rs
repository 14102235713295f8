//! `infbench list`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use infbench::config::schema::{models, tasks};
use infbench::influence::METHODS;
use infbench::metrics::METRICS;
use infbench::results::load;
use infbench::theory::infos;

use super::common::{bad, print};
use super::handbook::handbook;

/// Arguments of `infbench list`.
#[derive(Args, Clone)]
pub struct ListArgs {
    /// What to list
    what: What,
    /// Methods as a Markdown page, with each one's cost, memory, source and use, and its place in the given results
    #[arg(long, value_name = "RESULTS_DIR", num_args = 0..)]
    handbook: Option<Vec<PathBuf>>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Influence methods, their formulas and options
    Methods,
    /// Tasks and their options
    Tasks,
    /// Models and their options
    Models,
    /// Metrics, their units and directions
    Metrics,
    /// Claims about DataInf's error, what is measured and where they come from
    Claims,
}

/// Prints a listing from the same tables that the settings are checked against.
///
/// # Errors
/// A handbook of anything but methods, or results that cannot be read.
pub fn list(args: &ListArgs) -> miette::Result<ExitCode> {
    if let Some(folders) = &args.handbook {
        if args.what != What::Methods {
            return Err(bad(
                "--handbook is of methods: infbench list methods --handbook",
            ));
        }
        let mut measured = Vec::new();
        for folder in folders {
            let name = folder.file_name().unwrap_or(folder.as_os_str());
            measured.push((name.display().to_string(), load(folder).map_err(bad)?));
        }
        print(&handbook(&measured));
        return Ok(ExitCode::SUCCESS);
    }
    print(&match args.what {
        What::Methods => methods(),
        What::Tasks => settings(&tasks()),
        What::Models => settings(&models()),
        What::Metrics => metrics(),
        What::Claims => claims(),
    });
    Ok(ExitCode::SUCCESS)
}

fn methods() -> String {
    let mut text = String::new();
    for (method, _) in METHODS {
        let _ = writeln!(
            text,
            "{}\n    {}\n    {}",
            method.name, method.summary, method.formula
        );
        for option in method.options {
            let _ = writeln!(
                text,
                "    :{}={} ({}) {}",
                option.key, option.default, option.allowed, option.help
            );
        }
    }
    text
}

fn settings(list: &[infbench::config::schema::Listing]) -> String {
    let mut text = String::new();
    for entry in list {
        let _ = writeln!(text, "{}\n    {}", entry.name, entry.summary);
        for field in &entry.fields {
            let _ = writeln!(
                text,
                "    {} ({}) {}",
                field.name, field.default, field.summary
            );
        }
    }
    text
}

fn claims() -> String {
    let mut text = String::new();
    for info in infos() {
        let _ = writeln!(
            text,
            "{}\n    {}\n    measured: {}\n    source: {}",
            info.name, info.statement, info.measures, info.source
        );
    }
    text
}

fn metrics() -> String {
    let mut text = String::new();
    for metric in METRICS {
        let direction = match metric.direction {
            infbench::metrics::Direction::Higher => "higher is better",
            infbench::metrics::Direction::Lower => "lower is better",
            infbench::metrics::Direction::None => "no direction",
        };
        let needs: Vec<&str> = metric.needs.iter().map(|need| need.text()).collect();
        let needs = if needs.is_empty() {
            String::new()
        } else {
            format!("; needs {}", needs.join(", "))
        };
        let unit = if metric.unit.is_empty() {
            String::new()
        } else {
            format!("{}, ", metric.unit)
        };
        let _ = writeln!(
            text,
            "{}\n    {}\n    {unit}{direction}{needs}",
            metric.name, metric.summary
        );
    }
    text
}
