//! The units of a plan: what can be run by itself, what it needs, what it takes, and whether it is done.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::id::{Kind, UnitId};
use super::shared::{Bases, Shared};
use crate::config::{Cell, Plan, TaskConfig};
use crate::data::TaskData;
use crate::device::DeviceChoice;
use crate::results::ResultsDir;
use crate::runner::forecast::{Cost, Forecast, forecast_with};
use crate::runner::latents::Encoding;
use crate::runner::memory::Stage;
use crate::runner::tuning::{Place, examples};

/// A unit of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Its name.
    pub id: UnitId,
    /// The cells that need it, by index in the plan.
    pub cells: Vec<usize>,
    /// Units that have to be done before.
    pub needs: Vec<UnitId>,
    /// Whether it computes with the model, on the device that was asked for.
    pub on_device: bool,
    /// What it takes.
    pub cost: Cost,
    /// Whether what it makes is there, or nobody needs it any more.
    pub done: bool,
}

/// How the units of a plan are cut and forecast.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Retrainings of a cell are cut into slices of about so many seconds.
    pub slice_seconds: f64,
    /// Operations a second, see [`crate::runner::forecast::product_rate`].
    pub rate: f64,
    /// Where models are computed.
    pub device: DeviceChoice,
}

/// Most slices of a cell's retrainings.
const MOST_SLICES: usize = 4096;

/// The units of a plan whose results are in `results`, each after those that it needs.
///
/// # Errors
/// A task or a model that cannot be built, as a sentence.
pub fn list(plan: &Plan, results: &ResultsDir, cut: Cut) -> Result<Vec<Unit>, String> {
    let place = Place::new(results.root(), cut.device, false);
    let mut drawn: HashMap<String, Rc<TaskData>> = HashMap::new();
    let (mut graph, mut bases) = (Graph::default(), Bases::new());
    for (index, cell) in plan.cells.iter().enumerate() {
        let wrong = |error| format!("{}: {error}", cell.title());
        let data = match cell.settings.task {
            TaskConfig::Gradients(_) => None,
            _ => {
                let key = examples_key(cell);
                if !drawn.contains_key(&key) {
                    drawn.insert(
                        key.clone(),
                        Rc::new(examples(cell, Encoding::Blank).map_err(wrong)?),
                    );
                }
                drawn.get(&key).cloned()
            }
        };
        let forecast =
            forecast_with(cell, &plan.outputs, data.as_deref(), cut.device).map_err(wrong)?;
        let shared = data
            .map(|data| Shared::of(&place, cell, data, Encoding::Blank, &mut bases))
            .transpose()
            .map_err(wrong)?;
        graph.add(index, cell, shared.as_ref(), &forecast, results, cut);
    }
    Ok(graph.finish(plan, results))
}

/// What decides the examples of a cell.
fn examples_key(cell: &Cell) -> String {
    let tokenizer = cell.settings.model.as_ref().and_then(|m| m.tokenizer());
    serde_json::json!([cell.settings.task, tokenizer, cell.seed]).to_string()
}

/// Units by what decides them.
#[derive(Default)]
struct Graph {
    /// By kind and content: a unit that several cells need is there once, with whether what it makes is there.
    units: BTreeMap<Kind, Vec<(Unit, bool)>>,
    /// Index of a unit among those of its kind.
    known: HashMap<(Kind, String), usize>,
}

