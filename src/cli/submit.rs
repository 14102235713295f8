//! `infbench submit`, `status`, `cancel` and `settle`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use infbench::config::Plan;
use infbench::engines::hyperqueue::HyperQueue;
use infbench::engines::jobs::{Packing, Work, jobs};
use infbench::engines::slurm::{Given, Slurm};
use infbench::engines::{self, Engine, ledger, settle, status};
use infbench::measure::duration;
use infbench::progress::plural;
use infbench::resolve;
use infbench::runner::memory::Host;

use super::common::{ExperimentArgs, Global, bad, print, refuse_misfits};
use super::units::{CutArgs, positive, stages};

/// Engines that place jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EngineName {
    /// Slurm, by sbatch
    Slurm,
    /// HyperQueue, by hq
    Hq,
}

impl EngineName {
    fn engine(self) -> Box<dyn Engine> {
        match self {
            Self::Slurm => Box::new(Slurm),
            Self::Hq => Box::new(HyperQueue),
        }
    }
}

/// Arguments of `infbench submit`.
#[derive(Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    cut: CutArgs,
    /// Where jobs run
    #[arg(long, value_enum)]
    engine: EngineName,
    /// Print what would be submitted and submit nothing
    #[arg(long)]
    dry_run: bool,
    /// Pack short units until a task takes about so many minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 5.0, value_parser = positive)]
    pack: f64,
    /// Request the forecast of time and memory times this
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = positive)]
    margin: f64,
    /// Least time of a task
    #[arg(long, value_name = "MINUTES", default_value_t = 10.0, value_parser = positive)]
    least_time: f64,
    /// Least memory of a task
    #[arg(long, value_name = "MIB", default_value_t = 512.0, value_parser = positive)]
    least_memory: f64,
    /// Cores of a task, and its threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    cpus: u16,
    /// GPUs of a task that computes with the model [default: 1 with --device cuda:N, else 0]
    #[arg(long, value_name = "N")]
    gpus: Option<u16>,
    /// Slurm's partition
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Slurm's account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Slurm's constraint on nodes
    #[arg(long, value_name = "FEATURES")]
    constraint: Option<String>,
    /// Most tasks of a job that run at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    array_limit: Option<u32>,
    /// A further option of sbatch, e.g. --sbatch qos=low; replaces ours of the same name; may be repeated. `time` and `mem`
    /// are requested in place of the forecast, and doubled in a second attempt
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    sbatch: Vec<(String, String)>,
    /// A file of shell lines that run before the work: modules, environment
    #[arg(long, value_name = "FILE")]
    preamble: Option<PathBuf>,
    /// Seconds that a unit may take to finish when its job is asked to stop; less than the site's grace time
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    grace: u64,
    /// Submit also what is forecast not to fit
    #[arg(long)]
    force: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let text = text.trim_start_matches('-');
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let right = |c: char| c.is_ascii_lowercase() || c == '-';
    if key.is_empty() || !key.chars().all(right) || value.contains('\n') {
        return Err("allowed: a long option of sbatch and its value, e.g. qos=low".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl SubmitArgs {
    /// What is given of sbatch's options.
    ///
    /// # Errors
    /// An option that is refused, or one of Slurm's for another engine.
    fn given(&self) -> miette::Result<Given> {
        if !matches!(self.engine, EngineName::Slurm) {
            let given = [
                ("partition", self.partition.is_some()),
                ("account", self.account.is_some()),
                ("constraint", self.constraint.is_some()),
                ("array-limit", self.array_limit.is_some()),
                ("sbatch", !self.sbatch.is_empty()),
            ];
            if let Some((name, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
                return Err(miette::miette!(
                    "--{name} is for --engine slurm; `{}` has nothing like it",
                    self.engine.engine().name()
                ));
            }
        }
        Given::of(&self.sbatch).map_err(bad)
    }
}

/// Arguments that name a folder of results.
#[derive(Args)]
pub struct FolderArgs {
    /// The folder of the results
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Submits what is to do of an experiment.
pub fn submit(args: &SubmitArgs, global: Global) -> miette::Result<ExitCode> {
    let (mut plan, out) = args.experiment.load()?;
    let engine = args.engine.engine();
    if !args.dry_run {
        in_the_queue(&*engine, &out)?;
        // once, here, and not by every job; nodes often have no network
        resolve::fetch_weights(&mut plan, !global.quiet).map_err(bad)?;
    }
    let units = args.cut.units(&plan, &out)?;
    // how much memory a node has is the engine's to know: it is requested
    let host = Host {
        disk: Host::here(&out).disk,
        ..Host::default()
    };
    let todo = units.iter().filter(|unit| !unit.done);
    refuse_misfits(stages(&plan, todo), args.cut.device, host, args.force)?;
    let given = args.given()?;
    let packing = Packing {
        task_seconds: 60.0 * args.pack,
        margin: args.margin,
        least_seconds: 60.0 * args.least_time,
        least_memory: args.least_memory * f64::from(1 << 20),
        seconds: given.seconds,
        memory: given.memory,
        cpus: args.cpus,
        gpus: args
            .gpus
            .unwrap_or_else(|| u16::from(args.cut.device.to_string().starts_with("cuda"))),
    };
    let jobs = jobs(&units, &plan.folder(), packing);
    if jobs.is_empty() {
        print(&format!("Everything is done in {}\n", out.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let work = work(args, given, &plan, &out)?;
    let jobs = engines::fitted(&*engine, &jobs, &work);
    if args.dry_run {
        for (name, text) in engine.files(&jobs, &work) {
            print(&format!("# {name}\n{text}\n"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let todo = units.iter().filter(|unit| !unit.done);
    let seconds = todo.map(|unit| (unit.id.to_string(), unit.cost.seconds));
    let entry =
        engines::submit(&*engine, &jobs, &work, &out, &[], seconds.collect()).map_err(bad)?;
    for submitted in &entry.jobs {
        let job = &submitted.job;
        let units: usize = job.tasks.iter().map(Vec::len).sum();
        print(&format!(
            "{}: {}, {units} unit{} in {} task{}, {} min and {} MiB each\n",
            submitted.id,
            job.name,
            plural(units),
            job.tasks.len(),
            plural(job.tasks.len()),
            job.request.minutes(),
            job.request.mebibytes(),
        ));
    }
    print(&format!(
        "infbench status {} shows where it stands\n",
        engines::quoted(&out.display().to_string())
    ));
    Ok(ExitCode::SUCCESS)
}

/// Refuses a folder of which jobs are still in the queue.
fn in_the_queue(engine: &dyn Engine, out: &Path) -> miette::Result<()> {
    let ids = ledger::ids(&ledger::of(out, engine.name()));
    if ids.is_empty() {
        return Ok(());
    }
    let tasks = engine.tasks(&ids).map_err(bad)?;
    let mut open: Vec<&str> = tasks
        .iter()
        .filter(|task| !task.state.has_ended())
        .map(|task| task.job.as_str())
        .collect();
    open.dedup();
    if open.is_empty() {
        return Ok(());
    }
    Err(miette::miette!(
        "jobs of {} are still in the queue ({}): wait for them (infbench status), or infbench cancel",
        out.display(),
        open.join(", ")
    ))
}

/// What the tasks run: this program, on the same experiment, in this folder.
fn work(args: &SubmitArgs, given: Given, plan: &Plan, out: &Path) -> miette::Result<Work> {
    let program = std::env::current_exe()
        .map_err(|error| miette::miette!("cannot tell where this program lies: {error}"))?;
    let directory = std::env::current_dir()
        .map_err(|error| miette::miette!("cannot tell the current folder: {error}"))?;
    let root = std::path::absolute(out).map_err(bad)?.display().to_string();
    let word = |text: &str| text.to_owned();
    let program = program.display().to_string();
    let mut command = vec![program.clone(), word("run")];
    command.extend(args.experiment.words(plan));
    // what does not fit was refused before, and a task sees the memory of its unit alone
    command.extend([
        word("--out"),
        root.clone(),
        word("--quiet"),
        word("--force"),
    ]);
    command.extend([word("--device"), args.cut.device.to_string()]);
    command.extend([word("--threads"), args.cpus.to_string()]);
    command.extend([word("--grace"), args.grace.to_string()]);
    let preamble = match &args.preamble {
        Some(path) => infbench::input::text(path).map_err(bad)?,
        None => String::new(),
    };
    Ok(Work {
        command,
        settle: vec![program, word("settle"), root.clone()],
        directory: directory.display().to_string(),
        folder: format!("{root}/jobs"),
        preamble,
        partition: args.partition.clone(),
        account: args.account.clone(),
        constraint: args.constraint.clone(),
        array_limit: args.array_limit.map(|limit| limit as usize),
        sbatch: given.others,
    })
}

/// The engine of the last submission of a folder.
///
/// # Errors
/// Nothing was submitted.
fn engine_of(folder: &Path) -> miette::Result<Box<dyn Engine>> {
    let entries = ledger::read(folder);
    let last = entries.last().ok_or_else(|| {
        miette::miette!(
            "{} has no submissions: neither jobs/*.submitted.json nor a reason for one; infbench submit makes them",
            folder.display()
        )
    })?;
    let engines: [Box<dyn Engine>; 2] = [Box::new(Slurm), Box::new(HyperQueue)];
    let mut engines = engines.into_iter();
    let known = engines.find(|engine| engine.name() == last.engine);
    known.ok_or_else(|| miette::miette!("the engine `{}` is not known here", last.engine))
}

/// Shows where the units of a folder stand.
pub fn show_status(args: &FolderArgs) -> miette::Result<ExitCode> {
    let engine = engine_of(&args.folder)?;
    let status = status::status(Some(&*engine), &args.folder);
    let mut text = status.text();
    if let Some(error) = &status.unasked {
        text += &format!("From files alone: {error}\n");
    }
    if !status.has_ended()
        && let Some(seconds) = status.seconds
    {
        text += &format!("About {} to go\n", duration(seconds));
    }
    print(&text);
    Ok(if status.has_ended() && status.failed() > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Cancels the jobs of a folder.
pub fn cancel(args: &FolderArgs) -> miette::Result<ExitCode> {
    let engine = engine_of(&args.folder)?;
    let entries = ledger::of(&args.folder, engine.name());
    let ids = ledger::ids(&entries);
    // first what would submit anything again
    let jobs = entries.iter().flat_map(|entry| &entry.jobs);
    let beside: Vec<String> = jobs.flat_map(|job| job.beside.clone()).collect();
    engine.cancel(&beside).map_err(bad)?;
    engine.cancel(&ids).map_err(bad)?;
    print(&format!("cancelled: {}\n", ids.join(", ")));
    Ok(ExitCode::SUCCESS)
}

/// Notes why tasks failed and submits again what ran out of time or memory.
pub fn settle_failures(args: &FolderArgs) -> miette::Result<ExitCode> {
    let engine = engine_of(&args.folder)?;
    let settled = settle::settle(&*engine, &args.folder).map_err(bad)?;
    for (unit, _, word) in &settled.failed {
        print(&format!("{unit}: {word}\n"));
    }
    for (id, units) in &settled.again {
        print(&format!("{id}: {units} unit{} once more\n", plural(*units)));
    }
    Ok(ExitCode::SUCCESS)
}
