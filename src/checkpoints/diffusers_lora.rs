//! LoRA files of diffusers for a UNet, in the three layouts that it has written.
//!
//! | [`Layout`] | A and B of `to_q` of a module M |
//! |---|---|
//! | `Processors` (2023) | `unet.M.processor.to_q_lora.down.weight`, `….up.weight`; `to_out_lora` is `to_out.0` |
//! | `DownUp` (early 2024) | `unet.M.to_q.lora.down.weight`, `unet.M.to_q.lora.up.weight` |
//! | `Peft` (from 0.27 on) | `unet.M.to_q.lora_A.weight`, `unet.M.to_q.lora_B.weight` |
//!
//! The scale of B·A is α/r. α is in the file as `….alpha` beside the two factors, or, since diffusers 0.34, as PEFT's
//! settings in the metadata (`lora_adapter_metadata`); where neither says, α = r. The prefix `unet.` may be missing, as
//! `UNet2DConditionModel.save_attn_procs` leaves it out.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use regex::Regex;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::shards::reader;
use crate::atomic;
use crate::input::{self, InputError, quote, quote_name};

/// Name of the file in a folder that diffusers wrote.
pub const LORA_FILE: &str = "pytorch_lora_weights.safetensors";
/// Key of PEFT's settings in the metadata of a file.
const METADATA: &str = "lora_adapter_metadata";
/// What diffusers puts before the names of a UNet's modules.
const UNET: &str = "unet.";
/// What is read.
const KIND: &str = "a safetensors file";

/// How the factors are called in a file; see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Of 2023: attention processors.
    Processors,
    /// Of early 2024.
    DownUp,
    /// Since diffusers 0.27: PEFT's names.
    Peft,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 3] = [Self::Processors, Self::DownUp, Self::Peft];

    /// Name of one of the factors of `module`; `b` says which.
    fn name(self, module: &str, b: bool) -> String {
        match self {
            Self::Peft => format!("{UNET}{module}.lora_{}.weight", if b { "B" } else { "A" }),
            Self::DownUp => format!(
                "{UNET}{module}.lora.{}.weight",
                if b { "up" } else { "down" }
            ),
            Self::Processors => {
                let module = module.strip_suffix(".0").unwrap_or(module);
                let (attention, matrix) = module.rsplit_once('.').unwrap_or(("", module));
                let part = if b { "up" } else { "down" };
                format!("{UNET}{attention}.processor.{matrix}_lora.{part}.weight")
            }
        }
    }
}

/// An adapter of one matrix W `[outputs, inputs]`: W + scale · B·A.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraMatrices {
    /// r.
    pub rank: usize,
    /// Columns of A.
    pub inputs: usize,
    /// Rows of B.
    pub outputs: usize,
    /// α/r, or α/√r in a file that says `use_rslora`.
    pub scale: f64,
    /// Row-major `[rank, inputs]`.
    pub a: Vec<f32>,
    /// Row-major `[outputs, rank]`.
    pub b: Vec<f32>,
}

/// Adapters by the name of their module, such as `mid_block.attentions.0.transformer_blocks.0.attn1.to_q`.
pub type LoraFile = BTreeMap<String, LoraMatrices>;

/// Why a LoRA file cannot be read or written.
#[derive(Debug, Error)]
pub enum LoraFileError {
    /// Not what its name says, or it cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A damaged file.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that is part of no adapter of a UNet, or cannot be used.
    #[error("{path}: tensor `{}` {problem}", quote_name(name))]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A module with one factor only.
    #[error(
        "{path}: `{}` has one of the two factors of its adapter only",
        quote_name(module)
    )]
    Half {
        /// The file.
        path: PathBuf,
        /// The module.
        module: String,
    },
    /// No adapter at all.
    #[error("{path} holds no LoRA weights")]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// PEFT's settings in the metadata.
    #[error("{path}: `{field}` in the metadata `{METADATA}` is {found}; allowed: {allowed}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        field: String,
        /// The value, cut when it is long.
        found: String,
        /// What would be allowed.
        allowed: &'static str,
    },
    /// A scale that a layout has no place for.
    #[error(
        "`{}` has scale {scale}, which the layouts before diffusers 0.27 cannot say; write the newest",
        quote_name(module)
    )]
    Scale {
        /// The module.
        module: String,
        /// Its scale.
        scale: f64,
    },
    /// Writing.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    A,
    B,
    Alpha,
}

