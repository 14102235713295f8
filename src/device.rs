//! Where tensors live: every device of the deep-learning framework is made here.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::input::quote;

/// A device that this build has, as given by `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The pure-Rust CPU device; needs nothing installed.
    #[default]
    Flex,
    /// libtorch on the CPU.
    #[cfg(feature = "libtorch")]
    LibTorch,
    /// libtorch on the NVIDIA GPU with this index.
    #[cfg(feature = "libtorch")]
    Cuda(usize),
}

/// What `--device` may be in this build.
#[cfg(not(feature = "libtorch"))]
const DEVICES: &str = "flex";
/// What `--device` may be in this build.
#[cfg(feature = "libtorch")]
const DEVICES: &str = "flex, libtorch, cuda:N";

/// Why a `--device` cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// A known device that was not compiled in.
    #[error(
        "device `{0}` is not in this build; it has: {DEVICES}. Build with `--features libtorch` for libtorch and cuda:N (docs/models.md)"
    )]
    NotBuilt(String),
    /// No such device.
    #[error("unknown device `{}`; this build has: {DEVICES}", quote(.0))]
    Unknown(String),
    /// Not an amount of memory.
    #[error(
        "INFBENCH_GPU_MEMORY is `{0}`; allowed: the GiB of the GPU's memory that activations may take, a number above 0"
    )]
    Memory(String),
    /// A GPU that is not there.
    #[error("device `cuda:{index}` is not here: {found}; use --device libtorch or --device flex")]
    NoGpu {
        /// Index asked for.
        index: usize,
        /// What there is.
        found: String,
    },
}

impl DeviceChoice {
    /// The device for tensors without gradients.
    #[cfg_attr(
        feature = "libtorch",
        expect(
            deprecated,
            reason = "there is no other way to a GPU without a download at build time"
        )
    )]
    pub fn inner(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "libtorch")]
            Self::LibTorch => {
                // pieces of work run side by side on our own threads, each product on one of them
                static ONCE: std::sync::Once = std::sync::Once::new();
                ONCE.call_once(|| tch::set_num_threads(1));
                Device::libtorch()
            }
            #[cfg(feature = "libtorch")]
            Self::Cuda(index) => Device::libtorch_cuda(index),
        }
    }

    /// Every device of this build whose tensors lie in this program's memory.
    pub fn in_memory() -> Vec<Self> {
        vec![
            Self::Flex,
            #[cfg(feature = "libtorch")]
            Self::LibTorch,
        ]
    }

    /// The same device with automatic differentiation.
    pub fn autodiff(self) -> Device {
        self.inner().autodiff()
    }
}

/// Bytes of a GPU's memory that the activations of a pass may take, about: `INFBENCH_GPU_MEMORY` GiB, by default 8.
/// The framework cannot be asked how much there is.
pub fn gpu_memory() -> u64 {
    memory_setting().unwrap_or(DEFAULT_GPU_MEMORY)
}

const DEFAULT_GPU_MEMORY: u64 = 8 << 30;

/// Bytes of memory of the smallest NVIDIA GPU here, as its driver's `nvidia-smi` tells; `None` without one.
pub fn gpu_capacity() -> Option<u64> {
    let query = ["--query-gpu=memory.total", "--format=csv,noheader,nounits"];
    let told = std::process::Command::new("nvidia-smi")
        .args(query)
        .output();
    smallest_gpu(&String::from_utf8_lossy(&told.ok()?.stdout))
}

/// Bytes from lines of MiB.
fn smallest_gpu(text: &str) -> Option<u64> {
    let sizes = text
        .lines()
        .filter_map(|line| line.trim().parse::<u64>().ok());
    sizes.min().map(|mebibytes| mebibytes << 20)
}

fn memory_setting() -> Result<u64, DeviceError> {
    let Ok(text) = std::env::var("INFBENCH_GPU_MEMORY") else {
        return Ok(DEFAULT_GPU_MEMORY);
    };
    memory(&text).ok_or(DeviceError::Memory(text))
}

