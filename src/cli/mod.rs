//! The command line: arguments in, exit code out. 0 is success, 1 a run with failed cells, a violated
//! claim or results that differ, 2 bad input.

mod common;
mod compare;
mod convert;
mod generate;
mod gradients;
mod handbook;
mod list;
mod merge;
mod plan;
mod pretrain;
mod report;
mod reproduce;
mod run;
mod score;
mod submit;
mod theory;
mod units;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use infbench::config::schema;
use infbench::input::{expand_home, quote};

use common::{Global, print};

/// How well do fast influence approximations agree with exact influence on LoRA fine-tunes?
///
/// infbench fine-tunes a model with LoRA, takes every training example's gradient, computes exact
/// damped influence as ground truth, and measures DataInf and its competitors on the same gradients.
#[derive(Parser)]
#[command(name = "infbench", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Subcommand)]
enum Command {
    /// Run an experiment: fine-tune, take gradients, run the methods, write records and a report
    Run(run::RunArgs),
    /// Influence scores from gradients made elsewhere: safetensors in, safetensors out
    Score(score::ScoreArgs),
    /// Per-example gradients of a checkpoint on your own texts: for your own analysis, or for `score`
    Gradients(gradients::GradientsArgs),
    /// What a language model answers to your prompts, always by the most likely next token, or what a diffusion pipeline
    /// paints of them; with or without an adapter
    Generate(generate::GenerateArgs),
    /// Train a small diffusion pipeline from captioned images, in diffusers' layout
    Pretrain(pretrain::PretrainArgs),
    /// Write a GGUF file of llama.cpp as a folder of Hugging Face
    Convert(convert::ConvertArgs),
    /// Show the cells of an experiment, their cost and memory forecast, and what is done
    Plan(plan::PlanArgs),
    /// Submit an experiment as jobs of an engine: Slurm or HyperQueue
    Submit(Box<submit::SubmitArgs>),
    /// Show what is done, running, waiting and failed of a submitted experiment, and how long it will take
    Status(submit::FolderArgs),
    /// Cancel the jobs of a submitted experiment
    Cancel(submit::FolderArgs),
    /// Note why jobs failed, and submit once more, with twice the request, what ran out of time or memory: jobs do this
    #[command(hide = true)]
    Settle(submit::FolderArgs),
    /// Join the results of one experiment from two folders into a new one; records that contradict each other are refused
    Merge(merge::MergeArgs),
    /// Draw figures and tables from results, and write one self-contained HTML page
    Report(report::ReportArgs),
    /// Compare two results: what changed in settings, environment and time, and whether the results are the same
    Compare(compare::CompareArgs),
    /// Reproduce the paper's figures, tables and theorem, beside its numbers; without a name, list them with what they
    /// need and what is done
    Reproduce(reproduce::ReproduceArgs),
    /// Check the claims about DataInf's error on a grid of gradients, synthetic or stored
    Theory(theory::TheoryArgs),
    /// List what there is: methods, tasks, models, metrics or claims
    List(list::ListArgs),
    /// Print the JSON schema of experiment files, for editors
    Schema(SchemaArgs),
}

/// Arguments of `infbench schema`.
#[derive(Args)]
struct SchemaArgs {
    /// Of which files
    #[arg(value_name = "FILES", value_enum, default_value_t)]
    of: Files,
}

/// Kinds of experiment files.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Files {
    /// Those of `infbench run` and `plan`
    #[default]
    Experiment,
    /// Those of `infbench theory`
    Theory,
    /// Those of `infbench pretrain`
    Pretrain,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().map(expand_argument).collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    // errors wrap to a terminal, and stay on one line where a program reads them
    let _ = miette::set_hook(Box::new(|_| {
        let options = miette::MietteHandlerOpts::new();
        Box::new(if std::io::stderr().is_terminal() {
            options.build()
        } else {
            options.width(1000).build()
        })
    }));
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("INFBENCH_LOG")
                .unwrap_or_else(|_| "warn".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let outcome = set_threads(cli.global.threads).and_then(|()| match cli.command {
        Command::Run(args) => run::run(&args, cli.global),
        Command::Score(args) => score::score(&args, cli.global),
        Command::Gradients(args) => gradients::gradients(&args, cli.global),
        Command::Generate(args) => generate::generate(&args, cli.global),
        Command::Pretrain(args) => pretrain::pretrain(&args, cli.global),
        Command::Convert(args) => convert::convert(&args, cli.global),
        Command::Plan(args) => plan::plan(&args),
        Command::Submit(args) => submit::submit(&args, cli.global),
        Command::Status(args) => submit::show_status(&args),
        Command::Cancel(args) => submit::cancel(&args),
        Command::Settle(args) => submit::settle_failures(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Report(args) => report::report(&args, cli.global),
        Command::Compare(args) => compare::compare(&args, cli.global),
        Command::Reproduce(args) => reproduce::reproduce(&args, cli.global),
        Command::Theory(args) => theory::theory(&args, cli.global),
        Command::List(args) => list::list(&args),
        Command::Schema(args) => {
            let schema = match args.of {
                Files::Experiment => schema::schema(),
                Files::Theory => infbench::config::theory::schema(),
                Files::Pretrain => infbench::config::pretraining::schema(),
            };
            print(&format!("{schema:#}\n"));
            Ok(ExitCode::SUCCESS)
        }
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("{error:?}");
        ExitCode::from(2)
    })
}

/// An argument with `~` for the home folder replaced where no shell has done so: in quotes, or behind `--name=`.
fn expand_argument(argument: OsString) -> OsString {
    let named = argument
        .to_str()
        .and_then(|text| text.split_once('='))
        .filter(|(name, value)| name.starts_with("--") && value.starts_with('~'));
    match named {
        Some((name, value)) => {
            let mut expanded = OsString::from(format!("{name}="));
            expanded.push(expand_home(Path::new(value)));
            expanded
        }
        None => expand_home(Path::new(&argument)).into_os_string(),
    }
}

/// Prints help or what is wrong with the arguments; long ones are not repeated in full.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let long = arguments.iter().filter_map(|argument| argument.to_str());
    let long: Vec<&str> = long.filter(|text| quote(text) != *text).collect();
    if long.is_empty() || !error.use_stderr() {
        let _ = error.print();
    } else {
        let mut text = error.render().to_string();
        for argument in long {
            text = text.replace(argument, &quote(argument));
            if let Some((_, value)) = argument.split_once('=') {
                text = text.replace(value, &quote(value));
            }
        }
        eprint!("{text}");
    }
    ExitCode::from(error.exit_code() as u8)
}

/// All parallel work runs on rayon's global pool.
fn set_threads(threads: Option<u16>) -> miette::Result<()> {
    let Some(threads) = threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.into())
        .build_global()
        .map_err(|e| miette::miette!("cannot start {threads} threads: {e}"))
}