/// Module and part of a tensor, by its name in any of the layouts.
fn parse(name: &str) -> Option<(String, Part)> {
    const ENDS: [(&str, Part); 8] = [
        (".lora_A.weight", Part::A),
        (".lora_B.weight", Part::B),
        (".lora.down.weight", Part::A),
        (".lora.up.weight", Part::B),
        ("_lora.down.weight", Part::A),
        ("_lora.up.weight", Part::B),
        ("_lora.alpha", Part::Alpha),
        (".alpha", Part::Alpha),
    ];
    let name = name.strip_prefix(UNET).unwrap_or(name);
    let mut ends = ENDS.iter();
    let (start, part) = ends.find_map(|&(end, part)| Some((name.strip_suffix(end)?, part)))?;
    let module = match start.split_once(".processor.") {
        Some((attention, "to_out")) => format!("{attention}.to_out.0"),
        Some((attention, matrix)) => format!("{attention}.{matrix}"),
        None => start.to_owned(),
    };
    Some((module, part))
}

/// Reads the adapters of a UNet from a file, or from [`LORA_FILE`] in a folder.
///
/// # Errors
/// A file that cannot be read, a tensor that belongs to no linear layer of a UNet (an adapter of the text encoder or of a
/// convolution, a magnitude of DoRA), factors that do not fit each other, settings that change more than the scale.
pub fn read(path: &Path) -> Result<LoraFile, LoraFileError> {
    let path = if path.is_dir() {
        path.join(LORA_FILE)
    } else {
        path.to_owned()
    };
    let bytes = input::bytes(&path)?;
    let format = |source| match input::explain(&path, &bytes, KIND) {
        Some(found) => found.into(),
        None => LoraFileError::Format {
            path: path.clone(),
            source,
        },
    };
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let settings = header.metadata().as_ref().and_then(|map| map.get(METADATA));
    let settings = settings
        .map(|text| Settings::parse(&path, text))
        .transpose()?
        .flatten();
    let mut parts: BTreeMap<String, [Option<Factor>; 2]> = BTreeMap::new();
    let mut alphas = BTreeMap::new();
    for (name, view) in file.iter() {
        let wrong = |problem: String| LoraFileError::Tensor {
            path: path.clone(),
            name: name.to_owned(),
            problem,
        };
        if name.starts_with("text_encoder") {
            return Err(wrong(
                "is an adapter of the text encoder; only the UNet's are supported".to_owned(),
            ));
        }
        let (module, part) = parse(name).ok_or_else(|| {
            wrong("is no part of an adapter; expected names that end in lora_A.weight, lora.down.weight, _lora.down.weight (or lora_B, up) or alpha".to_owned())
        })?;
        let append = reader(view.dtype());
        let append = append
            .ok_or_else(|| wrong(format!("is {:?}; allowed: F32, F16, BF16", view.dtype())))?;
        let mut values = Vec::new();
        append(view.data(), &mut values);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(wrong("holds NaN or infinite numbers".to_owned()));
        }
        match (part, view.shape()) {
            (Part::Alpha, _) if values.len() == 1 => {
                alphas.insert(module, f64::from(values[0]));
            }
            (Part::A | Part::B, &[rows, columns]) if rows * columns > 0 => {
                let at = usize::from(part == Part::B);
                let factor = Factor {
                    rows,
                    columns,
                    values,
                };
                if parts.entry(module).or_default()[at]
                    .replace(factor)
                    .is_some()
                {
                    return Err(wrong(
                        "gives a factor that another name has given already".to_owned(),
                    ));
                }
            }
            (_, shape) => {
                let why = match part {
                    Part::Alpha => "; a single number is expected",
                    _ if shape.len() == 4 => "; adapters of convolutions are not supported",
                    _ => "; a matrix is expected",
                };
                return Err(wrong(format!("has shape {shape:?}{why}")));
            }
        }
    }
    let adapters: LoraFile = parts
        .into_iter()
        .map(|(module, factors)| {
            let [Some(a), Some(b)] = factors else {
                return Err(LoraFileError::Half {
                    path: path.clone(),
                    module,
                });
            };
            if a.rows != b.columns {
                let problem = format!("has rank {}, its other factor {}", a.rows, b.columns);
                return Err(LoraFileError::Tensor {
                    path: path.clone(),
                    name: module,
                    problem,
                });
            }
            let scale = match (alphas.remove(&module), &settings) {
                (Some(alpha), _) => alpha / a.rows as f64,
                (None, Some(settings)) => settings.scale(&module, a.rows),
                (None, None) => 1.0,
            };
            let matrices = LoraMatrices {
                rank: a.rows,
                inputs: a.columns,
                outputs: b.rows,
                scale,
                a: a.values,
                b: b.values,
            };
            Ok((module, matrices))
        })
        .collect::<Result<_, _>>()?;
    if let Some((module, _)) = alphas.pop_first() {
        return Err(LoraFileError::Half { path, module });
    }
    if adapters.is_empty() {
        return Err(LoraFileError::Nothing { path });
    }
    Ok(adapters)
}

