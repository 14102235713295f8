//! One cell: inputs and gradients (`cell_inputs`) → scores (`scoring`) → metrics (`evaluation`) → its record.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Instant;

use ndarray::Array2;

use super::by_image::by_image;
use super::by_token::TokenScores;
use super::cell_inputs::CellInputs;
use super::decomposition::{MethodScores, Setting, decompose};
use super::error::sentence;
use super::evaluation::{Given, evaluate};
use super::pairing::pairing;
use super::reference::NoReference;
use super::scoring::{Gradients, Scoring};
use super::stores::{RemoveParts, Stores};
use super::tuning::Place;
use super::{Execute, info};
use crate::config::{Cell, MethodSpec, Plan, SampleOutputs};
use crate::device::DeviceChoice;
use crate::gradients::store::TensorInfo;
use crate::ground_truth::{self, RetrainCache, RetrainContext};
use crate::influence::BlockLayout;
use crate::metrics::decomposition::DecompositionInfo;
use crate::metrics::retraining::Retraining;
use crate::progress::Progress;
use crate::results::ResultsDir;
use crate::results::environment;
use crate::results::record::{
    BlockInfo, GradientInfo, GroundTruthInfo, Provenance, Record, SCHEMA, Status,
};

/// Runs cells for real.
pub struct CellRunner {
    device: DeviceChoice,
    /// Read once: asking the system costs more than a small cell.
    environment: Provenance,
    root: PathBuf,
    scores: bool,
    adapters: bool,
    gradients: bool,
    /// Queries whose extreme training examples are scored by token.
    tokens: usize,
    /// Queries that a language model answers before and after the fine-tune.
    answers: usize,
    /// Query images whose extreme training images are kept.
    images: usize,
    /// What a diffusion model draws before and after it.
    samples: SampleOutputs,
}

impl CellRunner {
    /// A runner that keeps its caches in `results`.
    pub fn new(results: &ResultsDir, device: DeviceChoice, plan: &Plan) -> Self {
        Self {
            device,
            environment: environment::provenance(&device.to_string(), rayon::current_num_threads()),
            root: results.root().to_owned(),
            scores: plan.outputs.scores,
            adapters: plan.outputs.adapters,
            gradients: plan.outputs.gradients,
            tokens: plan.outputs.tokens,
            answers: plan.outputs.answers,
            images: plan.outputs.images,
            samples: plan.outputs.samples,
        }
    }

    /// What the rungs of a decomposition are computed from.
    fn decomposition_of<'a>(
        &self,
        cell: &'a Cell,
        inputs: &'a CellInputs,
        layout: &'a BlockLayout,
    ) -> Setting<'a> {
        let settings = &cell.settings;
        let truth = settings.ground_truth.as_ref();
        let limit = truth
            .and_then(|truth| truth.decomposition.as_ref())
            .map_or(0, |config| config.hessian_limit);
        let parameters: usize = inputs.train.tensors().iter().map(TensorInfo::dim).sum();
        Setting {
            gradients: match &inputs.unrounded {
                Some([train, query]) => [train, query],
                None => [&inputs.train, &inputs.query],
            },
            layout,
            damping: settings.influence.damping,
            seed: cell.seed,
            companions: inputs.beside.companions(),
            no_hessian: format!(
                "no Hessian: {parameters} parameters are more than hessian_limit = {limit}"
            ),
            dtype: settings.store.dtype,
            precision: settings.influence.precision,
        }
    }

    /// The gaps to retraining in parts, when the settings ask for them.
    fn gaps(
        &self,
        cell: &Cell,
        inputs: &CellInputs,
        layout: &BlockLayout,
        retraining: Option<&Retraining>,
        mut whole: Vec<MethodScores<'_>>,
        progress: &Progress,
    ) -> Result<Option<DecompositionInfo>, String> {
        let config = cell.settings.ground_truth.as_ref();
        let split_by = config.and_then(|config| config.decomposition.as_ref());
        let (Some(config), Some(split_by), Some(retraining)) = (config, split_by, retraining)
        else {
            return Ok(None);
        };
        progress.stage("splitting the gaps to retraining");
        let chosen = split_by.methods(&cell.settings.influence.methods);
        let methods: Vec<MethodScores> = chosen
            .into_iter()
            .filter_map(|spec| {
                let place = whole.iter().position(|whole| whole.spec == spec)?;
                Some(whole.swap_remove(place))
            })
            .collect();
        let setting = self.decomposition_of(cell, inputs, layout);
        let metrics = split_by.metrics(&config.retrained());
        decompose(split_by, &metrics, retraining, &setting, &methods).map(Some)
    }

    /// Keeps what the settings ask for.
    fn outputs(
        &self,
        cell: &Cell,
        inputs: &CellInputs,
        scores: &[(String, Array2<f64>)],
    ) -> Result<(), String> {
        let stores = Stores {
            root: &self.root,
            cell,
        };
        if self.gradients {
            for (name, store) in inputs.stores() {
                stores.keep(&name, store)?;
            }
        }
        for (name, factors) in inputs.beside.factors() {
            if self.gradients {
                let path = stores.path(name);
                factors.save(&path).map_err(sentence)?;
            }
        }
        if let Some(hessians) = inputs.beside.hessians().filter(|_| self.gradients) {
            let path = stores.path("hessian");
            hessians.save(&path).map_err(sentence)?;
        }
        if self.scores && !scores.is_empty() {
            let path = self
                .root
                .join("scores")
                .join(format!("{}.safetensors", cell.id));
            let views = scores.iter().map(|(label, scores)| {
                let values = scores.as_slice().expect("scores are made in row order");
                let view = safetensors::tensor::TensorView::new(
                    safetensors::Dtype::F64,
                    scores.shape().to_vec(),
                    bytemuck::cast_slice(values),
                );
                (
                    label.clone(),
                    view.expect("the shape is that of the values"),
                )
            });
            let bytes = safetensors::serialize(views, None).map_err(sentence)?;
            crate::atomic::write(&path, &bytes)
                .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        Ok(())
    }
}

