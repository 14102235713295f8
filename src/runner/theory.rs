//! The claims of [`crate::theory`] over a grid of gradients: findings, verdicts, witnesses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use faer::Mat;
use safetensors::tensor::{Dtype, TensorView};
use thiserror::Error;

use crate::config::theory::{Setting, Source, StoredGradients, TheoryPlan};
use crate::gradients::store::{GradientStore, StoreError, Target};
use crate::influence::{BlockLayout, BlockShape};
use crate::progress::Progress;
use crate::results::environment::provenance;
use crate::results::theory::{
    CaseRecord, ClaimRecord, FindingRecord, GrowthRecord, Quantities, SCHEMA, TheoryResults,
    Varied, Verdict, Worst,
};
use crate::theory::complexity::{self, Growth, Sizes};
use crate::theory::{CLAIMS, Case, Claim, Finding, Measured, Outcome, smallest_witness};
use crate::workers;
use crate::{atomic, tasks};

/// What ends a whole run.
#[derive(Debug, Error)]
pub enum TheoryRunError {
    /// Gradients that cannot be read or made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Settings that do not fit the stored gradients.
    #[error("{0}")]
    Settings(String),
    /// A file that cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A measurement of Table 1 that fails.
    #[error("the measurement of time and memory failed: {0}")]
    Complexity(String),
}

/// One block at one setting, before its gradients are read.
struct Task<'p> {
    setting: &'p Setting,
    seed: Option<u64>,
    block: usize,
}

/// Checks every claim of the plan on every block of every setting and seed, several cases at a time, then
/// measures time and memory alone. Witnesses of violated claims are written into `out`; nothing else is.
///
/// # Errors
/// Gradients that cannot be had or hold NaN or infinities, settings that do not fit them, a witness that cannot be
/// written.
pub fn run(
    plan: &TheoryPlan,
    out: &Path,
    progress: &Progress,
) -> Result<TheoryResults, TheoryRunError> {
    let claims: Vec<&dyn Claim> = CLAIMS
        .iter()
        .copied()
        .filter(|claim| plan.claims.contains(&claim.info().name))
        .collect();
    run_claims(plan, &claims, out, progress)
}

