//! A theory experiment: the claims of [`crate::theory`] over its grid of gradients → records, verdicts, witnesses.

mod records;
mod witness;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use thiserror::Error;

use crate::config::theory::{Setting, Source, StoredGradients, TheoryPlan};
use crate::gradients::store::{GradientStore, StoreError, Target};
use crate::gradients::synthetic;
use crate::influence::Blocks;
use crate::progress::Progress;
use crate::results::environment::provenance;
use crate::results::theory::{CaseRecord, ClaimRecord, SCHEMA, TheoryResults, Varied};
use crate::theory::complexity::{self, Growth, Sizes};
use crate::theory::{BlockMatrices, CLAIMS, Case, Claim, Finding, Tally, check};
use crate::workers;
use records::{claim_record, finding_record, growth_record, quantities};

pub use witness::WitnessError;

/// What ends a whole run.
#[derive(Debug, Error)]
pub enum TheoryRunError {
    /// Gradients that cannot be read or made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Settings that do not fit the stored gradients.
    #[error("{0}")]
    Settings(String),
    /// A witness that cannot be written.
    #[error(transparent)]
    Witness(#[from] WitnessError),
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
        Source::Stored(asked) => Some(open(asked)?),
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
                fits(opened, asked)?;
                tasks.extend((0..opened.len()).map(|block| Task {
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
    let found = workers::map(tasks.len(), |index| {
        let case = on_block(&tasks[index], stored.as_ref(), claims, out, &witnesses);
        progress.advance();
        case
    });
    let cases = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    let table = plan.claims.contains(&complexity::INFO.name);
    let growth = match &plan.complexity {
        Some(sizes) if table => {
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
    progress.end();
    let witnesses = witnesses
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut verdicts: Vec<ClaimRecord> = claims
        .iter()
        .enumerate()
        .map(|(i, claim)| {
            let name = claim.info().name;
            claim_record(claim.info(), over_cases(&cases, i), witnesses.get(name))
        })
        .collect();
    if table {
        verdicts.push(claim_record(&complexity::INFO, over_growth(&growth), None));
    }
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
        cases: cases.into_iter().map(|(record, _)| record).collect(),
        growth: growth.iter().map(growth_record).collect(),
    })
}

fn named(axes: &BTreeMap<&'static str, f64>) -> BTreeMap<String, f64> {
    axes.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
}

/// A case as recorded, with the findings of the claims in their order; none where none could be checked.
type Found = (CaseRecord, Vec<Finding>);

/// The claim at `place` over all cases.
fn over_cases(cases: &[Found], place: usize) -> Tally {
    let mut tally = Tally::default();
    for (record, findings) in cases {
        if let Some(error) = &record.error {
            tally.untestable(error);
        }
        if let Some(finding) = findings.get(place) {
            tally.count(|| record.place(), finding);
        }
    }
    tally
}

/// Table 1 over all exponents.
fn over_growth(growth: &[Growth]) -> Tally {
    let mut tally = Tally::default();
    for growth in growth {
        let place = || format!("{} of {} in {}", growth.cost, growth.method, growth.axis);
        tally.count(place, &growth.finding);
    }
    if growth.is_empty() {
        tally.reason = Some("the experiment gives no sizes (complexity: …)".to_owned());
    }
    tally
}

fn open(asked: &StoredGradients) -> Result<BlockMatrices, StoreError> {
    let finite = |path: &Path| {
        let store = GradientStore::open(path)?;
        store.check_finite()?;
        Ok::<_, StoreError>(store)
    };
    let query = asked.query.as_deref().map(finite).transpose()?;
    BlockMatrices::new(finite(&asked.path)?, query, asked.blocks)
}

fn fits(opened: &BlockMatrices, asked: &StoredGradients) -> Result<(), TheoryRunError> {
    match asked.train {
        Some(n) if n > opened.examples() => Err(TheoryRunError::Settings(format!(
            "train = {n}, but {} has {} examples",
            opened.origin(),
            opened.examples()
        ))),
        _ => Ok(()),
    }
}

/// Checks the claims on one block; the first violation of each leaves a witness in `out`.
fn on_block(
    task: &Task<'_>,
    stored: Option<&BlockMatrices>,
    claims: &[&dyn Claim],
    out: &Path,
    witnesses: &Mutex<BTreeMap<&'static str, String>>,
) -> Result<Found, TheoryRunError> {
    let (block, matrices) = match (&task.setting.source, stored) {
        (Source::Synthetic(settings), _) => {
            let seed = task.seed.unwrap_or(0);
            let made = synthetic::generate(settings, seed, Target::Memory, Target::Memory)?;
            let blocks = BlockMatrices::new(made.train, Some(made.query), Blocks::PerMatrix)?;
            let matrices = blocks.matrices(task.block, None, None);
            (blocks.name(task.block).to_owned(), matrices)
        }
        (Source::Stored(asked), Some(opened)) => (
            opened.name(task.block).to_owned(),
            opened.matrices(task.block, asked.train, asked.dim),
        ),
        (Source::Stored(_), None) => unreachable!("stored gradients were opened"),
    };
    let mut record = CaseRecord {
        block,
        seed: task.seed,
        axes: named(&task.setting.axes),
        n: matrices.0.nrows(),
        d: matrices.0.ncols(),
        lambda: f64::NAN,
        error: None,
        quantities: None,
        groups: Vec::new(),
        findings: Vec::new(),
    };
    let violated = |claim: &dyn Claim, case: &Case, finding: &Finding| {
        let mut witnesses = witnesses
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let std::collections::btree_map::Entry::Vacant(slot) = witnesses.entry(claim.info().name)
        {
            let place = CaseRecord {
                lambda: case.lambda(),
                ..record.clone()
            }
            .place();
            slot.insert(witness::save(claim, case, &place, finding, out)?);
        }
        Ok::<(), TheoryRunError>(())
    };
    let checked = check(claims, matrices, task.setting.damping, violated)?;
    record.lambda = checked.lambda;
    let findings = match checked.outcome {
        Ok(found) => {
            let claims = claims.iter().zip(&found.claims);
            let records = claims.map(|(claim, found)| finding_record(claim.info().name, found));
            record.findings = records.collect();
            record.quantities = Some(quantities(&found.measured));
            record.groups = found.groups;
            found.claims
        }
        Err(error) => {
            record.error = Some(error.to_string());
            Vec::new()
        }
    };
    Ok((record, findings))
}
