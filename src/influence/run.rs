//! A method on all blocks: prepare, apply, score, each by the clock.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};
use ndarray::Array2;

mod control;
mod influence;
mod parts;
mod preconditioned;
mod queries;
mod warm_up;

use control::of_control;
pub use influence::{Influence, RunOptions};
pub use parts::Parts;
use parts::{PartScores, divide};
pub use preconditioned::PreconditionedQueries;
pub use queries::Queries;
use queries::load_queries;
use warm_up::warm_up;

use super::block::columns::{column, norms as lengths, parallel, relative};
use super::block::layout::BlockLayout;
use super::block::precision::Precision;
use super::block::reduce::sum_of_squares;
use super::block::view::Block;
use super::companions::{Companions, Need};
use super::diagnostics::SolverDiagnostics;
use super::error::InfluenceError;
use super::spec::MethodSpec;
use crate::gradients::store::GradientStore;
use crate::measure::{Meter, StageBytes, StageCost, StageSeconds};

/// I(k, q) = −Σ_l v_qᵀ(F_l + λ_l I)⁻¹g_k with the inverse as `spec` approximates it, for every query q and
/// training example k; `lambda` as of [`damping`](super::damping()).
///
/// Works block by block. Reading the queries, λ, and the residual of methods that do not compute it
/// themselves are outside the clock; the thread pool is warm before it starts. A block of zeros adds nothing to a score
/// and is passed over.
///
/// # Errors
/// Stores or a layout that do not match, λ of another number or kind, a λ of 0 for a block that is not zero, NaN or
/// infinities among the queries, a method that lacks what it needs beside the gradients, a factorisation that breaks
/// down, or parts of other examples.
pub fn run_method(
    spec: &MethodSpec,
    train: &GradientStore,
    query: &GradientStore,
    layout: &BlockLayout,
    lambda: &[f64],
    options: &RunOptions<'_>,
) -> Result<Influence, InfluenceError> {
    // on a thread of the pool, so that no other thread has to be woken before and after every parallel loop
    rayon::scope(|_| run_here(spec, train, query, layout, lambda, options))
}

