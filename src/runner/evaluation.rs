//! The step of a cell from scores to metrics: one method after the other, exact first, since the others are held
//! against it.

use ndarray::{Array2, Axis, s};

use super::decomposition::MethodScores;
use super::error::sentence;
use super::pairing::{Spreads, paired};
use super::reference::{NoReference, nowhere_finite};
use crate::config::{Cell, GroundTruthConfig, MethodSpec};
use crate::data::Truth;
use crate::ground_truth::{RetrainContext, selection};
use crate::influence::{Influence, SolverDiagnostics};
use crate::metrics::retraining::Retraining;
use crate::metrics::{self, Curve, Inputs, Scores};
use crate::progress::Progress;
use crate::results::record::{MethodRecord, Status};

/// What a method found, and what it should cost.
pub(super) struct Scored {
    pub influence: Influence,
    /// Operations by the formula of the method's cost.
    pub operations: f64,
}

/// What the metrics of a cell are computed from, besides scores.
pub(super) struct Given<'c, 'a> {
    pub cell: &'c Cell,
    /// What is known of the examples.
    pub truth: &'a Truth,
    /// What retraining found.
    pub retraining: Option<&'a Retraining>,
    /// What a method selects is trained on here.
    pub selection: Option<(&'a GroundTruthConfig, &'a RetrainContext<'a>)>,
    /// Exact scores at the default damping.
    pub exact_at_default: Option<Array2<f64>>,
    /// Exact scores from elsewhere than the methods of the settings.
    pub exact: Option<Array2<f64>>,
    /// Rows and columns of the scores.
    pub shape: (usize, usize),
    /// Whether scores are kept for the outputs.
    pub keeps_scores: bool,
}

/// What became of the methods.
#[derive(Default)]
pub(super) struct Evaluated<'c> {
    /// An entry a method, in the order of the settings.
    pub methods: Vec<MethodRecord>,
    /// What metrics vary by, in the same order.
    pub spreads: Spreads,
    /// Scores of the queries, for the decomposition.
    pub whole: Vec<MethodScores<'c>>,
    /// Scores for the outputs.
    pub kept: Vec<(String, Array2<f64>)>,
}

/// Runs every method of a cell by `score` and computes its metrics.
///
/// # Errors
/// Metrics that cannot be computed. A method that stops fails alone.
pub(super) fn evaluate<'c>(
    given: Given<'c, '_>,
    score: &dyn Fn(&MethodSpec) -> Result<Scored, String>,
    no_reference: &mut NoReference,
    progress: &Progress,
) -> Result<Evaluated<'c>, String> {
    let specs = &given.cell.settings.influence.methods;
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|&index| !specs[index].is_exact());
    let mut evaluation = Evaluation {
        exact: given.exact.clone(),
        given,
        reference: None,
        no_reference,
        methods: vec![None; specs.len()],
        done: Evaluated {
            spreads: vec![Vec::new(); specs.len()],
            ..Evaluated::default()
        },
    };
    for index in order {
        progress.stage(&specs[index].label);
        let outcome = score(&specs[index]);
        let record = match outcome {
            Ok(scored) => evaluation.scored(index, scored)?,
            Err(error) => evaluation.failed(index, error),
        };
        evaluation.methods[index] = Some(record);
    }
    Ok(Evaluated {
        methods: evaluation.methods.into_iter().flatten().collect(),
        ..evaluation.done
    })
}

/// The evaluation under way.
struct Evaluation<'c, 'a, 'r> {
    given: Given<'c, 'a>,
    /// The reference, once there is one.
    exact: Option<Array2<f64>>,
    /// The method of the settings that is the reference.
    reference: Option<usize>,
    no_reference: &'r mut NoReference,
    methods: Vec<Option<MethodRecord>>,
    done: Evaluated<'c>,
}