impl Execute for CellRunner {
    fn execute(
        &self,
        experiment: &str,
        cell: &Cell,
        progress: &Progress,
    ) -> Result<Record, String> {
        let start = Instant::now();
        let mut provenance = self.provenance();
        let place = Place {
            answers: self.answers,
            samples: self.samples,
            ..Place::new(&self.root, self.device, self.adapters)
        };
        let _parts = RemoveParts(&self.root);
        let inputs = CellInputs::new(&place, cell, progress)?;
        let scored = Gradients {
            train: &inputs.train,
            query: &inputs.query,
            unrounded: inputs.unrounded.as_ref(),
            companions: inputs.beside.companions(),
        };
        let scoring = Scoring::new(cell, scored, progress)?;

        let bench = inputs.retrainer.as_ref().map(|retrainer| RetrainContext {
            retrain: retrainer,
            seed: cell.seed,
            cache: RetrainCache::new(Some(&place.cache), ground_truth::Retrain::key(retrainer)),
            progress,
        });
        let selection = cell.settings.ground_truth.as_ref().zip(bench.as_ref());
        let truth = selection
            .map(|(config, bench)| ground_truth::measure(config, bench))
            .transpose()?;
        let retraining = truth.as_ref().map(|truth| &truth.retraining);

        let mut no_reference = NoReference::default();
        let given = Given {
            cell,
            truth: &inputs.truth,
            retraining,
            selection,
            exact_at_default: scoring.exact_at_default(&mut no_reference, progress),
            exact: scoring.exact_before_rounding(&mut no_reference, progress),
            shape: scoring.shape(),
            keeps_scores: self.scores || self.images > 0,
        };
        let stores = Stores {
            root: &self.root,
            cell,
        };
        let by_token = inputs.by_token.as_ref().filter(|_| self.tokens > 0);
        let by_token =
            by_token.map(|source| TokenScores::new(source, self.tokens, &inputs.train, stores));
        let by_token = RefCell::new(by_token.map(Ok));
        let score = |spec: &MethodSpec| {
            let mut by_token = by_token.borrow_mut();
            let Some(Ok(tokens)) = &mut *by_token else {
                return scoring.score(spec, 0);
            };
            let mut scored = scoring.score(spec, tokens.queries)?;
            // an error here is the cell's, not the method's
            if let Err(error) = tokens.add(&spec.label, &mut scored.influence) {
                *by_token = Some(Err(error));
            }
            Ok(scored)
        };
        let found = evaluate(given, &score, &mut no_reference, progress)?;
        let (layout, whole) = (&scoring.layout, found.whole);
        let gaps = self.gaps(cell, &inputs, layout, retraining, whole, progress)?;
        let by_token = by_token.into_inner().transpose()?;
        let by_token = by_token.map(TokenScores::finish).transpose()?;
        let by_image = match &inputs.images {
            Some(images) => by_image(images, self.images, &found.kept, &self.root)?,
            None => Vec::new(),
        };
        self.outputs(cell, &inputs, &found.kept)?;

        let gradients = gradient_info(&inputs, &scoring);
        provenance.seconds = start.elapsed().as_secs_f64();
        Ok(Record {
            schema: SCHEMA,
            experiment: experiment.to_owned(),
            profile: None,
            description: String::new(),
            cell: info(cell),
            status: Status::Ok,
            error: None,
            config: serde_json::to_value(&cell.settings).map_err(sentence)?,
            provenance,
            task: Some(inputs.task),
            model: inputs.model,
            training: inputs.training,
            gradients: Some(gradients),
            ground_truth: truth.map(|truth| GroundTruthInfo {
                decomposition: gaps,
                ..truth.info
            }),
            methods: found.methods,
            no_reference: no_reference.0,
            pairing: pairing(&found.spreads),
            by_token: by_token.unwrap_or_default(),
            answers: inputs.answers,
            by_image,
            samples: inputs.samples,
        })
    }

