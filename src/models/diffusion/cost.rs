//! What the parts of a pipeline cost: floating-point operations (two a multiply-add) and the activations that gradients keep
//! in memory. For forecasts: products and convolutions are counted, what is done point by point is not.

use super::clip_text::ClipTextConfig;
use super::unet_config::{LevelConfig, Middle, UnetConfig};
use super::vae_config::VaeConfig;
use crate::models::network::RowCost;

/// Numbers that a transformer block keeps of a point and channel for the backward pass: the inputs of its normalisations
/// (4), inputs of the adapted matrices (4), what attentions (4) and leaves (4) hold, and the gate of the feed-forward part
/// (16).
const TRANSFORMER: usize = 32;
/// The same of a normalisation with SiLU: its centred input and SiLU's slope.
const NORM: usize = 2;

/// What is summed up over a network.
#[derive(Default)]
struct Sums {
    /// Multiply-adds with weights.
    weights: usize,
    /// Multiply-adds of queries with keys, and of probabilities with values.
    attention: usize,
    /// Numbers kept for the backward pass.
    kept: usize,
}

impl Sums {
    /// A convolution of side 3 with so many points of output.
    fn convolution(&mut self, inputs: usize, outputs: usize, points: usize) {
        self.weights += 9 * inputs * outputs * points;
    }

    fn resnet(&mut self, inputs: usize, outputs: usize, points: usize) {
        self.convolution(inputs + outputs, outputs, points);
        if inputs != outputs {
            self.weights += inputs * outputs * points;
        }
        self.kept += NORM * (inputs + outputs) * points;
    }

    /// Queries of so many points attend to keys and values of other points, of another width.
    fn attend(&mut self, channels: usize, points: usize, context: usize, others: usize) {
        self.weights += 2 * channels * channels * points + 2 * context * channels * others;
        self.attention += 2 * channels * points * others;
    }

    fn transformer(&mut self, level: &LevelConfig, points: usize, tokens: usize) {
        let channels = level.channels;
        self.weights += 2 * channels * channels * points;
        for _ in 0..level.depth {
            self.attend(channels, points, channels, points);
            self.attend(channels, points, level.context, tokens);
            // GEGLU: into 8 times the channels, and from 4 times back
            self.weights += 12 * channels * channels * points;
        }
        self.kept += level.depth * TRANSFORMER * channels * points;
    }

    /// Operations of the forward pass.
    fn forward(&self) -> f64 {
        2.0 * (self.weights + self.attention) as f64
    }
}

/// Points of every level of latents or images `[height, width]`.
fn points([height, width]: [usize; 2], level: usize) -> usize {
    height.div_ceil(1 << level) * width.div_ceil(1 << level)
}

/// A row of latents `[height, width]` with a caption of `tokens` through a UNet, and back to its adapters.
pub fn unet(config: &UnetConfig, size: [usize; 2], tokens: usize) -> RowCost {
    let mut sums = Sums::default();
    let levels = &config.levels;
    let last = levels.len() - 1;
    let first = levels[0].channels;
    sums.convolution(config.inputs + config.outputs, first, points(size, 0));
    // numbers between blocks, and those that the block keeps that keeps most
    let (mut between, mut most) = (first * points(size, 0), 0);
    for (index, level) in levels.iter().enumerate() {
        let (at, channels) = (points(size, index), level.channels);
        let above = levels[index.saturating_sub(1)].channels;
        let below = levels[(index + 1).min(last)].channels;
        let mut block = |sums: &mut Sums, inputs, attends| {
            let before = sums.kept;
            sums.resnet(inputs, channels, at);
            if attends {
                sums.transformer(level, at, tokens);
            }
            most = most.max(sums.kept - before);
            between += channels * at;
        };
        for layer in 0..level.resnets {
            let inputs = if layer == 0 { above } else { channels };
            block(&mut sums, inputs, level.attends_down);
        }
        // on the way up the outputs of the way down come besides
        for layer in 0..=level.resnets {
            let inputs = if layer == 0 { below } else { channels };
            let skip = if layer == level.resnets {
                above
            } else {
                channels
            };
            block(&mut sums, inputs + skip, level.attends_up);
        }
        if index < last {
            between += channels * points(size, index + 1) + below * at;
            sums.convolution(channels, channels, points(size, index + 1));
            sums.convolution(below, below, at);
        }
    }
    let (deepest, bottom) = (&levels[last], points(size, last));
    if config.middle != Middle::Absent {
        sums.resnet(deepest.channels, deepest.channels, bottom);
    }
    if config.middle == Middle::CrossAttention {
        sums.resnet(deepest.channels, deepest.channels, bottom);
        sums.transformer(deepest, bottom, tokens);
    }
    RowCost {
        forward: sums.forward(),
        // the gradient of every input, and of an attention those of both factors of its products
        backward: sums.forward() + 2.0 * sums.attention as f64,
        kept: (sums.kept * size_of::<f32>()) as u64,
        between: ((between + most) * size_of::<f32>()) as u64,
    }
}

