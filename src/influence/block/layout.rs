//! Grouping of tensors into the blocks of the block-diagonal Fisher.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradients::store::TensorInfo;

/// Grouping of the gradient tensors into blocks of the block-diagonal Fisher.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Blocks {
    /// Every tensor by itself (each lora_A, each lora_B, each head matrix), as in the paper's code.
    #[default]
    PerMatrix,
    /// lora_A and lora_B of one adapted matrix together.
    PerLayer,
    /// All tensors in one block.
    Whole,
}

/// One block: one or more tensors side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Name: the tensor's own when it is alone, else see [`Blocks`].
    pub name: String,
    /// Its tensors, as indices into the store, with the column where each begins.
    pub segments: Vec<TensorSpan>,
    /// Size d_l: the sum over its tensors.
    pub dim: usize,
}

/// A tensor's place in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSpan {
    /// Index in the store.
    pub tensor: usize,
    /// First column in the block.
    pub offset: usize,
    /// Columns.
    pub dim: usize,
}

/// The blocks of a store; every tensor is in exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockLayout {
    blocks: Vec<BlockShape>,
    tensors: usize,
}

impl BlockLayout {
    /// Groups `tensors`, keeping their order (a group stands where its first tensor does).
    ///
    /// `per_layer` puts the two factors of an adapter together: names that differ only in one dot-separated
    /// part being `lora_A` or `lora_B` (PEFT's naming), as in `encoder.layer.0.attention.value.lora_A.weight`;
    /// the block is named with that part as `lora`. Every other tensor is a block by itself. `whole` is one
    /// block named `whole`.
    pub fn new(tensors: &[TensorInfo], blocks: Blocks) -> Self {
        let mut layout: Vec<(String, BlockShape)> = Vec::new();
        for (tensor, info) in tensors.iter().enumerate() {
            let key = match blocks {
                Blocks::PerMatrix => info.name.clone(),
                Blocks::PerLayer => adapter(&info.name).unwrap_or_else(|| info.name.clone()),
                Blocks::Whole => "whole".to_owned(),
            };
            let dim = info.dim();
            // tensors of one matrix have one name, so a per_matrix block never meets its own key again
            match layout.iter_mut().find(|(k, _)| *k == key) {
                Some((key, block)) => {
                    block.segments.push(TensorSpan {
                        tensor,
                        offset: block.dim,
                        dim,
                    });
                    block.dim += dim;
                    block.name.clone_from(key);
                }
                None => {
                    let name = if blocks == Blocks::Whole {
                        key.clone()
                    } else {
                        info.name.clone()
                    };
                    layout.push((
                        key,
                        BlockShape {
                            name,
                            segments: vec![TensorSpan {
                                tensor,
                                offset: 0,
                                dim,
                            }],
                            dim,
                        },
                    ));
                }
            }
        }
        Self {
            blocks: layout.into_iter().map(|(_, block)| block).collect(),
            tensors: tensors.len(),
        }
    }

    /// The blocks, in order.
    pub fn blocks(&self) -> &[BlockShape] {
        &self.blocks
    }

    /// Number of tensors covered.
    pub fn tensors(&self) -> usize {
        self.tensors
    }
}

/// The name that both factors of an adapter share; `None` for any other tensor.
fn adapter(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = name.split('.').collect();
    let factor = parts
        .iter_mut()
        .rev()
        .find(|part| ["lora_A", "lora_B"].contains(part))?;
    *factor = "lora";
    Some(parts.join("."))
}

/// `[rows, columns]` of a shape as a matrix: a vector is one row, of more than two axes the last ones are flattened.
pub(crate) fn matrix(shape: &[usize]) -> [usize; 2] {
    match shape {
        [] => [1, 1],
        [d] => [1, *d],
        [rows, rest @ ..] => [*rows, rest.iter().product()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(names: &[(&str, usize)], blocks: Blocks) -> Vec<(String, Vec<usize>, usize)> {
        let tensors: Vec<_> = names
            .iter()
            .map(|(name, dim)| TensorInfo::new(*name, [*dim]))
            .collect();
        let layout = BlockLayout::new(&tensors, blocks);
        layout
            .blocks()
            .iter()
            .map(|b| {
                (
                    b.name.clone(),
                    b.segments.iter().map(|s| s.tensor).collect(),
                    b.dim,
                )
            })
            .collect()
    }

    #[test]
    fn adapters_pair_up_and_the_rest_stands_alone() {
        let names = [
            ("l.0.value.lora_A.default.weight", 6),
            ("l.1.value.lora_A.default.weight", 7),
            ("l.0.value.lora_B.default.weight", 4),
            ("l.1.query.lora_B.default.weight", 5),
            ("head.weight", 3),
        ];
        assert_eq!(
            blocks(&names, Blocks::PerLayer),
            [
                ("l.0.value.lora.default.weight".to_owned(), vec![0, 2], 10),
                ("l.1.value.lora_A.default.weight".to_owned(), vec![1], 7),
                ("l.1.query.lora_B.default.weight".to_owned(), vec![3], 5),
                ("head.weight".to_owned(), vec![4], 3),
            ]
        );
        assert_eq!(
            blocks(&names, Blocks::Whole),
            [("whole".to_owned(), vec![0, 1, 2, 3, 4], 25)]
        );
        let alone = blocks(&names, Blocks::PerMatrix);
        assert_eq!(alone.len(), 5);
        assert!(
            alone
                .iter()
                .zip(&names)
                .all(|(block, (name, dim))| block.0 == *name && block.2 == *dim)
        );
    }

    #[test]
    fn segments_stand_side_by_side() {
        let tensors = [
            TensorInfo::new("a", [2]),
            TensorInfo::new("b", [3, 1]),
            TensorInfo::new("c", [4]),
        ];
        let layout = BlockLayout::new(&tensors, Blocks::Whole);
        let offsets: Vec<_> = layout.blocks()[0]
            .segments
            .iter()
            .map(|s| (s.offset, s.dim))
            .collect();
        assert_eq!(offsets, [(0, 2), (2, 3), (5, 4)]);
    }

    #[test]
    fn shapes_are_matrices() {
        assert_eq!(matrix(&[]), [1, 1]);
        assert_eq!(matrix(&[5]), [1, 5]);
        assert_eq!(matrix(&[2, 3]), [2, 3]);
        assert_eq!(matrix(&[2, 3, 4]), [2, 12]);
    }
}
