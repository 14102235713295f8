//! Devices whose tensors lie in this program's memory, and the recording of a fused operation for the
//! backward pass.

use std::mem::MaybeUninit;

use burn::tensor::{DType, Device, Shape, Tensor};
use burn_backend::Backend;
use burn_backend::tensor::FloatTensor;
use burn_dispatch::backends::Autodiff;
use burn_dispatch::backends::autodiff::checkpoint::base::Checkpointer;
use burn_dispatch::backends::autodiff::checkpoint::strategy::NoCheckpointing;
use burn_dispatch::backends::autodiff::grads::Gradients;
use burn_dispatch::backends::autodiff::ops::{Backward, Ops, OpsKind};
use burn_dispatch::{
    BackendTensor, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind,
};

use super::gemm::{Matrix, buffer};

/// A device whose f32 tensors can be read and written as slices.
pub trait Host: Backend {
    /// The tensor of this device in `kind`, if it is one.
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>>;

    /// The way back of [`Self::open`].
    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind;

    /// The numbers row-major and without gaps; the same tensor when they are so already.
    fn contiguous(tensor: &FloatTensor<Self>) -> FloatTensor<Self>;

    /// The numbers of a contiguous f32 tensor.
    fn slice(tensor: &FloatTensor<Self>) -> &[f32];

    /// The same for writing; copies the numbers first when another tensor shares them.
    fn slice_mut(tensor: &mut FloatTensor<Self>) -> &mut [f32];

    /// A tensor of `shape` whose numbers `fill` writes.
    ///
    /// # Safety
    /// `fill` writes every one of them.
    unsafe fn create(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>]))
    -> FloatTensor<Self>;

    /// `out = lhs · rhs`, or `out += lhs · rhs` with `accumulate`; `out` is `m × n` with rows `n` apart.
    fn gemm(
        dims: [usize; 3],
        out: &mut [MaybeUninit<f32>],
        lhs: Matrix,
        rhs: Matrix,
        accumulate: bool,
    );
}

type Tracked<B> = FloatTensor<Autodiff<B>>;

/// Where a tensor lies, for the choice of an implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the pure-Rust device.
    Flex,
    /// In the memory of libtorch on the CPU.
    #[cfg(feature = "libtorch")]
    LibTorch,
    /// Out of reach: on a GPU, or not f32.
    Elsewhere,
}

/// libtorch's backend, which burn calls deprecated, by a name of ours.
#[cfg(feature = "libtorch")]
#[expect(
    deprecated,
    reason = "there is no other way to a GPU without a download at build time"
)]
mod libtorch {
    pub type Backend = burn_dispatch::backends::LibTorch;
    pub const CPU: burn_dispatch::devices::LibTorchDevice =
        burn_dispatch::devices::LibTorchDevice::Cpu;
}
#[cfg(feature = "libtorch")]
pub(super) use libtorch::Backend as LibTorch;

/// Whether tensors of a device lie in this program's memory.
pub fn in_memory(device: &Device) -> bool {
    of(device.as_dispatch()) != Place::Elsewhere
}

/// Whether tensors of a device lie in libtorch's memory on the CPU.
pub fn by_libtorch(device: &Device) -> bool {
    !matches!(of(device.as_dispatch()), Place::Flex | Place::Elsewhere)
}

fn of(device: &DispatchDevice) -> Place {
    match device {
        DispatchDevice::Flex(_) => Place::Flex,
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(device) if *device == libtorch::CPU => Place::LibTorch,
        DispatchDevice::Autodiff(device) => of(device),
        #[allow(unreachable_patterns)]
        _ => Place::Elsewhere,
    }
}

/// Where a tensor lies, with or without automatic differentiation.
pub fn place<const D: usize>(tensor: &Tensor<D>) -> Place {
    if tensor.dtype() == DType::F32 {
        of(tensor.device().as_dispatch())
    } else {
        Place::Elsewhere
    }
}

