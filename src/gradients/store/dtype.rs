//! Element types that a store can hold, and their conversion to the types that products are taken in.

use half::{bf16, f16};

use crate::gradients::settings::GradientType;

#[cfg(target_endian = "big")]
compile_error!(
    "safetensors are little-endian and are viewed in place: a big-endian machine needs a copying reader"
);

/// Element type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F16,
    Bf16,
    F32,
    F64,
}

impl Dtype {
    /// The supported types of the file format.
    pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// Size of one number, bytes.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The type that such numbers are written in.
    pub(super) fn kept(self) -> GradientType {
        match self {
            Self::F16 => GradientType::F16,
            Self::Bf16 => GradientType::Bf16,
            Self::F32 | Self::F64 => GradientType::F32,
        }
    }

    /// Its name in the file format.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
        }
    }

    /// Numbers → little-endian bytes, rounded to the nearest.
    pub(super) fn encode(self, values: &[f32], out: &mut [u8]) {
        fn each<const N: usize>(values: &[f32], out: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
            for (out, value) in out.as_chunks_mut::<N>().0.iter_mut().zip(values) {
                *out = convert(*value);
            }
        }
        match self {
            Self::F16 => each(values, out, |v| f16::from_f32(v).to_le_bytes()),
            Self::Bf16 => each(values, out, |v| bf16::from_f32(v).to_le_bytes()),
            Self::F32 => each(values, out, f32::to_le_bytes),
            Self::F64 => each(values, out, |v| f64::from(v).to_le_bytes()),
        }
    }

    /// Little-endian bytes → numbers; `bytes` may be unaligned.
    pub(super) fn decode<T: Real>(self, bytes: &[u8], out: &mut [T]) {
        fn each<const N: usize, T>(bytes: &[u8], out: &mut [T], convert: impl Fn([u8; N]) -> T) {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
                *out = convert(*bytes);
            }
        }
        match self {
            Self::F16 => each(bytes, out, |b| T::of_f32(widened(u16::from_le_bytes(b)))),
            Self::Bf16 => each(bytes, out, |b| T::of_f32(bf16::from_le_bytes(b).to_f32())),
            Self::F32 => each(bytes, out, |b| T::of_f32(f32::from_le_bytes(b))),
            Self::F64 => each(bytes, out, |b| T::of_f64(f64::from_le_bytes(b))),
        }
    }
}

/// Half precision → single, exactly, in integer operations that are vectorised: `half` converts one number at a time by
/// a call, many times slower.
#[inline(always)]
fn widened(half: u16) -> f32 {
    let size = u32::from(half & 0x7fff);
    let bits = if size >= 0x7c00 {
        // infinities and NaN
        0x7f80_0000 | (size << 13)
    } else if size >= 0x400 {
        // the exponent's bias is 127 there and 15 here
        (size << 13) + (112 << 23)
    } else {
        // multiples of 2⁻²⁴
        (size as f32 * f32::from_bits((127 - 24) << 23)).to_bits()
    };
    f32::from_bits(bits | (u32::from(half & 0x8000) << 16))
}

impl From<GradientType> for Dtype {
    fn from(dtype: GradientType) -> Self {
        match dtype {
            GradientType::F32 => Self::F32,
            GradientType::F16 => Self::F16,
            GradientType::Bf16 => Self::Bf16,
        }
    }
}

/// A type that products are taken in.
pub trait Real: bytemuck::Pod + Send + Sync {
    /// From single precision.
    fn of_f32(value: f32) -> Self;
    /// From double precision.
    fn of_f64(value: f64) -> Self;
    /// Single-precision numbers seen as this type, when they are this type.
    fn view(values: &[f32]) -> Option<&[Self]>;
}

impl Real for f32 {
    fn of_f32(value: f32) -> Self {
        value
    }
    fn of_f64(value: f64) -> Self {
        value as f32
    }
    fn view(values: &[f32]) -> Option<&[Self]> {
        Some(values)
    }
}

impl Real for f64 {
    fn of_f32(value: f32) -> Self {
        f64::from(value)
    }
    fn of_f64(value: f64) -> Self {
        value
    }
    fn view(_: &[f32]) -> Option<&[Self]> {
        None
    }
}

/// f32 → `T`, one to one.
pub(super) fn widen<T: Real>(values: &[f32], out: &mut [T]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = T::of_f32(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (widened(bits), f16::from_bits(bits).to_f32());
            assert!(
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                "{bits:#x}: {found} for {expected}"
            );
        }
    }
}
