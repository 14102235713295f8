//! Table 1: how time and memory grow with n, d and L, measured on the methods of the bench.

use rand::RngExt;

use super::claim::{Finding, Info};
use crate::gradients::store::{GradientStore, TensorInfo};
use crate::influence::MethodSpec;
use crate::influence::{BlockLayout, Queries, RunOptions, damping, run_method};
use crate::influence::{Blocks, Precision};
use crate::metrics::slope::{Slope, growth};
use crate::random::rng;

/// The claim: Table 1 of the paper, for blocks of size d.
pub static INFO: Info = Info {
    name: "complexity",
    title: "Table 1: growth of time and memory",
    statement: "exact O(n d² L + d³ L) and O(d²); LiSSA O(n d² L) and O(d²); DataInf O(n d L) and O(d)",
    measures: "the lower end of the 95 % interval of each log–log slope, held against the table's exponent",
    source: "Kwon et al. 2024 (arXiv 2310.00902), Table 1",
};

/// What timing noise and buffers of a fixed size may add to an exponent.
const SLACK: f64 = 0.1;

/// The sizes that are measured: along each list, the others are held at their middle value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Examples n.
    pub train: Vec<usize>,
    /// Sizes d of a block.
    pub dim: Vec<usize>,
    /// Numbers of blocks L.
    pub blocks: Vec<usize>,
    /// Runs of each, of which the median time counts.
    pub repeats: usize,
}

/// A method's exponents of n, d and L in Table 1, for time and for memory.
struct Row {
    method: &'static str,
    time: [f64; 3],
    memory: [f64; 3],
}

const TABLE: [Row; 3] = [
    Row {
        method: "exact",
        time: [1.0, 3.0, 1.0],
        memory: [0.0, 2.0, 0.0],
    },
    Row {
        method: "lissa",
        time: [1.0, 2.0, 1.0],
        memory: [0.0, 2.0, 0.0],
    },
    Row {
        method: "datainf",
        time: [1.0, 1.0, 1.0],
        memory: [0.0, 1.0, 0.0],
    },
];

/// The growth of one cost of one method along one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// The method.
    pub method: &'static str,
    /// `n`, `d` or `L`.
    pub axis: &'static str,
    /// `time` or `memory`.
    pub cost: &'static str,
    /// (size, seconds or bytes).
    pub points: Vec<(f64, f64)>,
    /// The fitted exponent; `None` where the points have none.
    pub slope: Option<Slope>,
    /// The table's exponent.
    pub exponent: f64,
    /// The slope held against it.
    pub finding: Finding,
}

/// (F + λI)⁻¹v of one query by the three methods of the table, over all sizes. Time is the median of prepare and
/// apply, memory their peak; the products with the training gradients, which all methods share, are not in it.
/// `tell` hears what is being measured.
///
/// # Errors
/// A method that fails, in words.
pub fn measure(sizes: &Sizes, mut tell: impl FnMut(&str)) -> Result<Vec<Growth>, String> {
    let middle = |list: &[usize]| list[list.len() / 2];
    let base = [&sizes.train, &sizes.dim, &sizes.blocks].map(|list| middle(list));
    let mut all = Vec::new();
    for (axis, (name, values)) in [("n", &sizes.train), ("d", &sizes.dim), ("L", &sizes.blocks)]
        .into_iter()
        .enumerate()
    {
        // [method] → (size, seconds, bytes)
        let mut costs: Vec<Vec<(f64, f64, Option<f64>)>> = vec![Vec::new(); TABLE.len()];
        for &value in values {
            let mut at = base;
            at[axis] = value;
            let material = Workload::new(at)?;
            for (row, costs) in TABLE.iter().zip(&mut costs) {
                tell(&format!(
                    "{} at n = {}, d = {}, L = {}",
                    row.method, at[0], at[1], at[2]
                ));
                let (seconds, bytes) = material.cost(row.method, sizes.repeats)?;
                costs.push((value as f64, seconds, bytes));
            }
        }
        for (row, costs) in TABLE.iter().zip(costs) {
            let time = costs.iter().map(|c| (c.0, c.1)).collect();
            let memory: Option<Vec<(f64, f64)>> = costs.iter().map(|c| Some((c.0, c.2?))).collect();
            all.push(judge(row.method, name, "time", time, row.time[axis]));
            all.push(judge(
                row.method,
                name,
                "memory",
                memory.unwrap_or_default(),
                row.memory[axis],
            ));
        }
    }
    Ok(all)
}