/// [`run`] with claims of one's own.
///
/// # Errors
/// As of [`run`].
pub fn run_claims(
    plan: &TheoryPlan,
    claims: &[&dyn Claim],
    out: &Path,
    progress: &Progress,
) -> Result<TheoryResults, TheoryRunError> {
    let clock = std::time::Instant::now();
    let mut environment = provenance("none", rayon::current_num_threads());
    let stored = match &plan.base.source {
        Source::Stored(stored) => Some(Opened::new(stored)?),
        Source::Synthetic(_) => None,
    };
    let mut tasks = Vec::new();
    for setting in &plan.settings {
        match (&setting.source, &stored) {
            (Source::Synthetic(task), _) => {
                for &seed in &plan.seeds {
                    tasks.extend((0..task.blocks).map(|block| Task {
                        setting,
                        seed: Some(seed),
                        block,
                    }));
                }
            }
            (Source::Stored(asked), Some(opened)) => {
                opened.fits(asked)?;
                tasks.extend((0..opened.layout.blocks().len()).map(|block| Task {
                    setting,
                    seed: None,
                    block,
                }));
            }
            (Source::Stored(_), None) => unreachable!("all settings have the base's kind"),
        }
    }
    progress.start(tasks.len(), "cases");
    let witnesses: Mutex<BTreeMap<&'static str, String>> = Mutex::default();
    let records = workers::map(tasks.len(), |index| {
        let record = check(&tasks[index], stored.as_ref(), claims, out, &witnesses);
        progress.advance();
        record
    });
    let cases = records.into_iter().collect::<Result<Vec<_>, _>>()?;
    let growth = match &plan.complexity {
        Some(sizes) if plan.claims.contains(&complexity::INFO.name) => {
            let sizes = Sizes {
                train: sizes.train.clone(),
                dim: sizes.dim.clone(),
                blocks: sizes.blocks.clone(),
                repeats: sizes.repeats,
            };
            complexity::measure(&sizes, |text| progress.stage(text))
                .map_err(TheoryRunError::Complexity)?
        }
        _ => Vec::new(),
    };
    let witnesses = witnesses
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let table = plan
        .claims
        .contains(&complexity::INFO.name)
        .then_some(&complexity::INFO);
    let verdicts = claims
        .iter()
        .map(|claim| claim.info())
        .chain(table)
        .map(|info| {
            let mut record = ClaimRecord {
                name: info.name.to_owned(),
                title: info.title.to_owned(),
                statement: info.statement.to_owned(),
                measures: info.measures.to_owned(),
                source: info.source.to_owned(),
                verdict: Verdict::NotTestable,
                held: 0,
                violated: 0,
                untested: 0,
                reason: None,
                worst: None,
                witness: witnesses.get(info.name).cloned(),
            };
            if info.name == complexity::INFO.name {
                for growth in &growth {
                    let place = format!("{} of {} in {}", growth.cost, growth.method, growth.axis);
                    count(
                        &mut record,
                        place,
                        &finding_record(info.name, &growth.finding),
                    );
                }
                if growth.is_empty() {
                    record.reason =
                        Some("the experiment gives no sizes (complexity: …)".to_owned());
                }
            } else {
                for case in &cases {
                    if let Some(error) = &case.error {
                        record.untested += 1;
                        record.reason.get_or_insert_with(|| error.clone());
                    }
                    let found = case.findings.iter().find(|f| f.claim == info.name);
                    if let Some(finding) = found {
                        count(&mut record, case.place(), finding);
                    }
                }
            }
            record
        })
        .collect();
    progress.end();
    environment.seconds = clock.elapsed().as_secs_f64();
    Ok(TheoryResults {
        schema: SCHEMA,
        experiment: plan.name.clone(),
        description: plan.description.clone(),
        provenance: environment,
        base: plan.base.to_json(),
        base_axes: named(&plan.base.axes),
        varied: plan
            .varied
            .iter()
            .map(|(axis, values)| Varied {
                axis: (*axis).to_owned(),
                values: values.clone(),
            })
            .collect(),
        claims: verdicts,
        cases,
        growth: growth.iter().map(growth_record).collect(),
    })
}

fn named(axes: &BTreeMap<&'static str, f64>) -> BTreeMap<String, f64> {
    axes.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
}

/// Adds a finding to a claim's verdict.
fn count(record: &mut ClaimRecord, place: String, finding: &FindingRecord) {
    match finding.verdict {
        Verdict::Holds => record.held += 1,
        Verdict::Violated => record.violated += 1,
        Verdict::NotTestable => {
            record.untested += 1;
            if record.reason.is_none() {
                record.reason.clone_from(&finding.reason);
            }
            return;
        }
    }
    record.verdict = if record.violated > 0 {
        Verdict::Violated
    } else {
        Verdict::Holds
    };
    // a violation is worse than any margin
    let rank = |violated: bool, margin: f64| if violated { margin - 1e300 } else { margin };
    let here = rank(finding.verdict == Verdict::Violated, finding.margin);
    let worst = record
        .worst
        .as_ref()
        .map(|worst| rank(worst.measured > worst.bound + worst.tolerance, worst.margin));
    if worst.is_none_or(|worst| here < worst) {
        record.worst = Some(Worst {
            place,
            measured: finding.measured,
            bound: finding.bound,
            margin: finding.margin,
            tolerance: finding.tolerance,
        });
    }
}

fn finding_record(claim: &str, finding: &Finding) -> FindingRecord {
    let (verdict, reason) = match &finding.outcome {
        Outcome::Holds => (Verdict::Holds, None),
        Outcome::Violated => (Verdict::Violated, None),
        Outcome::NotTestable(why) => (Verdict::NotTestable, Some(why.clone())),
    };
    FindingRecord {
        claim: claim.to_owned(),
        measured: finding.measured,
        bound: finding.bound,
        margin: finding.margin,
        tolerance: finding.tolerance,
        verdict,
        reason,
    }
}