impl Graph {
    /// The units of a cell.
    fn add(
        &mut self,
        index: usize,
        cell: &Cell,
        shared: Option<&Shared>,
        forecast: &Forecast,
        results: &ResultsDir,
        cut: Cut,
    ) {
        let scored = results.is_finished(&cell.id);
        let mut needs = Vec::new();
        let seconds = |flops| forecast.training_seconds(flops, cut.rate);
        let once = seconds(forecast.once_flops);
        if let Some(shared) = shared {
            let mut base = Vec::new();
            if shared.has_base() {
                let unit = Unit {
                    id: UnitId::new(Kind::Base, &cell.id),
                    cells: Vec::new(),
                    needs: Vec::new(),
                    on_device: true,
                    cost: forecast.cost(Stage::Base, seconds(forecast.pretraining_flops)),
                    done: !shared.lacks_base(),
                };
                base.push(self.merge(unit, &shared.base_key(), index, scored));
            }
            let key = shared.tune_key();
            let unit = Unit {
                id: UnitId::new(Kind::Tune, &cell.id),
                cells: Vec::new(),
                needs: base.clone(),
                on_device: true,
                cost: forecast.cost(Stage::Training, seconds(forecast.fine_tune_flops) + once),
                done: !shared.lacks_tune(),
            };
            needs.push(self.merge(unit, &key, index, scored));
            let jobs = shared.jobs();
            let retraining = seconds(forecast.retraining_flops);
            let count = slices(retraining, jobs.len(), cut.slice_seconds);
            let jobs_key = shared.jobs_key(&jobs);
            for number in 1..=count {
                let id = UnitId::slice(&cell.id, number, count);
                let range = id.range(jobs.len());
                let part = retraining * range.len() as f64 / jobs.len() as f64;
                let unit = Unit {
                    cells: Vec::new(),
                    needs: base.clone(),
                    on_device: true,
                    cost: forecast.cost(Stage::Retraining, part + once),
                    done: !shared.lacks_outcome(&id, &jobs[range]),
                    id,
                };
                let key = format!("{jobs_key} {number}of{count}");
                needs.push(self.merge(unit, &key, index, scored));
            }
        }
        let elsewhere = forecast.fine_tune_flops + forecast.retraining_flops;
        let rest = forecast.seconds(cut.rate) - forecast.start - seconds(elsewhere);
        let unit = Unit {
            id: UnitId::new(Kind::Score, &cell.id),
            cells: Vec::new(),
            needs,
            on_device: shared.is_some(),
            cost: forecast.cost(Stage::Scoring, rest),
            done: scored,
        };
        self.merge(unit, &cell.id, index, scored);
    }

    /// Adds a unit, or a cell to the one that is there; returns its id.
    fn merge(&mut self, unit: Unit, content: &str, cell: usize, scored: bool) -> UnitId {
        let of_kind = self.units.entry(unit.id.kind).or_default();
        let key = (unit.id.kind, content.to_owned());
        let place = *self.known.entry(key).or_insert_with(|| {
            let there = Unit {
                done: true,
                ..unit.clone()
            };
            of_kind.push((there, unit.done));
            of_kind.len() - 1
        });
        // a report names the first cell alone
        let (there, made) = &mut of_kind[place];
        there.cells.push(cell);
        // what only finished cells need is not made again
        there.done &= *made || scored;
        there.cost.memory = there.cost.memory.max(unit.cost.memory);
        there.cost.gpu = there.cost.gpu.max(unit.cost.gpu);
        there.id.clone()
    }

    /// All units, and the one that collects.
    fn finish(self, plan: &Plan, results: &ResultsDir) -> Vec<Unit> {
        let units = self.units.into_values().flatten();
        let mut units: Vec<Unit> = units.map(|(unit, _)| unit).collect();
        let scores = units.iter().filter(|unit| unit.id.kind == Kind::Score);
        let needs = scores.map(|unit| unit.id.clone()).collect();
        let done = units.iter().all(|unit| unit.done) && {
            let collected = results.collected();
            plan.cells.iter().all(|cell| collected.contains(&cell.id))
        };
        units.push(Unit {
            id: UnitId::collect(),
            cells: (0..plan.cells.len()).collect(),
            needs,
            on_device: false,
            cost: Cost {
                seconds: 1.0 + 0.05 * plan.cells.len() as f64,
                memory: 2e8,
                ..Cost::default()
            },
            done,
        });
        units
    }
}

/// Slices of `jobs` retrainings that take `seconds` in all: powers of two, so that a small change of the forecast
/// leaves them as they are.
fn slices(seconds: f64, jobs: usize, slice_seconds: f64) -> usize {
    if jobs == 0 {
        return 0;
    }
    let wanted = (seconds / slice_seconds).clamp(1.0, MOST_SLICES as f64) as usize;
    wanted
        .next_power_of_two()
        .min(jobs.next_power_of_two() / 2)
        .max(1)
}
