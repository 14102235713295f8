//! What the gradients of a row (an example at one timestep) keep in memory: an estimate, for the forecast.

use super::unet_config::{Middle, UnetConfig};

/// Numbers that a transformer block keeps of a point and channel for the backward pass: the inputs of its normalisations
/// (4), inputs of the adapted matrices (4), what attentions (4) and leaves (4) hold, and the gate of the feed-forward part
/// (16).
const TRANSFORMER: usize = 32;
/// The same of a normalisation with SiLU: its centred input and SiLU's slope.
const NORM: usize = 2;

/// Bytes that the forward pass of one row of latents `[height, width]` leaves for the backward pass to the adapters.
/// Weights, and what is there only while an operation computes, come on top.
pub fn bytes_of_a_row(config: &UnetConfig, [height, width]: [usize; 2]) -> u64 {
    let points = |level: usize| height.div_ceil(1 << level) * width.div_ceil(1 << level);
    let resnet = |inputs: usize, outputs: usize| NORM * (inputs + outputs);
    let levels = &config.levels;
    let last = levels.len() - 1;
    let mut numbers = 0;
    for (level, at) in levels.iter().enumerate() {
        let channels = at.channels;
        let above = levels[level.saturating_sub(1)].channels;
        let below = levels[(level + 1).min(last)].channels;
        let mut of_a_point = 0;
        for layer in 0..at.resnets {
            of_a_point += resnet(if layer == 0 { above } else { channels }, channels);
        }
        // on the way up the outputs of the way down come besides
        for layer in 0..=at.resnets {
            let inputs = if layer == 0 { below } else { channels };
            let skip = if layer == at.resnets { above } else { channels };
            of_a_point += resnet(inputs + skip, channels);
        }
        let transformers = usize::from(at.attends_down) * at.resnets
            + usize::from(at.attends_up) * (at.resnets + 1);
        of_a_point += transformers * at.depth * TRANSFORMER * channels;
        numbers += of_a_point * points(level);
    }
    let bottom = levels[last].channels;
    let middle = match config.middle {
        Middle::CrossAttention => 2 * resnet(bottom, bottom) + TRANSFORMER * bottom,
        Middle::Plain => resnet(bottom, bottom),
        Middle::Absent => 0,
    };
    (numbers + middle * points(last)) as u64 * size_of::<f32>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::diffusion::unet_config::LevelConfig;

    #[test]
    fn grows_with_points_and_transformers() {
        let level = |channels, attends| LevelConfig {
            channels,
            resnets: 1,
            attends_down: attends,
            attends_up: attends,
            heads: 1,
            context: 8,
            depth: 1,
        };
        let mut config = UnetConfig {
            inputs: 4,
            outputs: 4,
            sample_size: None,
            center_input: false,
            cosine_first: true,
            frequency_shift: 0,
            time_width: 16,
            scale_shift: false,
            levels: vec![level(8, true), level(16, false)],
            middle: Middle::Plain,
            downsample_padding: 1,
            groups: 4,
            epsilon: 1e-5,
            linear_projection: false,
        };
        // level 0: resnets 8→8, 24→8, 16→8 and three transformers; level 1: 8→16, 32→16, 24→16; the middle: 16→16
        let [outer, inner] = [16 + 32 + 24, 24 + 48 + 40 + 32];
        let expected = |points: usize| {
            let numbers = (2 * outer + 3 * 32 * 8) * points + 2 * inner * points / 4;
            4 * numbers as u64
        };
        assert_eq!(bytes_of_a_row(&config, [4, 4]), expected(16));
        assert_eq!(bytes_of_a_row(&config, [8, 4]), expected(32));
        config.levels[0].attends_down = false;
        config.levels[0].attends_up = false;
        let without = 4 * 3 * 32 * 8 * 16;
        assert_eq!(bytes_of_a_row(&config, [4, 4]), expected(16) - without);
    }
}
