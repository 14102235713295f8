//! The rungs between retraining and a method, each one switch below the one before, and what is lost on each.
//!
//! See docs/decomposition.md for the ladder, [`crate::metrics::ladder`] for the arithmetic.

use std::time::Instant;

use ndarray::Array2;

use crate::config::MethodSpec;
use crate::gradients::settings::GradientType;
use crate::gradients::store::GradientStore;
use crate::ground_truth::decomposition::{DecompositionConfig, Indefinite};
use crate::influence::{
    BlockLayout, Blocks, Companions, Limit, Need, Precision, Queries, RunOptions, damping,
    run_method,
};
use crate::metrics::MetricValue;
use crate::metrics::decomposition::{
    Candidate, DecompositionInfo, LadderInfo, MethodParts, PartInfo, Switch,
};
use crate::metrics::ladder::{CEILING, Ladder, Rungs, Target};
use crate::metrics::retraining::Retraining;
use crate::metrics::switch_size::{no_switch, switch_size};

/// What the rungs are computed from.
pub(super) struct Setting<'a> {
    /// Training and query gradients as they were computed.
    pub gradients: [&'a GradientStore; 2],
    /// The cell's blocks.
    pub layout: &'a BlockLayout,
    /// The cell's c.
    pub damping: f64,
    /// The cell's seed.
    pub seed: u64,
    /// What stands beside the gradients.
    pub companions: Companions<'a>,
    /// Why there is no Hessian among it.
    pub no_hessian: String,
    /// The type that the cell keeps gradients in.
    pub dtype: GradientType,
    /// The precision of the cell's products.
    pub precision: Precision,
}

/// A method to be split: its scores in the cell `[m, n]`, or why there are none.
pub(super) struct MethodScores<'a> {
    pub spec: &'a MethodSpec,
    pub scores: Result<Array2<f64>, String>,
}

/// A rung by what it is made of; numbers are c, or the position of a method.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Key {
    Hessian(f64),
    Fisher(f64),
    Blocks(f64),
    BlockDamping(f64),
    Damping,
    /// On gradients as they were computed, in f64.
    Method(usize),
    /// As in the cell.
    Cell(usize),
}

/// One switch, the rung below it, and a word on it when nothing is switched.
type Step = (Switch, Key, Option<&'static str>);

/// Scores by their rungs; each is computed once.
struct ScoreCache<'a> {
    setting: &'a Setting<'a>,
    methods: &'a [MethodScores<'a>],
    hessian: MethodSpec,
    exact: MethodSpec,
    whole: BlockLayout,
    scores: Vec<(Key, Result<Array2<f64>, String>)>,
    sizes: Vec<([Key; 2], MetricValue)>,
}

/// Splits the gap of every method by every metric.
///
/// # Errors
/// A metric without its retraining; rungs that cannot be computed are no error but named in the parts.
pub(super) fn decompose(
    config: &DecompositionConfig,
    metrics: &[String],
    retraining: &Retraining,
    setting: &Setting,
    methods: &[MethodScores],
) -> Result<DecompositionInfo, String> {
    let start = Instant::now();
    let mut known = ScoreCache {
        setting,
        methods,
        hessian: hessian(config.negative),
        exact: "exact".parse().expect("a listed method"),
        whole: BlockLayout::new(setting.gradients[0].tensors(), Blocks::Whole),
        scores: Vec::new(),
        sizes: Vec::new(),
    };
    let mut ladders = Vec::new();
    for metric in metrics {
        let target = target(metric, retraining)
            .ok_or_else(|| format!("nothing was retrained for the metric `{metric}`"))?;
        ladders.push(known.ladder(metric, target, config)?);
    }
    Ok(DecompositionInfo {
        seconds: start.elapsed().as_secs_f64(),
        ladders,
    })
}

fn hessian(negative: Indefinite) -> MethodSpec {
    let negative = match negative {
        Indefinite::Keep => "keep",
        Indefinite::Absolute => "absolute",
        Indefinite::Clip => "clip",
    };
    // what was collected is within the settings' limit
    let label = format!("true_hessian:negative={negative},limit={}", usize::MAX);
    label.parse().expect("a listed method")
}

fn target<'r>(metric: &str, retraining: &'r Retraining) -> Option<Target<'r>> {
    match metric.strip_prefix("lds_") {
        Some(percent) => retraining.share(percent.parse().ok()?).map(Target::Subsets),
        None => retraining.leave_one_out.as_ref().map(Target::LeaveOneOut),
    }
}

