//! `infbench reproduce`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use infbench::device::DeviceChoice;
use infbench::input::Problem;
use infbench::measure::{duration, size};
use infbench::progress::{Progress, plural};
use infbench::report::paper::items::{Item, find, items};
use infbench::report::paper::{self, PaperSummary};
use infbench::reproduce::status::{RUNS, Status, available, status};
use infbench::reproduce::{Source, Variant, choose, variants};
use infbench::results::theory::load as load_theory;
use infbench::results::{Record, load};
use infbench::runner::RunOptions;
use infbench::runner::forecast::product_rate;
use serde_json::{Value, json};

use super::common::{Global, bad, print};
use super::pretrain;
use super::run::{ended, run_cells};
use super::theory;

/// Arguments of `infbench reproduce`.
#[derive(Args)]
pub struct ReproduceArgs {
    /// figure-1, figure-2, figure-5, figure-6, figure-7, table-1, table-2 or theorem-1; without it, all are listed with
    /// what they need and what is done
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// In which size: laptop, paper, small, … [default: the first one listed]
    #[arg(long, value_name = "NAME", requires = "name")]
    profile: Option<String>,
    /// Folder for results and pages [default: that of the experiment, runs/<experiment>-<profile>; the pages go to
    /// reproduce/ below it]
    #[arg(long, value_name = "DIR", requires = "name")]
    out: Option<PathBuf>,
    /// Run nothing: set results that are there beside the paper
    #[arg(long, value_name = "RESULTS_DIR", requires = "name", conflicts_with_all = ["device", "limit", "overrides", "no_resume"])]
    from: Option<PathBuf>,
    /// Run all cells again
    #[arg(long, requires = "name")]
    no_resume: bool,
    /// Device for the model [default: flex]
    #[arg(long, requires = "name")]
    device: Option<DeviceChoice>,
    /// Run at most N cells now
    #[arg(long, value_name = "N", requires = "name")]
    limit: Option<usize>,
    /// Change a setting of the experiment, e.g. --set model.path=roberta-base; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "name")]
    overrides: Vec<String>,
    /// The list as JSON
    #[arg(long, conflicts_with = "name")]
    json: bool,
}

/// Lists what of the paper can be reproduced here, or reproduces one of it; failed cells and violated claims make exit
/// code 1.
pub fn reproduce(args: &ReproduceArgs, global: Global) -> miette::Result<ExitCode> {
    let Some(name) = &args.name else {
        print(&if args.json { list_json()? } else { list()? });
        return Ok(ExitCode::SUCCESS);
    };
    let item = find(name).ok_or_else(|| {
        wrong(Problem::unknown(
            "item of the paper",
            name,
            items().iter().map(|item| item.name.as_str()),
        ))
    })?;
    if let Some(folder) = &args.from {
        return compare(args, item, folder);
    }
    let variant = choose(&item.name, args.profile.as_deref()).map_err(wrong)?;
    match variant.source {
        Source::Theory { .. } => check_theory(args, item, variant, global),
        Source::Run { .. } => run(args, item, variant, global),
    }
}

fn wrong(problem: Problem) -> miette::Report {
    match problem.help {
        Some(help) => miette::miette!(help = help, "{}", problem.message),
        None => bad(problem.message),
    }
}

/// An item, its variants and where they stand.
type Standing = (&'static Item, Vec<(&'static Variant, Status)>);

/// Every item with its variants and where they stand.
fn statuses(rate: f64) -> miette::Result<Vec<Standing>> {
    let of = |item: &'static Item| {
        let own = variants(&item.name).map(|variant| {
            let found = status(variant, Some(rate)).map_err(bad)?;
            Ok((variant, found))
        });
        Ok((item, own.collect::<miette::Result<Vec<_>>>()?))
    };
    items().iter().map(of).collect()
}

