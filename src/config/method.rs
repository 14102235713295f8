//! A method with its options, as written: `NAME[:key=value,...]`.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A method and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MethodSpec {
    /// The very string given; names the method in results and files.
    pub label: String,
}

impl FromStr for MethodSpec {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { label: text.to_owned() })
    }
}