fn run_here(
    spec: &MethodSpec,
    train: &GradientStore,
    query: &GradientStore,
    layout: &BlockLayout,
    lambda: &[f64],
    options: &RunOptions<'_>,
) -> Result<Influence, InfluenceError> {
    check(train, layout, lambda)?;
    let method = spec.method();
    let companions = &options.companions;
    companions.check(spec.name(), method.need())?;
    companions.fit(train, query)?;
    if let Some(control) = method.control() {
        return Ok(of_control(control, train, query, options));
    }
    let rows = options.queries.rows(query.rows());
    let mut parts = options
        .parts
        .map(|parts| PartScores::new(train, parts, rows))
        .transpose()?
        .filter(|_| method.need() != Need::Checkpoints);
    let mut preconditioned = (options.keep > 0 && method.need() != Need::Checkpoints)
        .then(|| PreconditionedQueries::new(options.keep, options.seed));
    let image = layout.blocks().iter().map(|shape| shape.dim).max();
    warm_up(image.unwrap_or(0) * options.queries.rows(query.rows()));

    // the fine-tuned model's own gradients, or those of every checkpoint with its learning rate
    let rounds: Vec<(&GradientStore, &GradientStore, f64)> = match method.need() {
        Need::Checkpoints => companions
            .checkpoints
            .iter()
            .map(|c| (&c.train, &c.query, c.learning_rate))
            .collect(),
        _ => vec![(train, query, 1.0)],
    };
    let (n, m) = (train.rows(), options.queries.rows(query.rows()));
    // [n, m] by columns, which is [m, n] by rows
    let mut scores = Mat::<f64>::zeros(n, m);
    let mut seconds = StageSeconds::default();
    let mut peak: Option<StageBytes> = None;
    let mut bytes_read = 0;
    let mut block_evidence = Vec::with_capacity(lambda.len());
    let mut norms = method.cosine().then(|| (vec![0.0; n], vec![0.0; m]));
    for (train_there, query_there, weight) in rounds {
        train.matching(train_there)?;
        let place = train_there.matching(query_there)?;
        for (shape, &lambda) in layout.blocks().iter().zip(lambda) {
            let v = load_queries(query_there, &place, shape, options.queries)?;
            // gradients that vanish at the end need not have vanished on the way
            if lambda == 0.0 && method.need() != Need::Checkpoints {
                if !Block::new(train_there, shape, Precision::F64, 0, 0).is_zero() {
                    return Err(InfluenceError::Lambda {
                        block: shape.name.clone(),
                        found: lambda,
                    });
                }
                if let Some((_, norms)) = &mut norms {
                    add(norms, (0..m).map(|q| sum_of_squares(column(v.as_ref(), q))));
                }
                block_evidence.push(SolverDiagnostics::default());
                continue;
            }
            let precision = method.precision(options.precision);
            let block = Block::new(train_there, shape, precision, m, options.seed)
                .with_companions(options.companions);
            let fetched = || bytes_fetched(train_there, companions);
            let read_before = fetched();
            let meter = Meter::start();
            let (prepared, prepare) = meter.stage(|| {
                if let Some((norms, _)) = &mut norms {
                    add(norms, block.squared_norms());
                }
                method.prepare(&block, lambda)
            });
            let prepared = prepared?;
            let (applied, apply) = meter.stage(|| {
                if let Some((_, norms)) = &mut norms {
                    add(norms, (0..m).map(|q| sum_of_squares(column(v.as_ref(), q))));
                }
                prepared.apply(&v)
            });
            let (x, mut evidence) = applied.map(|applied| (applied.x, applied.evidence))?;
            // drop the factorisation before scoring
            let projected = prepared.features().is_some().then_some(prepared);
            let ((), score) =
                meter.stage(
                    || match projected.as_ref().and_then(|prepared| prepared.features()) {
                        Some(features) => matmul(
                            scores.as_mut(),
                            Accum::Add,
                            features.as_ref(),
                            x.as_ref(),
                            -weight,
                            parallel(),
                        ),
                        None => block.add_scores(&x, -weight, scores.as_mut()),
                    },
                );
            bytes_read += fetched() - read_before;
            parts = parts.filter(|_| projected.is_none());
            if let Some(parts) = &mut parts {
                parts.add(shape, precision, options.seed, &x, -weight);
            }
            preconditioned = preconditioned.filter(|_| projected.is_none());
            if let Some(kept) = &mut preconditioned {
                kept.add(shape, precision, &x, -weight);
            }
            if method.measure_residual() && evidence.residuals.is_empty() {
                let (r, _) = block.residual(&v, &x, lambda);
                let measured = SolverDiagnostics::of_queries(&relative(&r, &lengths(&v)), 1.0);
                // iterations know all residuals but that of their answer
                if !evidence.history.is_empty() {
                    evidence
                        .history
                        .extend(measured.residuals.iter().copied().reduce(f64::max));
                }
                evidence = SolverDiagnostics {
                    iterations: evidence.iterations,
                    solver: evidence.solver,
                    history: evidence.history,
                    ..measured
                };
            }
            block_evidence.push(evidence);

            seconds.prepare += prepare.seconds;
            seconds.apply += apply.seconds;
            seconds.score += score.seconds;
            peak = largest(peak, [prepare, apply, score]);
        }
    }
    if let Some((train, query)) = &norms {
        let ((), spent) = Meter::start().stage(|| divide(&mut scores, train, query));
        seconds.score += spent.seconds;
        if let Some(parts) = &mut parts {
            parts.divide(train, query);
        }
        if let Some(kept) = &mut preconditioned {
            kept.norms = Some((train.clone(), query.clone()));
        }
    }
    let evidence = block_evidence
        .iter()
        .fold(SolverDiagnostics::default(), SolverDiagnostics::worst);
    let scores = Array2::from_shape_fn((m, n), |(q, k)| scores[(k, q)]);
    Ok(Influence {
        scores,
        parts: parts.map(PartScores::finish),
        preconditioned,
        seconds,
        peak_bytes: peak,
        bytes_read,
        evidence,
        block_evidence,
    })
}

/// Bytes that were fetched of the training gradients so far, those at sampled labels included.
fn bytes_fetched(train: &GradientStore, companions: &Companions<'_>) -> u64 {
    let sampled = companions.sampled.map(|sampled| sampled.gradients);
    // one store in both places counts once
    let other = sampled.filter(|other| !std::ptr::eq(*other, train));
    train.bytes_read() + other.map_or(0, GradientStore::bytes_read)
}

/// `sums += values`, one by one.
fn add(sums: &mut [f64], values: impl IntoIterator<Item = f64>) {
    sums.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += value);
}

fn check(
    train: &GradientStore,
    layout: &BlockLayout,
    lambda: &[f64],
) -> Result<(), InfluenceError> {
    if layout.tensors() != train.tensors().len() {
        return Err(InfluenceError::Layout {
            expected: layout.tensors(),
            found: train.tensors().len(),
        });
    }
    if layout.blocks().len() != lambda.len() {
        return Err(InfluenceError::LambdaCount {
            expected: layout.blocks().len(),
            found: lambda.len(),
        });
    }
    match layout
        .blocks()
        .iter()
        .zip(lambda)
        .find(|(_, lambda)| !(lambda.is_finite() && **lambda >= 0.0))
    {
        Some((block, &found)) => Err(InfluenceError::Lambda {
            block: block.name.clone(),
            found,
        }),
        None => Ok(()),
    }
}

fn largest(
    so_far: Option<StageBytes>,
    [prepare, apply, score]: [StageCost; 3],
) -> Option<StageBytes> {
    let old = so_far.unwrap_or_default();
    Some(StageBytes {
        prepare: old.prepare.max(prepare.peak_bytes?),
        apply: old.apply.max(apply.peak_bytes?),
        score: old.score.max(score.peak_bytes?),
    })
}
