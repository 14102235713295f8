//! Frequencies of the rotary position embedding, and how they are stretched for sequences longer than those of the
//! pretraining.
//!
//! Position p turns pair i of a head of width d by the angle p·ω_i, ω_i = θ^(−2i/d). Angles are computed in f32 like
//! transformers does it, whose rounding is otherwise visible at long positions.

use std::f32::consts::PI;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use burn::tensor::Device;

use super::rotation::Rotation;

/// Settings of the rotary embedding, by the names of config.json.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeSettings {
    /// `rope_theta`, θ.
    pub theta: f64,
    /// `max_position_embeddings`.
    pub positions: usize,
    /// `rope_type` with its parameters.
    pub scaling: RopeScaling,
}

/// How the frequencies ω are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// ω/factor (Chen et al., 2023, arXiv 2306.15595).
    Linear {
        /// By how much positions are squeezed.
        factor: f64,
    },
    /// θ grows with the length T of the example beyond P = `max_position_embeddings`, by
    /// (factor·T/P − factor + 1)^(d/(d − 2)): "dynamic NTK".
    Dynamic {
        /// The factor.
        factor: f64,
    },
    /// Wavelengths above `original`/`low` are stretched by the factor, those below `original`/`high` are kept, those
    /// between are mixed.
    Llama3 {
        /// The factor.
        factor: f64,
        /// `low_freq_factor`.
        low: f64,
        /// `high_freq_factor`.
        high: f64,
        /// `original_max_position_embeddings`.
        original: usize,
    },
    /// YaRN (Peng et al., 2023, arXiv 2309.00071): a ramp over the pairs between kept and stretched frequencies; cosines
    /// and sines are multiplied.
    Yarn {
        /// The factor.
        factor: f64,
        /// `beta_fast`: rotations within `original` above which a pair is kept.
        fast: f64,
        /// `beta_slow`: rotations below which it is stretched in full.
        slow: f64,
        /// `original_max_position_embeddings`.
        original: usize,
        /// What cosines and sines are multiplied with.
        attention: f64,
        /// Whether the ramp begins and ends at whole pairs.
        truncate: bool,
    },
}

/// Frequencies of heads of one width.
#[derive(Clone, Debug)]
pub struct Rope {
    settings: RopeSettings,
    /// Width d of a head, even.
    part: usize,
    /// The angles of the first positions, as many as were asked for, of texts that do not change them.
    kept: Arc<Mutex<Option<Rotation>>>,
}

impl Rope {
    /// For heads of width `part`.
    pub fn new(settings: RopeSettings, part: usize) -> Self {
        Self {
            settings,
            part,
            kept: Arc::default(),
        }
    }

    /// Whether the angles of a text's first positions depend on its length, for texts of up to `tokens` tokens.
    pub fn changes_with_length(&self, tokens: usize) -> bool {
        matches!(self.settings.scaling, RopeScaling::Dynamic { .. })
            && tokens > self.settings.positions
    }

    /// Angles of positions `first..first + t` for every example; `lengths` are those of the examples where they differ.
    pub fn rotation(
        &self,
        first: usize,
        t: usize,
        lengths: Option<&[usize]>,
        device: &Device,
    ) -> Rotation {
        let end = first + t;
        if self.changes_with_length(end) {
            // an example's frequencies are those of its own length, not of the batch it happens to be in
            return self.angles(first..end, lengths.unwrap_or(&[end]), device);
        }
        let mut kept = self.kept.lock().expect("nobody panics while holding it");
        let long = kept.take().filter(|kept| kept.cos.dims()[1] >= end);
        let make = || self.angles(0..end.next_power_of_two(), &[end], device);
        kept.insert(long.unwrap_or_else(make)).narrow(first, t)
    }

    /// Angles of positions, for texts of these lengths.
    fn angles(&self, positions: Range<usize>, lengths: &[usize], device: &Device) -> Rotation {
        let factor = match self.settings.scaling {
            RopeScaling::Yarn { attention, .. } => attention as f32,
            _ => 1.0,
        };
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for &length in lengths {
            let frequencies = self.frequencies(length);
            for position in positions.clone() {
                for frequency in &frequencies {
                    let angle = f64::from(position as f32 * frequency);
                    cos.push(angle.cos() as f32 * factor);
                    sin.push(angle.sin() as f32 * factor);
                }
            }
        }
        let shape = [lengths.len(), positions.len(), self.part / 2];
        Rotation::new([cos, sin], shape, device)
    }

