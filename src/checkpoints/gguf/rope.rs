//! How rotary positions are scaled, from the metadata, as `rope_scaling` of a config.json.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::error::GgufError;
use super::metadata::Metadata;
use super::names::ROPE_FACTORS;

/// Parameters of Llama 3's scaling.
#[derive(Clone, Copy, Debug)]
struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

impl Llama3 {
    /// What a frequency of the given wavelength is divided by.
    fn at(self, wavelength: f64) -> f64 {
        let turns = self.original / wavelength;
        if turns > self.high {
            1.0
        } else if turns < self.low {
            self.factor
        } else {
            let smooth = (turns - self.low) / (self.high - self.low);
            1.0 / ((1.0 - smooth) / self.factor + smooth)
        }
    }
}

/// Original length of Llama 3.
const ORIGINAL: f64 = 8192.0;

/// `rope_scaling` for heads of `size`; null without scaling. `factors` are those of [`ROPE_FACTORS`].
pub(super) fn scaling(
    metadata: &Metadata,
    architecture: &str,
    base: f64,
    size: usize,
    factors: Option<&[f32]>,
) -> Result<Value, GgufError> {
    let key = |name: &str| format!("{architecture}.rope.{name}");
    let kind = metadata.text(&key("scaling.type"))?.unwrap_or("none");
    let factor = match metadata.number(&key("scaling.factor"))? {
        Some(factor) => Some(factor),
        // the name in older files
        None => metadata.number(&key("scale_linear"))?,
    };
    let original = metadata.size(&key("scaling.original_context_length"))?;
    // parameters of YaRN that transformers does not have
    for (name, only) in [
        ("scaling.yarn_ext_factor", 1.0),
        ("scaling.yarn_attn_factor", 1.0),
        ("scaling.yarn_log_multiplier", 0.0),
        ("scaling.alpha", 0.0),
    ] {
        if metadata
            .number(&key(name))?
            .is_some_and(|found| found != only)
        {
            return Err(metadata.unsupported(&key(name), only.to_string()));
        }
    }
    if let Some(factors) = factors {
        if kind != "none" {
            let allowed = format!("\"none\" beside the tensor {ROPE_FACTORS}");
            return Err(metadata.unsupported(&key("scaling.type"), allowed));
        }
        return llama3(factors, base, size, original).ok_or_else(|| {
            metadata.damaged(format!(
                "the {} factors of tensor `{ROPE_FACTORS}` are not those of Llama 3's scaling of rotary positions (rope_type \"llama3\") for heads of {size}; other factors are not read",
                factors.len()
            ))
        });
    }
    let unscaled = factor.is_none_or(|factor| factor == 0.0 || factor == 1.0);
    match kind {
        "none" | "linear" if unscaled => Ok(Value::Null),
        // older files give the factor alone
        "none" | "linear" => Ok(json!({"rope_type": "linear", "factor": factor})),
        "yarn" => {
            let factor = factor.ok_or_else(|| metadata.missing(&key("scaling.factor")))?;
            let mut scaling = json!({"rope_type": "yarn", "factor": factor});
            if let Some(original) = original {
                scaling["original_max_position_embeddings"] = original.into();
            }
            for (name, field) in [
                ("scaling.yarn_beta_fast", "beta_fast"),
                ("scaling.yarn_beta_slow", "beta_slow"),
            ] {
                if let Some(value) = metadata.number(&key(name))? {
                    scaling[field] = value.into();
                }
            }
            // llama.cpp multiplies by it what transformers lets it replace
            if let Some(times) = metadata.number(&key("scaling.attn_factor"))? {
                scaling["attention_factor"] = (times * (0.1 * factor.ln() + 1.0)).into();
            }
            Ok(scaling)
        }
        _ => Err(metadata.unsupported(&key("scaling.type"), "\"none\", \"linear\", \"yarn\"")),
    }
}

