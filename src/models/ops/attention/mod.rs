//! Multi-head scaled dot-product attention, of everything or of the past, with as many heads of keys and values as of
//! queries or fewer.

mod blocks;
mod fused;
mod reach;
mod softmax;

use burn::tensor::{Tensor, TensorData, activation};

use blocks::blocks;
use fused::fused;
pub use reach::{Attend, Reach};
pub use softmax::{Softmax, SoftmaxBackward};

use super::host::on_host;
use crate::models::dropout::Mask;

/// Weights of a head from which on they are not kept for the backward pass.
const LONG: usize = 1 << 20;

/// softmax(Q Kᵀ/√(width of a head)) V within every example and head, over the keys that `attend` lets a query look at. A
/// query that looks at none gives 0.
///
/// # Shapes
/// `query` is `[n, q, heads·p]`, `key` and `value` `[n, t, key_heads·p]`, the heads side by side, q ≤ t for [`Reach::Past`]; the result is
/// `[n, q, heads·p]`; `attend.lengths` has n entries between 1 and t; `mask` has one entry a weight, `[n, heads, q, t]`:
/// dropout on the softmax, or none of it.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    attend: Attend,
    mask: Option<Mask>,
) -> Tensor<3> {
    let [_, q, _] = query.dims();
    let [_, t, _] = key.dims();
    let everything = attend.reach == Reach::Everything && attend.lengths.is_none();
    if everything && attend.heads == attend.key_heads && mask.is_none() && q * t >= LONG {
        return on_host!(
            &query,
            blocks(query, key, value, attend.heads),
            composed(query, key, value, attend, mask)
        );
    }
    on_host!(
        &query,
        fused(query, key, value, attend, mask),
        composed(query, key, value, attend, mask)
    )
}