impl<'c> Evaluation<'c, '_, '_> {
    fn spec(&self, index: usize) -> &'c MethodSpec {
        &self.given.cell.settings.influence.methods[index]
    }

    /// The entry of a method that has scores.
    fn scored(&mut self, index: usize, scored: Scored) -> Result<MethodRecord, String> {
        let (spec, cell) = (self.spec(index), self.given.cell);
        let Scored {
            influence: found,
            operations,
        } = scored;
        if self.exact.is_none() {
            if spec.is_exact() {
                if self.no_reference.allows(spec, &found) {
                    self.exact = Some(found.scores.clone());
                    self.reference = Some(index);
                }
            } else if cell.settings.influence.has_exact() {
                let (rows, columns) = self.given.shape;
                self.exact = Some(nowhere_finite(rows, columns));
            }
        }
        let given = &self.given;
        let inputs = Inputs {
            scores: parts(&found.scores),
            exact: self.exact.as_ref().map(parts),
            exact_at_default: given.exact_at_default.as_ref().map(|scores| scores.view()),
            flipped: given.truth.flipped.as_deref(),
            train_classes: given.truth.train_classes.as_deref(),
            query_classes: given.truth.query_classes.as_deref(),
            retraining: given.retraining,
            seed: cell.seed,
        };
        let mut record = record(spec, &found, &inputs, cell, operations)?;
        self.done.spreads[index] = paired(cell, spec, self.reference == Some(index), &inputs);
        let truth = cell.settings.ground_truth.as_ref();
        if truth.is_some_and(|config| config.decomposition.is_some()) {
            self.done.whole.push(MethodScores {
                spec,
                scores: Ok(parts(&found.scores).per_query.to_owned()),
            });
        }
        if let Some((config, bench)) = given.selection {
            let mean = parts(&found.scores).mean_query.to_vec();
            add_curves(&mut record, selection::curves(config, &mean, bench));
        }
        if given.keeps_scores {
            self.done.kept.push((spec.label.clone(), found.scores));
        }
        Ok(record)
    }

    /// The entry of a method that stopped.
    fn failed(&mut self, index: usize, error: String) -> MethodRecord {
        let spec = self.spec(index);
        if spec.is_exact() && self.exact.is_none() {
            self.no_reference.failed(spec, &error);
        }
        self.done.whole.push(MethodScores {
            spec,
            scores: Err(error.clone()),
        });
        failed_method(spec, error)
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

/// The entry of a method that has scores.
fn record(
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
/// was measured of it stays in its record and is used ([`MethodRecord::has_scores`]).
fn add_curves(record: &mut MethodRecord, curves: Result<Vec<Curve>, String>) {
    match curves {
        Ok(curves) => record.curves.extend(curves),
        Err(error) => {
            record.status = Status::Failed;
            record.error = Some(error);
        }
    }
}

/// The entry of a method that stopped.
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
        evidence: SolverDiagnostics::default(),
        non_finite: 0,
        metrics: Vec::new(),
        curves: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::ground_truth::RetrainCache;
    use crate::ground_truth::testing::MeanTask;

    /// A cell of these methods, whose scores are of 2 queries, their mean and 4 examples.
    fn cell(methods: &str) -> Cell {
        let text = format!("name: t\ntask: gradients\ninfluence: {{methods: {methods}}}\n");
        let plan = crate::config::grid::parse("t.yaml", &text, None, &[]).unwrap();
        plan.cells[0].clone()
    }

    /// Scores that depend on the method; `not_converged` blocks.
    fn found(spec: &MethodSpec, not_converged: usize) -> Scored {
        let seed = spec.label.len() as f64;
        Scored {
            influence: Influence {
                scores: Array2::from_shape_fn((3, 4), |(q, k)| ((q + 2 * k) as f64 * seed).sin()),
                parts: None,
                preconditioned: None,
                seconds: Default::default(),
                peak_bytes: None,
                bytes_read: 0,
                evidence: SolverDiagnostics {
                    not_converged,
                    ..SolverDiagnostics::default()
                },
                block_evidence: Vec::new(),
            },
            operations: 7.0,
        }
    }

    /// What becomes of `cell` when its methods are run by `score`, with the reasons why exact is no reference.
    fn evaluated<'a>(
        cell: &'a Cell,
        truth: &'a Truth,
        keeps_scores: bool,
        score: &dyn Fn(&MethodSpec) -> Result<Scored, String>,
    ) -> (Evaluated<'a>, Vec<String>) {
        let mut no_reference = NoReference::default();
        let given = Given {
            cell,
            truth,
            retraining: None,
            selection: None,
            exact_at_default: None,
            exact: None,
            shape: (3, 4),
            keeps_scores,
        };
        let quiet = Progress::quiet();
        let found = evaluate(given, score, &mut no_reference, &quiet).unwrap();
        (found, no_reference.0)
    }

    fn pearson(record: &MethodRecord) -> Option<f64> {
        let metric = record.metrics.iter().find(|m| m.metric == "pearson");
        metric.and_then(|metric| metric.value)
    }

    #[test]
    fn exact_comes_first_whatever_its_place_and_is_what_others_are_held_against() {
        let (cell, truth) = (cell("[datainf, exact, lissa]"), Truth::default());
        let order = RefCell::new(Vec::new());
        let (done, reasons) = evaluated(&cell, &truth, true, &|spec| {
            order.borrow_mut().push(spec.label.clone());
            Ok(found(spec, 0))
        });
        assert_eq!(order.into_inner(), ["exact", "datainf", "lissa"]);
        let labels = |records: &[MethodRecord]| -> Vec<String> {
            records.iter().map(|record| record.label.clone()).collect()
        };
        assert_eq!(labels(&done.methods), ["datainf", "exact", "lissa"]);
        assert_eq!(done.kept.len(), 3);
        assert!(reasons.is_empty());
        // exact and lissa have the same fake scores, datainf has others
        let of = |index: usize| pearson(&done.methods[index]);
        assert!(of(2).is_some_and(|r| (r - 1.0).abs() < 1e-12));
        assert!(of(0).is_some_and(|r| r < 0.999));
        assert_eq!(done.methods[0].operations, Some(7.0));
        let (unkept, _) = evaluated(&cell, &truth, false, &|spec| Ok(found(spec, 0)));
        assert!(unkept.kept.is_empty());
    }

    #[test]
    fn a_method_that_stops_fails_alone_and_without_exact_nothing_is_held_against_it() {
        let (cell, truth) = (cell("[datainf, exact, lissa]"), Truth::default());
        let (done, reasons) = evaluated(&cell, &truth, false, &|spec| match spec.name() {
            "lissa" => Err("it stopped".to_owned()),
            _ => Ok(found(spec, 0)),
        });
        assert_eq!(done.methods[2].status, Status::Failed);
        assert_eq!(done.methods[2].error.as_deref(), Some("it stopped"));
        assert!(pearson(&done.methods[0]).is_some() && reasons.is_empty());
        for fails in [true, false] {
            let (done, reasons) = evaluated(&cell, &truth, false, &|spec| match spec.name() {
                "exact" if fails => Err("no luck".to_owned()),
                name => Ok(found(spec, usize::from(name == "exact"))),
            });
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert_eq!(pearson(&done.methods[0]), None);
            let metrics = &done.methods[0].metrics;
            assert!(metrics.iter().any(|metric| metric.metric == "pearson"));
            assert_eq!(done.methods[0].status, Status::Ok);
        }
    }

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
                let bench = RetrainContext {
                    retrain: &task,
                    seed: 1,
                    cache: RetrainCache::new(Some(cache.path()), "mean"),
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