/// The parameters of Llama 3's scaling that give `factors`. A file has the factors alone, and several parameters give
/// the same: Llama 3's own are tried first, then those of the original length that the file names or of 8,192.
fn llama3(factors: &[f32], base: f64, size: usize, original: Option<u64>) -> Option<Value> {
    if factors.len() != size / 2 {
        return None;
    }
    let factors: Vec<f64> = factors.iter().copied().map(f64::from).collect();
    let wavelength = |i: usize| TAU * base.powf(2.0 * i as f64 / size as f64);
    let factor = factors.iter().copied().fold(1.0, f64::max);
    let known = original.map(|length| length as f64);
    let mut candidates: Vec<Llama3> = known
        .into_iter()
        .chain([ORIGINAL])
        .map(|original| Llama3 {
            factor,
            low: 1.0,
            high: 4.0,
            original,
        })
        .collect();
    // between the two ends 1/factor is linear in 1/wavelength
    let between: Vec<(f64, f64)> = factors
        .iter()
        .enumerate()
        .filter(|&(_, &f)| f > 1.0 + 1e-5 && f < factor * (1.0 - 1e-5))
        .map(|(i, &f)| {
            let smooth = (1.0 / f - 1.0 / factor) / (1.0 - 1.0 / factor);
            (1.0 / wavelength(i), smooth)
        })
        .collect();
    if let [first, .., last] = between[..] {
        let slope = (first.1 - last.1) / (first.0 - last.0);
        let start = first.1 - slope * first.0;
        let original = known.unwrap_or(ORIGINAL);
        // start = −low/(high − low), slope = original/(high − low)
        let range = original / slope;
        let low = -start * range;
        candidates.push(Llama3 {
            factor,
            low,
            high: low + range,
            original,
        });
    }
    let fits = |candidate: &&Llama3| {
        let close = |(i, &f): (usize, &f64)| (candidate.at(wavelength(i)) - f).abs() <= 1e-5 * f;
        factors.iter().enumerate().all(close)
    };
    let found = candidates.iter().find(fits)?;
    Some(json!({
        "rope_type": "llama3", "factor": found.factor, "low_freq_factor": found.low,
        "high_freq_factor": found.high, "original_max_position_embeddings": found.original as u64,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The factors as llama.cpp's converter writes them.
    fn written(parameters: Llama3, base: f64, size: usize) -> Vec<f32> {
        let wavelength = |i: usize| TAU * base.powf(2.0 * i as f64 / size as f64);
        (0..size / 2)
            .map(|i| parameters.at(wavelength(i)) as f32)
            .collect()
    }

    #[test]
    fn parameters_are_found_again_from_their_factors() {
        let own = Llama3 {
            factor: 8.0,
            low: 1.0,
            high: 4.0,
            original: 8192.0,
        };
        let found = llama3(&written(own, 5e5, 128), 5e5, 128, None).unwrap();
        assert_eq!(
            found,
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 8192})
        );
        // others give the same factors, to the rounding of those to f32
        let other = Llama3 {
            factor: 32.0,
            low: 1.5,
            high: 9.0,
            original: 2048.0,
        };
        let factors = written(other, 5e5, 64);
        let found = llama3(&factors, 5e5, 64, None).unwrap();
        let number = |field: &str| found[field].as_f64().unwrap();
        let again = Llama3 {
            factor: number("factor"),
            low: number("low_freq_factor"),
            high: number("high_freq_factor"),
            original: number("original_max_position_embeddings"),
        };
        for (a, b) in written(again, 5e5, 64).iter().zip(&factors) {
            assert!((a - b).abs() <= 1e-5 * b, "{a} {b}");
        }
        let mut wrong = factors;
        wrong[3] = 1.5;
        assert_eq!(llama3(&wrong, 5e5, 64, None), None);
        assert_eq!(llama3(&wrong[1..], 5e5, 64, None), None);
    }
}
