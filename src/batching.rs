//! From a task's examples to a model's batches: the seam between the two.

pub mod streaming;

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{Inputs, Latents, Moments, Split};
use crate::device;
use crate::measure::machine_memory;
use crate::models::{Batch, InputShape, Model, ModelInput, RowCost, ops};
use crate::workers;

/// The form of a split's inputs, for building a model.
pub fn input_shape(split: &Split) -> InputShape {
    match split.inputs {
        Inputs::Tokens {
            vocabulary,
            max_length,
            ..
        } => InputShape::Tokens {
            vocabulary,
            max_length,
        },
        Inputs::Features {
            tokens, features, ..
        } => InputShape::Features { tokens, features },
        Inputs::Latents(ref latents) => InputShape::Latents {
            shape: latents.shape,
            width: latents.width,
        },
        Inputs::Activations {
            ref rows, width, ..
        } => InputShape::Features {
            tokens: rows.iter().map(Vec::len).max().unwrap_or(0) / width.max(1),
            features: width,
        },
    }
}

/// Puts the examples `indices` on a device. Token lists are padded with 0 to the longest of the batch.
pub fn batch(split: &Split, indices: &[usize], device: &Device) -> Batch {
    let n = indices.len();
    let (input, types, lengths) = match &split.inputs {
        Inputs::Tokens { ids, types, .. } => {
            let lengths: Vec<usize> = indices.iter().map(|&index| ids[index].len()).collect();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let padded = |lists: &[Vec<u32>]| {
                let mut padded = vec![0i64; n * longest];
                for (row, &index) in padded.chunks_exact_mut(longest.max(1)).zip(indices) {
                    row.iter_mut()
                        .zip(&lists[index])
                        .for_each(|(slot, &id)| *slot = i64::from(id));
                }
                Tensor::from_data(TensorData::new(padded, [n, longest]), device)
            };
            let padding = lengths.iter().any(|&length| length < longest);
            (
                ModelInput::Tokens(padded(ids)),
                (!types.is_empty()).then(|| padded(types)),
                padding.then_some(lengths),
            )
        }
        Inputs::Features {
            values,
            tokens,
            features,
        } => {
            let size = tokens * features;
            let rows: Vec<f32> = indices
                .iter()
                .flat_map(|&index| &values[index * size..(index + 1) * size])
                .copied()
                .collect();
            (
                ModelInput::Features(Tensor::from_data(
                    TensorData::new(rows, [n, *tokens, *features]),
                    device,
                )),
                None,
                None,
            )
        }
        Inputs::Latents(inputs) => (latents(inputs, indices, device), None, None),
        Inputs::Activations {
            rows, width, layer, ..
        } => {
            let lengths: Vec<usize> = indices
                .iter()
                .map(|&index| rows[index].len() / width)
                .collect();
            let longest = lengths.iter().copied().max().unwrap_or(0);
            let mut padded = vec![0.0; n * longest * width];
            for (row, &index) in padded
                .chunks_exact_mut((longest * width).max(1))
                .zip(indices)
            {
                row[..rows[index].len()].copy_from_slice(&rows[index]);
            }
            let padding = lengths.iter().any(|&length| length < longest);
            (
                ModelInput::Activations {
                    x: Tensor::from_data(TensorData::new(padded, [n, longest, *width]), device),
                    layer: *layer,
                },
                None,
                padding.then_some(lengths),
            )
        }
    };
    let attended = split.inputs.attended();
    Batch {
        input,
        types,
        lengths,
        attended: attended.map(|attended| indices.iter().map(|&index| attended[index]).collect()),
        timesteps: None,
        targets: split.targets.select(indices),
        device: device.clone(),
    }
}

fn latents(inputs: &Latents, indices: &[usize], device: &Device) -> ModelInput {
    let n = indices.len();
    let [channels, height, width] = inputs.shape;
    let size = inputs.size();
    let rows = |values: &[f32]| {
        let rows = indices.iter();
        let rows = rows.flat_map(|&index| &values[index * size..(index + 1) * size]);
        let rows: Vec<f32> = rows.copied().collect();
        Tensor::from_data(TensorData::new(rows, [n, channels, height, width]), device)
    };
    let texts = indices.iter();
    let texts = texts.flat_map(|&index| &inputs.texts[inputs.captions[index]]);
    let texts: Vec<f32> = texts.copied().collect();
    let texts = TensorData::new(texts, [n, inputs.tokens, inputs.width]);
    let moments = |moments: &Moments| {
        let spread = moments.deviations.as_deref().map(rows);
        (rows(&moments.means), spread)
    };
    let (x, deviations) = moments(&inputs.moments);
    ModelInput::Latents {
        x,
        deviations,
        mirrored: inputs.mirrored.as_ref().map(moments),
        text: Tensor::from_data(texts, device),
    }
}

