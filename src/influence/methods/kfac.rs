//! K-FAC: the Fisher of a matrix as the Kronecker product of two small ones.

use crate::influence::block::view::Block;
use crate::influence::companions::Need;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values};
use crate::influence::solve::kronecker::{self, LABELS, Labels, Weighted};
use crate::look::{Dash, Look, Marker};

/// K-FAC: X = Q_S [(Q_Sᵀ V Q_A) / (λ_S ⊗ λ_A + λ)] Q_Aᵀ for V `[out, in]`, with the eigenvectors and eigenvalues of the
/// [Kronecker factors](crate::gradients::factors) A `[in, in]` and S `[out, out]`: (S ⊗ A + λI)⁻¹, λ the block's.
///
/// Source: Martens & Grosse, 2015 (arXiv 1503.05671), over the tokens of an example as in Grosse et al., 2023
/// (arXiv 2308.03296), with this project's damping in place of one for each factor. Needs factors collected
/// with the gradients. A tensor of a block is treated by itself: between the tensors of one block there are
/// zeros. Cost: in³ + out³ to prepare, 4·m·d·(in + out) to apply, in f64 whatever the precision; in² + out² numbers
/// of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kfac {
    /// Labels that the factors are taken at.
    pub labels: Labels,
}

impl Listed for Kfac {
    const INFO: MethodInfo = MethodInfo {
        name: "kfac",
        title: "K-FAC",
        look: Some(Look::new([0x99, 0x44, 0x55], Marker::Up, Dash::Solid)),
        variant: kronecker::by_labels,
        summary: "the Fisher of a matrix as a Kronecker product; needs factors collected with the gradients",
        formula: "Q_S ((Q_Sᵀ v Q_A) / (λ_S ⊗ λ_A + λ)) Q_Aᵀ",
        cost: "in³ + out³ + m d (in + out)",
        memory: "in² + out² a matrix",
        passes: "1",
        damping: "λ_l added to the products of eigenvalues",
        source: "Martens, Grosse 2015, arXiv 1503.05671; Grosse et al. 2023, arXiv 2308.03296",
        when: "when the factors are at hand and matrices are small",
        options: &[LABELS],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            labels: Labels::from_values(values),
        }
    }
}

impl InfluenceMethod for Kfac {
    fn prepare<'a>(
        &'a self,
        block: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Weighted::prepare(block, self.labels, Self::INFO.name, lambda, |part| {
            Ok(part.basis.products())
        })
    }

    fn need(&self) -> Need {
        self.labels.need()
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        kronecker::cost(size, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use faer::linalg::solvers::Solve;

    use super::*;
    use crate::gradients::factors::{KroneckerFactors, TensorFactors};
    use crate::gradients::store::{GradientStore, TensorInfo};
    use crate::influence::solve::kronecker::tests::covariance;
    use crate::influence::{BlockLayout, Companions};
    use crate::influence::{Blocks, Precision};

    /// Two tensors, their factors in another order than the gradients.
    fn material() -> (GradientStore, KroneckerFactors) {
        let shapes = [("a", [3, 5]), ("b", [4, 2])];
        let tensors =
            shapes.map(|(name, [o, i])| (TensorInfo::new(name, [o, i]), vec![1.0f32; 2 * o * i]));
        let store = GradientStore::from_memory(2, tensors.into()).unwrap();
        let factors = shapes.iter().rev().map(|(name, [o, i])| TensorFactors {
            name: (*name).to_owned(),
            inputs: covariance(&format!("{name} in"), *i),
            outputs: covariance(&format!("{name} out"), *o),
            tokens: None,
        });
        let tensors = factors.collect();
        (store, KroneckerFactors { tensors })
    }

    fn solve(
        store: &GradientStore,
        factors: &KroneckerFactors,
        v: &Mat<f64>,
    ) -> Result<Mat<f64>, InfluenceError> {
        let layout = BlockLayout::new(store.tensors(), Blocks::Whole);
        let block = Block::new(store, &layout.blocks()[0], Precision::F64, 2, 0).with_companions(
            Companions {
                factors: Some(factors),
                ..Companions::default()
            },
        );
        let prepared = Kfac::default();
        let prepared = prepared.prepare(&block, 0.3)?;
        Ok(prepared.apply(v)?.x)
    }

    #[test]
    fn it_is_the_inverse_of_the_kronecker_product_tensor_by_tensor() {
        let (store, factors) = material();
        let v = Mat::from_fn(23, 3, |i, j| ((i * 7 + j) as f64).cos());
        let found = solve(&store, &factors, &v).unwrap();
        let mut offset = 0;
        for info in store.tensors() {
            let (o, i) = (info.shape[0], info.shape[1]);
            let TensorFactors {
                inputs, outputs, ..
            } = factors.get(&info.name).unwrap();
            let damped = Mat::from_fn(o * i, o * i, |r, c| {
                let kronecker = outputs[(r / i, c / i)] * inputs[(r % i, c % i)];
                kronecker + if r == c { 0.3 } else { 0.0 }
            });
            let rhs = v.subrows(offset, o * i).to_owned();
            let expected = damped.partial_piv_lu().solve(&rhs);
            let condition = 1.0 + outputs.norm_l2() * inputs.norm_l2() / 0.3;
            let tolerance = 50.0 * f64::EPSILON * condition * expected.norm_l2();
            let difference = found.subrows(offset, o * i) - &expected;
            assert!(difference.norm_l2() <= tolerance, "{}", info.name);
            offset += o * i;
        }
    }

    #[test]
    fn factors_of_other_tensors_are_refused_by_name() {
        let (store, factors) = material();
        let v = Mat::zeros(23, 1);
        let error =
            |factors: &KroneckerFactors| solve(&store, factors, &v).unwrap_err().to_string();
        let mut other = factors.clone();
        other.tensors[0].name = "c".to_owned();
        assert_eq!(
            error(&other),
            "tensor `b`: has no Kronecker factors among those given"
        );
        let mut other = factors;
        let turned = &mut other.tensors[1];
        std::mem::swap(&mut turned.inputs, &mut turned.outputs);
        assert_eq!(
            error(&other),
            "tensor `a`: the Kronecker factors are of a matrix [5, 3], a gradient has the shape [3, 5]"
        );
    }
}