fn list() -> miette::Result<String> {
    let rate = product_rate();
    let mut text = String::new();
    for (item, variants) in statuses(rate)? {
        let _ = writeln!(text, "{}\n    {}: {}.", item.name, item.title, item.shows);
        for (variant, found) in &variants {
            let _ = writeln!(
                text,
                "    --profile {:9} {}: {}; {}",
                variant.name,
                found.word(),
                experiment(variant),
                variant.what
            );
            let mut line = |text_of: String| {
                let _ = writeln!(text, "        {text_of}");
            };
            if let Some(done) = &found.done {
                line(done_text(found, done));
            }
            if !found.found.is_empty() && found.word() != "done" {
                line(format!("found: {}", found.found.join("; ")));
            }
            let again = if found.word() == "done" {
                "to run it again it "
            } else {
                ""
            };
            for need in &found.needs {
                line(format!("{again}needs {need}"));
            }
            if let Some((seconds, bytes)) = found.forecast {
                line(format!(
                    "forecast: about {}, peak memory about {}",
                    duration(seconds),
                    size(bytes)
                ));
            }
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "infbench reproduce NAME runs one, in its first size unless --profile says otherwise, and sets it beside the paper's numbers.\n\
         Forecasts at {:.0} GFLOP/s, measured just now: an order of magnitude, and pessimistic on a busy machine.",
        rate / 1e9
    );
    Ok(text)
}

fn done_text(found: &Status, done: &infbench::reproduce::status::Done) -> String {
    let commit = done.commit.as_deref().map_or(String::new(), |commit| {
        format!(", commit {}", &commit[..commit.len().min(10)])
    });
    let day = done.started.split('T').next().unwrap_or_default();
    format!(
        "{} of {} cell{} in {}, {day}{commit}",
        done.cells,
        found.cells,
        plural(found.cells),
        done.folder.display()
    )
}

fn experiment(variant: &Variant) -> String {
    match variant.source {
        Source::Run { file, set, .. } => {
            let set: String = set.iter().map(|set| format!(" with {set}")).collect();
            format!("experiments/{file}.yaml{set}")
        }
        Source::Theory { file, .. } => format!("experiments/{file}.yaml"),
    }
}

fn list_json() -> miette::Result<String> {
    let items: Vec<Value> = statuses(product_rate())?
        .into_iter()
        .map(|(item, variants)| {
            let variants: Vec<Value> = variants
                .into_iter()
                .map(|(variant, found)| {
                    let mut value = found.json();
                    value["profile"] = json!(variant.name);
                    value["what"] = json!(variant.what);
                    let (file, profile) = match variant.source {
                        Source::Run { file, profile, .. } => (file, profile),
                        Source::Theory { file, .. } => (file, None),
                    };
                    value["experiment"] = json!(file);
                    value["experiment_profile"] = json!(profile);
                    value
                })
                .collect();
            let numbers: Vec<Value> = item
                .numbers
                .iter()
                .map(|number| {
                    json!({
                        "task": number.task,
                        "rank": number.rank,
                        "method": number.method,
                        "metric": number.metric,
                        "value": number.value,
                        "deviation": number.deviation,
                        "source": number.source,
                    })
                })
                .collect();
            json!({
                "name": item.name,
                "title": item.title,
                "shows": item.shows,
                "paper": numbers,
                "variants": variants,
            })
        })
        .collect();
    Ok(format!("{:#}\n", Value::Array(items)))
}

/// Runs the cells that an item shows, then writes the report of everything in the folder and the item's page.
fn run(
    args: &ReproduceArgs,
    item: &'static Item,
    variant: &Variant,
    global: Global,
) -> miette::Result<ExitCode> {
    let described = variant.plan(&args.overrides, false).map_err(|e| *e)?;
    let elsewhere = |set: &String| set.starts_with("model.path") || set.starts_with("task.path");
    let needs = available(&described).needs;
    // what was pointed elsewhere by hand may be an id to download: the checks of the run will tell
    if !needs.is_empty() && !args.overrides.iter().any(elsewhere) {
        return Err(bad(format!(
            "{} (profile {}) needs {}",
            item.name,
            variant.name,
            needs.join("; and ")
        )));
    }
    let device = args.device.unwrap_or_default();
    pretrain::missing(&described, device, global)?;
    let whole = variant.plan(&args.overrides, true).map_err(|e| *e)?;
    let mut own = whole.clone();
    own.cells.retain(|cell| variant.shows(&cell.axes));
    if own.cells.is_empty() {
        return Err(bad(format!(
            "{} shows none of the cells that these settings leave of {}",
            item.name,
            experiment(variant)
        )));
    }
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| Path::new(RUNS).join(variant.folder(&own)));
    let options = RunOptions {
        resume: !args.no_resume,
        limit: args.limit,
    };
    let title = format!("{} as {} ({})", item.title, own.folder(), variant.what);
    let progress = Progress::new(global.quiet);
    let summary = run_cells((&whole, own), &out, &title, (device, options), &progress)?;
    if summary.records.is_empty() {
        print("No cell has been run yet.\n");
        return Ok(ExitCode::SUCCESS);
    }
    let pages = out.join("reproduce");
    let written = paper::write(item, &summary.records, &variant.page(), &pages).map_err(bad)?;
    finish(&written);
    Ok(ended(&summary, &out, &progress))
}

