//! The eigenbases of Kronecker factors, which `kfac` and `ekfac` share.
//!
//! For S = Q_S Λ_S Q_Sᵀ and A = Q_A Λ_A Q_Aᵀ a gradient V `[out, in]` has the coordinates Q_Sᵀ V Q_A: the
//! transpose of Q_S and Q_A itself on the way in, Q_S and the transpose of Q_A on the way out. Both products
//! are taken for many gradients at once, whichever of the sides is the long one. Coordinates lie in the layout
//! `[in, out]`, which saves a transposition each way.
//!
//! A tensor is treated by itself, also in a block of several: between the tensors of a block the approximation
//! has zeros, and they share the block's λ.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::traits::math_utils::one;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::dense::eigen;
use crate::gradients::factors::{KroneckerFactors, TensorFactors};
use crate::gradients::store::GradientStore;
use crate::influence::block::columns::{column, contiguous_mut};
use crate::influence::block::layout::TensorSpan;
use crate::influence::block::precision::Element;
use crate::influence::block::view::{Block, chunks};
use crate::influence::companions::{Companions, Need, of_tensor};
use crate::influence::cost::{BlockSize, Cost, EIGEN};
use crate::influence::error::InfluenceError;
use crate::influence::method::{Applied, Preconditioner};
use crate::influence::registry::{Allowed, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given, Look};

/// Numbers of the gradients that one thread rotates at a time.
const PANEL: usize = 1 << 17;
/// The same of queries, which are fewer.
const QUERY_PANEL: usize = 1 << 15;
/// Parts that an eigendecomposition is cut into, whatever the number of threads: its sums depend on it.
const DEGREE: usize = 8;
/// Parts of the examples that are summed side by side and added up in order, whatever the number of threads.
const PARTS: usize = 64;

/// Which labels the factors, and the gradients that correct them, are taken at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// The data's own: the empirical Fisher, which the other methods approximate, too.
    #[default]
    Empirical,
    /// Drawn from the model's predictions: the Fisher itself.
    Sampled,
}

/// The option of all methods in these eigenbases.
pub(crate) const LABELS: OptionInfo = OptionInfo {
    key: "labels",
    default: "empirical",
    allowed: Allowed::Word(&["empirical", "sampled"]),
    help: "the data's labels, or labels drawn from the model's predictions",
};

impl Labels {
    pub(crate) fn from_values(values: &Values) -> Self {
        match values.word(LABELS.key) {
            Some("sampled") => Self::Sampled,
            _ => Self::Empirical,
        }
    }

    pub(crate) fn need(self) -> Need {
        match self {
            Self::Empirical => Need::Factors,
            Self::Sampled => Need::Sampled,
        }
    }

    /// The factors at these labels.
    pub(crate) fn factors<'a>(
        self,
        companions: &Companions<'a>,
        method: &'static str,
    ) -> Result<&'a KroneckerFactors, InfluenceError> {
        let found = match self {
            Self::Empirical => companions.factors,
            Self::Sampled => companions.sampled.map(|sampled| sampled.factors),
        };
        found.ok_or(InfluenceError::Missing {
            method,
            what: self.need().explanation(),
        })
    }
}

/// A tensor of a block with the eigenbases of its factors.
pub(crate) struct Part {
    pub segment: TensorSpan,
    pub basis: Eigenbasis,
}

/// The eigenbases of all tensors of a block.
fn of_block(
    block: &Block<'_>,
    labels: Labels,
    method: &'static str,
) -> Result<Vec<Part>, InfluenceError> {
    let factors = labels.factors(&block.companions(), method)?;
    let part = |segment: &TensorSpan| {
        let info = &block.store().tensors()[segment.tensor];
        let factors = of_tensor(factors, &info.name, &info.shape)?;
        Ok(Part {
            segment: *segment,
            basis: Eigenbasis::new(factors)?,
        })
    };
    block.segments().iter().map(part).collect()
}

/// Q_A, Q_S and the eigenvalues of both factors of one tensor.
pub(crate) struct Eigenbasis {
    /// Q_A, `[in, in]`, a vector a column.
    inputs: Mat<f64>,
    /// Q_S, `[out, out]`.
    outputs: Mat<f64>,
    /// Λ_A, none negative.
    input_values: Vec<f64>,
    /// Λ_S, none negative.
    output_values: Vec<f64>,
}

