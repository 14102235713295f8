//! DataInf: the mean of inverses for the inverse of the mean.

use faer::{Mat, MatMut, Par};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::influence::block::columns::{
    column, combine, contiguous_mut, cut, each_column, parallel, scaled,
};
use crate::influence::block::view::{Block, chunks};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, InfluenceMethod, Limit, Preconditioner};
use crate::influence::registry::{Allowed, ExactAt, Listed, MethodInfo, OptionInfo, Values};
use crate::influence::solve::cholesky::Cholesky;
use crate::look::{Colour, Dash, Drawn, Given, Look, Marker};
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
/// Cost: n·b·d + n·b² to prepare (nothing for b = 1), 4·m·n·d + 2·m·n·b to apply; n·b numbers. Passes over
/// the gradients, the contraction included: 2 for b = 1, whatever the number of queries, else 4.
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
        title: "DataInf",
        look: Some(Look::new([0x00, 0x72, 0xb2], Marker::Circle, Dash::Solid)),
        variant: groups,
        summary: "the mean of rank-one inverses, in closed form; of groups of examples with group_size",
        formula: "(v − (1/n) Σ_i g_i (g_iᵀv)/(λ + ‖g_i‖²))/λ",
        cost: "n d; groups of b: n b d + n b²",
        memory: "m d + m (a chunk of n); groups: n b more",
        passes: "2; groups of more than one 4",
        damping: "λ_l in every rank-one (or group) inverse",
        source: "Kwon, Wu, Wu, Zou 2024, arXiv 2310.00902; the groups are ours",
        when: "the first choice at large n: the price of two products; raise group_size until the correlation with exact no longer rises",
        options: &[
            OptionInfo {
                key: "group_size",
                default: "1",
                allowed: Allowed::Size(ExactAt::Examples),
                help: "examples a group: 1 is the paper's method",
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
        Self {
            group_size: values.count("group_size"),
            shuffle: values.switch("shuffle"),
        }
    }
}

impl InfluenceMethod for DataInf {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        if self.group_size == 1 {
            return Ok(Box::new(Singles { block, lambda }));
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
            groups
                .par_iter()
                .map(|group| factor(group, Par::Seq))
                .collect::<Result<_, _>>()?
        } else {
            groups
                .iter()
                .map(|group| factor(group, parallel()))
                .collect::<Result<_, _>>()?
        };
        Ok(Box::new(Groups {
            block,
            lambda,
            group_size: self.group_size,
            order,
            factors,
        }))
    }

    fn limit(&self) -> Limit {
        Limit::MeanOfInverses
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        if self.group_size == 1 {
            Cost::of_rank_ones(size)
        } else {
            Cost::of_groups(size, self.group_size)
        }
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

/// Groups of one: norms, products and weighted sum in one pass over G.
struct Singles<'a> {
    block: &'a Block<'a>,
    lambda: f64,
}

impl Preconditioner for Singles<'_> {
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let (n, lambda) = (self.block.rows() as f64, self.lambda);
        let mut x = scaled(v, 1.0 / lambda);
        let weight = |_, norm| -1.0 / (n * (lambda + norm)) / lambda;
        self.block.add_weighted_fisher(v, true, weight, &mut x);
        Ok(x.into())
    }
}

/// (V − Y)/λ.
fn remainder(v: &Mat<f64>, mut y: Mat<f64>, lambda: f64) -> Mat<f64> {
    let inverse = 1.0 / lambda;
    combine(v, &mut y, |v, y| (v - y) * inverse);
    y
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
        let c = self.block.matvec(v);
        // the rows of C, group after group: one right-hand side a query
        let mut grouped = Mat::zeros(n, m);
        each_column(&mut grouped, |j, out| {
            let c = column(c.as_ref(), j);
            out.iter_mut()
                .zip(&self.order)
                .for_each(|(out, &row)| *out = c[row]);
        });
        let solve = |(mut right, factor): (MatMut<'_, f64>, &Cholesky), par: Par| {
            factor.solve(right.as_mut(), par);
            let weight = right.nrows() as f64 / n as f64;
            for column in right.col_iter_mut() {
                contiguous_mut(column)
                    .iter_mut()
                    .for_each(|value| *value *= weight);
            }
        };
        let groups: Vec<_> = cut(grouped.as_mut(), chunks(n, self.group_size))
            .into_iter()
            .map(|(_, right)| right)
            .zip(&self.factors)
            .collect();
        if groups.len() >= MANY_GROUPS {
            groups
                .into_par_iter()
                .for_each(|group| solve(group, Par::Seq));
        } else {
            groups
                .into_iter()
                .for_each(|group| solve(group, parallel()));
        }
        let mut c = c;
        each_column(&mut c, |j, out| {
            column(grouped.as_ref(), j)
                .iter()
                .zip(&self.order)
                .for_each(|(&value, &row)| out[row] = value);
        });
        Ok(remainder(v, self.block.rmatvec(&c), self.lambda).into())
    }
}

/// Groups by their size and order.
fn groups(options: &Given<'_>, drawn: &mut Drawn) {
    drawn.shown.extend(["group_size", "shuffle"]);
    let size = options.get("group_size").filter(|size| *size != "1");
    let Some(size) = size else { return };
    drawn.title = format!("DataInf, groups of {size}");
    if options.get("shuffle") == Some("false") {
        drawn.title.push_str(", in order");
    }
    if let Some(size) = size.parse().ok().filter(|size| *size > 1) {
        drawn.look = Some(grouped(size));
    }
}

/// Groups are the way from DataInf's blue to exact's black: the larger, the darker, with a marker of
/// their own each power of two.
fn grouped(size: usize) -> Look {
    const SHADES: [Colour; 5] = [
        [0x56, 0xb4, 0xe9],
        [0x3d, 0x9a, 0xd6],
        [0x5a, 0x78, 0xc8],
        [0x48, 0x58, 0xa6],
        [0x36, 0x3b, 0x7d],
    ];
    const SHAPES: [Marker; 5] = [
        Marker::Up,
        Marker::Square,
        Marker::Down,
        Marker::Plus,
        Marker::Diamond,
    ];
    let doubling = size.ilog2() as usize - 1;
    let shade = (doubling / 2).min(SHADES.len() - 1);
    Look::new(
        SHADES[shade],
        SHAPES[doubling % SHAPES.len()],
        if doubling.is_multiple_of(2) {
            Dash::Dashed
        } else {
            Dash::Solid
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_permutations_and_seeded() {
        let shuffled = DataInf {
            group_size: 4,
            shuffle: true,
        };
        let mut order = shuffled.order(50, 7);
        assert_eq!(order, shuffled.order(50, 7));
        assert_ne!(order, shuffled.order(50, 8));
        order.sort_unstable();
        assert_eq!(
            order,
            DataInf {
                group_size: 4,
                shuffle: false
            }
            .order(50, 7)
        );
    }
}