fn finish(written: &PaperSummary) {
    print(&written.text);
    let page = written.files.last().expect("there is a page");
    print(&format!(
        "\nBeside the paper: {} (also .md and .csv)\n",
        page.display()
    ));
}

/// Options that cells have and claims have not.
fn no_cells(args: &ReproduceArgs, item: &'static Item) -> miette::Result<()> {
    let given = [
        ("--device", args.device.is_some()),
        ("--limit", args.limit.is_some()),
        ("--set", !args.overrides.is_empty()),
        ("--no-resume", args.no_resume),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(bad(format!(
            "{} is a check of claims and has no cells: {option} would do nothing",
            item.name
        ))),
        None => Ok(()),
    }
}

fn check_theory(
    args: &ReproduceArgs,
    item: &'static Item,
    variant: &Variant,
    global: Global,
) -> miette::Result<ExitCode> {
    no_cells(args, item)?;
    let plan = variant.theory_plan().map_err(|e| *e)?;
    let needs = status(variant, None).map_err(bad)?.needs;
    if !needs.is_empty() {
        return Err(bad(format!(
            "{} (profile {}) needs {}",
            item.name,
            variant.name,
            needs.join("; and ")
        )));
    }
    // the experiment's own folder holds all its claims: these are some
    let out = args.out.clone();
    let out = out.unwrap_or_else(|| Path::new(RUNS).join(variant.page()));
    let results = theory::check(&plan, &out, global)?;
    let pages = out.join("reproduce");
    let written = paper::write_theory(item, &results, &variant.page(), &pages).map_err(bad)?;
    finish(&written);
    Ok(theory::exit_code(&results))
}

/// Sets results that are there beside the paper.
fn compare(args: &ReproduceArgs, item: &'static Item, folder: &Path) -> miette::Result<ExitCode> {
    let asked = match &args.profile {
        Some(name) => Some(choose(&item.name, Some(name)).map_err(wrong)?),
        None => None,
    };
    let pages = args.out.clone().unwrap_or_else(|| folder.join("reproduce"));
    let is_theory =
        variants(&item.name).any(|variant| matches!(variant.source, Source::Theory { .. }));
    if is_theory {
        let found = load_theory(folder).map_err(bad)?;
        let found =
            found.ok_or_else(|| bad(format!("{} holds no theory.json", folder.display())))?;
        let named = |variant: &&'static Variant| matches!(variant.source, Source::Theory { file, .. } if found.experiment == file);
        let variant = asked.or_else(|| variants(&item.name).find(named));
        let variant =
            variant.ok_or_else(|| unknown_results(item, folder, &json!(found.experiment)))?;
        let written = paper::write_theory(item, &found, &variant.page(), &pages).map_err(bad)?;
        finish(&written);
        return Ok(ExitCode::SUCCESS);
    }
    let records = load(folder).map_err(bad)?;
    let candidates: Vec<&'static Variant> = match asked {
        Some(variant) => vec![variant],
        None => variants(&item.name).collect(),
    };
    for variant in candidates {
        let own: Vec<Record> = records.iter().filter(|r| variant.has(r)).cloned().collect();
        if own.is_empty() {
            continue;
        }
        let written = paper::write(item, &own, &variant.page(), &pages).map_err(bad)?;
        finish(&written);
        return Ok(ExitCode::SUCCESS);
    }
    Err(unknown_results(item, folder, &json!(records[0].experiment)))
}

fn unknown_results(item: &'static Item, folder: &Path, experiment: &Value) -> miette::Report {
    let mut known: Vec<String> = variants(&item.name)
        .map(|variant| match variant.source {
            Source::Run { file, profile, .. } => match profile {
                Some(profile) => format!("{file} (profile {profile})"),
                None => file.to_owned(),
            },
            Source::Theory { file, .. } => file.to_owned(),
        })
        .collect();
    known.dedup();
    bad(format!(
        "{} holds results of {experiment}, of which {} shows nothing; allowed: {}",
        folder.display(),
        item.name,
        known.join(", ")
    ))
}