/// A factor as it is in the file.
struct Factor {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

/// What PEFT's settings say of the scale.
struct Settings {
    alpha: f64,
    stabilised: bool,
    alphas: Vec<(Regex, f64)>,
}

impl Settings {
    /// Reads the metadata `text`: a JSON object with keys such as `unet.r`; nothing where it is not about a UNet.
    fn parse(path: &Path, text: &str) -> Result<Option<Self>, LoraFileError> {
        let all: Map<String, Value> = input::parse_json(path, text)?;
        if !all.keys().any(|key| key.starts_with(UNET)) {
            return Ok(None);
        }
        let field = |name: &str| {
            all.get(&format!("{UNET}{name}"))
                .filter(|value| !value.is_null())
        };
        let wrong = |name: &str, found: &Value, allowed| LoraFileError::Setting {
            path: path.to_owned(),
            field: format!("{UNET}{name}"),
            found: quote(&found.to_string()),
            allowed,
        };
        let number = |name: &str, default: f64| match field(name) {
            None => Ok(default),
            Some(value) => {
                let number = value.as_f64().filter(|number| number.is_finite());
                number.ok_or_else(|| wrong(name, value, "a number"))
            }
        };
        for name in ["use_dora", "lora_bias", "use_qalora"] {
            if let Some(value) = field(name).filter(|value| **value != Value::Bool(false)) {
                return Err(wrong(name, value, "false"));
            }
        }
        let mut alphas = Vec::new();
        if let Some(value) = field("alpha_pattern") {
            const ALLOWED: &str = "numbers by module";
            let map = value
                .as_object()
                .ok_or_else(|| wrong("alpha_pattern", value, ALLOWED))?;
            for (key, alpha) in map {
                // as PEFT: the whole name or its end
                let pattern = Regex::new(&format!(r"^(.*\.)?({key})$")).ok();
                let pair = pattern.zip(alpha.as_f64());
                alphas.push(pair.ok_or_else(|| wrong("alpha_pattern", value, ALLOWED))?);
            }
        }
        let stabilised = match field("use_rslora") {
            None => false,
            Some(Value::Bool(given)) => *given,
            Some(value) => return Err(wrong("use_rslora", value, "true, false")),
        };
        Ok(Some(Self {
            // 8 is PEFT's default
            alpha: number("lora_alpha", 8.0)?,
            stabilised,
            alphas,
        }))
    }

