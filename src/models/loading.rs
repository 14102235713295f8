//! How the weights of a checkpoint are held in memory, and in which precision its products are taken.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compute::Compute;
use super::model::Model;
use super::ops;
use super::weight_bytes::WeightBytes;
use crate::device::gpu_memory;
use crate::input::{Problem, quote};
use crate::measure::machine_memory;

/// Whether the layers of a language model are in memory one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Stream {
    /// `auto`: where the weights in f32 would take more than half of the machine's memory.
    Auto(Auto),
    /// Always, or never.
    Chosen(bool),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// As the machine's memory allows.
    Auto,
}

impl Default for Stream {
    fn default() -> Self {
        Self::Auto(Auto::Auto)
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::default()),
            "true" => Ok(Self::Chosen(true)),
            "false" => Ok(Self::Chosen(false)),
            _ => Err(format!("`{}`; allowed: auto, true, false", quote(text))),
        }
    }
}

/// How the weights of a checkpoint are held and multiplied with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loading {
    /// Whether layers are in memory one at a time.
    pub stream: Stream,
    /// The precision of products.
    pub compute: Compute,
}

impl Loading {
    /// What an architecture that can neither be streamed nor computed in another precision has to say of these settings:
    /// the field, and what is wrong with it.
    pub fn only_for_language_models(self, what: &str) -> Option<(&'static str, Problem)> {
        let wrong = |field, found: String, allowed: &str| {
            let message = format!(
                "{found} is for causal language models (llama, mistral, qwen2, qwen3); the model is {what}. Allowed here: {allowed}"
            );
            Some((field, Problem::new(message)))
        };
        if self.stream == Stream::Chosen(true) {
            return wrong("stream", "true".to_owned(), "auto, false");
        }
        if self.compute != Compute::F32 {
            return wrong("compute", self.compute.to_string(), "f32");
        }
        None
    }
}

/// Where the weights are on a machine, or a GPU, with this memory.
///
/// # Errors
/// What `model.stream` asks for does not fit.
fn residence(bytes: WeightBytes, stream: Stream, memory: Memory) -> Result<Residence, Problem> {
    let gib = |size: u64| size as f64 / (1u64 << 30) as f64;
    let refused = |asked: &str, needed: u64, most: u64, help: &str| {
        Problem::new(format!(
            "{asked}: the weights take {:.1} GiB of memory, and there are {:.1}{help}",
            gib(needed),
            gib(most)
        ))
    };
    let streams = match (stream, memory) {
        (Stream::Chosen(streams), _) => streams,
        (Stream::Auto(_), Memory::Gpu(most)) => bytes.whole() > most,
        (Stream::Auto(_), Memory::Machine(most)) => bytes.whole() > most / 2,
    };
    match (streams, memory) {
        (true, Memory::Machine(most)) if bytes.streamed() > most => Err(refused(
            "streaming layers, of which two are in memory at a time",
            bytes.streamed(),
            most,
            "",
        )),
        (false, Memory::Machine(most)) if bytes.whole() > most => Err(refused(
            "false",
            bytes.whole(),
            most,
            "; allowed: auto, true",
        )),
        (false, _) => Ok(Residence::Whole),
        (true, Memory::Machine(_)) => Ok(Residence::Streamed { resident: false }),
        (true, Memory::Gpu(most)) => Ok(Residence::Streamed {
            resident: bytes.resident() <= most,
        }),
    }
}

/// Memory that there is, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Of the machine.
    Machine(u64),
    /// Of a GPU, that weights may take (`INFBENCH_GPU_MEMORY`).
    Gpu(u64),
}

/// Where the weights of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// In memory, in f32.
    Whole,
    /// Those of layers are read when it is their turn.
    Streamed {
        /// From the device, where they are in the type of their files, instead of from these.
        resident: bool,
    },
}

impl Residence {
    /// Of a model with weights of this size on its device.
    ///
    /// # Errors
    /// The field of the settings that asks for what does not fit, and the problem.
    pub fn of(
        model: &Model,
        bytes: WeightBytes,
        loading: Loading,
    ) -> Result<Self, (&'static str, Problem)> {
        // other networks are never streamed
        if model.decoder().is_none() {
            return Ok(Self::Whole);
        }
        let memory = if ops::in_memory(model.device()) {
            Memory::Machine(machine_memory().unwrap_or(u64::MAX))
        } else {
            Memory::Gpu(gpu_memory())
        };
        residence(bytes, loading.stream, memory).map_err(|problem| ("stream", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_streamed_where_memory_is_short_and_what_cannot_fit_is_refused() {
        let bytes = WeightBytes {
            outside: 4 << 30,
            layer: 1 << 30,
            layers: 40 << 30,
            narrow: 20 << 30,
        };
        let [auto, always, never] = ["auto", "true", "false"].map(|text| text.parse().unwrap());
        let streams = |stream, gib: u64| residence(bytes, stream, Memory::Machine(gib << 30));
        let streamed = |resident| Ok(Residence::Streamed { resident });
        assert_eq!((bytes.whole() >> 30, bytes.streamed() >> 30), (44, 6));
        assert_eq!(streams(auto, 88), Ok(Residence::Whole));
        assert_eq!(streams(auto, 87), streamed(false));
        assert_eq!(streams(always, 100), streamed(false));
        assert_eq!(streams(never, 44), Ok(Residence::Whole));
        // on a GPU in the type of the files where there is room for that
        let on_gpu = |stream, gib: u64| residence(bytes, stream, Memory::Gpu(gib << 30));
        assert_eq!(on_gpu(auto, 44), Ok(Residence::Whole));
        assert_eq!(on_gpu(auto, 43), streamed(true));
        assert_eq!(on_gpu(auto, 26), streamed(true));
        assert_eq!(on_gpu(always, 25), streamed(false));
        let wide = WeightBytes {
            narrow: 40 << 30,
            ..bytes
        };
        assert_eq!(
            residence(wide, auto, Memory::Gpu(43 << 30)),
            streamed(false)
        );
        assert_eq!(on_gpu(never, 8), Ok(Residence::Whole));
        let refused = streams(never, 43).unwrap_err().message;
        let expected =
            "false: the weights take 44.0 GiB of memory, and there are 43.0; allowed: auto, true";
        assert_eq!(refused, expected);
        for stream in [auto, always] {
            let refused = streams(stream, 5).unwrap_err().message;
            assert!(
                refused.contains("take 6.0 GiB of memory, and there are 5.0"),
                "{refused}"
            );
        }
        assert!("yes".parse::<Stream>().is_err());
    }
}