/// Holds a slope against the table.
fn judge(
    method: &'static str,
    axis: &'static str,
    cost: &'static str,
    points: Vec<(f64, f64)>,
    exponent: f64,
) -> Growth {
    let slope = growth(&points);
    let finding = match slope.and_then(|slope| slope.interval) {
        None if points.is_empty() => {
            Finding::not_testable("memory is counted only by the program's own allocator")
        }
        None => Finding::not_testable("fewer than three sizes, or a cost of 0"),
        Some(interval) if interval.high - interval.low > 2.0 => Finding::not_testable(format!(
            "the slope is only known to lie in {:.2} … {:.2}",
            interval.low, interval.high
        )),
        // the margin in exponents, not relative: an exponent may be 0
        Some(interval) => Finding {
            margin: exponent - interval.low,
            ..Finding::at_most(interval.low, exponent, SLACK)
        },
    };
    Growth {
        method,
        axis,
        cost,
        points,
        slope,
        exponent,
        finding,
    }
}

/// Gradients of the given n, d and L.
struct Workload {
    train: GradientStore,
    query: GradientStore,
    layout: BlockLayout,
    lambda: Vec<f64>,
}

impl Workload {
    fn new([n, d, blocks]: [usize; 3]) -> Result<Self, String> {
        let store = |rows: usize, purpose: &str| {
            let mut random = rng(0, "theory/complexity", purpose);
            // small enough that ten steps of LiSSA without scaling stay finite
            let scale = 1.0 / d as f32;
            let matrices = (0..blocks)
                .map(|b| {
                    let values = (0..rows * d)
                        .map(|_| scale * (random.random::<f32>() - 0.5))
                        .collect();
                    (TensorInfo::new(format!("block.{b}"), [d]), values)
                })
                .collect();
            GradientStore::from_memory(rows, matrices).map_err(|e| e.to_string())
        };
        let (train, query) = (store(n, "train")?, store(1, "query")?);
        let layout = BlockLayout::new(train.tensors(), Blocks::PerMatrix);
        let lambda = damping(&train, &layout, 0.1).map_err(|e| e.to_string())?;
        Ok(Self {
            train,
            query,
            layout,
            lambda,
        })
    }

    /// Median seconds and peak bytes.
    fn cost(&self, method: &str, repeats: usize) -> Result<(f64, Option<f64>), String> {
        let spec: MethodSpec = method.parse().map_err(|e| format!("{method}: {e}"))?;
        let options = RunOptions {
            precision: Precision::F32,
            queries: Queries::Each,
            ..RunOptions::default()
        };
        let (mut seconds, mut bytes) = (Vec::new(), None);
        for _ in 0..repeats.max(1) {
            let run = run_method(
                &spec,
                &self.train,
                &self.query,
                &self.layout,
                &self.lambda,
                &options,
            )
            .map_err(|e| format!("{method}: {e}"))?;
            seconds.push(run.seconds.prepare + run.seconds.apply);
            bytes = run
                .peak_bytes
                .map(|peak| peak.prepare.max(peak.apply) as f64);
        }
        seconds.sort_by(f64::total_cmp);
        Ok((seconds[seconds.len() / 2], bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Outcome;

    fn law(power: f64) -> Vec<(f64, f64)> {
        [64.0f64, 128.0, 256.0, 512.0]
            .iter()
            .map(|&x| (x, 1e-6 * x.powf(power)))
            .collect()
    }

    #[test]
    fn a_steeper_slope_than_the_table_s_is_a_violation() {
        let outcome = |power| {
            judge("datainf", "d", "time", law(power), 1.0)
                .finding
                .outcome
        };
        assert_eq!(outcome(1.0), Outcome::Holds);
        assert_eq!(outcome(0.7), Outcome::Holds);
        assert_eq!(outcome(1.5), Outcome::Violated);
        let empty = judge("datainf", "d", "memory", Vec::new(), 1.0);
        assert!(matches!(empty.finding.outcome, Outcome::NotTestable(_)));
    }

    #[test]
    fn every_method_is_measured_along_every_size() {
        let sizes = Sizes {
            train: vec![8, 16, 32],
            dim: vec![4, 8, 16],
            blocks: vec![1, 2, 4],
            repeats: 1,
        };
        let mut told = 0;
        let all = measure(&sizes, |_| told += 1).unwrap();
        assert_eq!((all.len(), told), (3 * 3 * 2, 3 * 3 * 3));
        for growth in all.iter().filter(|growth| growth.cost == "time") {
            assert_eq!(growth.points.len(), 3, "{growth:?}");
            assert!(growth.points.iter().all(|p| p.1 > 0.0), "{growth:?}");
        }
    }
}
