//! Where tensors live: every device of the deep-learning framework is made here.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A device that this build has, as given by `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The pure-Rust CPU device; needs nothing installed.
    #[default]
    Flex,
}

/// Why a `--device` cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// A known device that was not compiled in.
    #[error("device `{0}` is not in this build; it has: flex")]
    NotBuilt(String),
    /// No such device.
    #[error("unknown device `{0}`; this build has: flex")]
    Unknown(String),
}

impl DeviceChoice {
    /// The device for tensors without gradients.
    pub fn inner(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
        }
    }

    /// The same device with automatic differentiation.
    pub fn autodiff(self) -> Device {
        self.inner().autodiff()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flex => "flex",
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "flex" => Ok(Self::Flex),
            "libtorch" => Err(DeviceError::NotBuilt(text.to_owned())),
            _ if text
                .strip_prefix("cuda:")
                .is_some_and(|index| index.parse::<usize>().is_ok()) =>
            {
                Err(DeviceError::NotBuilt(text.to_owned()))
            }
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
    fn devices_are_parsed_and_missing_ones_named() {
        assert_eq!("flex".parse(), Ok(DeviceChoice::Flex));
        assert_eq!(DeviceChoice::Flex.to_string(), "flex");
        for missing in ["libtorch", "cuda:0"] {
            assert_eq!(
                missing.parse::<DeviceChoice>(),
                Err(DeviceError::NotBuilt(missing.into()))
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
