//! Reading.

use std::collections::BTreeMap;
use std::path::Path;

use super::names::{METADATA, Part, parse};
use super::peft::Settings;
use super::{LORA_FILE, LoraFile, LoraFileError, LoraMatrices};
use crate::checkpoints::tensor_file;

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
    let bytes = tensor_file::read(&path)?;
    let (file, header) = tensor_file::parse(&path, &bytes)?;
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
        let values = tensor_file::numbers(&view).map_err(wrong)?;
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