fn composed(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    attend: Attend,
    mask: Option<Mask>,
) -> Tensor<3> {
    let [n, t, _] = key.dims();
    let [_, q, width] = query.dims();
    let Attend {
        heads, key_heads, ..
    } = attend;
    let (part, group) = (width / heads, heads / key_heads);
    let split = |x: Tensor<3>| -> Tensor<4> {
        let x = x.reshape([n, t, key_heads, part]).swap_dims(1, 2);
        if group == 1 {
            return x;
        }
        x.unsqueeze_dim::<5>(2)
            .expand([n, key_heads, group, t, part])
            .reshape([n, heads, t, part])
    };
    let query: Tensor<4> = query.reshape([n, q, heads, part]).swap_dims(1, 2);
    let mut scores =
        query.matmul(split(key).swap_dims(2, 3)) * (heads as f64 / width as f64).sqrt();
    let device = scores.clone().inner().device();
    let seen = (attend.lengths.is_some() || attend.reach != Reach::Everything).then(|| {
        let rows = (0..n).flat_map(|index| {
            let length = attend.lengths.map_or(t, |lengths| lengths[index]);
            (0..q).map(move |row| attend.reach.keys(row, [q, t], length))
        });
        let seen =
            rows.flat_map(|keys| (0..t).map(move |j| f32::from(u8::from(keys.contains(&j)))));
        let seen = TensorData::new(seen.collect::<Vec<f32>>(), [n, 1, q, t]);
        Tensor::<4>::from_data(seen, &device).cast(scores.dtype())
    });
    if let Some(seen) = &seen {
        scores = scores + (seen.clone() - 1.0) * 1e9;
    }
    let mut weights = activation::softmax(scores, 3);
    if let Some(seen) = seen {
        weights = weights * seen;
    }
    if let Some(mask) = mask {
        let factors = Tensor::<1>::from_floats(mask.factors().as_slice(), &device);
        let dims = weights.dims();
        weights = weights.clone() * factors.cast(weights.dtype()).reshape(dims);
    }
    weights
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([n, q, width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use rand::RngExt;

    use std::ops::Range;

    use super::*;
    use crate::device::DeviceChoice;
    use crate::random;

    #[test]
    fn agrees_with_the_composed_operation_and_its_gradients() {
        let inner = DeviceChoice::Flex.inner();
        let mut rng = random::rng(1, "attention", "test");
        let past = |window| Reach::Past { window };
        for (n, q, t, heads, key_heads, part, reach) in [
            (1, 1, 1, 1, 1, 1, Reach::Everything),
            (3, 7, 7, 2, 2, 5, Reach::Everything),
            (4, 1, 9, 3, 3, 8, Reach::Everything),
            (4, 33, 33, 3, 3, 8, Reach::Everything),
            (2, 6, 6, 4, 2, 5, Reach::Everything),
            // weights that are not kept, in five blocks of queries
            (2, 1040, 1030, 2, 2, 4, Reach::Everything),
            (3, 9, 9, 2, 2, 4, past(None)),
            (3, 33, 33, 6, 2, 4, past(None)),
            (2, 3, 8, 3, 1, 4, past(None)),
            (3, 12, 12, 4, 2, 4, past(Some(5))),
            (2, 2, 7, 2, 1, 4, past(Some(3))),
        ] {
            let (width, key_width) = (heads * part, key_heads * part);
            let mut draw = |t: usize, width: usize| -> TensorData {
                let values: Vec<f32> = (0..n * t * width)
                    .map(|_| rng.random::<f32>() * 4.0 - 2.0)
                    .collect();
                TensorData::new(values, [n, t, width])
            };
            let data = [
                draw(q, width),
                draw(t, key_width),
                draw(t, key_width),
                draw(q, width),
            ];
            let some: Vec<usize> = (0..n).map(|index| 1 + (index * 5) % t).collect();
            let dropped = Mask::draw(
                n * heads * q * t,
                0.3,
                &mut random::rng(2, "attention", "mask"),
            );
            let cases = [None, Some(some.as_slice())];
            let cases = cases.map(|lengths| [(lengths, None), (lengths, Some(&dropped))]);
            for (lengths, mask) in cases.into_iter().flatten() {
                let attend = Attend {
                    heads,
                    key_heads,
                    lengths,
                    reach,
                };
                type Operation =
                    fn(Tensor<3>, Tensor<3>, Tensor<3>, Attend, Option<Mask>) -> Tensor<3>;
                let run = |operation: Operation| -> Vec<Vec<f32>> {
                    let [q, k, v] = [0, 1, 2].map(|index| {
                        Tensor::<3>::from_data(data[index].clone(), &inner)
                            .autodiff()
                            .require_grad()
                    });
                    let out = operation(q.clone(), k.clone(), v.clone(), attend, mask.cloned());
                    let grads = (out.clone() * Tensor::from_data(data[3].clone(), &inner))
                        .sum()
                        .backward();
                    [
                        out.inner(),
                        q.grad(&grads).expect("a leaf"),
                        k.grad(&grads).expect("a leaf"),
                        v.grad(&grads).expect("a leaf"),
                    ]
                    .map(|tensor| tensor.into_data().try_to_vec().expect("f32"))
                    .into()
                };
                for (fused, composed) in run(attention).iter().zip(&run(composed)) {
                    assert!(fused.iter().any(|&value| value != 0.0) || t == 1);
                    for (fused, composed) in fused.iter().zip(composed) {
                        // sums of t terms of size ~4·width·scale, of every head that shares them
                        let terms = t * part * (heads / key_heads);
                        assert!(
                            (fused - composed).abs() <= 40.0 * f32::EPSILON * terms as f32,
                            "{fused} against {composed}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_query_looks_at_its_past_within_the_window_and_the_length() {
        let all = |reach: Reach, q, t, length| -> Vec<Range<usize>> {
            (0..q).map(|row| reach.keys(row, [q, t], length)).collect()
        };
        let past = |window| Reach::Past { window };
        assert_eq!(all(Reach::Everything, 2, 3, 2), [0..2, 0..2]);
        assert_eq!(all(past(None), 3, 3, 3), [0..1, 0..2, 0..3]);
        assert_eq!(all(past(None), 3, 3, 2), [0..1, 0..2, 0..2]);
        assert_eq!(all(past(None), 2, 5, 5), [0..4, 0..5]);
        assert_eq!(all(past(Some(2)), 4, 4, 4), [0..1, 0..2, 1..3, 2..4]);
        // positions 2 and 3 are padding; the window of the last no longer reaches what is real
        assert_eq!(all(past(Some(2)), 4, 4, 2), [0..1, 0..2, 1..2, 2..2]);
    }
}