/// Operations of encoding an image `[height, width]`.
pub fn encoder(config: &VaeConfig, size: [usize; 2]) -> f64 {
    let mut sums = Sums::default();
    let channels = &config.channels;
    let last = channels.len() - 1;
    sums.convolution(config.inputs, channels[0], points(size, 0));
    for (level, &outputs) in channels.iter().enumerate() {
        for layer in 0..config.resnets {
            let inputs = channels[level.saturating_sub(usize::from(layer == 0))];
            sums.resnet(inputs, outputs, points(size, level));
        }
        if level < last {
            sums.convolution(outputs, outputs, points(size, level + 1));
        }
    }
    let (deepest, bottom) = (channels[last], points(size, last));
    sums.resnet(deepest, deepest, bottom);
    sums.resnet(deepest, deepest, bottom);
    if config.attends {
        sums.attend(deepest, bottom, deepest, bottom);
    }
    sums.convolution(deepest, 2 * config.latents, bottom);
    sums.forward()
}

/// Operations of decoding an image `[height, width]`.
pub fn decoder(config: &VaeConfig, size: [usize; 2]) -> f64 {
    let mut sums = Sums::default();
    let channels = &config.channels;
    let last = channels.len() - 1;
    let (deepest, bottom) = (channels[last], points(size, last));
    sums.convolution(config.latents, deepest, bottom);
    sums.resnet(deepest, deepest, bottom);
    sums.resnet(deepest, deepest, bottom);
    if config.attends {
        sums.attend(deepest, bottom, deepest, bottom);
    }
    for (level, &outputs) in channels.iter().enumerate().rev() {
        for layer in 0..=config.resnets {
            let inputs = channels[(level + usize::from(layer == 0)).min(last)];
            sums.resnet(inputs, outputs, points(size, level));
        }
        if level > 0 {
            sums.convolution(outputs, outputs, points(size, level - 1));
        }
    }
    sums.convolution(channels[0], config.inputs, points(size, 0));
    sums.forward()
}

/// Operations of encoding a caption.
pub fn text_encoder(config: &ClipTextConfig) -> f64 {
    let mut sums = Sums::default();
    let (tokens, width) = (config.positions, config.hidden);
    for _ in 0..config.layers {
        sums.attend(width, tokens, width, tokens);
        sums.weights += 2 * width * config.ffn * tokens;
    }
    sums.forward()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::diffusion::clip_text::Activation;

    fn read<T>(
        config: &serde_json::Value,
        read: impl Fn(&std::path::Path) -> Result<T, crate::checkpoints::HuggingFaceError>,
    ) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(path, config.to_string()).unwrap();
        read(folder.path()).unwrap()
    }

    /// Of Stable Diffusion 1.5, as counted by PyTorch's profiler: 804 GFLOP forward (444 of convolutions, 234 of linear layers,
    /// 126 of attentions) and 1714 with the way back to the adapters, which leaves out what is below the first of them;
    /// 1117 to encode an image, 2515 to decode one.
    #[test]
    fn the_operations_are_those_that_were_counted() {
        let unet = read(
            &serde_json::json!({
                "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
                "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                    "CrossAttnDownBlock2D", "DownBlock2D"],
                "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                    "CrossAttnUpBlock2D"],
            }),
            UnetConfig::read,
        );
        let row = super::unet(&unet, [64, 64], 77);
        let near = |found: f64, expected: f64, tolerance: f64| {
            let error = (found / expected - 1.0).abs();
            assert!(error < tolerance, "{found:e}, not {expected:e}");
        };
        near(row.forward, 804e9, 0.01);
        near(row.forward + row.backward, 1714e9, 0.02);
        // twice the points take more than twice the operations, for the attentions
        let wide = super::unet(&unet, [64, 128], 77);
        assert!(wide.forward > 2.1 * row.forward && wide.kept == 2 * row.kept);
        // 15 million numbers between blocks, and what a block of the first level keeps
        near(row.between as f64, 0.06e9 + 0.22e9, 0.05);
        let vae = read(
            &serde_json::json!({
                "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
                "down_block_types": vec!["DownEncoderBlock2D"; 4],
                "up_block_types": vec!["UpDecoderBlock2D"; 4],
            }),
            VaeConfig::read,
        );
        near(encoder(&vae, [512, 512]), 1117e9, 0.01);
        near(decoder(&vae, [512, 512]), 2515e9, 0.01);
        let text = ClipTextConfig {
            vocabulary: 49_408,
            hidden: 768,
            ffn: 3072,
            layers: 12,
            heads: 12,
            positions: 77,
            activation: Activation::QuickGelu,
            epsilon: 1e-5,
        };
        // 85 million weights are multiplied with
        near(text_encoder(&text), 2.0 * 85e6 * 77.0, 0.03);
    }
}
