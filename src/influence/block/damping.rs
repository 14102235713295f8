//! λ_l = c · tr(F_l)/d_l.

use super::layout::BlockLayout;
use super::precision::Precision;
use super::view::Block;
use crate::gradients::store::GradientStore;
use crate::influence::error::InfluenceError;

/// The damping λ_l = c · tr(F_l)/d_l = c · Σ_i ‖g_i‖²/(n d_l) of every block: c times the mean eigenvalue of
/// F_l. Source: Kwon et al. 2024, with c = 0.1. Computed in f64 in one pass over the gradients, once for all
/// methods, outside every clock.
///
/// The same pass finds NaN and infinities, since a sum of squares shows them. A block whose gradients are
/// all zero has λ = 0: it contributes nothing to any score (its part is vᵀ(…)·0), and no method is asked
/// about it.
///
/// # Errors
/// c not positive and finite, a layout made for other tensors, a NaN or infinity in the gradients, with its place, or
/// gradients so large or small that their squares leave the range of f64.
pub fn damping(
    store: &GradientStore,
    layout: &BlockLayout,
    factor: f64,
) -> Result<Vec<f64>, InfluenceError> {
    if !(factor.is_finite() && factor > 0.0) {
        return Err(InfluenceError::Damping { found: factor });
    }
    if layout.tensors() != store.tensors().len() {
        return Err(InfluenceError::Layout {
            expected: layout.tensors(),
            found: store.tensors().len(),
        });
    }
    layout
        .blocks()
        .iter()
        .map(|shape| {
            let block = Block::new(store, shape, Precision::F64, 0, 0);
            let norms = block.squared_norms();
            let trace = norms.iter().sum::<f64>() / store.rows() as f64;
            let lambda = factor * trace / shape.dim as f64;
            let mean = trace / shape.dim as f64;
            if mean.is_normal() {
                let found = Some(lambda).filter(|lambda| lambda.is_finite() && *lambda > 0.0);
                return found.ok_or_else(|| InfluenceError::Lambda {
                    block: shape.name.clone(),
                    found: lambda,
                });
            }
            if trace == 0.0 && block.is_zero() {
                return Ok(0.0);
            }
            let place = shape
                .segments
                .iter()
                .find_map(|s| store.non_finite(s.tensor, 0..store.rows()));
            // finite gradients, none of them f32
            let squares = InfluenceError::Squares {
                block: shape.name.clone(),
                found: mean,
            };
            Err(place.map_or(squares, InfluenceError::Store))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::store::{StoreError, TensorInfo};
    use crate::influence::Blocks;

    fn store(data: Vec<f32>) -> (GradientStore, BlockLayout) {
        let store = GradientStore::from_memory(
            2,
            vec![
                (TensorInfo::new("a", [3]), data),
                (TensorInfo::new("b", [1]), vec![0.0; 2]),
            ],
        )
        .unwrap();
        let layout = BlockLayout::new(store.tensors(), Blocks::PerMatrix);
        (store, layout)
    }

    #[test]
    fn it_is_a_share_of_the_mean_eigenvalue() {
        let (store, layout) = store(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let lambda = damping(&store, &layout, 0.1).unwrap();
        assert!((lambda[0] - 0.1 * 91.0 / 6.0).abs() < 1e-15);
        assert_eq!(lambda[1], 0.0, "a block of zeros");
        // a factor with which it is below the range of f64
        let (small, layout) = self::store(vec![1e-20; 6]);
        let error = damping(&small, &layout, 1e-300).unwrap_err();
        assert!(matches!(error, InfluenceError::Lambda { .. }), "{error}");
    }

    #[test]
    fn squares_outside_f64_are_an_error_and_no_block_of_zeros() {
        let folder = tempfile::tempdir().unwrap();
        for (value, found) in [(1e-170, "0e0"), (1e170, "inf"), (-3e-155, "9e-310")] {
            let path = folder.path().join("g.safetensors");
            let bytes: Vec<u8> = [value, value]
                .into_iter()
                .flat_map(f64::to_le_bytes)
                .collect();
            let view =
                safetensors::tensor::TensorView::new(safetensors::Dtype::F64, vec![2, 1], &bytes);
            let file = safetensors::serialize([("a", view.unwrap())], None).unwrap();
            std::fs::write(&path, file).unwrap();
            let store = GradientStore::open(&path).unwrap();
            let layout = BlockLayout::new(store.tensors(), Blocks::PerMatrix);
            let error = damping(&store, &layout, 0.1).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, InfluenceError::Squares { .. }), "{text}");
            assert!(text.contains(found), "{text}");
        }
    }

    #[test]
    fn nan_is_named_with_its_place() {
        let (store, layout) = store(vec![1.0, 2.0, 3.0, 4.0, f32::INFINITY, 6.0]);
        let error = damping(&store, &layout, 0.1).unwrap_err();
        assert!(
            matches!(&error, InfluenceError::Store(StoreError::NotFinite { tensor, row: 1, column: 1, .. }) if tensor == "a"),
            "{error}"
        );
        assert!(matches!(
            damping(&store, &layout, 0.0),
            Err(InfluenceError::Damping { .. })
        ));
    }
}
