//! `infbench pretrain`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use infbench::atomic;
use infbench::device::DeviceChoice;
use infbench::pretraining::{Outcome, PretrainingRecord, pretrain as train};
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
    let progress = Progress::new(global.quiet);
    let outcome = train(&plan.pipeline, &out, args.device, None, &progress).map_err(bad)?;
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
    Ok(ExitCode::SUCCESS)
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