/// `on_host!(tensor, fused(arguments), composed)`: `fused::<B>` for the device that `tensor` is on when its
/// memory is within reach, else the value of `composed`. `fused[_]` has more generic parameters.
macro_rules! on_host {
    ($tensor:expr, $fused:ident $([$($extra:tt),+])? ($($argument:expr),* $(,)?), $composed:expr $(,)?) => {
        match $crate::models::ops::host::place($tensor) {
            $crate::models::ops::host::Place::Flex => {
                $fused::<burn_dispatch::backends::Flex $($(, $extra)+)?>($($argument),*)
            }
            #[cfg(feature = "libtorch")]
            $crate::models::ops::host::Place::LibTorch => {
                $fused::<$crate::models::ops::host::LibTorch $($(, $extra)+)?>($($argument),*)
            }
            $crate::models::ops::host::Place::Elsewhere => $composed,
        }
    };
}
pub(super) use on_host;

/// An input of a fused operation: numbers, and the graph they hang on, if any.
pub enum Input<B: Host> {
    /// No gradient flows here.
    Constant(FloatTensor<B>),
    /// Part of a graph.
    Tracked(Tracked<B>),
}

impl<B: Host> Input<B> {
    /// Takes a tensor apart that [`place`] found on `B`.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let found = match tensor.into_dispatch().kind {
            DispatchTensorKind::Autodiff(kind) => B::open(*kind),
            kind => B::open(kind),
        };
        match found {
            Some(BackendTensor::Float(value)) => Self::Constant(value),
            Some(BackendTensor::Autodiff(value)) => Self::Tracked(value),
            _ => unreachable!("`place` admits float tensors of this device only"),
        }
    }

    /// The numbers, row-major and contiguous.
    pub fn value(&self) -> FloatTensor<B> {
        match self {
            Self::Constant(value) => B::contiguous(value),
            Self::Tracked(tensor) => B::contiguous(tensor.primitive()),
        }
    }

    /// Whether a gradient flows here.
    pub fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(tensor) if tensor.is_tracked())
    }

    fn into_tracked(self) -> Tracked<B> {
        match self {
            Self::Constant(value) => Tracked::<B>::new(value),
            Self::Tracked(tensor) => tensor,
        }
    }
}

/// The backward pass of a fused operation with `N` inputs.
pub trait Vjp<B: Host, const N: usize>: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Gradients of the inputs from the gradient of the output; only those that are `wanted`.
    fn backward(self, grad: FloatTensor<B>, wanted: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

#[derive(Debug)]
struct Step<V>(std::marker::PhantomData<V>);

impl<B: Host, const N: usize, V: Vjp<B, N>> Backward<B, N> for Step<V> {
    type State = V;

    fn backward(self, ops: Ops<V, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = B::contiguous(&grads.consume::<B>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, grad) in ops
            .parents
            .into_iter()
            .zip(ops.state.backward(grad, wanted))
        {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

/// The output of a fused operation as a tensor; `vjp` is recorded when a gradient flows into an input.
pub fn output<B: Host, const N: usize, const D: usize, V: Vjp<B, N>>(
    inputs: [Input<B>; N],
    output: FloatTensor<B>,
    vjp: V,
) -> Tensor<D> {
    if !inputs.iter().any(Input::is_tracked) {
        return constant::<B, D>(output);
    }
    let inputs = inputs.map(Input::into_tracked);
    let prepared = Step::<V>(std::marker::PhantomData)
        .prepare::<NoCheckpointing>(inputs.each_ref().map(|input| input.node()))
        .compute_bound();
    let output = match prepared.stateful() {
        OpsKind::Tracked(step) => step.finish(vjp, output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(B::close(BackendTensor::Autodiff(output)))),
        autodiff: DispatchAutodiffContext::Enabled(Default::default()),
    })
}

/// A tensor outside any graph.
pub fn constant<B: Host, const D: usize>(value: FloatTensor<B>) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: B::close(BackendTensor::Float(value)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// A tensor of numbers that are there already, copied.
pub fn from_slice<B: Host>(values: &[f32], shape: Shape) -> FloatTensor<B> {
    // SAFETY: a shorter slice panics, so that all are written.
    unsafe {
        B::create(shape, |out| {
            out.write_copy_of_slice(values);
        })
    }
}

/// `lhs · rhs` in a buffer of its own.
pub fn product<B: Host>([m, n, k]: [usize; 3], lhs: Matrix, rhs: Matrix) -> Vec<f32> {
    // SAFETY: a product that does not accumulate writes all of its output.
    unsafe { buffer(m * n, |out| B::gemm([m, n, k], out, lhs, rhs, false)) }
}
