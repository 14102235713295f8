//! A method on all blocks: prepare, apply, score, each by the clock.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};
use ndarray::Array2;
use rayon::prelude::*;

use super::block::Block;
use super::element::contiguous_mut;
use super::error::InfluenceError;
use super::evidence::Evidence;
use super::layout::{BlockLayout, BlockShape};
use super::moments::sum_of_squares;
use crate::config::influence::Precision;
use crate::config::method::MethodSpec;
use crate::gradients::store::GradientStore;
use crate::measure::{Meter, Spent, StageBytes, StageSeconds};

/// Which query gradients are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Queries {
    /// Every query by itself: m rows of scores.
    #[default]
    Each,
    /// The mean of all queries: one row.
    Mean,
    /// Every query, then the mean as the last row: m + 1 rows.
    EachAndMean,
}

impl Queries {
    /// Rows of scores for m queries.
    pub fn rows(self, m: usize) -> usize {
        match self {
            Self::Each => m,
            Self::Mean => 1,
            Self::EachAndMean => m + 1,
        }
    }
}

/// How [`run_method`] computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Precision of the products; `exact` is always f64.
    pub precision: Precision,
    /// Which queries.
    pub queries: Queries,
    /// What seeded methods draw from.
    pub seed: u64,
}

/// A method's scores and what they cost.
#[derive(Clone, Debug)]
pub struct Influence {
    /// I(k, q), `[queries, train]`; positive = harmful. May hold NaN or infinities where an iteration
    /// diverged.
    pub scores: Array2<f64>,
    /// Wall time by stage, summed over blocks.
    pub seconds: StageSeconds,
    /// Peak memory by stage, the largest over blocks, above what was held before the block's first stage
    /// (the gradients, its queries and the scores); `None` without the tracking allocator.
    pub peak_bytes: Option<StageBytes>,
    /// The worst over blocks.
    pub evidence: Evidence,
    /// One for each block of the layout; a block of zeros has none to show.
    pub block_evidence: Vec<Evidence>,
}

/// I(k, q) = −Σ_l v_qᵀ(F_l + λ_l I)⁻¹g_k with the inverse as `spec` approximates it, for every query q and
/// training example k; `lambda` as of [`damping`](super::damping()).
///
/// Works block by block. Reading the queries, λ, and the residual of methods that do not compute it
/// themselves are outside the clock; the thread pool is warm before it starts.
///
/// # Errors
/// Stores or a layout that do not match, λ of another number or kind, NaN or infinities among the queries,
/// or a factorisation that breaks down.
pub fn run_method(
    spec: &MethodSpec,
    train: &GradientStore,
    query: &GradientStore,
    layout: &BlockLayout,
    lambda: &[f64],
    options: &RunOptions,
) -> Result<Influence, InfluenceError> {
    let place = train.matching(query)?;
    check(train, layout, lambda)?;
    warm_up();

    let method = spec.method.build();
    let (n, m) = (train.rows(), options.queries.rows(query.rows()));
    // [n, m] by columns, which is [m, n] by rows
    let mut scores = Mat::<f64>::zeros(n, m);
    let mut seconds = StageSeconds::default();
    let mut peak: Option<StageBytes> = None;
    let mut block_evidence = Vec::with_capacity(lambda.len());
    for (shape, &lambda) in layout.blocks().iter().zip(lambda) {
        let v = load_queries(query, &place, shape, options.queries)?;
        if lambda == 0.0 {
            block_evidence.push(Evidence::default());
            continue;
        }
        let block = Block::new(
            train,
            shape,
            method.precision(options.precision),
            m,
            options.seed,
        );
        let meter = Meter::start();
        let (prepared, prepare) = meter.stage(|| method.prepare(&block, lambda));
        let prepared = prepared?;
        let (applied, apply) = meter.stage(|| prepared.apply(&v));
        let (x, mut evidence) = applied.map(|applied| (applied.x, applied.evidence))?;
        drop(prepared);
        let ((), score) = meter.stage(|| block.add_scores(&x, -1.0, scores.as_mut()));
        if method.measure_residual() {
            let (_, residual) = block.residual(&v, &x, lambda);
            evidence.residual = residual.is_finite().then_some(residual);
            evidence.not_converged = usize::from(!residual.is_finite() || residual > 1.0);
        }
        block_evidence.push(evidence);

        seconds.prepare += prepare.seconds;
        seconds.apply += apply.seconds;
        seconds.score += score.seconds;
        peak = largest(peak, [prepare, apply, score]);
    }
    let evidence = block_evidence
        .iter()
        .fold(Evidence::default(), Evidence::worst);
    let scores = Array2::from_shape_fn((m, n), |(q, k)| scores[(k, q)]);
    Ok(Influence {
        scores,
        seconds,
        peak_bytes: peak,
        evidence,
        block_evidence,
    })
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

/// The queries of a block, `[d, m]`, one a column, in f64; `place` is where the training store's tensors are
/// in `query`.
fn load_queries(
    query: &GradientStore,
    place: &[usize],
    shape: &BlockShape,
    which: Queries,
) -> Result<Mat<f64>, InfluenceError> {
    let m = query.rows();
    let read = |row: usize, out: &mut [f64]| {
        for s in &shape.segments {
            query.read_row(
                place[s.tensor],
                row,
                0..s.dim,
                &mut out[s.offset..s.offset + s.dim],
            );
        }
        // as in the damping's pass: one sum tells whether all is finite
        sum_of_squares(out).is_finite()
    };
    let mut v = Mat::<f64>::zeros(shape.dim, which.rows(m));
    let mut finite = true;
    if which != Queries::Mean {
        finite = v
            .as_mut()
            .subcols_mut(0, m)
            .par_col_iter_mut()
            .enumerate()
            .map(|(row, out)| read(row, contiguous_mut(out)))
            .all(|ok| ok);
    }
    if which != Queries::Each {
        let mean = contiguous_mut(v.as_mut().col_mut(which.rows(m) - 1));
        let mut row = vec![0.0; shape.dim];
        for q in 0..m {
            finite &= read(q, &mut row);
            mean.iter_mut()
                .zip(&row)
                .for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= m as f64);
    }
    let bad = || {
        shape
            .segments
            .iter()
            .find_map(|s| query.non_finite(place[s.tensor], 0..m))
    };
    match if finite { None } else { bad() } {
        Some(error) => Err(error.into()),
        None => Ok(v),
    }
}

/// A product in both precisions on this thread and on every thread of the pool: the threads start, and the
/// matrix products set up the memory that each thread keeps for packing, once and for all.
fn warm_up() {
    fn product<T: ComplexField>(one: T, par: Par) {
        let a = Mat::from_fn(192, 192, |_, _| one.clone());
        let mut c = Mat::<T>::zeros(192, 192);
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.as_ref(), one, par);
        std::hint::black_box(c);
    }
    let both = |par| {
        product(1.0f32, par);
        product(1.0f64, par);
    };
    both(Par::rayon(0));
    rayon::broadcast(|_| both(Par::Seq));
}

fn largest(so_far: Option<StageBytes>, [prepare, apply, score]: [Spent; 3]) -> Option<StageBytes> {
    let old = so_far.unwrap_or_default();
    Some(StageBytes {
        prepare: old.prepare.max(prepare.peak_bytes?),
        apply: old.apply.max(apply.peak_bytes?),
        score: old.score.max(score.peak_bytes?),
    })
}