    fn provenance(&self) -> Provenance {
        Provenance {
            started: environment::now(),
            ..self.environment.clone()
        }
    }
}

/// The gradients, for the record.
fn gradient_info(inputs: &CellInputs, scoring: &Scoring) -> GradientInfo {
    let examples = (inputs.task.train + inputs.task.query) as f64;
    let blocks = scoring.layout.blocks().iter().zip(&scoring.lambda);
    GradientInfo {
        companions: inputs.beside.info(),
        seconds: inputs.seconds,
        examples_per_second: examples / inputs.seconds,
        padding: inputs.padding,
        bytes: inputs.train.bytes(),
        storage: inputs.train.storage().to_owned(),
        blocks: blocks
            .map(|(block, &lambda)| BlockInfo {
                name: block.name.clone(),
                dim: block.dim,
                lambda,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the first cell of an experiment on given gradients (`task: gradients`) in `root`.
    fn ran(root: &std::path::Path, rest: &str, damping: f64) -> Result<Record, String> {
        let text = format!("name: t\ntask: {{name: gradients, train: 6, query: 2}}\n{rest}");
        let mut plan = crate::config::grid::parse("t.yaml", &text, None, &[]).unwrap();
        plan.cells[0].settings.influence.damping = damping;
        let results = ResultsDir::create(root).unwrap();
        let runner = CellRunner::new(&results, DeviceChoice::default(), &plan);
        runner.execute("t", &plan.cells[0], &Progress::quiet())
    }

    #[test]
    fn exact_scores_that_cannot_be_computed_leave_the_other_methods_their_scores() {
        let folder = tempfile::tempdir().unwrap();
        // fewer examples than parameters: F + λI is singular in f64
        let record = ran(
            folder.path(),
            "store: {dtype: bf16, reference: f32}\n\
             influence: {methods: [hessian_free, \"exact:solver=primal\"]}\n",
            1e-30,
        )
        .unwrap();
        let reasons = &record.no_reference;
        assert!(
            reasons[0].starts_with("exact on f32 gradients failed: block `"),
            "{reasons:?}"
        );
        let [fine, exact] = &record.methods[..] else {
            panic!("two methods")
        };
        assert_eq!((fine.status, exact.status), (Status::Ok, Status::Failed));
        assert_eq!(fine.non_finite, 0);
        let pearson = fine.metrics.iter().find(|m| m.metric == "pearson");
        assert_eq!(pearson.expect("an undefined metric").value, None);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gradients");
        std::fs::write(&path, "a file").unwrap();
        let error = ran(folder.path(), "outputs: {gradients: true}\n", 0.1).unwrap_err();
        assert!(error.contains(&path.display().to_string()), "{error}");
        std::fs::write(folder.path().join("scores"), "a file").unwrap();
        let error = ran(folder.path(), "outputs: {scores: true}\n", 0.1).unwrap_err();
        let path = folder.path().join("scores");
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
