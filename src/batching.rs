//! From a task's examples to a model's batches: the seam between the two.

use burn::tensor::{Device, Tensor, TensorData};

use crate::models::{Batch, InputShape, ModelInput};
use crate::tasks::{Inputs, Split};

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
    };
    let labels: Vec<i64> = indices
        .iter()
        .map(|&index| split.labels[index] as i64)
        .collect();
    Batch {
        input,
        types,
        lengths,
        labels: Tensor::from_data(TensorData::new(labels, [n]), device),
        device: device.clone(),
    }
}

/// How examples are put together in pieces of work: `size` at a time, those of similar length together
/// so that little is padded. The same for every number of threads.
pub fn pieces(split: &Split, indices: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut order = indices.to_vec();
    if let Inputs::Tokens { ids, .. } = &split.inputs {
        order.sort_by_key(|&index| ids[index].len());
    }
    order.chunks(size.max(1)).map(<[usize]>::to_vec).collect()
}

/// Tokens of every example.
pub fn lengths(split: &Split) -> Vec<usize> {
    match &split.inputs {
        Inputs::Tokens { ids, .. } => ids.iter().map(Vec::len).collect(),
        Inputs::Features { tokens, .. } => vec![*tokens; split.len()],
    }
}

/// Share of the positions that are padding when every split is computed in pieces of its size.
pub fn padding(parts: &[(&Split, usize)]) -> f64 {
    let (mut held, mut computed) = (0, 0);
    for &(split, size) in parts {
        let lengths = lengths(split);
        held += lengths.iter().sum::<usize>();
        let all: Vec<usize> = (0..split.len()).collect();
        for piece in pieces(split, &all, size) {
            let longest = piece.iter().map(|&index| lengths[index]).max();
            computed += piece.len() * longest.unwrap_or(0);
        }
    }
    1.0 - held as f64 / computed.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn tokens_are_padded_and_features_gathered() {
        let device = DeviceChoice::Flex.inner();
        let split = Split {
            inputs: Inputs::Tokens {
                ids: vec![vec![3], vec![5, 6, 7], vec![4, 4]],
                types: vec![vec![0], vec![0, 1, 1], vec![1, 1]],
                vocabulary: 8,
                max_length: 4,
            },
            labels: vec![0, 1, 2],
        };
        let made = batch(&split, &[2, 1], &device);
        assert_eq!(made.lengths, Some(vec![2, 3]));
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
        assert_eq!(pieces(&split, &[0, 1, 2], 2), [vec![0, 2], vec![1]]);
        assert_eq!(lengths(&split), [1, 3, 2]);
        // [1, 2] padded to 2 and [3]: one of seven positions
        assert!((padding(&[(&split, 2)]) - 1.0 / 7.0).abs() < 1e-12);
        // and, as one piece, three more of nine
        assert!((padding(&[(&split, 2), (&split, 3)]) - 4.0 / 16.0).abs() < 1e-12);

        let split = Split {
            inputs: Inputs::Features {
                values: vec![0.0, 1.0, 2.0, 3.0],
                tokens: 1,
                features: 2,
            },
            labels: vec![0, 1],
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