    /// α/r of a module; r is the rank of its factors.
    fn scale(&self, module: &str, rank: usize) -> f64 {
        let own = self
            .alphas
            .iter()
            .find(|(pattern, _)| pattern.is_match(module));
        let alpha = own.map_or(self.alpha, |(_, alpha)| *alpha);
        let rank = rank as f64;
        alpha / if self.stabilised { rank.sqrt() } else { rank }
    }
}

/// Writes adapters atomically. [`Layout::Peft`] says rank and α in its metadata, too, as diffusers does since 0.34.
///
/// # Errors
/// A scale other than 1 in an older layout, and the file system's refusal.
pub fn write(path: &Path, adapters: &LoraFile, layout: Layout) -> Result<(), LoraFileError> {
    let uneven = adapters.iter().find(|(_, adapter)| adapter.scale != 1.0);
    if let Some((module, adapter)) = uneven.filter(|_| layout != Layout::Peft) {
        return Err(LoraFileError::Scale {
            module: module.clone(),
            scale: adapter.scale,
        });
    }
    let format = |source| LoraFileError::Format {
        path: path.to_owned(),
        source,
    };
    let mut views = Vec::new();
    for (module, adapter) in adapters {
        let factors = [
            (false, [adapter.rank, adapter.inputs], &adapter.a),
            (true, [adapter.outputs, adapter.rank], &adapter.b),
        ];
        for (b, shape, values) in factors {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(values));
            views.push((layout.name(module, b), view.map_err(format)?));
        }
    }
    // one entry: the order of several would differ from run to run
    let (key, text) = match layout {
        Layout::Peft => (METADATA, settings_of(adapters).to_string()),
        _ => ("format", "pt".to_owned()),
    };
    let metadata = HashMap::from([(key.to_owned(), text)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(format)?;
    atomic::write(path, &bytes).map_err(|source| LoraFileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// PEFT's settings of the adapters: rank and α of the first, and those of others that differ by their names.
fn settings_of(adapters: &LoraFile) -> Value {
    let alpha = |adapter: &LoraMatrices| adapter.scale * adapter.rank as f64;
    let first = adapters.values().next();
    let (rank, common) = first.map_or((1, 1.0), |first| (first.rank, alpha(first)));
    let mut ranks = Map::new();
    let mut alphas = Map::new();
    for (module, adapter) in adapters {
        if adapter.rank != rank {
            ranks.insert(module.clone(), adapter.rank.into());
        }
        if alpha(adapter) != common {
            alphas.insert(module.clone(), alpha(adapter).into());
        }
    }
    let modules: Vec<&String> = adapters.keys().collect();
    json!({
        "unet.peft_type": "LORA",
        "unet.r": rank,
        "unet.lora_alpha": common,
        "unet.rank_pattern": ranks,
        "unet.alpha_pattern": alphas,
        "unet.target_modules": modules,
        "unet.bias": "none",
        "unet.lora_dropout": 0.0,
        "unet.use_rslora": false,
        "unet.use_dora": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapters(scale: f64) -> LoraFile {
        let one = |rank: usize, inputs: usize, outputs: usize, scale: f64| LoraMatrices {
            rank,
            inputs,
            outputs,
            scale,
            a: (0..rank * inputs).map(|v| v as f32 / 7.0).collect(),
            b: (0..outputs * rank).map(|v| v as f32 / -3.0).collect(),
        };
        LoraFile::from([
            ("mid_block.attn1.to_q".to_owned(), one(2, 3, 4, scale)),
            ("mid_block.attn1.to_out.0".to_owned(), one(2, 3, 3, scale)),
            (
                "up_blocks.1.attn2.to_k".to_owned(),
                one(1, 5, 3, 3.0 * scale),
            ),
        ])
    }

    #[test]
    fn every_layout_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LORA_FILE);
        let mut plain = adapters(1.0);
        plain.values_mut().for_each(|adapter| adapter.scale = 1.0);
        for layout in Layout::ALL {
            write(&path, &plain, layout).unwrap();
            assert_eq!(read(folder.path()).unwrap(), plain, "{layout:?}");
        }
        let scaled = adapters(0.25);
        write(&path, &scaled, Layout::Peft).unwrap();
        assert_eq!(read(&path).unwrap(), scaled);
        for layout in [Layout::DownUp, Layout::Processors] {
            let error = write(&path, &scaled, layout).unwrap_err().to_string();
            assert!(error.contains("has scale 0.25"), "{error}");
        }
    }

    #[test]
    fn names_of_all_layouts_are_known() {
        let out = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0";
        for layout in Layout::ALL {
            for (b, part) in [(false, Part::A), (true, Part::B)] {
                let name = layout.name(out, b);
                assert_eq!(parse(&name), Some((out.to_owned(), part)), "{name}");
                assert_eq!(parse(&name[UNET.len()..]), Some((out.to_owned(), part)));
            }
        }
        assert_eq!(
            Layout::Processors.name(out, true),
            "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.up.weight"
        );
        let alpha = |name: &str| assert_eq!(parse(name), Some(("a.to_q".to_owned(), Part::Alpha)));
        alpha("unet.a.to_q.alpha");
        alpha("a.processor.to_q_lora.alpha");
        assert_eq!(parse("unet.a.to_q.weight"), None);
    }

    /// What is read of a file with the given tensors of zeros.
    fn with(tensors: &[(&str, &[usize])], metadata: Option<&str>) -> Result<LoraFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.safetensors");
        let zeros = [0u8; 4096];
        let view = |shape: &[usize]| {
            let bytes = 4 * shape.iter().product::<usize>();
            TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap()
        };
        let views = tensors.iter().map(|(name, shape)| (*name, view(shape)));
        let metadata = metadata.map(|text| HashMap::from([(METADATA.to_owned(), text.to_owned())]));
        std::fs::write(&path, safetensors::serialize(views, metadata).unwrap()).unwrap();
        read(&path).map_err(|error| {
            let text = error.to_string();
            text.replace(&path.display().to_string(), "F")
        })
    }

    #[test]
    fn what_is_no_adapter_of_a_unet_is_refused_by_name() {
        let pair = [
            ("unet.m.to_q.lora_A.weight", &[2, 3][..]),
            ("unet.m.to_q.lora_B.weight", &[4, 2]),
        ];
        let and = |name: &'static str, shape: &'static [usize]| {
            let error = with(&[&pair[..], &[(name, shape)]].concat(), None).unwrap_err();
            assert!(
                error.starts_with("F: ") && error.chars().count() < 300,
                "{error}"
            );
            error
        };
        for (name, shape, expected) in [
            (
                "text_encoder.x.lora_A.weight",
                &[2, 3][..],
                "of the text encoder",
            ),
            (
                "unet.m.to_q.lora_magnitude_vector",
                &[4],
                "is no part of an adapter",
            ),
            (
                "unet.conv.lora_A.weight",
                &[2, 3, 3, 3],
                "[2, 3, 3, 3]; adapters of convolutions",
            ),
            (
                "unet.m.to_k.lora_A.weight",
                &[2, 3],
                "`m.to_k` has one of the two factors",
            ),
            (
                "unet.m.to_k.alpha",
                &[1],
                "`m.to_k` has one of the two factors",
            ),
            ("unet.m.to_q.alpha", &[2], "a single number is expected"),
            (
                "unet.m.to_q.lora.down.weight",
                &[2, 3],
                "another name has given already",
            ),
        ] {
            let error = and(name, shape);
            assert!(error.contains(expected), "{error}");
        }
        let ranks = [
            ("m.to_q.lora_A.weight", &[2, 3][..]),
            ("m.to_q.lora_B.weight", &[4, 1]),
        ];
        let error = with(&ranks, None).unwrap_err();
        assert!(
            error.contains("`m.to_q` has rank 2, its other factor 1"),
            "{error}"
        );
        assert_eq!(with(&[], None).unwrap_err(), "F holds no LoRA weights");
    }

    #[test]
    fn scales_come_from_alpha_or_the_metadata() {
        let pair = [
            ("unet.m.to_q.lora_A.weight", &[4, 3][..]),
            ("unet.m.to_q.lora_B.weight", &[4, 4]),
        ];
        let scale = |metadata: &str| with(&pair, Some(metadata)).map(|file| file["m.to_q"].scale);
        assert_eq!(scale(r#"{"unet.r": 4, "unet.lora_alpha": 6}"#), Ok(1.5));
        assert_eq!(
            scale(r#"{"unet.r": 4, "unet.lora_alpha": 6, "unet.use_rslora": true}"#),
            Ok(3.0)
        );
        let patterns = r#"{"unet.r": 8, "unet.lora_alpha": 6, "unet.rank_pattern": {"to_q": 4}, "unet.alpha_pattern": {"to_q": 2}}"#;
        assert_eq!(scale(patterns), Ok(0.5));
        let error = scale(r#"{"unet.use_dora": true}"#).unwrap_err();
        assert!(
            error.contains("`unet.use_dora`") && error.contains("allowed: false"),
            "{error}"
        );
        assert_eq!(scale(r#"{"text_encoder.lora_alpha": 6}"#), Ok(1.0));
        assert!(scale("{").unwrap_err().contains("ends too early"));
        // α in a tensor of zeros goes before
        let with_alpha = [&pair[..], &[("unet.m.to_q.alpha", &[][..])]].concat();
        assert_eq!(
            with(&with_alpha, Some(patterns)).unwrap()["m.to_q"].scale,
            0.0
        );
    }
}
