//! The door to the CPU device's buffers, and the recording of a fused operation for the backward pass.

use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_backend::tensor::FloatTensor;
use burn_dispatch::backends::Autodiff;
use burn_dispatch::backends::autodiff::checkpoint::base::Checkpointer;
use burn_dispatch::backends::autodiff::checkpoint::strategy::NoCheckpointing;
use burn_dispatch::backends::autodiff::grads::Gradients;
use burn_dispatch::backends::autodiff::ops::{Backward, Ops, OpsKind};
use burn_dispatch::backends::flex::{Flex, FlexTensor, Layout};
use burn_dispatch::{
    BackendTensor, DispatchAutodiffContext, DispatchDevice, DispatchTensor, DispatchTensorKind,
};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

type Tracked = FloatTensor<Autodiff<Flex>>;

/// Whether a tensor holds f32 numbers on the CPU device, with or without automatic differentiation.
pub fn here<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn is_flex(device: &DispatchDevice) -> bool {
        match device {
            DispatchDevice::Flex(_) => true,
            DispatchDevice::Autodiff(device) => is_flex(device),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
    tensor.dtype() == DType::F32 && is_flex(tensor.device().as_dispatch())
}

/// An input of a fused operation: numbers, and the graph they hang on, if any.
pub enum Input {
    /// No gradient flows here.
    Constant(FlexTensor),
    /// Part of a graph.
    Tracked(Tracked),
}

impl Input {
    /// Takes a tensor apart, for which [`here`] has said yes.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        match tensor.into_dispatch().kind {
            DispatchTensorKind::Flex(BackendTensor::Float(value)) => Self::Constant(value),
            DispatchTensorKind::Autodiff(kind) => match *kind {
                DispatchTensorKind::Flex(BackendTensor::Autodiff(value)) => Self::Tracked(value),
                _ => unreachable!("`here` admits float tensors of the CPU device only"),
            },
            #[allow(unreachable_patterns)]
            _ => unreachable!("`here` admits float tensors of the CPU device only"),
        }
    }

    /// The numbers, row-major and contiguous.
    pub fn value(&self) -> FlexTensor {
        match self {
            Self::Constant(value) => value.to_contiguous(),
            Self::Tracked(tensor) => tensor.primitive().to_contiguous(),
        }
    }

    /// Whether a gradient flows here.
    pub fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(tensor) if tensor.is_tracked())
    }

    fn into_tracked(self) -> Tracked {
        match self {
            Self::Constant(value) => Tracked::new(value),
            Self::Tracked(tensor) => tensor,
        }
    }
}

/// The backward pass of a fused operation with `N` inputs.
pub trait Vjp<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// Gradients of the inputs from the gradient of the output; only those that are `wanted`.
    fn backward(self, grad: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N];
}

#[derive(Debug)]
struct Step<V>(std::marker::PhantomData<V>);

impl<const N: usize, V: Vjp<N> + Sync> Backward<Flex, N> for Step<V> {
    type State = V;

    fn backward(self, ops: Ops<V, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, grad) in ops
            .parents
            .into_iter()
            .zip(ops.state.backward(grad, wanted))
        {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<Flex>(parent.id, grad);
            }
        }
    }
}

/// The output of a fused operation as a tensor; `vjp` is recorded when a gradient flows into an input.
pub fn output<const N: usize, const D: usize, V: Vjp<N> + Sync>(
    inputs: [Input; N],
    output: FlexTensor,
    vjp: V,
) -> Tensor<D> {
    if !inputs.iter().any(Input::is_tracked) {
        return constant(output);
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
        kind: DispatchTensorKind::Autodiff(Box::new(DispatchTensorKind::Flex(
            BackendTensor::Autodiff(output),
        ))),
        autodiff: DispatchAutodiffContext::Enabled(Default::default()),
    })
}

/// A tensor outside any graph.
pub fn constant<const D: usize>(value: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(value)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// The numbers of a contiguous f32 tensor.
pub fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("inputs are made contiguous and are f32")
}

/// A buffer of `shape`.
pub fn buffer(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// A strided matrix: element (i, j) is `data[i·rows + j·cols]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Numbers, from the first element on.
    pub data: &'a [f32],
    /// Distance between rows.
    pub rows: usize,
    /// Distance between columns.
    pub cols: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major with `width` columns.
    pub fn row_major(data: &'a [f32], width: usize) -> Self {
        Self {
            data,
            rows: width,
            cols: 1,
        }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
        }
    }

    fn covers(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.rows + (cols - 1) * self.cols < self.data.len()
    }
}

/// Products below this many multiplications stay on one thread.
const PARALLEL: usize = 192 * 192 * 192;

/// `out = lhs · rhs`, or `out += lhs · rhs` with `accumulate`; `out` is `m × n` with rows `stride` apart.
///
/// By faer, which was measured at one and a half times the speed of the device's own product.
pub fn gemm(
    [m, n, k]: [usize; 3],
    out: &mut [f32],
    stride: usize,
    lhs: Matrix,
    rhs: Matrix,
    accumulate: bool,
) {
    assert!(
        lhs.covers(m, k)
            && rhs.covers(k, n)
            && Matrix::row_major(out, stride).covers(m, n)
            && stride >= n,
        "a matrix product within its buffers"
    );
    let parallelism = if m * n * k >= PARALLEL && rayon::current_num_threads() > 1 {
        Par::rayon(0)
    } else {
        Par::Seq
    };
    let accumulate = if accumulate {
        Accum::Add
    } else {
        Accum::Replace
    };
    // SAFETY: the assertion above keeps every element of the three matrices within its slice, and
    // `stride >= n` keeps the rows of the output apart.
    unsafe {
        let lhs = MatRef::from_raw_parts(
            lhs.data.as_ptr(),
            m,
            k,
            lhs.rows as isize,
            lhs.cols as isize,
        );
        let rhs = MatRef::from_raw_parts(
            rhs.data.as_ptr(),
            k,
            n,
            rhs.rows as isize,
            rhs.cols as isize,
        );
        let out = MatMut::from_raw_parts_mut(out.as_mut_ptr(), m, n, stride as isize, 1);
        matmul(out, accumulate, lhs, rhs, 1.0, parallelism);
    }
}