impl ScoreCache<'_> {
    fn ladder(
        &mut self,
        metric: &str,
        target: Target,
        config: &DecompositionConfig,
    ) -> Result<LadderInfo, String> {
        let mut rungs = Rungs::new(target, self.setting.seed);
        let (c, candidates) = self.choose(&rungs, &config.damping);
        let mut places: Vec<(Key, usize)> = Vec::new();
        let (mut paths, mut plans) = (Vec::new(), Vec::new());
        for index in 0..self.methods.len() {
            if self.methods[index].scores.is_err() {
                continue;
            }
            let (mut path, mut plan) = (vec![CEILING], vec![Planned::new(Switch::Noise)]);
            let mut open = Planned::default();
            for (switch, key, nothing) in self.steps(index, c) {
                open.switches.push(switch);
                open.key = Some(key);
                open.notes.extend(nothing.map(str::to_owned));
                let missing = match self.scores(key) {
                    Err(reason) => Some(reason.clone()),
                    // what a method's own scores are is for the ladder to say
                    Ok(_) if matches!(key, Key::Cell(_)) => None,
                    Ok(scores) => rungs
                        .agreement(scores.view())
                        .is_none()
                        .then(|| "its scores are constant or not finite".to_owned()),
                };
                if let Some(reason) = missing {
                    let text = format!("no rung below “{}”: {reason}", switch.title());
                    open.notes.push(text);
                    continue;
                }
                let place = match places.iter().find(|(known, _)| *known == key) {
                    Some((_, place)) => *place,
                    None => {
                        let scores = self.scores(key).as_ref().map_err(String::clone)?;
                        let place = rungs.add(scores.view());
                        places.push((key, place));
                        place
                    }
                };
                path.push(place);
                plan.push(std::mem::take(&mut open));
            }
            paths.push(path);
            plans.push(plan);
        }
        let mut split = rungs.ladders(&paths).into_iter().zip(plans);
        let mut found = Vec::new();
        for method in self.methods {
            found.push(match &method.scores {
                Err(error) => failed(metric, method.spec, error),
                Ok(_) => {
                    let (ladder, plan) = split.next().ok_or("a ladder a method")?;
                    self.parts(metric, method.spec, &ladder, plan)
                }
            });
        }
        Ok(LadderInfo {
            metric: metric.to_owned(),
            damping: c,
            candidates,
            methods: found,
        })
    }

    /// c of the upper rungs: the candidate at which their upper end agrees best with retraining, the first one where
    /// none is defined. The cell's own c stands beside them.
    fn choose(&mut self, rungs: &Rungs, list: &[f64]) -> (f64, Vec<Candidate>) {
        let own = self.setting.damping;
        let extra = (!list.contains(&own)).then_some(own);
        let mut candidates: Vec<Candidate> = Vec::new();
        for c in list.iter().copied().chain(extra) {
            let agreement = |known: &Result<Array2<f64>, String>| {
                let scores = known.as_ref().ok()?;
                rungs.agreement(scores.view())
            };
            let agreement = match self.scores(Key::Hessian(c)) {
                Ok(scores) => rungs.agreement(scores.view()),
                Err(_) => agreement(self.scores(Key::Fisher(c))),
            };
            candidates.push(Candidate {
                damping: c,
                agreement,
            });
        }
        let of_list = &candidates[..list.len()];
        let mut best = of_list[0];
        for candidate in &of_list[1..] {
            if candidate.agreement > best.agreement {
                best = *candidate;
            }
        }
        candidates.sort_by(|a, b| a.damping.total_cmp(&b.damping));
        (best.damping, candidates)
    }

    /// The switches of a method, from the Hessian down.
    fn steps(&self, index: usize, c: f64) -> Vec<Step> {
        let spec = self.methods[index].spec;
        let method = spec.method();
        let one_block = self.setting.layout.blocks().len() == 1;
        let own_c = self.setting.damping == c;
        let last = match (one_block, own_c) {
            (true, true) => Key::Fisher(c),
            (false, true) => Key::BlockDamping(c),
            _ => Key::Damping,
        };
        let alone = one_block.then_some("nothing to switch: one block");
        let [blocks, block_damping] = if one_block {
            [Key::Fisher(c); 2]
        } else {
            [Key::Blocks(c), Key::BlockDamping(c)]
        };
        let own = match method.limit() {
            Limit::Exact => Switch::Convergence,
            Limit::MeanOfInverses => Switch::Swap,
            Limit::Own => Switch::Approximation,
        };
        let as_computed = self.setting.dtype == GradientType::F32
            && method.precision(self.setting.precision) == Precision::F64;
        // the very scores of the cell where they are what the rung above asks for
        let (computed, nothing) = if as_computed {
            let text = "nothing to switch: gradients as computed, products in f64";
            (Key::Cell(index), Some(text))
        } else {
            (Key::Method(index), None)
        };
        vec![
            (Switch::Influence, Key::Hessian(c), None),
            (Switch::Fisher, Key::Fisher(c), None),
            (Switch::Blocks, blocks, alone),
            (Switch::BlockDamping, block_damping, alone),
            (
                Switch::Damping,
                last,
                own_c.then_some("nothing to switch: the cell's damping is that of the rungs above"),
            ),
            (own, computed, None),
            (Switch::Precision, Key::Cell(index), nothing),
        ]
    }

    /// The scores of a rung, or why there are none.
    fn scores(&mut self, key: Key) -> &Result<Array2<f64>, String> {
        let place = match self.scores.iter().position(|(known, _)| *known == key) {
            Some(place) => place,
            None => {
                self.scores.push((key, self.compute(key)));
                self.scores.len() - 1
            }
        };
        &self.scores[place].1
    }

    fn compute(&self, key: Key) -> Result<Array2<f64>, String> {
        let setting = self.setting;
        let [train, _] = setting.gradients;
        let by = |layout: &BlockLayout, c| damping(train, layout, c).map_err(|e| e.to_string());
        let exact = &self.exact;
        match key {
            Key::Hessian(_) if setting.companions.hessians.is_none() => {
                Err(setting.no_hessian.clone())
            }
            Key::Hessian(c) => self.run(&self.hessian, &self.whole, &by(&self.whole, c)?),
            Key::Fisher(c) => self.run(exact, &self.whole, &by(&self.whole, c)?),
            Key::Blocks(c) => {
                let lambda = by(&self.whole, c)?;
                let lambda = vec![lambda[0]; setting.layout.blocks().len()];
                self.run(exact, setting.layout, &lambda)
            }
            Key::BlockDamping(c) => self.run(exact, setting.layout, &by(setting.layout, c)?),
            Key::Damping => {
                let lambda = by(setting.layout, setting.damping)?;
                self.run(exact, setting.layout, &lambda)
            }
            Key::Method(index) => {
                let spec = self.methods[index].spec;
                let need = spec.method().need();
                let kept = matches!(need, Need::Sampled | Need::Checkpoints);
                if kept && setting.dtype != GradientType::F32 {
                    let what = need.explanation();
                    return Err(format!("{what} are not there as they were computed"));
                }
                let lambda = by(setting.layout, setting.damping)?;
                self.run(spec, setting.layout, &lambda)
            }
            Key::Cell(index) => self.methods[index].scores.clone(),
        }
    }

    /// Scores of the queries on gradients as they were computed, in f64.
    fn run(
        &self,
        spec: &MethodSpec,
        layout: &BlockLayout,
        lambda: &[f64],
    ) -> Result<Array2<f64>, String> {
        let options = RunOptions {
            precision: Precision::F64,
            queries: Queries::Each,
            seed: self.setting.seed,
            companions: self.setting.companions,
            parts: None,
            keep: 0,
        };
        let [train, query] = self.setting.gradients;
        let found = run_method(spec, train, query, layout, lambda, &options);
        let found = found.map_err(|e| e.to_string())?;
        // as in the cell, exact influence that did not converge is no reference
        if spec.is_exact() && found.evidence.not_converged > 0 {
            return Err("exact influence did not converge here".to_owned());
        }
        Ok(found.scores)
    }

    fn parts(
        &mut self,
        metric: &str,
        spec: &MethodSpec,
        ladder: &Ladder,
        plan: Vec<Planned>,
    ) -> MethodParts {
        let mut above: Option<Key> = None;
        let mut parts = Vec::new();
        for (rung, planned) in plan.into_iter().enumerate() {
            let mut part = PartInfo {
                switches: planned.switches,
                loss: ladder.losses[rung].named("", (None, None)),
                agreement: ladder.agreements[rung].named("", (Some(-1.0), Some(1.0))),
                size: above.zip(planned.key).map(|pair| self.size(pair.into())),
                note: (!planned.notes.is_empty()).then(|| planned.notes.join("; ")),
            };
            let key = part.key();
            part.loss.metric = format!("{metric}/loss/{key}");
            part.agreement.metric = format!("{metric}/agreement/{key}");
            if let Some(size) = &mut part.size {
                size.metric = format!("{metric}/size/{key}");
            }
            parts.push(part);
            above = planned.key;
        }
        let gap = ladder
            .gap
            .named(&format!("{metric}/gap"), (Some(0.0), Some(2.0)));
        let undefined = gap.value.is_none();
        MethodParts {
            method: spec.label.clone(),
            problem: undefined.then(|| "no query is defined on all rungs".to_owned()),
            gap,
            parts,
        }
    }

    /// How far a switch moves the scores.
    fn size(&mut self, pair: [Key; 2]) -> MetricValue {
        if let Some((_, known)) = self.sizes.iter().find(|(known, _)| *known == pair) {
            return known.clone();
        }
        let [above, below] = pair.map(|key| self.scores(key).as_ref().ok().cloned());
        let estimate = above.zip(below).map(|(above, below)| {
            if pair[0] == pair[1] {
                return no_switch(above.view());
            }
            switch_size(above.view(), below.view(), self.setting.seed)
        });
        let size = estimate
            .unwrap_or_default()
            .named("", (Some(0.0), Some(2.0)));
        self.sizes.push((pair, size.clone()));
        size
    }
}

/// A part before its numbers are known: the key is that of the rung below it.
#[derive(Default)]
struct Planned {
    switches: Vec<Switch>,
    key: Option<Key>,
    notes: Vec<String>,
}

impl Planned {
    fn new(switch: Switch) -> Self {
        Self {
            switches: vec![switch],
            ..Self::default()
        }
    }
}

fn failed(metric: &str, spec: &MethodSpec, error: &str) -> MethodParts {
    MethodParts {
        method: spec.label.clone(),
        problem: Some(format!("the method failed: {error}")),
        gap: crate::metrics::no_value(&format!("{metric}/gap")),
        parts: Vec::new(),
    }
}

#[cfg(test)]
#[path = "decomposition_tests.rs"]
mod tests;