/// Positions that one thread takes at a time on the CPU: a layer's activations stay in its cache.
const TOKENS: usize = 512;
/// The most bytes that activations of [`TOKENS`] positions may take on a thread; where they would take more, it takes half as
/// many (SmolLM2-135M: a third less memory at the peak, and no slower).
const MOST_OF_A_THREAD: u64 = 1 << 30;
/// How many times as many points of latents libtorch takes on the CPU: a UNet has many small operations, of which each costs
/// libtorch some microseconds (small model: gradients at 1.4 times the rate per processor second).
const LIBTORCH_POINTS: usize = 4;
/// Most positions at a time on a GPU, which wants many at once.
const TOKENS_ON_GPU: usize = 16_384;
/// What a layer keeps of a position for the backward pass, and what lies about besides, over its width.
const BYTES_OF_A_POSITION: u64 = 160;
/// Most examples in a piece.
const EXAMPLES: usize = 256;

/// Pieces at a time on a GPU: while it computes one, the other's data are fetched or put there.
pub const ON_GPU: usize = 2;

/// [`workers::map`] for pieces that compute on `device`: on a GPU, where every piece at work takes memory, [`ON_GPU`] at a
/// time.
pub fn map_on<T: Send>(device: &Device, pieces: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    workers::map_at_most(at_a_time(device), pieces, work)
}

/// Pieces that may compute on `device` at a time.
pub fn at_a_time(device: &Device) -> usize {
    if ops::in_memory(device) {
        usize::MAX
    } else {
        ON_GPU
    }
}

/// Activations of a position in all layers, about.
fn bytes_of_a_position(model: &Model) -> u64 {
    (model.layers() * model.width()) as u64 * BYTES_OF_A_POSITION
}

/// How many positions to take at a time: on the CPU `TOKENS`, or half of them where they would take too much memory, or more
/// for a UNet on libtorch; on a GPU as many as fit into the memory that [`device::gpu_memory`] allows.
pub fn tokens_at_a_time(model: &Model) -> usize {
    let of_a_position = bytes_of_a_position(model);
    if ops::in_memory(model.device()) {
        if ops::by_libtorch(model.device()) && model.row_cost([1, 1], 1).is_some() {
            return LIBTORCH_POINTS * TOKENS;
        }
        let many = TOKENS as u64 * of_a_position > MOST_OF_A_THREAD;
        return if many { TOKENS / 2 } else { TOKENS };
    }
    let fit = device::gpu_memory() / ON_GPU as u64 / of_a_position.max(1);
    fit.clamp(1, TOKENS_ON_GPU as u64) as usize
}

/// Rows of latents (examples at one timestep) that are computed at a time, where `tokens` positions are; at least one.
pub fn rows_at_a_time(split: &Split, tokens: usize) -> usize {
    let points = lengths(split).into_iter().max().unwrap_or(1);
    (tokens / points.max(1)).max(1)
}

/// Whether blocks are [computed twice](crate::models::network::Network::recompute) for the gradients of a split: where what all
/// rows at work keep would take more than half of the memory that the weights leave.
pub fn recomputes(model: &mut Model, split: &Split, tokens: usize) -> bool {
    let Some(row) = row_cost(model, split) else {
        return false;
    };
    let threads = rayon::current_num_threads();
    let (pieces, memory) = match ops::in_memory(model.device()) {
        true => (threads, machine_memory()),
        false => (ON_GPU, Some(device::gpu_memory())),
    };
    let kept = row.kept * (pieces * rows_at_a_time(split, tokens)) as u64;
    let weights = model.weight_bytes(None).whole();
    memory.is_some_and(|memory| kept > memory.saturating_sub(weights) / 2)
}

/// What a row of latents of a split costs; `None` of other inputs.
pub fn row_cost(model: &Model, split: &Split) -> Option<RowCost> {
    match &split.inputs {
        Inputs::Latents(latents) => {
            let [_, height, width] = latents.shape;
            model.row_cost([height, width], latents.tokens)
        }
        _ => None,
    }
}

/// Bytes of activations that the pieces at work on a GPU hold, at most about.
pub fn activations_on_gpu(model: &Model) -> f64 {
    let most = ON_GPU as u64 * TOKENS_ON_GPU as u64 * bytes_of_a_position(model);
    most.min(device::gpu_memory()) as f64
}

/// Bytes of activations that a thread at work holds, about.
pub fn activations_at_a_time(model: &Model) -> f64 {
    (tokens_at_a_time(model) as u64 * bytes_of_a_position(model)) as f64
}

/// How many positions to take at a time of a training step's examples: fewer where that gives every
/// thread of a small machine its part of a small batch.
pub fn tokens_of_a_step(split: &Split, indices: &[usize], model: &Model) -> usize {
    const PARTS: usize = 4;
    let most = tokens_at_a_time(model);
    if !ops::in_memory(model.device()) {
        return most;
    }
    let all: usize = indices.iter().map(|&index| length(split, index)).sum();
    all.div_ceil(PARTS).clamp(1, most)
}

