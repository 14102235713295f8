//! What commands share: options, output, errors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use infbench::config::{Cell, Outputs, Plan};
use infbench::device::DeviceChoice;
use infbench::progress::Progress;
use infbench::report;
use infbench::resolve::Untrained;
use infbench::results::Record;
use infbench::runner::forecast::forecast;
use infbench::runner::memory::{Host, Stage, misfit};

/// Options of every command.
#[derive(Args, Clone, Copy)]
pub struct Global {
    /// Threads of all computations [default: the cores of this machine]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// An experiment file and changes to it.
#[derive(Args)]
pub struct ExperimentArgs {
    /// The experiment (YAML)
    #[arg(value_name = "EXPERIMENT.yaml")]
    experiment: PathBuf,
    /// Which of the experiment's profiles to use; needed when it has any
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Change a setting after the profile, e.g. --set lora.rank=2, or an axis of the sweep, e.g.
    /// --set sweep.lora.rank=[1,4]; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Folder for the results [default: runs/<name>, or runs/<name>-<profile>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ExperimentArgs {
    /// The same experiment as arguments of another process, but for the folder of its results.
    pub fn words(&self, plan: &infbench::config::Plan) -> Vec<String> {
        let mut words = vec![self.experiment.display().to_string()];
        if let Some(profile) = &plan.profile {
            words.extend(["--profile".to_owned(), profile.clone()]);
        }
        for change in &self.overrides {
            words.extend(["--set".to_owned(), change.clone()]);
        }
        words
    }

    /// The plan by its settings alone, whatever files they name.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn describe(&self) -> miette::Result<Plan> {
        infbench::resolve::describe(&self.experiment, self.profile.as_deref(), &self.overrides)
    }

    /// [`Self::load`] for a forecast, and the pipelines that are to be trained first.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn foresee(&self) -> miette::Result<(Plan, PathBuf, Vec<Untrained>)> {
        let (plan, untrained) =
            infbench::resolve::foresee(&self.experiment, self.profile.as_deref(), &self.overrides)?;
        let out = self.folder(&plan);
        Ok((plan, out, untrained))
    }

    /// The folder for the results.
    fn folder(&self, plan: &Plan) -> PathBuf {
        let given = self.out.clone();
        given.unwrap_or_else(|| PathBuf::from("runs").join(plan.folder()))
    }

    /// The plan, and the folder for its results.
    ///
    /// # Errors
    /// The first wrong setting.
    pub fn load(&self) -> miette::Result<(infbench::config::Plan, PathBuf)> {
        let plan =
            infbench::resolve::load(&self.experiment, self.profile.as_deref(), &self.overrides)?;
        let out = self.folder(&plan);
        Ok((plan, out))
    }
}

/// Refuses cells of which a stage cannot fit a host, naming the setting that would make it fit; with `force` they are warned
/// of. Cells that differ by their seed are alike.
///
/// # Errors
/// The first cell that does not fit, or whose task or model cannot be built.
pub fn refuse_misfits<'c>(
    cells: impl IntoIterator<Item = (&'c Cell, &'static [Stage])>,
    device: DeviceChoice,
    host: Host,
    force: bool,
) -> miette::Result<()> {
    let mut alike = BTreeSet::new();
    for (cell, stages) in cells {
        let settings = serde_json::to_string(&cell.settings).expect("settings are plain JSON");
        if !alike.insert((settings, stages)) {
            continue;
        }
        let wrong = |error| miette::miette!("{}: {error}", cell.title());
        let Some(why) = misfit(
            &forecast(cell, &Outputs::default(), device)
                .map_err(wrong)?
                .memory,
            stages,
            host,
        ) else {
            continue;
        };
        if !force {
            return Err(miette::miette!(
                "{}: {why}. --force runs it all the same",
                cell.title()
            ));
        }
        eprintln!("{}: {why}", cell.title());
    }
    Ok(())
}

/// Draws the report of a folder, if the experiment asks for one.
///
/// # Errors
/// Files that cannot be written.
pub fn draw(
    plan: &Plan,
    records: &[Record],
    out: &Path,
    progress: &Progress,
) -> miette::Result<()> {
    if !plan.outputs.report || records.is_empty() {
        return Ok(());
    }
    progress.line("Drawing the report …");
    let options = report::ReportOptions {
        results: Some(out.to_owned()),
        ..report::ReportOptions::default()
    };
    report::write(records, out, &options).map_err(bad)?;
    Ok(())
}

/// Prints to standard output; a reader that has gone away (`| head`) is no error.
pub fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write to standard output: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}

/// An error whose text says everything: its sources are in it and are not listed again.
pub fn bad(error: impl std::fmt::Display) -> miette::Report {
    miette::miette!("{error}")
}