fn growth_record(growth: &Growth) -> GrowthRecord {
    let finding = finding_record(complexity::INFO.name, &growth.finding);
    GrowthRecord {
        method: growth.method.to_owned(),
        axis: growth.axis.to_owned(),
        cost: growth.cost.to_owned(),
        points: growth.points.clone(),
        slope: growth.slope.map(|slope| slope.value),
        interval: growth
            .slope
            .and_then(|slope| slope.interval)
            .map(|interval| (interval.low, interval.high)),
        exponent: growth.exponent,
        verdict: finding.verdict,
        reason: finding.reason,
    }
}

/// Gradients of a run.
struct Opened {
    train: GradientStore,
    /// With the place of every training tensor among the queries'.
    query: Option<(GradientStore, Vec<usize>)>,
    layout: BlockLayout,
}

impl Opened {
    fn new(asked: &StoredGradients) -> Result<Self, TheoryRunError> {
        let train = GradientStore::open(&asked.path)?;
        train.check_finite()?;
        let query = match &asked.query {
            Some(path) => {
                let query = GradientStore::open(path)?;
                let places = train.matching(&query)?;
                query.check_finite()?;
                Some((query, places))
            }
            None => None,
        };
        let layout = BlockLayout::new(train.tensors(), asked.blocks);
        Ok(Self {
            train,
            query,
            layout,
        })
    }

    fn fits(&self, asked: &StoredGradients) -> Result<(), TheoryRunError> {
        match asked.train {
            Some(n) if n > self.train.rows() => Err(TheoryRunError::Settings(format!(
                "train = {n}, but {} has {} examples",
                self.train.origin(),
                self.train.rows()
            ))),
            _ => Ok(()),
        }
    }

    fn case(&self, asked: &StoredGradients, block: usize) -> (Mat<f64>, Option<Mat<f64>>) {
        let shape = &self.layout.blocks()[block];
        let straight: Vec<usize> = (0..self.train.tensors().len()).collect();
        let n = asked.train.unwrap_or(self.train.rows());
        let columns = asked.dim.unwrap_or(shape.dim).min(shape.dim);
        let train = block_rows(&self.train, &straight, shape, n, columns);
        let query = self
            .query
            .as_ref()
            .map(|(query, places)| block_rows(query, places, shape, query.rows(), columns));
        (train, query)
    }
}

/// The first `rows` examples of a block, with `columns` of its columns, evenly spaced; `[rows, columns]`.
fn block_rows(
    store: &GradientStore,
    places: &[usize],
    shape: &BlockShape,
    rows: usize,
    columns: usize,
) -> Mat<f64> {
    let mut matrix = Mat::zeros(rows, columns);
    let mut whole = vec![0.0f64; shape.dim];
    for row in 0..rows {
        for s in &shape.segments {
            store.read_row(
                places[s.tensor],
                row,
                0..s.dim,
                &mut whole[s.offset..s.offset + s.dim],
            );
        }
        for column in 0..columns {
            matrix[(row, column)] = whole[column * shape.dim / columns];
        }
    }
    matrix
}

