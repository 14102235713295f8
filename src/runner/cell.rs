//! One cell: its gradients (see `material`) → methods → metrics → record.

use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, Axis, s};

use super::decomposition::{Setting, Whole, decompose};
use super::material::{Material, sentence};
use super::pairing::{Spreads, paired, pairing};
use super::reference::{NoReference, nowhere_finite, unrounded_exact};
use super::{Execute, facts};
use crate::config::influence::DEFAULT_DAMPING;
use crate::config::{Cell, MethodSpec, Plan};
use crate::device::DeviceChoice;
use crate::gradients::store::TensorInfo;
use crate::ground_truth::{self, Bench, Journal, selection};
use crate::influence::{
    BlockLayout, Evidence, Influence, Queries, RunOptions, damping, run_method,
};
use crate::metrics::{self, Curve, Inputs, Scores};
use crate::progress::Progress;
use crate::results::ResultsDir;
use crate::results::environment;
use crate::results::record::{
    BlockFacts, GradientFacts, GroundTruthFacts, MethodRecord, Provenance, Record, SCHEMA, Status,
};

/// Runs cells for real.
pub struct CellRunner {
    pub(super) device: DeviceChoice,
    /// Read once: asking the system costs more than a small cell.
    environment: Provenance,
    pub(super) root: PathBuf,
    scores: bool,
    pub(super) adapters: bool,
    gradients: bool,
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
        }
    }

    /// What the rungs of a decomposition are computed from.
    fn decomposition_of<'a>(
        &self,
        cell: &'a Cell,
        material: &'a Material,
        layout: &'a BlockLayout,
    ) -> Setting<'a> {
        let settings = &cell.settings;
        let truth = settings.ground_truth.as_ref();
        let limit = truth
            .and_then(|truth| truth.decomposition.as_ref())
            .map_or(0, |config| config.hessian_limit);
        let parameters: usize = material.train.tensors().iter().map(TensorInfo::dim).sum();
        Setting {
            gradients: match &material.unrounded {
                Some([train, query]) => [train, query],
                None => [&material.train, &material.query],
            },
            layout,
            damping: settings.influence.damping,
            seed: cell.seed,
            companions: material.beside.companions(),
            no_hessian: format!(
                "no Hessian: {parameters} parameters are more than hessian_limit = {limit}"
            ),
            dtype: settings.store.dtype,
            precision: settings.influence.precision,
        }
    }

    /// Keeps or removes what the settings ask for.
    fn outputs(
        &self,
        cell: &Cell,
        material: &Material,
        scores: &[(String, Array2<f64>)],
    ) -> Result<(), String> {
        for (name, store) in material.stores() {
            let path = self.gradient_path(cell, &name);
            match (self.gradients, store.storage() == "mapped") {
                (true, false) => {
                    std::fs::create_dir_all(self.root.join("gradients")).map_err(sentence)?;
                    store.save(&path).map_err(sentence)?;
                }
                // where files can be mapped, a removed one lives as long as it is
                (false, true) => {
                    std::fs::remove_file(&path)
                        .map_err(|e| format!("cannot remove {}: {e}", path.display()))?;
                    // goes when it is empty
                    let _ = std::fs::remove_dir(self.root.join("gradients"));
                }
                _ => {}
            }
        }
        for (name, factors) in material.beside.factors() {
            if self.gradients {
                let path = self.gradient_path(cell, name);
                factors.save(&path).map_err(sentence)?;
            }
        }
        if let Some(hessians) = material.beside.hessians().filter(|_| self.gradients) {
            let path = self.gradient_path(cell, "hessian");
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
        let material = self.material(cell, progress)?;
        let influence = &cell.settings.influence;
        let layout = BlockLayout::new(material.train.tensors(), influence.blocks);
        let lambda = damping(&material.train, &layout, influence.damping).map_err(sentence)?;
        for (block, _) in layout
            .blocks()
            .iter()
            .zip(&lambda)
            .filter(|(_, l)| **l == 0.0)
        {
            progress.line(&format!(
                "{}: all training gradients of block `{}` are zero: it adds nothing to any score",
                cell.title(),
                block.name
            ));
        }
        let options = RunOptions {
            precision: influence.precision,
            queries: Queries::EachAndMean,
            seed: cell.seed,
            companions: material.beside.companions(),
        };

        let cache = self.root.join("cache");
        let bench = material.retrainer.as_ref().map(|retrainer| Bench {
            retrain: retrainer,
            seed: cell.seed,
            journal: Journal::new(Some(&cache), ground_truth::Retrain::key(retrainer)),
            progress,
        });
        let wanted = cell.settings.ground_truth.as_ref().zip(bench.as_ref());
        let truth = match wanted {
            Some((config, bench)) => Some(ground_truth::measure(config, bench)?),
            None => None,
        };
        let retraining = truth.as_ref().map(|truth| &truth.retraining);

        let mut no_reference = NoReference::default();
        let asked = |name: &str| cell.settings.metrics.iter().any(|metric| metric == name);
        let at_default = if asked("pearson_default_damping") {
            let lambda = damping(&material.train, &layout, DEFAULT_DAMPING).map_err(sentence)?;
            progress.stage("exact at the default damping");
            let exact: MethodSpec = "exact".parse().map_err(sentence)?;
            let each = RunOptions {
                queries: Queries::Each,
                ..options
            };
            let [train, query] = [&material.train, &material.query];
            let found = run_method(&exact, train, query, &layout, &lambda, &each);
            let what = "exact at the default damping";
            Some(no_reference.scores(what, found.map_err(sentence)?))
        } else {
            None
        };
        let truth_config = cell.settings.ground_truth.as_ref();
        let split_by = truth_config.and_then(|config| config.decomposition.as_ref());
        let mut whole: Vec<Whole> = Vec::new();

        // exact first: the others are held against it
        let mut order: Vec<usize> = (0..influence.methods.len()).collect();
        order.sort_by_key(|&i| !influence.methods[i].is_exact());
        let mut exact = unrounded_exact(cell, &material, &layout, &options, progress)?
            .map(|found| no_reference.scores("exact on f32 gradients", found));
        let mut reference = None;
        let mut kept = Vec::new();
        let mut methods: Vec<Option<MethodRecord>> = vec![None; influence.methods.len()];
        let mut spreads: Spreads = vec![Vec::new(); influence.methods.len()];
        for index in order {
            let spec = &influence.methods[index];
            progress.stage(&spec.label);
            if !spec.is_exact() && exact.is_none() && influence.has_exact() {
                let rows = options.queries.rows(material.query.rows());
                exact = Some(nowhere_finite(rows, material.train.rows()));
            }
            methods[index] = Some(
                match run_method(
                    spec,
                    &material.train,
                    &material.query,
                    &layout,
                    &lambda,
                    &options,
                ) {
                    Ok(found) => {
                        let (operations, _) = spec.method().total_cost(
                            material.train.tensors(),
                            &layout,
                            material.train.rows() as f64,
                            options.queries.rows(material.query.rows()) as f64,
                        );
                        if spec.is_exact() && exact.is_none() && no_reference.allows(spec, &found) {
                            exact = Some(found.scores.clone());
                            reference = Some(index);
                        }
                        let inputs = Inputs {
                            scores: parts(&found.scores),
                            exact: exact.as_ref().map(parts),
                            exact_at_default: at_default.as_ref().map(|scores| scores.view()),
                            flipped: material.truth.flipped.as_deref(),
                            train_classes: material.truth.train_classes.as_deref(),
                            query_classes: material.truth.query_classes.as_deref(),
                            retraining,
                            seed: cell.seed,
                        };
                        let mut record = method_record(spec, &found, &inputs, cell, operations)?;
                        spreads[index] = paired(cell, spec, reference == Some(index), &inputs);
                        if split_by.is_some() {
                            whole.push(Whole {
                                spec,
                                scores: Ok(parts(&found.scores).per_query.to_owned()),
                            });
                        }
                        if let Some((config, bench)) = wanted {
                            let mean = parts(&found.scores).mean_query.to_vec();
                            add_curves(&mut record, selection::curves(config, &mean, bench));
                        }
                        if self.scores {
                            kept.push((spec.label.clone(), found.scores));
                        }
                        record
                    }
                    Err(error) => {
                        if spec.is_exact() && exact.is_none() {
                            no_reference.failed(spec, &error.to_string());
                        }
                        whole.push(Whole {
                            spec,
                            scores: Err(error.to_string()),
                        });
                        failed_method(spec, error.to_string())
                    }
                },
            );
        }
        let parts_of_gaps = match (truth_config, split_by, retraining) {
            (Some(config), Some(split_by), Some(retraining)) => {
                progress.stage("splitting the gaps to retraining");
                let chosen = split_by.methods(&influence.methods);
                let methods: Vec<Whole> = chosen
                    .into_iter()
                    .filter_map(|spec| {
                        let place = whole.iter().position(|whole| whole.spec == spec)?;
                        Some(whole.swap_remove(place))
                    })
                    .collect();
                let setting = self.decomposition_of(cell, &material, &layout);
                let metrics = split_by.metrics(config);
                let facts = decompose(split_by, &metrics, retraining, &setting, &methods)?;
                Some(facts)
            }
            _ => None,
        };
        self.outputs(cell, &material, &kept)?;

        let examples = (material.task.train + material.task.query) as f64;
        let blocks = layout.blocks().iter().zip(&lambda);
        let gradients = GradientFacts {
            companions: material.beside.facts(),
            seconds: material.seconds,
            examples_per_second: examples / material.seconds,
            padding: material.padding,
            bytes: material.train.bytes(),
            storage: material.train.storage().to_owned(),
            blocks: blocks
                .map(|(block, &lambda)| BlockFacts {
                    name: block.name.clone(),
                    dim: block.dim,
                    lambda,
                })
                .collect(),
        };
        provenance.seconds = start.elapsed().as_secs_f64();
        Ok(Record {
            schema: SCHEMA,
            experiment: experiment.to_owned(),
            profile: None,
            description: String::new(),
            cell: facts(cell),
            status: Status::Ok,
            error: None,
            config: serde_json::to_value(&cell.settings).map_err(sentence)?,
            provenance,
            task: Some(material.task),
            model: material.model,
            training: material.training,
            gradients: Some(gradients),
            ground_truth: truth.map(|truth| GroundTruthFacts {
                decomposition: parts_of_gaps,
                ..truth.facts
            }),
            methods: methods.into_iter().flatten().collect(),
            no_reference: no_reference.0,
            pairing: pairing(&spreads),
        })
    }

    fn provenance(&self) -> Provenance {
        Provenance {
            started: environment::now(),
            ..self.environment.clone()
        }
    }
}