/// Bytes from GiB.
fn memory(text: &str) -> Option<u64> {
    let gib: f64 = text.trim().parse().ok()?;
    (gib.is_finite() && gib > 0.0).then_some((gib * (1u64 << 30) as f64) as u64)
}

/// Whether the GPU with this index can be used.
#[cfg(feature = "libtorch")]
fn gpu(index: usize) -> Result<DeviceChoice, DeviceError> {
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    let found = if !tch::Cuda::is_available() || count == 0 {
        "libtorch sees no NVIDIA GPU (or was built for the CPU alone)".to_owned()
    } else if index >= count {
        format!("there are {count} GPUs, the last is cuda:{}", count - 1)
    } else {
        return memory_setting().map(|_| DeviceChoice::Cuda(index));
    };
    Err(DeviceError::NoGpu { index, found })
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => f.write_str("flex"),
            #[cfg(feature = "libtorch")]
            Self::LibTorch => f.write_str("libtorch"),
            #[cfg(feature = "libtorch")]
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::named(text)? {
            #[cfg(feature = "libtorch")]
            Self::Cuda(index) => gpu(index),
            device => Ok(device),
        }
    }
}

impl DeviceChoice {
    /// A device of this build, which need not be here: for work that is done elsewhere.
    ///
    /// # Errors
    /// One that this build does not have.
    pub fn named(text: &str) -> Result<Self, DeviceError> {
        let gpu_index = text
            .strip_prefix("cuda:")
            .and_then(|index| index.parse::<usize>().ok());
        match (text, gpu_index) {
            ("flex", _) => Ok(Self::Flex),
            #[cfg(feature = "libtorch")]
            ("libtorch", _) => Ok(Self::LibTorch),
            #[cfg(feature = "libtorch")]
            (_, Some(index)) => Ok(Self::Cuda(index)),
            #[cfg(not(feature = "libtorch"))]
            ("libtorch", _) | (_, Some(_)) => Err(DeviceError::NotBuilt(text.to_owned())),
            _ => Err(DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(device: DeviceChoice) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_number_of_gibibytes() {
        assert_eq!(memory("8"), Some(DEFAULT_GPU_MEMORY));
        assert_eq!(memory(" 0.5 "), Some(1 << 29));
        for wrong in ["", "8 GiB", "0", "-1", "nan", "inf"] {
            assert_eq!(memory(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_smallest_gpu_counts() {
        assert_eq!(smallest_gpu("81559\n24564\n"), Some(24_564 << 20));
        for none in ["", "No devices were found\n", "[N/A]\n"] {
            assert_eq!(smallest_gpu(none), None, "{none}");
        }
    }

    #[test]
    fn devices_are_parsed_and_missing_ones_named() {
        assert_eq!("flex".parse(), Ok(DeviceChoice::Flex));
        assert_eq!(DeviceChoice::Flex.to_string(), "flex");
        #[cfg(not(feature = "libtorch"))]
        for missing in ["libtorch", "cuda:0"] {
            assert_eq!(
                missing.parse::<DeviceChoice>(),
                Err(DeviceError::NotBuilt(missing.into()))
            );
        }
        #[cfg(feature = "libtorch")]
        {
            assert_eq!("libtorch".parse(), Ok(DeviceChoice::LibTorch));
            let far = "cuda:4096".parse::<DeviceChoice>().unwrap_err();
            assert!(
                matches!(far, DeviceError::NoGpu { index: 4096, .. }),
                "{far}"
            );
        }
        assert_eq!(
            "cuda:x".parse::<DeviceChoice>(),
            Err(DeviceError::Unknown("cuda:x".into()))
        );
        assert!(DeviceChoice::Flex.autodiff().is_autodiff());
        assert!(!DeviceChoice::Flex.inner().is_autodiff());
    }
}
