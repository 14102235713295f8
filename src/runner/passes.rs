//! What passes of a model over the splits of a task cost, floating-point operations, for the forecast.
//!
//! Forward 2 operations a parameter and token, and 2 for the gradient of the inputs, which is taken down to the first
//! adapted layer; or what the network says that a row of latents costs. Activations below that layer are computed once
//! where they are kept (see [`reuse`]); while fine-tuning they are used only when the base has no dropout.

use crate::batching;
use crate::checkpoints::peft::modules::split_layer;
use crate::config::{LoraConfig, TrainConfig};
use crate::data::{Split, TaskData};
use crate::finetune::reuse;
use crate::models::{Model, PretrainConfig};
use crate::objectives;

/// Floating-point operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passes {
    /// The activations that are kept, of training and query examples.
    pub once: f64,
    /// An epoch of fine-tuning.
    pub epoch: f64,
    /// Gradients of the training examples.
    pub gradients: f64,
    /// Losses of the queries.
    pub look: f64,
    /// Pretraining of the base, all parameters forward and back, and a look at its examples.
    pub pretraining: f64,
}

impl Passes {
    /// Of an adapted `model`, which keeps activations of up to `activations` bytes a split.
    pub(super) fn new(
        model: &mut Model,
        data: &TaskData,
        lora: &LoraConfig,
        train: &TrainConfig,
        pretrain: Option<&PretrainConfig>,
        activations: u64,
    ) -> Self {
        let splits = [&data.train, &data.query];
        let kept = splits.map(|split| reuse::keeps(model, split, activations));
        let in_training = kept[0] && reuse::while_training(train.dropout(lora.dropout, model));
        let OfToken {
            below,
            above,
            backward,
        } = OfToken::new(model, &data.train);
        let [train, query] = splits.map(tokens);
        let pretraining = data.pretrain.as_ref().map_or(0.0, |(split, _)| {
            let passes = 3.0 * pretrain.map_or(0.0, |pretrain| pretrain.epochs as f64) + 1.0;
            (below + above) * passes * tokens(split)
        });
        // forward through everything, or through what is above the activations that are there
        let forward = |kept: bool| if kept { above } else { below + above };
        let counted = |kept: bool, tokens: f64| if kept { tokens } else { 0.0 };
        let once = below * (counted(kept[0], train) + counted(kept[1], query));
        // every view of an example is a row of its own
        let views = splits.map(|split| split.targets.views() as f64);
        let objective = objectives::of(&data.train.targets);
        let step = train * objective.views_at_a_step(&data.train.targets) as f64;
        let [train, query] = [train * views[0], query * views[1]];
        Self {
            once,
            epoch: (forward(in_training) + backward) * step,
            gradients: (forward(kept[0]) + backward) * train,
            look: forward(kept[1]) * query,
            pretraining: if pretrain.is_some() { pretraining } else { 0.0 },
        }
    }
}

/// Operations of a token.
struct OfToken {
    /// Forward, below the first adapted layer.
    below: f64,
    /// Forward, in the first adapted layer and above.
    above: f64,
    /// Back to the first adapted layer.
    backward: f64,
}

impl OfToken {
    /// Of the tokens of `split`, points of latents among them.
    fn new(model: &mut Model, split: &Split) -> Self {
        if let Some(row) = batching::row_cost(model, split) {
            let points = batching::length(split, 0) as f64;
            return Self {
                below: 0.0,
                above: row.forward / points,
                backward: row.backward / points,
            };
        }
        let [below, above] = multiplied(model).map(|parameters| 2.0 * parameters);
        Self {
            below,
            above,
            backward: above,
        }
    }
}

/// Parameters that inputs are multiplied with (rows of a table are looked up) below the first adapted layer, none when
/// that is the first of all, and the others.
pub(super) fn multiplied(model: &mut Model) -> [f64; 2] {
    let depth = model.layers_below_adapters();
    let mut is_below = depth > 0;
    let (mut below, mut above) = (0, 0);
    // without a head of its own a language model multiplies with the table of its tokens, which comes first
    let is_decoder = model.decoder().is_some();
    let tables = model.looked_up();
    // they come in the order of a forward pass
    for parameter in model.parameters() {
        is_below &= split_layer(&parameter.name).is_none_or(|(layer, _)| layer != depth);
        if !tables.contains(&parameter.name.as_str()) {
            let is_head = is_decoder && split_layer(&parameter.name).is_none();
            let size = parameter.slot.count();
            *(if is_below && !is_head {
                &mut below
            } else {
                &mut above
            }) += size;
        }
    }
    [below as f64, above as f64]
}

/// Tokens of a split, without padding.
fn tokens(split: &Split) -> f64 {
    batching::lengths(split).iter().sum::<usize>() as f64
}
