//! libtorch's memory on the CPU, and its matrix product.
//!
//! Only what passes through large matrices is libtorch's here (its GEMM is the fastest known on most
//! processors); the elementwise kernels are the same as on the pure-Rust device, where each is one pass
//! over memory that libtorch, taken operation by operation, needs several for.

use std::mem::MaybeUninit;

use burn::tensor::Shape;
use burn_dispatch::backends::LibTorch;
use burn_dispatch::backends::libtorch::TchTensor;
use burn_dispatch::{BackendTensor, DispatchTensorKind};
use tch::{Device, Kind, Tensor};

use super::gemm::{self, Matrix};
use super::host::Host;

impl Host for LibTorch {
    fn open(kind: DispatchTensorKind) -> Option<BackendTensor<Self>> {
        match kind {
            DispatchTensorKind::LibTorch(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn close(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::LibTorch(tensor)
    }

    fn contiguous(tensor: &TchTensor) -> TchTensor {
        TchTensor::from_existing(tensor.tensor.contiguous(), tensor.storage.clone())
    }

    fn slice(tensor: &TchTensor) -> &[f32] {
        let count = tensor.tensor.numel();
        if count == 0 {
            return &[];
        }
        // SAFETY: inputs are made contiguous, are f32 and on the CPU, so that their numbers lie side by
        // side from the data pointer on; the tensor keeps them alive while it is borrowed.
        unsafe { std::slice::from_raw_parts(tensor.tensor.data_ptr().cast::<f32>(), count) }
    }

    fn slice_mut(tensor: &mut TchTensor) -> &mut [f32] {
        if !tensor.can_mut() {
            *tensor = TchTensor::new(tensor.tensor.copy());
        }
        let count = tensor.tensor.numel();
        if count == 0 {
            return &mut [];
        }
        // SAFETY: as above, and nobody shares the numbers.
        unsafe { std::slice::from_raw_parts_mut(tensor.tensor.data_ptr().cast::<f32>(), count) }
    }

    unsafe fn create(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> TchTensor {
        let dims: Vec<i64> = shape.iter().map(|&dim| dim as i64).collect();
        let count = shape.num_elements();
        let tensor = Tensor::empty(dims, (Kind::Float, Device::Cpu));
        if count > 0 {
            // SAFETY: a fresh tensor holds `count` numbers from its data pointer on and is shared with nobody.
            fill(unsafe {
                std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<MaybeUninit<f32>>(), count)
            });
        }
        TchTensor::new(tensor)
    }

    fn gemm(
        [m, n, k]: [usize; 3],
        out: &mut [MaybeUninit<f32>],
        lhs: Matrix,
        rhs: Matrix,
        accumulate: bool,
    ) {
        gemm::check([m, n, k], out.len(), n, lhs, rhs);
        let view = |data: *const f32, dims: [usize; 2], strides: [usize; 2]| {
            // SAFETY: the check keeps every element within its slice, which outlives the view.
            unsafe {
                Tensor::from_blob(
                    data.cast(),
                    &dims.map(|dim| dim as i64),
                    &strides.map(|stride| stride as i64),
                    Kind::Float,
                    Device::Cpu,
                )
            }
        };
        let lhs = view(lhs.data.as_ptr(), [m, k], [lhs.rows, lhs.cols]);
        let rhs = view(rhs.data.as_ptr(), [k, n], [rhs.rows, rhs.cols]);
        let mut out = view(out.as_mut_ptr().cast_const().cast(), [m, n], [n, 1]);
        if accumulate {
            let _ = out.addmm_(&lhs, &rhs);
        } else {
            let _ = lhs.mm_out(&out, &rhs);
        }
    }
}
