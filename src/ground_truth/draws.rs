//! Which examples, and which seeds: drawn from the cell's seed.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random;

/// The first `count` seeds of the retrainings of a cell; more of them go on with the same ones.
pub fn seeds(cell_seed: u64, count: usize) -> Vec<u64> {
    let draw = |index| random::rng(cell_seed, "ground_truth", &format!("seed/{index}")).random();
    (0..count).map(draw).collect()
}

/// `count` of n examples, uniformly, by a purpose.
pub fn choose(n: usize, count: usize, cell_seed: u64, purpose: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut random::rng(cell_seed, "ground_truth", purpose));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// All n examples but some.
pub fn without(n: usize, some: &[usize]) -> Vec<bool> {
    let mut kept = vec![true; n];
    some.iter().for_each(|&k| kept[k] = false);
    kept
}
