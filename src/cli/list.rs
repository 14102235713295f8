//! `infbench list`

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use infbench::config::schema::{models, tasks};
use infbench::influence::METHODS;
use infbench::metrics::METRICS;

use super::print;

/// Arguments of `infbench list`.
#[derive(Args, Clone, Copy)]
pub struct ListArgs {
    /// What to list
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Influence methods, their formulas and options
    Methods,
    /// Tasks and their options
    Tasks,
    /// Models and their options
    Models,
    /// Metrics, their units and directions
    Metrics,
}

/// Prints a listing from the same tables that the settings are checked against.
pub fn list(args: ListArgs) -> miette::Result<ExitCode> {
    print(&match args.what {
        What::Methods => methods(),
        What::Tasks => settings(&tasks()),
        What::Models => settings(&models()),
        What::Metrics => metrics(),
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
