//! A whole encoder layer with constant weights as one operation: what per-example gradients and
//! evaluation need, without a graph of small operations.
//!
//! x₁ = LN(attention(x) Wₒᵀ + bₒ + x), out = LN(GELU(x₁ W₁ᵀ + b₁) W₂ᵀ + b₂ + x₁), as in BERT. The backward
//! pass gives the gradient of the input only; on its way the gradients δ at the outputs of chosen
//! matrices are left in [`Taps`]. Biases, residuals, GELU and normalisation are one pass over each row
//! while it is in the cache; gradients that meet are added up inside the matrix products.

mod backward;
mod forward;
mod kernels;
mod state;

use burn::tensor::{Shape, Tensor};

use super::host::{self, Host, Input, on_host};
use backward::Backward;
use forward::forward;
pub use state::{FrozenLayer, Taps};
use state::{Sizes, Weights};

/// What a layer gives.
pub struct Output {
    /// `[n, t, h]`, or `[n, 1, h]` when only the first position was asked for.
    pub out: Tensor<3>,
    /// Inputs of the six matrices, for those that were asked for.
    pub inputs: [Option<Tensor<3>>; 6],
    /// Where their δ will be.
    pub taps: Taps,
}

/// The layer on `x` `[n, t, h]`, with attention to the first `lengths[i]` positions of example i only; for
/// the first position alone with `first`. `tapped` says of which matrices inputs and δ are wanted.
///
/// # Panics
/// Where the tensors are out of this program's memory, see [`super::in_memory`].
pub fn encoder_layer(
    x: Tensor<3>,
    layer: &FrozenLayer,
    lengths: Option<&[usize]>,
    first: bool,
    tapped: [bool; 6],
) -> Output {
    on_host!(
        &x,
        fused(x, layer, lengths, first, tapped),
        unreachable!("asked for before")
    )
}

fn fused<B: Host>(
    x: Tensor<3>,
    layer: &FrozenLayer,
    lengths: Option<&[usize]>,
    first: bool,
    tapped: [bool; 6],
) -> Output {
    let [n, t, h] = x.dims();
    let sizes = Sizes {
        n,
        q: if first { 1 } else { t },
        t,
        h,
        f: layer.matrices[4].1.dims()[0],
        heads: layer.heads,
        lengths: lengths.map_or_else(|| vec![t; n], <[usize]>::to_vec),
    };
    let weights = Weights::<B>::new(layer);
    let bottom = tapped.contains(&true) && !x.is_autodiff();
    let x = if bottom {
        x.autodiff().require_grad()
    } else {
        x
    };
    let input = Input::<B>::new(x);
    let x = input.value();
    let (out, saved) = forward::<B>(&x, &weights, &sizes);
    let tensor = |values: &[f32], rows: usize| {
        let shape = Shape::from(vec![n, rows, values.len() / (n * rows).max(1)]);
        host::constant::<B, 3>(host::from_slice::<B>(values, shape))
    };
    let sources: [(&[f32], usize); 6] = [
        (saved.asking.as_deref().unwrap_or(B::slice(&x)), sizes.q),
        (B::slice(&x), t),
        (B::slice(&x), t),
        (&saved.context, sizes.q),
        (&saved.middle, sizes.q),
        (&saved.wide, sizes.q),
    ];
    let inputs = std::array::from_fn(|site| {
        tapped[site].then(|| match site {
            0 if !first => host::constant::<B, 3>(x.clone()),
            1 | 2 => host::constant::<B, 3>(x.clone()),
            _ => tensor(sources[site].0, sources[site].1),
        })
    });
    let taps = Taps::default();
    let vjp = Backward::<B> {
        weights,
        sizes,
        saved,
        tapped,
        bottom,
        taps: taps.clone(),
    };
    Output {
        out: host::output([input], out, vjp),
        inputs,
        taps,
    }
}
