//! `infbench pretrain`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use infbench::atomic;
use infbench::config::pretraining::PretrainingPlan;
use infbench::config::{Cell, ModelConfig, Plan};
use infbench::device::DeviceChoice;
use infbench::pretraining::{Outcome, PretrainingRecord, RECORD, is_of_others, pretrain as train};
use infbench::progress::Progress;
use infbench::report::loss_curves::{LossCurve, draw};
use infbench::resolve::load_pretraining;

use super::common::{Global, bad, print};

/// Arguments of `infbench pretrain`.
#[derive(Args)]
pub struct PretrainArgs {
    /// The pipeline (YAML): images, sizes, training
    #[arg(value_name = "PIPELINE.yaml")]
    settings: PathBuf,
    /// Folder for the pipeline [default: models/<name>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Device for the training
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

/// Trains a diffusion pipeline from captioned images, or says that it is there.
pub fn pretrain(args: &PretrainArgs, global: Global) -> miette::Result<ExitCode> {
    let plan = load_pretraining(&args.settings)?;
    let models = PathBuf::from("models");
    let out = args.out.clone().unwrap_or_else(|| models.join(&plan.name));
    to_the_end(&plan, &out, args.device, global)?;
    Ok(ExitCode::SUCCESS)
}

/// Trains the pipelines of an experiment that are not there and whose settings (`model.pretrain`) are.
///
/// # Errors
/// Settings that are wrong, a pipeline of other settings, or one that cannot be trained.
pub fn missing(plan: &Plan, device: DeviceChoice, global: Global) -> miette::Result<()> {
    for (out, settings) in pipelines(plan) {
        if out.is_dir() && !out.join(RECORD).is_file() {
            continue;
        }
        let plan = load_pretraining(settings)?;
        if is_of_others(out, &plan.pipeline) {
            return Err(bad(format!(
                "{} holds a pipeline that was trained by other settings than those of {} (`model.pretrain`): give another model.path, or remove it",
                out.display(),
                settings.display()
            )));
        }
        if !out.is_dir() {
            to_the_end(&plan, out, device, global)?;
        }
    }
    Ok(())
}

/// The pipelines of an experiment with the settings by which they are trained.
fn pipelines(plan: &Plan) -> BTreeSet<(&Path, &Path)> {
    fn of_cell(cell: &Cell) -> Option<(&Path, &Path)> {
        match &cell.settings.model {
            Some(ModelConfig::Checkpoint(model)) => Some((&model.path, model.pretrain.as_deref()?)),
            _ => None,
        }
    }
    plan.cells.iter().filter_map(of_cell).collect()
}

/// Trains a pipeline and says what came of it.
fn to_the_end(
    plan: &PretrainingPlan,
    out: &Path,
    device: DeviceChoice,
    global: Global,
) -> miette::Result<()> {
    let progress = Progress::new(global.quiet);
    let outcome = train(&plan.pipeline, out, device, None, &progress).map_err(bad)?;
    let (record, there) = match &outcome {
        Outcome::Finished(record) => (record, ""),
        Outcome::AlreadyThere(record) => (record, ", already there"),
        Outcome::Stopped => unreachable!("nobody asked for it"),
    };
    if matches!(outcome, Outcome::Finished(_)) {
        let stages = [
            ("autoencoder", &record.autoencoder),
            ("UNet and text encoder", &record.denoiser),
        ];
        let curves = stages.map(|(stage, about)| LossCurve {
            stage,
            steps: &about.steps,
            losses: &about.losses,
        });
        let svg = draw(&format!("Training of {}", plan.name), &curves).map_err(bad)?;
        let path = out.join("losses.svg");
        atomic::write(&path, svg.as_bytes())
            .map_err(|error| bad(format!("{}: {error}", path.display())))?;
    }
    if !global.quiet {
        print(&format!("{}{there}\n{}", out.display(), summary(record)));
    }
    Ok(())
}

fn summary(record: &PretrainingRecord) -> String {
    let stages = [
        ("autoencoder", &record.autoencoder),
        ("UNet and text encoder", &record.denoiser),
    ];
    let stages = stages.map(|(name, stage)| {
        let (first, last) = (stage.losses.first(), stage.losses.last());
        format!(
            "{name}: {} parameters, loss {:.4} → {:.4}, {:.0} s\n",
            stage.parameters,
            first.unwrap_or(&f64::NAN),
            last.unwrap_or(&f64::NAN),
            stage.seconds
        )
    });
    let losses = record.timesteps.iter().zip(&record.held_out_losses);
    let losses: Vec<String> = losses.map(|(t, loss)| format!("{t}: {loss:.3}")).collect();
    format!(
        "{}held out: reconstruction {:.2} dB, loss at timestep {}\n",
        stages.concat(),
        record.psnr,
        losses.join(", ")
    )
}
