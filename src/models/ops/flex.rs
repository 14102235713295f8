//! The pure-Rust device's memory.

use std::mem::MaybeUninit;

use burn::tensor::{Bytes, DType, Shape};
use burn_dispatch::backends::flex::{Flex, FlexTensor, Layout};
use burn_dispatch::{BackendTensor, DispatchTensorKind};

use super::gemm::{self, Matrix};
use super::host::Host;

impl Host for Flex {
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>> {
        match kind {
            DispatchTensorKind::Flex(tensor) => Some(tensor),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Flex(tensor)
    }

    fn contiguous(tensor: &FlexTensor) -> FlexTensor {
        tensor.to_contiguous()
    }

    fn slice(tensor: &FlexTensor) -> &[f32] {
        tensor
            .as_slice()
            .expect("inputs are made contiguous and are f32")
    }

    fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
        tensor.storage_mut()
    }

    unsafe fn create(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> FlexTensor {
        // SAFETY: as the caller says.
        let values = unsafe { gemm::buffer(shape.num_elements(), fill) };
        FlexTensor::new(
            Bytes::from_elems(values),
            Layout::contiguous(shape),
            DType::F32,
        )
    }

    fn gemm(
        dims: [usize; 3],
        out: &mut [MaybeUninit<f32>],
        lhs: Matrix,
        rhs: Matrix,
        accumulate: bool,
    ) {
        gemm::gemm(dims, out, dims[1], lhs, rhs, accumulate);
    }
}