fn check(
    task: &Task<'_>,
    stored: Option<&Opened>,
    claims: &[&dyn Claim],
    out: &Path,
    witnesses: &Mutex<BTreeMap<&'static str, String>>,
) -> Result<CaseRecord, TheoryRunError> {
    let (block, (gradients, queries)) = match (&task.setting.source, stored) {
        (Source::Synthetic(synthetic), _) => {
            let seed = task.seed.unwrap_or(0);
            let made = tasks::gradients::generate(synthetic, seed, Target::Memory, Target::Memory)?;
            let layout =
                BlockLayout::new(made.train.tensors(), crate::influence::Blocks::PerMatrix);
            let shape = &layout.blocks()[task.block];
            let straight: Vec<usize> = (0..made.train.tensors().len()).collect();
            let rows = |store: &GradientStore| {
                block_rows(store, &straight, shape, store.rows(), shape.dim)
            };
            (
                shape.name.clone(),
                (rows(&made.train), Some(rows(&made.query))),
            )
        }
        (Source::Stored(asked), Some(opened)) => (
            opened.layout.blocks()[task.block].name.clone(),
            opened.case(asked, task.block),
        ),
        (Source::Stored(_), None) => unreachable!("stored gradients were opened"),
    };
    let (n, d) = (gradients.nrows(), gradients.ncols());
    let lambda = task.setting.damping * gradients.squared_norm_l2() / (n * d) as f64;
    let mut record = CaseRecord {
        block,
        seed: task.seed,
        axes: named(&task.setting.axes),
        n,
        d,
        lambda,
        error: None,
        quantities: None,
        groups: Vec::new(),
        findings: Vec::new(),
    };
    let case = match Case::new(gradients, queries, lambda) {
        Ok(case) => case,
        Err(error) => {
            record.error = Some(error.to_string());
            return Ok(record);
        }
    };
    for claim in claims {
        let finding = claim.check(&case);
        if finding.outcome == Outcome::Violated {
            let mut witnesses = witnesses
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let std::collections::btree_map::Entry::Vacant(slot) =
                witnesses.entry(claim.info().name)
            {
                slot.insert(save_witness(*claim, &case, &record, &finding, out)?);
            }
        }
        let name = claim.info().name;
        record.findings.push(finding_record(name, &finding));
    }
    let measured = Measured::of(&case);
    record.quantities = Some(Quantities {
        error: measured.error,
        ceiling: measured.ceiling,
        second_order: measured.second_order,
        second_order_inner: measured.second_order_inner,
        second_order_lower: measured.second_order_lower,
        theorem: measured.theorem,
        score: measured.score,
        taken: measured.taken,
        condition: measured.condition,
    });
    record.groups = case.group_errors();
    Ok(record)
}

/// Writes `witness_<claim>.safetensors` (one tensor, `block` `[n', d']`, f64), the same of the queries as
/// `witness_<claim>.query.safetensors`, and what was found as `.json`, with the c that gives its λ, so that
/// `gradients: {path: …, query: …}` checks it again. Returns the name of the first.
fn save_witness(
    claim: &dyn Claim,
    case: &Case,
    record: &CaseRecord,
    finding: &Finding,
    out: &Path,
) -> Result<String, TheoryRunError> {
    let (gradients, queries) = smallest_witness(claim, case);
    let file = |ending: &str| format!("witness_{}{ending}", claim.info().name);
    let write = |name: String, bytes: &[u8]| {
        let path = out.join(name);
        atomic::write(&path, bytes).map_err(|source| TheoryRunError::Write { path, source })
    };
    let save = |name: String, m: &Mat<f64>| {
        let bytes: Vec<u8> = (0..m.nrows())
            .flat_map(|i| (0..m.ncols()).flat_map(move |j| m[(i, j)].to_le_bytes()))
            .collect();
        let tensor = TensorView::new(Dtype::F64, vec![m.nrows(), m.ncols()], &bytes)
            .expect("the shape is that of the bytes");
        let file = safetensors::serialize([("block", tensor)], None).map_err(|e| {
            TheoryRunError::Write {
                path: out.join(&name),
                source: std::io::Error::other(e.to_string()),
            }
        })?;
        write(name, &file)
    };
    save(file(".safetensors"), &gradients)?;
    if let Some(queries) = &queries {
        save(file(".query.safetensors"), queries)?;
    }
    let size = (gradients.nrows() * gradients.ncols()) as f64;
    let damping = case.lambda() * size / gradients.squared_norm_l2();
    let again = match Case::new(gradients, queries, case.lambda()) {
        Ok(small) => claim.check(&small),
        Err(error) => error.into(),
    };
    let name = claim.info().name;
    let about = serde_json::json!({
        "claim": name,
        "statement": claim.info().statement,
        "measures": claim.info().measures,
        "lambda": case.lambda(),
        "damping": damping,
        "found_at": record.place(),
        "found": finding_record(name, finding),
        "cut_down": finding_record(name, &again),
    });
    write(file(".json"), format!("{about:#}\n").as_bytes())?;
    Ok(file(".safetensors"))
}