    /// ω of every pair, for an example of `length` tokens.
    fn frequencies(&self, length: usize) -> Vec<f32> {
        let RopeSettings {
            theta,
            positions,
            scaling,
        } = self.settings;
        let width = self.part as f64;
        let powers = |theta: f64| {
            let exponents = (0..self.part / 2).map(|pair| (2 * pair) as f32 / self.part as f32);
            exponents.map(move |exponent| theta.powf(f64::from(exponent)) as f32)
        };
        let plain = powers(theta).map(|power| 1.0 / power);
        match scaling {
            RopeScaling::Default => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|w| w / factor as f32).collect(),
            RopeScaling::Dynamic { factor } => {
                let longer = length.max(positions) as f64 / positions as f64;
                let growth = (factor * longer - (factor - 1.0)).powf(width / (width - 2.0));
                powers(theta * growth).map(|power| 1.0 / power).collect()
            }
            RopeScaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let [factor, low, high, original] =
                    [factor, low, high, original as f64].map(|value| value as f32);
                plain
                    .map(|frequency| {
                        let length = 2.0 * PI / frequency;
                        if length > original / low {
                            frequency / factor
                        } else if length < original / high {
                            frequency
                        } else {
                            let kept = (original / length - low) / (high - low);
                            (1.0 - kept) * frequency / factor + kept * frequency
                        }
                    })
                    .collect()
            }
            RopeScaling::Yarn {
                factor,
                fast,
                slow,
                original,
                truncate,
                ..
            } => {
                // the pair that turns so often within the original length
                let pair = |rotations: f64| {
                    let ratio = original as f64 / (rotations * 2.0 * std::f64::consts::PI);
                    width * ratio.ln() / (2.0 * theta.ln())
                };
                let (mut start, mut end) = (pair(fast), pair(slow));
                if truncate {
                    (start, end) = (start.floor(), end.ceil());
                }
                (start, end) = (start.max(0.0), end.min(width - 1.0));
                if start == end {
                    end += 0.001;
                }
                powers(theta)
                    .enumerate()
                    .map(|(pair, power)| {
                        let ramp = (pair as f32 - start as f32) / (end - start) as f32;
                        let kept = 1.0 - ramp.clamp(0.0, 1.0);
                        (1.0 - kept) / (factor as f32 * power) + kept / power
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;
    use crate::models::parameter::to_f32;

    /// Cosines and sines.
    fn angles(rope: &Rope, first: usize, t: usize, lengths: Option<&[usize]>) -> [Vec<f32>; 2] {
        let device = DeviceChoice::Flex.inner();
        let Rotation { cos, sin } = rope.rotation(first, t, lengths, &device);
        [cos, sin].map(|table| to_f32(table.into_data()))
    }

    fn rope(scaling: RopeScaling) -> Rope {
        let settings = RopeSettings {
            theta: 1e4,
            positions: 8,
            scaling,
        };
        Rope::new(settings, 8)
    }

    #[test]
    fn dynamic_frequencies_are_of_an_example_s_own_length() {
        let dynamic = rope(RopeScaling::Dynamic { factor: 2.0 });
        let lengths = [3, 12];
        let both = angles(&dynamic, 0, 12, Some(&lengths));
        let long = angles(&dynamic, 0, 12, None);
        let short = angles(&dynamic, 0, 3, None);
        assert_eq!(both[0].len(), 2 * 12 * 4);
        assert_eq!(both[0][48..], long[0][..]);
        assert_eq!(both[1][..12], short[1][..]);
        // up to 8 tokens nothing is stretched
        let plain = rope(RopeScaling::Default);
        assert_eq!(short, angles(&plain, 0, 3, None));
        assert_ne!(long, angles(&plain, 0, 12, None));
        let kept = angles(&dynamic, 0, 8, Some(&[3, 8]));
        assert_eq!(kept, angles(&plain, 0, 8, None));
    }

    #[test]
    fn later_positions_are_those_of_a_longer_sequence() {
        let plain = rope(RopeScaling::Linear { factor: 4.0 });
        let [all, late] = [(0, 7), (5, 2)].map(|(first, t)| angles(&plain, first, t, None));
        assert_eq!(all[0][20..], late[0][..]);
        // ω of the first pair is 1/4
        let angle = f64::from(late[1][0]).asin() - (5.0f64 / 4.0).sin().asin();
        assert!(angle.abs() < 1e-7, "{angle}");
    }
}
