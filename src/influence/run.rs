//! A method on all blocks: prepare, apply, score, each by the clock.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;

use super::block::columns::{column, contiguous_mut, norms as lengths, parallel, relative};
use super::block::layout::{BlockLayout, BlockShape};
use super::block::precision::Precision;
use super::block::reduce::sum_of_squares;
use super::block::view::Block;
use super::companions::{Companions, Need};
use super::error::InfluenceError;
use super::evidence::Evidence;
use super::method::Control;
use super::spec::MethodSpec;
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

/// Gradients of parts of training examples, such as what every token contributes, which are scored with the same answers
/// (F + λI)⁻¹v as the examples themselves: the scores of an example's parts add up to its own.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// A row per part, of the tensors of the training gradients.
    pub gradients: &'a GradientStore,
    /// The training example that each is a part of.
    pub examples: &'a [usize],
}

impl Parts<'_> {
    /// Where the tensors of the training gradients are in those of the parts.
    ///
    /// # Errors
    /// Other tensors, or parts of examples that are not there.
    pub fn fit(&self, train: &GradientStore) -> Result<Vec<usize>, InfluenceError> {
        let place = train.matching(self.gradients)?;
        let rows = self.gradients.rows();
        if self.examples.len() != rows {
            let examples = self.examples.len();
            return Err(InfluenceError::PartCount { rows, examples });
        }
        match self
            .examples
            .iter()
            .find(|&&example| example >= train.rows())
        {
            Some(&example) => Err(InfluenceError::PartOf {
                example,
                train: train.rows(),
            }),
            None => Ok(place),
        }
    }
}

/// How [`run_method`] computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions<'a> {
    /// Precision of the products; `exact` is always f64.
    pub precision: Precision,
    /// Which queries.
    pub queries: Queries,
    /// What seeded methods draw from.
    pub seed: u64,
    /// What travels beside the gradients, for the methods that need it.
    pub companions: Companions<'a>,
    /// What is scored besides the training examples.
    pub parts: Option<Parts<'a>>,
}

/// A method's scores and what they cost.
#[derive(Clone, Debug)]
pub struct Influence {
    /// I(k, q), `[queries, train]`; positive = harmful. May hold NaN or infinities where an iteration
    /// diverged.
    pub scores: Array2<f64>,
    /// The same of [`RunOptions::parts`], `[queries, parts]`, outside the clock; `None` also of a method that projects
    /// gradients or goes along checkpoints, in place of a product with one answer (F + λI)⁻¹v.
    pub parts: Option<Array2<f64>>,
    /// Wall time by stage, summed over blocks.
    pub seconds: StageSeconds,
    /// Peak memory by stage, the largest over blocks, above what was held before the block's first stage
    /// (the gradients, its queries and the scores); `None` without the tracking allocator.
    pub peak_bytes: Option<StageBytes>,
    /// Bytes of the training gradients fetched from the store, over all stages, those at sampled labels
    /// included. Divided by the size of the store they are the passes over the data that the method makes.
    pub bytes_read: u64,
    /// The worst over blocks.
    pub evidence: Evidence,
    /// One for each block of the layout, and for each checkpoint if the method goes through them; a block
    /// of zeros has none to show.
    pub block_evidence: Vec<Evidence>,
}

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
                block_evidence.push(Evidence::default());
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
            // what the contraction does not need goes before it
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
            if method.measure_residual() && evidence.residuals.is_empty() {
                let (r, _) = block.residual(&v, &x, lambda);
                let measured = Evidence::of_queries(&relative(&r, &lengths(&v)), 1.0);
                // iterations know all residuals but that of their answer
                if !evidence.history.is_empty() {
                    evidence
                        .history
                        .extend(measured.residuals.iter().copied().reduce(f64::max));
                }
                evidence = Evidence {
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
    }
    let evidence = block_evidence
        .iter()
        .fold(Evidence::default(), Evidence::worst);
    let scores = Array2::from_shape_fn((m, n), |(q, k)| scores[(k, q)]);
    Ok(Influence {
        scores,
        parts: parts.map(PartScores::finish),
        seconds,
        peak_bytes: peak,
        bytes_read,
        evidence,
        block_evidence,
    })
}

