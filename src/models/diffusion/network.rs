//! The UNet as a network whose attentions carry adapters.

use burn::tensor::Tensor;

use super::parts::Parts;
use super::{Unet, cost};
use crate::models::lora::LoraLinear;
use crate::models::network::{Network, RowCost};
use crate::models::parameter::Parameter;
use crate::models::pass::Pass;
use crate::models::{Batch, ModelInput};

impl Network for Unet {
    fn boxed(&self) -> Box<dyn Network> {
        Box::new(self.clone())
    }

    /// The prediction, `[n, channels, height·width]`, as the noise lies in memory.
    fn forward(&self, batch: &Batch, pass: &mut Pass) -> Tensor<3> {
        let (ModelInput::Latents { x, text, .. }, Some(timesteps)) =
            (&batch.input, &batch.timesteps)
        else {
            unreachable!("a UNet is built for noisy latents only, and its batches are made for it");
        };
        let predicted = self.predict(x.clone(), timesteps, text, pass);
        let [n, c, h, w] = predicted.dims();
        predicted.reshape([n, c, h * w])
    }

    fn adaptable(&self) -> Vec<&LoraLinear> {
        let mut all = Vec::new();
        self.linears(&mut all);
        all
    }

    fn adaptable_mut(&mut self) -> Vec<&mut LoraLinear> {
        let mut all = Vec::new();
        self.linears_mut(&mut all);
        all
    }

    fn short_names(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", r".*\.to_q"),
            ("key", r".*\.to_k"),
            ("value", r".*\.to_v"),
            ("output", r".*\.to_out\.0"),
            ("ffn", r".*\.ff\.net\.(0\.proj|2)"),
            ("ffn_in", r".*\.ff\.net\.0\.proj"),
            ("ffn_out", r".*\.ff\.net\.2"),
        ]
    }

    /// The transformer block that a module is in, counted from the input on.
    fn layer_of(&self, module: &str) -> Option<usize> {
        let block = |name: &str| {
            let (before, rest) = name.split_once(".transformer_blocks.")?;
            let (number, _) = rest.split_once('.')?;
            Some((before.to_owned(), number.to_owned()))
        };
        let sought = block(module)?;
        let all = self.adaptable();
        let mut blocks: Vec<_> = all
            .iter()
            .filter_map(|linear| block(linear.name()))
            .collect();
        blocks.dedup();
        blocks.iter().position(|block| *block == sought)
    }

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = Vec::new();
        Parts::parameters(self, &mut all);
        all
    }

    /// Transformer blocks.
    fn layers(&self) -> usize {
        let ends = |linear: &&&LoraLinear| linear.name().ends_with("attn1.to_q");
        self.adaptable().iter().filter(ends).count()
    }

    fn recompute(&mut self, recomputes: bool) {
        Self::recompute(self, recomputes);
    }

    fn row_cost(&self, size: [usize; 2], tokens: usize) -> Option<RowCost> {
        Some(cost::unet(self.config(), size, tokens))
    }

    /// Channels of the first level.
    fn width(&self) -> usize {
        self.config().levels[0].channels
    }
}
