//! `infbench theory`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use infbench::atomic;
use infbench::config::theory::TheoryPlan;
use infbench::progress::Progress;
use infbench::report::Table;
use infbench::resolve::load_theory;
use infbench::results::theory::{ClaimRecord, TheoryResults, Verdict};
use infbench::runner::claims::run;

use super::common::{Global, bad, print};

/// Arguments of `infbench theory`.
#[derive(Args)]
pub struct TheoryArgs {
    /// The experiment (YAML): gradients, and what to vary
    #[arg(value_name = "EXPERIMENT.yaml")]
    experiment: PathBuf,
    /// Folder for theory.json, theory.md, report.html, figures and witnesses [default: runs/<name>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Checks the claims; a violated one makes exit code 1.
pub fn theory(args: &TheoryArgs, global: Global) -> miette::Result<ExitCode> {
    let plan = load_theory(&args.experiment)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(&plan.name));
    let results = check(&plan, &out, global)?;
    Ok(exit_code(&results))
}

/// Checks the claims of a plan, writes everything into `out` and prints a line a claim.
///
/// # Errors
/// Gradients that cannot be had, files that cannot be written.
pub fn check(plan: &TheoryPlan, out: &Path, global: Global) -> miette::Result<TheoryResults> {
    let progress = Progress::new(global.quiet);
    let results = run(plan, out, &progress).map_err(bad)?;
    let file = out.join("theory.json");
    atomic::write_json(&file, &results)
        .map_err(|e| bad(format!("cannot write {}: {e}", file.display())))?;
    infbench::report::theory::write(&results, out).map_err(bad)?;
    print(&table(&results));
    print(&format!(
        "\nReport: {}\n",
        out.join("report.html").display()
    ));
    Ok(results)
}

/// 1 where a claim is violated, which is said on standard error.
pub fn exit_code(results: &TheoryResults) -> ExitCode {
    let violated = results
        .claims
        .iter()
        .filter(|claim| claim.verdict == Verdict::Violated)
        .count();
    if violated > 0 {
        eprintln!("{violated} of {} claims are violated", results.claims.len());
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// A line a claim.
fn table(results: &TheoryResults) -> String {
    let row = |claim: &ClaimRecord| {
        let margin = claim
            .worst
            .as_ref()
            .map_or_else(|| "–".to_owned(), |worst| format!("{:.2e}", worst.margin));
        let place = match (&claim.worst, &claim.witness, &claim.reason) {
            (_, Some(witness), _) => format!("witness: {witness}"),
            (Some(worst), ..) => worst.place.clone(),
            (None, _, Some(reason)) => reason.clone(),
            (None, ..) => String::new(),
        };
        let verdict = claim.verdict.text().to_owned();
        [claim.name.clone(), verdict, counts(claim), margin, place]
    };
    let headers = ["claim", "verdict", "cases", "margin", "worst margin at"];
    Table::of_texts("", "", headers, results.claims.iter().map(row)).text("")
}

/// Cases where a claim holds, of how many it was checked on, and how many it could not be checked on.
fn counts(claim: &ClaimRecord) -> String {
    let checked = format!("{}/{}", claim.held, claim.held + claim.violated);
    match claim.untested {
        0 => checked,
        untested => format!("{checked}, {untested} cannot tell"),
    }
}