/// Scores with the mean query as the last row, in two parts.
fn parts(scores: &Array2<f64>) -> Scores<'_> {
    let last = scores.len_of(Axis(0)) - 1;
    Scores {
        per_query: scores.slice(s![..last, ..]),
        mean_query: scores.row(last),
    }
}

fn method_record(
    spec: &MethodSpec,
    found: &Influence,
    inputs: &Inputs,
    cell: &Cell,
    operations: f64,
) -> Result<MethodRecord, String> {
    let wanted: Vec<&str> = cell.settings.metrics.iter().map(String::as_str).collect();
    let (metrics, curves) = metrics::evaluate(inputs, &wanted).map_err(sentence)?;
    Ok(MethodRecord {
        label: spec.label.clone(),
        name: spec.name().to_owned(),
        status: Status::Ok,
        error: None,
        seconds: Some(found.seconds),
        peak_bytes: found.peak_bytes,
        operations: Some(operations),
        bytes_read: Some(found.bytes_read),
        evidence: found.evidence.clone(),
        non_finite: found
            .scores
            .iter()
            .filter(|score| !score.is_finite())
            .count(),
        metrics,
        curves,
    })
}

/// Adds the curves of training on what the method selects. When that fails, the method has failed, and no other; what
/// was measured of it stays in its record.
fn add_curves(record: &mut MethodRecord, curves: Result<Vec<Curve>, String>) {
    match curves {
        Ok(curves) => record.curves.extend(curves),
        Err(error) => {
            record.status = Status::Failed;
            record.error = Some(error);
        }
    }
}

