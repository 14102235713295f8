//! Names of tensors: GGUF's to Hugging Face's, and the order of their rows.

/// Tensors that are there once.
const WHOLE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Modules of a layer.
const PARTS: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Factors by which the rotary frequencies are divided: a part of the settings, not of the weights.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The embedding's name, in a GGUF file.
pub(super) const EMBEDDING: &str = "token_embd.weight";

/// Which heads' rows a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Query,
    Key,
    Other,
}

/// Hugging Face's name of a tensor, and whose rows it holds; nothing for an unknown one.
pub(super) fn hugging_face(name: &str) -> Option<(String, Rows)> {
    if let Some((_, known)) = WHOLE.iter().find(|(whole, _)| *whole == name) {
        return Some(((*known).to_owned(), Rows::Other));
    }
    let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    layer.parse::<u32>().ok()?;
    let (part, end) = rest.rsplit_once('.')?;
    if !["weight", "bias"].contains(&end) {
        return None;
    }
    let (_, known) = PARTS.iter().find(|(known, _)| *known == part)?;
    let rows = match part {
        "attn_q" => Rows::Query,
        "attn_k" => Rows::Key,
        _ => Rows::Other,
    };
    Some((format!("model.layers.{layer}.{known}.{end}"), rows))
}

/// The row in the file that is row `row` for Hugging Face, of a head of `size` rows. llama.cpp rotates neighbouring
/// rows (2i, 2i + 1) of a head, Hugging Face rows i and i + size/2.
pub(super) fn interleaved(row: usize, size: usize) -> usize {
    let (head, row) = (row / size, row % size);
    let half = size / 2;
    head * size + 2 * (row % half) + row / half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hugging_face() {
        let name = |name| hugging_face(name).map(|(name, _)| name);
        assert_eq!(
            name("blk.12.attn_output.weight").as_deref(),
            Some("model.layers.12.self_attn.o_proj.weight")
        );
        assert_eq!(
            name("blk.0.attn_q.bias").as_deref(),
            Some("model.layers.0.self_attn.q_proj.bias")
        );
        for unknown in [
            "blk.0.ffn_gate_exps.weight",
            "blk.x.attn_q.weight",
            "blk.0.attn_q.scale",
            "rope_freqs.weight",
        ] {
            assert_eq!(name(unknown), None);
        }
    }

    #[test]
    fn halves_are_found_in_neighbouring_rows() {
        let rows: Vec<usize> = (0..8).map(|row| interleaved(row, 4)).collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
    }
}