/// How examples are put together in pieces of work: those of similar length together, so that little is
/// padded, as many as have `tokens` positions in all [views](crate::data::Targets::views) when padded to the longest (at
/// least one, at most 256). The same for every number of threads.
pub fn pieces(split: &Split, indices: &[usize], tokens: usize) -> Vec<Vec<usize>> {
    pieces_of_views(split, indices, split.targets.views(), tokens)
}

/// [`pieces`] where an example has `views` views, whatever its targets say.
pub fn pieces_of_views(
    split: &Split,
    indices: &[usize],
    views: usize,
    tokens: usize,
) -> Vec<Vec<usize>> {
    let views = views.max(1);
    let mut order = indices.to_vec();
    order.sort_by_key(|&index| length(split, index));
    let mut pieces: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match pieces.last_mut() {
            // the next one is the longest so far
            Some(piece)
                if piece.len() < EXAMPLES
                    && (piece.len() + 1) * views * length(split, index) <= tokens =>
            {
                piece.push(index);
            }
            _ => pieces.push(vec![index]),
        }
    }
    pieces
}

/// Tokens of every example.
pub fn lengths(split: &Split) -> Vec<usize> {
    (0..split.len()).map(|index| length(split, index)).collect()
}

/// Tokens of an example.
pub fn length(split: &Split, index: usize) -> usize {
    match &split.inputs {
        Inputs::Tokens { ids, .. } => ids[index].len(),
        Inputs::Features { tokens, .. } => *tokens,
        Inputs::Latents(latents) => latents.points(),
        Inputs::Activations { rows, width, .. } => rows[index].len() / width,
    }
}

/// Share of the positions that are padding when splits are computed in pieces of about `tokens`.
pub fn padding(splits: &[&Split], tokens: usize) -> f64 {
    let (mut held, mut computed) = (0, 0);
    for split in splits {
        let lengths = lengths(split);
        held += lengths.iter().sum::<usize>();
        let all: Vec<usize> = (0..split.len()).collect();
        for piece in pieces(split, &all, tokens) {
            let longest = piece.iter().map(|&index| lengths[index]).max();
            computed += piece.len() * longest.unwrap_or(0);
        }
    }
    1.0 - held as f64 / computed.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Targets;
    use crate::device::DeviceChoice;

    #[test]
    fn tokens_are_padded_and_features_gathered() {
        let device = DeviceChoice::Flex.inner();
        let split = Split {
            inputs: Inputs::Tokens {
                ids: vec![vec![3], vec![5, 6, 7], vec![4, 4]],
                types: vec![vec![0], vec![0, 1, 1], vec![1, 1]],
                attended: Some(vec![1, 2, 2]),
                vocabulary: 8,
                max_length: 4,
            },
            targets: Targets::Classes(vec![0, 1, 2]),
        };
        let made = batch(&split, &[2, 1], &device);
        assert_eq!(made.lengths, Some(vec![2, 3]));
        assert_eq!(made.attended, Some(vec![2, 2]));
        assert_eq!(made.targets, Targets::Classes(vec![2, 1]));
        let rows = made.clone().repeat(2);
        assert_eq!((rows.len(), made.len()), (4, 2));
        assert_eq!(rows.keys(), Some(&[2, 2, 2, 2][..]));
        assert_eq!(rows.lengths, Some(vec![2, 2, 3, 3]));
        let ModelInput::Tokens(ids) = made.input else {
            panic!("tokens")
        };
        assert_eq!(
            ids.into_data()
                .convert::<i64>()
                .try_to_vec::<i64>()
                .unwrap(),
            [4, 4, 0, 5, 6, 7]
        );
        let types = made.types.unwrap().into_data().convert::<i64>();
        assert_eq!(types.try_to_vec::<i64>().unwrap(), [1, 1, 0, 0, 1, 1]);
        assert_eq!(batch(&split, &[1], &device).lengths, None);
        assert_eq!(lengths(&split), [1, 3, 2]);
        // [1, 2] padded to 2 and [3]: one of seven positions
        assert_eq!(pieces(&split, &[0, 1, 2], 4), [vec![0, 2], vec![1]]);
        assert!((padding(&[&split], 4) - 1.0 / 7.0).abs() < 1e-12);
        assert!((padding(&[&split, &split], 4) - 1.0 / 7.0).abs() < 1e-12);
        assert_eq!(pieces(&split, &[0, 1, 2], 9), [[0, 2, 1]]);
        assert!((padding(&[&split], 9) - 3.0 / 9.0).abs() < 1e-12);
        assert_eq!(pieces(&split, &[1, 2], 1), [[2], [1]]);

        let split = Split {
            inputs: Inputs::Features {
                values: vec![0.0, 1.0, 2.0, 3.0],
                tokens: 1,
                features: 2,
            },
            targets: Targets::Classes(vec![0, 1]),
        };
        let ModelInput::Features(values) = batch(&split, &[1, 0], &device).input else {
            panic!("features")
        };
        assert_eq!(
            values.into_data().try_to_vec::<f32>().unwrap(),
            [2.0, 3.0, 0.0, 1.0]
        );
    }
}
