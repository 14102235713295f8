//! DataInf: the mean of inverses for the inverse of the mean.

use faer::Mat;
use faer::Par;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::block::Block;
use super::cholesky::Cholesky;
use super::element::contiguous_mut;
use super::error::InfluenceError;
use super::kernels::{combine, parallel};
use super::method::{Applied, InfluenceMethod, Preconditioner};
use super::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::random::rng;

/// DataInf with groups: X = Σ_g (|g|/n) (F_g + λI)⁻¹V, the mean over groups of examples of the inverse of
/// the group's own damped Fisher F_g = H_gᵀH_g/|g|, where the rows of H_g are the group's gradients.
///
/// With groups of one it is the paper's closed form (Sherman–Morrison)
/// X = (V − (1/n) Σ_i g_i (g_iᵀV)/(λ + ‖g_i‖²))/λ; with one group of all it is exact. In between, each group is
/// inverted through its |g|×|g| dual, so that all groups together are two products with G:
/// X = (V − Σ_g (|g|/n) H_gᵀ(|g|λI + H_gH_gᵀ)⁻¹H_gV)/λ.
///
/// Source: Kwon, Wu, Wu, Zou 2024 (arXiv 2310.00902), equation 5; the groups are ours.
/// Cost: n·b·d + n·b² to prepare (n·d for b = 1), 4·m·n·d + 2·m·n·b to apply; n·b numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct DataInf {
    /// Examples a group b, at least 1; at n or above it is one group, which is exact.
    pub group_size: usize,
    /// Groups by a seeded permutation of the examples, the same in every block; else consecutive rows, in
    /// order. The last group may be smaller, and is weighted by its size.
    pub shuffle: bool,
}

impl Listed for DataInf {
    const INFO: MethodInfo = MethodInfo {
        name: "datainf",
        summary: "the mean of rank-one inverses, in closed form; of groups of examples with group_size",
        formula: "(v − (1/n) Σ_i g_i (g_iᵀv)/(λ + ‖g_i‖²))/λ",
        cost: "n d; groups of b: n b d + n b²",
        options: &[
            OptionInfo {
                key: "group_size",
                default: "1",
                allowed: Allowed::Count,
                help: "examples a group: 1 is the paper's method, n is exact",
            },
            OptionInfo {
                key: "shuffle",
                default: "true",
                allowed: Allowed::Switch,
                help: "group by a seeded permutation; false: consecutive rows, in order",
            },
        ],
    };

    fn from_values(values: &Values) -> Self {
        Self { group_size: values.count("group_size"), shuffle: values.switch("shuffle") }
    }
}

impl InfluenceMethod for DataInf {
    fn prepare<'a>(&'a self, block: &'a Block<'a>, lambda: f64) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.group_size == 1 {
            let n = block.rows() as f64;
            let weights = block.squared_norms().into_iter().map(|norm| 1.0 / (n * (lambda + norm))).collect();
            return Ok(Box::new(Singles { block, lambda, weights }));
        }
        let order = self.order(block.rows(), block.seed());
        let groups: Vec<&[usize]> = order.chunks(self.group_size).collect();
        let factor = |group: &&[usize], par: Par| {
            let mut gram = block.gram(group, par);
            (0..group.len()).for_each(|i| gram[(i, i)] += group.len() as f64 * lambda);
            Cholesky::new(gram, par).map_err(|pivot| InfluenceError::NotPositiveDefinite {
                block: block.name().to_owned(),
                matrix: "bλI + HHᵀ of a group",
                size: group.len(),
                pivot,
                lambda,
            })
        };
        // many groups: one a thread; few: all threads in each
        let factors = if groups.len() >= MANY_GROUPS {
            groups.par_iter().map(|group| factor(group, Par::Seq)).collect::<Result<_, _>>()?
        } else {
            groups.iter().map(|group| factor(group, parallel())).collect::<Result<_, _>>()?
        };
        Ok(Box::new(Groups { block, lambda, group_size: self.group_size, order, factors }))
    }
}

/// Groups from which on each is worked on by one thread.
const MANY_GROUPS: usize = 16;

impl DataInf {
    /// The examples, group after group.
    fn order(&self, n: usize, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        if self.shuffle {
            order.shuffle(&mut rng(seed, "influence", "datainf_groups"));
        }
        order
    }
}

/// Groups of one.
struct Singles<'a> {
    block: &'a Block<'a>,
    lambda: f64,
    /// 1/(n(λ + ‖g_i‖²)).
    weights: Vec<f64>,
}

impl Preconditioner for Singles<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = self.block.weighted_fisher(v, |row| self.weights[row]);
        let inverse = 1.0 / self.lambda;
        combine(v, &mut x, |v, y| (v - y) * inverse);
        Ok(x.into())
    }
}

/// Groups of more.
struct Groups<'a> {
    block: &'a Block<'a>,
    lambda: f64,
    group_size: usize,
    order: Vec<usize>,
    factors: Vec<Cholesky>,
}

impl Preconditioner for Groups<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let (n, m) = (self.block.rows(), v.ncols());
        let mut c = self.block.project(v);
        // the columns of C, dealt out to their groups
        let mut columns: Vec<Option<&mut [f64]>> = c.as_mut().col_iter_mut().map(|column| Some(contiguous_mut(column))).collect();
        let mut groups: Vec<Vec<&mut [f64]>> = self
            .order
            .chunks(self.group_size)
            .map(|group| group.iter().map(|&row| columns[row].take().expect("every example is in one group")).collect())
            .collect();
        let solve = |(columns, factor): (&mut Vec<&mut [f64]>, &Cholesky), par: Par| {
            // one right-hand side a query
            let mut right = Mat::from_fn(columns.len(), m, |i, j| columns[i][j]);
            factor.solve(right.as_mut(), par);
            let weight = columns.len() as f64 / n as f64;
            for (i, column) in columns.iter_mut().enumerate() {
                column.iter_mut().enumerate().for_each(|(j, value)| *value = weight * right[(i, j)]);
            }
        };
        if groups.len() >= MANY_GROUPS {
            groups.par_iter_mut().zip(&self.factors).for_each(|pair| solve(pair, Par::Seq));
        } else {
            groups.iter_mut().zip(&self.factors).for_each(|pair| solve(pair, parallel()));
        }
        drop(groups);
        let mut x = self.block.expand(&c);
        let inverse = 1.0 / self.lambda;
        combine(v, &mut x, |v, y| (v - y) * inverse);
        Ok(x.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_and_seeded() {
        let shuffled = DataInf { group_size: 4, shuffle: true };
        let mut order = shuffled.order(50, 7);
        assert_eq!(order, shuffled.order(50, 7));
        assert_ne!(order, shuffled.order(50, 8));
        order.sort_unstable();
        assert_eq!(order, DataInf { group_size: 4, shuffle: false }.order(50, 7));
    }
}