impl Eigenbasis {
    fn new(factors: &TensorFactors) -> Result<Self, InfluenceError> {
        let of = |side: &str, factor: &Mat<f64>| {
            decompose(factor).map_err(|()| InfluenceError::Companion {
                tensor: factors.name.clone(),
                reason: format!("the eigenvalues of the factor of its {side} cannot be found"),
            })
        };
        let (inputs, input_values) = of("inputs", &factors.inputs)?;
        let (outputs, output_values) = of("outputs", &factors.outputs)?;
        Ok(Self {
            inputs,
            outputs,
            input_values,
            output_values,
        })
    }

    /// λ_S ⊗ λ_A, in the layout of the coordinates.
    pub(crate) fn products(&self) -> Vec<f64> {
        let rows = self.input_values.iter();
        rows.flat_map(|a| self.output_values.iter().map(move |s| a * s))
            .collect()
    }

    /// Mean over all examples of the squared coordinates of their gradients in `store`, with products in `T`.
    /// One pass over the tensor; 2·n·d·(in + out) flops.
    pub(crate) fn mean_squares<T: Element + Into<f64>>(
        &self,
        store: &GradientStore,
        tensor: usize,
    ) -> Vec<f64> {
        let dim = store.tensors()[tensor].dim();
        let n = store.rows();
        let (q_in, q_out) = (
            T::narrow(self.inputs.as_ref()),
            T::narrow(self.outputs.as_ref()),
        );
        let (right_in, right_out) = (q_in.right(), q_out.right());
        let rows_a_panel = (PANEL / dim).clamp(1, 512);
        let parts: Vec<_> = chunks(n, n.div_ceil(PARTS)).collect();
        let sums: Vec<Vec<f64>> = parts
            .into_par_iter()
            .map(|part| {
                let mut sum = vec![0.0f64; dim];
                let (mut panel, mut memory) = (Vec::new(), [Vec::new(), Vec::new()]);
                for rows in chunks(part.len(), rows_a_panel) {
                    let (first, count) = (part.start + rows.start, rows.len());
                    let view = store.as_f32(tensor).and_then(T::view);
                    let gradients = match view {
                        Some(all) => &all[first * dim..(first + count) * dim],
                        None => {
                            panel.resize(count * dim, T::of_f32(0.0));
                            for (i, out) in panel.chunks_exact_mut(dim).enumerate() {
                                store.read_row(tensor, first + i, 0..dim, out);
                            }
                            &panel[..]
                        }
                    };
                    store.fetched(tensor, count * dim);
                    rotate(gradients, [right_out.mat, right_in.mat], &mut memory);
                    for row in memory[0].chunks_exact(dim) {
                        for (sum, &value) in sum.iter_mut().zip(row) {
                            let value: f64 = value.into();
                            *sum += value * value;
                        }
                    }
                }
                sum
            })
            .collect();
        let mut mean = vec![0.0; dim];
        for sum in &sums {
            for (mean, sum) in mean.iter_mut().zip(sum) {
                *mean += sum;
            }
        }
        let outputs = self.output_values.len();
        for (at, mean) in mean.iter_mut().enumerate() {
            // in the layout of the coordinates: every input with all outputs
            *mean *=
                (right_in.scale(at / outputs) * right_out.scale(at % outputs)).powi(2) / n as f64;
        }
        mean
    }

    /// Every row of `values` `[k, out·in]` replaced by Q_S [(Q_Sᵀ V Q_A) · weights] Q_Aᵀ.
    fn weigh(&self, values: &mut [f64], weights: &[f64], memory: &mut [Vec<f64>; 2]) {
        let (q_in, q_out) = (self.inputs.as_ref(), self.outputs.as_ref());
        rotate(values, [q_out, q_in], memory);
        for row in memory[0].chunks_exact_mut(weights.len()) {
            for (value, weight) in row.iter_mut().zip(weights) {
                *value *= weight;
            }
        }
        // [in, out] now: the same two products with the transposes, the other way round
        let coordinates = std::mem::take(&mut memory[0]);
        rotate(&coordinates, [q_in.transpose(), q_out.transpose()], memory);
        values.copy_from_slice(&memory[0]);
    }
}