/// The scores of [`Parts`] as they grow, block by block.
struct PartScores<'a> {
    parts: Parts<'a>,
    /// Where the tensors of the training gradients are in those of the parts.
    place: Vec<usize>,
    /// `[parts, m]`.
    scores: Mat<f64>,
}

impl<'a> PartScores<'a> {
    fn new(train: &GradientStore, parts: Parts<'a>, m: usize) -> Result<Self, InfluenceError> {
        Ok(Self {
            parts,
            place: parts.fit(train)?,
            scores: Mat::zeros(parts.gradients.rows(), m),
        })
    }

    /// Adds `factor` · G x of a block.
    fn add(
        &mut self,
        shape: &BlockShape,
        precision: Precision,
        seed: u64,
        x: &Mat<f64>,
        factor: f64,
    ) {
        let mut shape = shape.clone();
        for segment in &mut shape.segments {
            segment.tensor = self.place[segment.tensor];
        }
        let block = Block::new(self.parts.gradients, &shape, precision, x.ncols(), seed);
        block.add_scores(x, factor, self.scores.as_mut());
    }

    /// As the scores of the examples, from squared norms of their whole gradients.
    fn divide(&mut self, train: &[f64], query: &[f64]) {
        let norms = self.parts.examples.iter().map(|&example| train[example]);
        divide(&mut self.scores, &norms.collect::<Vec<_>>(), query);
    }

    fn finish(self) -> Array2<f64> {
        let [parts, m] = [self.scores.nrows(), self.scores.ncols()];
        Array2::from_shape_fn((m, parts), |(q, k)| self.scores[(k, q)])
    }
}

/// Scores of a method that does not look at gradients; those of the mean query are the mean over the queries.
fn of_control(
    control: &dyn Control,
    train: &GradientStore,
    query: &GradientStore,
    options: &RunOptions<'_>,
) -> Influence {
    let (n, m) = (train.rows(), query.rows());
    let meter = Meter::start();
    let (scores, spent) = meter.stage(|| {
        let each = control.scores(&options.companions, [m, n], options.seed);
        let mean = |each: &Array2<f64>| each.sum_axis(Axis(0)) / m as f64;
        match options.queries {
            Queries::Each => each,
            Queries::Mean => mean(&each).insert_axis(Axis(0)),
            Queries::EachAndMean => {
                let mut all = Array2::zeros((m + 1, n));
                all.slice_mut(s![..m, ..]).assign(&each);
                all.row_mut(m).assign(&mean(&each));
                all
            }
        }
    });
    Influence {
        scores,
        seconds: StageSeconds {
            score: spent.seconds,
            ..StageSeconds::default()
        },
        peak_bytes: spent.peak_bytes.map(|score| StageBytes {
            score,
            ..StageBytes::default()
        }),
        bytes_read: 0,
        evidence: Evidence::default(),
        block_evidence: Vec::new(),
        parts: None,
    }
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

/// Scores over ‖g_k‖‖v_q‖, from squared norms; a gradient of zeros has the cosine 0 with everything.
fn divide(scores: &mut Mat<f64>, train: &[f64], query: &[f64]) {
    for (q, &query) in query.iter().enumerate() {
        for (score, &train) in contiguous_mut(scores.as_mut().col_mut(q))
            .iter_mut()
            .zip(train)
        {
            // the square roots first: the product of two squares leaves the range of f64 sooner
            let norms = train.sqrt() * query.sqrt();
            *score = if norms > 0.0 { *score / norms } else { 0.0 };
        }
    }
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

/// Matrices as large as the queries that a method holds at a time, more or less.
const IMAGES: usize = 4;

/// Memory that is touched before the clock starts, at most.
const WARM_BYTES: usize = 64 << 20;

/// A product in both precisions on this thread and on every thread of the pool: the threads start, and the
/// matrix products set up the memory that each thread keeps for packing, once and for all. And memory for a few
/// matrices of `image` numbers is asked for, touched and given back: its first touch is slow, and would be on the
/// clock of whichever method runs first. An allocator that keeps it has it at hand.
fn warm_up(image: usize) {
    let image = image.min(WARM_BYTES / IMAGES / size_of::<f64>());
    std::hint::black_box([(); IMAGES].map(|()| vec![1.0f64; image]));
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