fn failed_method(spec: &MethodSpec, error: String) -> MethodRecord {
    MethodRecord {
        label: spec.label.clone(),
        name: spec.name().to_owned(),
        status: Status::Failed,
        error: Some(error),
        seconds: None,
        peak_bytes: None,
        operations: None,
        bytes_read: None,
        evidence: Evidence::default(),
        non_finite: 0,
        metrics: Vec::new(),
        curves: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ground_truth::GroundTruthConfig;
    use crate::ground_truth::testing::MeanTask;

    /// The retrainings of the second of three methods fail.
    #[test]
    fn a_selection_that_cannot_be_retrained_fails_its_method_alone() {
        let text = "{selection: {keep: 0.5, seeds: 1}}";
        let config: GroundTruthConfig = serde_yaml::from_str(text).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let outcomes: Vec<MethodRecord> = (0..3)
            .map(|method| {
                let task = MeanTask {
                    most: if method == 1 { 0 } else { usize::MAX },
                    ..MeanTask::new(10, 0.0)
                };
                let bench = Bench {
                    retrain: &task,
                    seed: 1,
                    journal: Journal::new(Some(cache.path()), "mean"),
                    progress: &Progress::quiet(),
                };
                let scores: Vec<f64> = (0..10).map(|k| f64::from((k * (method + 2)) % 7)).collect();
                let mut record = MethodRecord {
                    status: Status::Ok,
                    error: None,
                    non_finite: 3,
                    ..failed_method(&"exact".parse().unwrap(), String::new())
                };
                add_curves(&mut record, selection::curves(&config, &scores, &bench));
                record
            })
            .collect();
        let status: Vec<Status> = outcomes.iter().map(|record| record.status).collect();
        assert_eq!(status, [Status::Ok, Status::Failed, Status::Ok]);
        assert_eq!(outcomes[0].curves.len(), 1);
        let error = outcomes[1].error.as_deref().unwrap();
        assert!(error.contains("killed"), "{error}");
        // what was measured before stays
        assert_eq!(outcomes[1].non_finite, 3);
    }
}
