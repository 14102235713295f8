//! What a model and its examples take of memory while a cell is computed: the terms of [`Memory`] that come from them.

use std::path::Path;

use super::memory::Memory;
use crate::batching::{self, streaming};
use crate::config::{ModelConfig, TrainConfig};
use crate::data::{Inputs, Split, TaskData};
use crate::finetune::reuse;
use crate::models::Model;

/// What a tokenizer takes, over the size of its file.
const TOKENIZER: f64 = 10.0;
/// Outputs of the products on a graph, what lies between them and what comes back, over the outputs of a training step, and
/// of the gradients of examples, which let go of a layer when it is done.
const ON_GRAPH: [f64; 2] = [2.0, 1.0];
/// Logits, their logarithms, probabilities and gradients.
const OF_VOCABULARY: f64 = 4.0;
/// The same of what a denoiser keeps of its rows, whose convolutions take their inputs apart.
const OF_ROWS: f64 = 3.05;

/// What a model and its examples take of memory, bytes.
pub(super) fn model_memory(
    of_model: streaming::Memory,
    model: &mut Model,
    data: &TaskData,
    config: &ModelConfig,
    training: &TrainConfig,
    activations: u64,
) -> Memory {
    const F32: f64 = 4.0;
    let parameters = model.parameters();
    let parameters: usize = parameters
        .iter()
        .map(|parameter| parameter.slot.count())
        .sum();
    let splits = [&data.train, &data.query];
    let tokens = |split: &Split| batching::lengths(split).iter().sum::<usize>() as f64;
    let tokens = splits.map(tokens);
    let keeps = splits.map(|split| reuse::keeps(model, split, activations));
    let kept = tokens
        .iter()
        .zip(keeps)
        .map(|(tokens, keeps)| if keeps { *tokens } else { 0.0 });
    let width = model.width() as f64;
    let outputs: usize = model.linears().iter().map(|linear| linear.outputs()).sum();
    let of_a_layer = outputs as f64 / model.layers().max(1) as f64;
    // a language model's last product is as wide as its vocabulary
    let vocabulary = if model.decoder().is_some() {
        model.weight_bytes(None).outside as f64 / (F32 * width)
    } else {
        0.0
    };
    // positions of a piece of a training step, and of one whose gradients are taken, on every thread
    let step = step_tokens(model, &data.train, training.batch_size);
    let lengths = batching::lengths(&data.train);
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let piece = batching::tokens_at_a_time(model).min(lengths.iter().sum());
    let threads = rayon::current_num_threads().min(batching::at_a_time(model.device()));
    let [step, piece] = [step, piece].map(|tokens| (threads * tokens.max(longest)) as f64);
    let at_a_time = threads as f64 * batching::activations_at_a_time(model);
    let graph = (model.layers() - model.layers_below_adapters()).max(1) as f64;
    let at_work = 1.5 * of_a_layer + OF_VOCABULARY * vocabulary;
    // views of an example go together, in parts where these are more rows than are taken at a time
    let rows = batching::rows_at_a_time(&data.train, batching::tokens_at_a_time(model)) as f64;
    let views = data.train.targets.views().max(1) as f64;
    let of_a_piece = ((rows / views).floor().max(1.0) * views).min(rows) / rows;
    let is_unet = batching::row_cost(model, &data.train).is_some();
    let [training, gradients] = if of_model.streamed {
        [(of_model.inputs + of_model.passes) as f64; 2]
    } else if is_unet {
        [1.0, of_a_piece].map(|share| share * OF_ROWS * of_model.passes as f64)
    } else {
        let on_graph =
            |kept: f64, tokens: f64| F32 * (kept * graph * of_a_layer + at_work) * tokens;
        [on_graph(ON_GRAPH[0], step), on_graph(ON_GRAPH[1], piece)]
    };
    let tokenizer = config.tokenizer().map_or(0.0, |folder| {
        let file = std::fs::metadata(folder.join("tokenizer.json"));
        file.map_or(0.0, |about| about.len() as f64)
    });
    // those of a pipeline lie in a folder of their own
    let files = config.checkpoint().map_or(0.0, |folder| {
        weight_files(folder) + weight_files(&folder.join("unet"))
    });
    Memory {
        weights: of_model.weights as f64,
        files,
        // gradients of the four pieces of a step and their sum, two moments, and a copy of what is written
        pretraining: config
            .pretrain()
            .map_or(0.0, |_| 8.0 * F32 * parameters as f64),
        activations: training,
        passes: gradients,
        freed: if is_unet { of_a_piece } else { 1.0 } * at_a_time,
        examples: splits.map(held).iter().sum::<f64>() + TOKENIZER * tokenizer,
        kept: F32 * width * kept.sum::<f64>(),
        ..Memory::default()
    }
}

/// Positions of a piece of a training step of examples as long as they are in the mean
/// ([`batching::tokens_of_a_step`] of given ones): a step is cut into four or more pieces.
fn step_tokens(model: &Model, split: &Split, batch: usize) -> usize {
    let tokens: usize = batching::lengths(split).iter().sum();
    let of_a_step = batch.min(split.len()) * tokens / split.len().max(1);
    of_a_step.div_ceil(4).min(batching::tokens_at_a_time(model))
}

/// Bytes of the weight files in a folder, which are mapped.
fn weight_files(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let weights = files.filter(|file| {
        let path = file.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("safetensors" | "gguf" | "bin"))
    });
    let bytes = weights.filter_map(|file| std::fs::metadata(file.path()).ok());
    bytes.map(|about| about.len() as f64).sum()
}

/// Bytes of a split's inputs.
fn held(split: &Split) -> f64 {
    let bytes = match &split.inputs {
        Inputs::Tokens { ids, types, .. } => {
            4 * ids.iter().chain(types).map(Vec::len).sum::<usize>()
        }
        Inputs::Features { values, .. } => 4 * values.len(),
        Inputs::Activations { rows, .. } => 4 * rows.iter().map(Vec::len).sum::<usize>(),
        Inputs::Latents(latents) => {
            let texts: usize = latents.texts.iter().map(Vec::len).sum();
            4 * (2 * latents.captions.len() * latents.size() + texts)
        }
    };
    bytes as f64
}
