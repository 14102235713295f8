//! `infbench report`

use std::path::PathBuf;
use std::process::ExitCode;

use super::common::{Global, bad, print};
use clap::Args;
use infbench::report;
use infbench::results::files::write_table;
use infbench::results::{load, theory};

/// Arguments of `infbench report`.
#[derive(Args)]
pub struct ReportArgs {
    /// Folder with records.jsonl, with cells/*.json of a run under way, or with theory.json; the first and the last also
    /// compressed (.gz)
    #[arg(value_name = "RESULTS_DIR")]
    results: PathBuf,
    /// Folder for the report [default: the results folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Draws a report from records, or from what `infbench theory` found.
pub fn report(args: &ReportArgs, global: Global) -> miette::Result<ExitCode> {
    if let Some(findings) = theory::load(&args.results).map_err(bad)? {
        let out = args.out.as_ref().unwrap_or(&args.results);
        let files = report::theory::write(&findings, out).map_err(bad)?;
        let page = files.last().expect("a report has a page");
        print(&format!("\nReport: {}\n", page.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let records = load(&args.results).map_err(bad)?;
    let out = args.out.as_ref().unwrap_or(&args.results);
    let options = report::ReportOptions {
        results: Some(args.results.clone()),
        ..report::ReportOptions::default()
    };
    let summary = report::write(&records, out, &options).map_err(bad)?;
    write_table(&records, out).map_err(bad)?;
    if !global.quiet {
        print(&report::summary(&records));
    }
    let page = summary.files.last().expect("a report has a page");
    print(&format!(
        "\nReport: {} ({} figures)\n",
        page.display(),
        summary.figures.len()
    ));
    Ok(ExitCode::SUCCESS)
}