/// (Q_lᵀ V Q_r)ᵀ of every V `[a, b]` of `rows` `[k, a·b]`, into `memory[0]`, `[k, b·a]`; for Q_l `[a, a]` and
/// Q_r `[b, b]`. On the calling thread.
fn rotate<T: ComplexField + Copy>(
    rows: &[T],
    [left, right]: [MatRef<'_, T>; 2],
    [result, between]: &mut [Vec<T>; 2],
) {
    let (a, b) = (left.nrows(), right.nrows());
    let k = rows.len() / (a * b);
    let zero = faer::traits::math_utils::zero::<T>();
    result.resize(rows.len(), zero);
    between.resize(rows.len(), zero);
    let product = |lhs: &[T], rhs: MatRef<'_, T>, out: &mut [T]| {
        let (height, width) = (lhs.len() / rhs.nrows(), rhs.nrows());
        matmul(
            MatMut::from_row_major_slice_mut(out, height, width),
            Accum::Replace,
            MatRef::from_row_major_slice(lhs, height, width),
            rhs,
            one::<T>(),
            Par::Seq,
        );
    };
    // V Q_r, [k·a, b]
    product(rows, right, result);
    // transposed, [k·b, a]
    for example in 0..k {
        let at = example * a * b..(example + 1) * a * b;
        let (source, target) = (&result[at.clone()], &mut between[at]);
        for (i, row) in source.chunks_exact(b).enumerate() {
            for (j, &value) in row.iter().enumerate() {
                target[j * a + i] = value;
            }
        }
    }
    // (V Q_r)ᵀ Q_l
    product(between, left, result);
}

/// [`eigenpairs`] of a matrix without negative eigenvalues; what rounding makes negative is 0.
fn decompose(matrix: &Mat<f64>) -> Result<(Mat<f64>, Vec<f64>), ()> {
    let (vectors, values) = eigenpairs(matrix)?;
    Ok((
        vectors,
        values.into_iter().map(|value| value.max(0.0)).collect(),
    ))
}

/// Eigenvectors and eigenvalues, in rising order, of a symmetric matrix of which the lower triangle is read. On several
/// threads, and the same whatever their number.
pub(crate) fn eigenpairs(matrix: &Mat<f64>) -> Result<(Mat<f64>, Vec<f64>), ()> {
    // NaN in, NaN out: it must not become a 0 later
    eigen(matrix, Par::rayon(DEGREE))
        .filter(|(values, _)| values.iter().all(|value| value.is_finite()))
        .map(|(values, vectors)| (vectors, values))
        .ok_or(())
}

/// V weighted in the eigenbases: X = Q_S [(Q_Sᵀ V Q_A) / (Λ + λ)] Q_Aᵀ, tensor by tensor.
pub(crate) struct Weighted {
    /// Every tensor with 1/(Λ + λ), in the layout of the coordinates.
    parts: Vec<(Part, Vec<f64>)>,
}

impl Weighted {
    /// Of a block, with Λ of a tensor as `curvatures` gives it; `method` is who asks.
    ///
    /// # Errors
    /// Factors that are not there or cannot be decomposed, and those of `curvatures`.
    pub(crate) fn prepare<'a>(
        block: &Block<'_>,
        labels: Labels,
        method: &'static str,
        lambda: f64,
        mut curvatures: impl FnMut(&Part) -> Result<Vec<f64>, InfluenceError>,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        let parts = of_block(block, labels, method)?;
        let weighted = parts.into_iter().map(|part| {
            let weights = curvatures(&part)?
                .into_iter()
                .map(|curvature| 1.0 / (curvature + lambda));
            let weights = weights.collect();
            Ok::<_, InfluenceError>((part, weights))
        });
        Ok(Box::new(Self {
            parts: weighted.collect::<Result<_, _>>()?,
        }))
    }
}

impl Preconditioner for Weighted {
    /// In f64 whatever the precision asked; 4·m·d·(in + out) flops.
    fn apply(&self, v: &Mat<f64>) -> Result<Applied, InfluenceError> {
        let mut x = Mat::zeros(v.nrows(), v.ncols());
        for (part, weights) in &self.parts {
            let TensorSpan { offset, dim, .. } = part.segment;
            let queries = (QUERY_PANEL / dim).clamp(1, 64);
            x.as_mut()
                .par_col_chunks_mut(queries)
                .enumerate()
                .for_each_init(
                    || (Vec::new(), [Vec::new(), Vec::new()]),
                    |(panel, memory), (chunk, mut x)| {
                        panel.clear();
                        for j in 0..x.ncols() {
                            let v = column(v.as_ref(), chunk * queries + j);
                            panel.extend_from_slice(&v[offset..offset + dim]);
                        }
                        part.basis.weigh(panel, weights, memory);
                        for (j, answer) in panel.chunks_exact(dim).enumerate() {
                            contiguous_mut(x.as_mut().col_mut(j))[offset..offset + dim]
                                .copy_from_slice(answer);
                        }
                    },
                );
        }
        Ok(x.into())
    }
}

/// The cost of eigenbases, of queries weighted there and, `passes` times, of all gradients rotated.
pub(crate) fn cost(size: &BlockSize, passes: f64) -> Cost {
    let (n, m, d) = (size.examples, size.queries, size.dim);
    let eigenbases = size.sum(|o, i| EIGEN * (o.powi(3) + i.powi(3)));
    let rotate = size.sum(|o, i| (2.0 * passes * n + 4.0 * m) * o * i * (o + i));
    // eigenvectors, factors and their decomposition's workspace
    let held = size.sum(|o, i| 4.0 * (o * o + i * i));
    Cost::once(size, eigenbases + rotate, held + passes * 64.0 * d)
}

/// Methods that take the data's labels are drawn unbroken, those that sample them with short dashes.
pub(crate) fn by_labels(options: &Given<'_>, drawn: &mut Drawn) {
    drawn.shown.push(LABELS.key);
    if options.get(LABELS.key) == Some("sampled") {
        drawn.title.push_str(", sampled labels");
        drawn.look = drawn.look.map(|look| Look {
            dash: Dash::Dotted,
            ..look
        });
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::random::rng;

    /// A well-spread symmetric positive definite matrix.
    pub fn covariance(purpose: &str, size: usize) -> Mat<f64> {
        let mut random = rng(3, "eigenbasis", purpose);
        let root = Mat::<f64>::from_fn(size, size, |_, j| {
            let draw: f64 = StandardNormal.sample(&mut random);
            draw / (1.0 + j as f64)
        });
        &root * root.transpose()
    }

    #[test]
    fn weights_of_one_give_the_gradient_back_and_eigenvalues_the_product_with_both_factors() {
        let (outputs, inputs) = (3, 7);
        let factors = TensorFactors {
            name: "w".to_owned(),
            inputs: covariance("inputs", inputs),
            outputs: covariance("outputs", outputs),
            tokens: None,
        };
        let basis = Eigenbasis::new(&factors).unwrap();
        let v = Mat::<f64>::from_fn(outputs, inputs, |i, j| ((3 * i + 5 * j) as f64).sin());
        // S V A is what S ⊗ A makes of V flattened row-major
        let expected = &factors.outputs * &v * &factors.inputs;
        let rows = |m: &Mat<f64>| -> Vec<f64> {
            let values = (0..outputs).flat_map(|i| (0..inputs).map(move |j| (i, j)));
            // twice, so that there is more than one gradient
            let once: Vec<f64> = values.map(|at| m[at]).collect();
            once.repeat(2)
        };
        let size = factors.outputs.norm_l2() * factors.inputs.norm_l2() * v.norm_l2();
        let tolerance = 100.0 * f64::EPSILON * size;
        for (weights, expected) in [
            (vec![1.0; outputs * inputs], rows(&v)),
            (basis.products(), rows(&expected)),
        ] {
            let mut values = rows(&v);
            basis.weigh(&mut values, &weights, &mut [Vec::new(), Vec::new()]);
            for (found, expected) in values.iter().zip(&expected) {
                assert!((found - expected).abs() <= tolerance, "{found} {expected}");
            }
        }
    }

    #[test]
    fn decompositions_are_the_same_on_any_number_of_threads() {
        // above the size from which the library splits its sums
        let matrix = covariance("threads", 330);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build()
                .unwrap()
                .install(|| decompose(&matrix).unwrap())
        };
        assert!(on(1) == on(3));
    }

    #[test]
    fn eigenvalues_are_not_negative() {
        // rank one, so that the others are rounding
        let matrix = Mat::from_fn(40, 40, |i, j| ((i + 1) * (j + 1)) as f64);
        let (vectors, values) = decompose(&matrix).unwrap();
        assert!(values.iter().all(|value| *value >= 0.0));
        let trace: f64 = (1..=40).map(|i| f64::from(i * i)).sum();
        assert!((values[39] - trace).abs() <= 40.0 * f64::EPSILON * trace);
        let identity = vectors.transpose() * &vectors;
        for i in 0..40 {
            for j in 0..40 {
                let expected = f64::from(u8::from(i == j));
                assert!((identity[(i, j)] - expected).abs() <= 400.0 * f64::EPSILON);
            }
        }
        assert!(decompose(&Mat::from_fn(2, 2, |_, _| f64::NAN)).is_err());
    }
}
