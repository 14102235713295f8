"""Records what the Python package gguf and transformers read from small GGUF files.

    python scripts/parity/gguf_files.py tests/fixtures/gguf STORIES_TOKENIZER

needs gguf 0.19 and transformers 4.57; STORIES_TOKENIZER is llama2.c's tok512.bin. Writes, beside the files,

- `types.gguf`, a tensor of random blocks for every type of numbers;
- `llama.gguf` (SentencePiece; q and k interleaved; Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, F16, BF16, F32), `qwen2.gguf`
  (byte-level BPE, biases, YaRN) and `qwen3.gguf` (norms of q and k, heads of another size, a head of its own);
- `expected.json`: for every tensor its shape, its first number and the 64-bit FNV-1a hash of its f32 numbers, as gguf's
  `dequantize` has them (`types`) or transformers' own loader of GGUF files; the models' config.json, and the ids of some
  texts: of SentencePiece by merging one pair after another as sentencepiece does, of byte-level BPE by transformers'
  converter of GGUF tokenizers.
"""

import json
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.integrations.ggml import convert_gguf_tokenizer
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

OUT, STORIES = Path(sys.argv[1]), Path(sys.argv[2])
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
TEXTS = [
    "Once upon a time, there was a little girl named Lily.", " two  spaces \n and\tmore", "", "naïve 好 🙂 e\u0301",
    "It's 1234567 o'clock; WE'LL go!  </s> <s>x", "a", "\n\n\n  indented", "hello the the",
]
HEADS = {"llama": (4, 2, 8), "qwen2": (4, 4, 8), "qwen3": (2, 1, 32)}


def summary(tensors):
    def one(values):
        values, hash = np.ascontiguousarray(values, np.float32), 0xCBF29CE484222325
        for byte in values.tobytes():
            hash = (hash ^ byte) * 0x100000001B3 % 2**64
        return {"shape": values.shape, "first": float(values.flat[0]), "fnv": f"{hash:016x}"}

    return {name: one(values) for name, values in sorted(tensors.items())}


def types(rng):
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    expected = {}
    for layer, name in enumerate(TYPES):
        kind = Type[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (2, 256 // block * size), np.uint8)
        if block == 1:
            numbers = rng.normal(size=(2, 256)).astype(np.float32)
            data = {"F32": lambda: numbers, "F16": lambda: numbers.astype(np.float16),
                    "BF16": lambda: gguf.quantize(numbers, kind)}[name]()
        else:
            # scales are finite; the first block has the smallest ones, which are not normal numbers
            scales = {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,), "Q8_0": (0,), "Q4_0": (0,), "Q5_0": (0,)}
            blocks = data.reshape(-1, size)
            for at in scales.get(name, (0, 2)):
                values = rng.normal(size=len(blocks)).astype(np.float16)
                values[0] = 6e-8
                blocks[:, at : at + 2] = values.view(np.uint8).reshape(-1, 2)
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", data, raw_dtype=kind)
        raw = data if block > 1 or name == "BF16" else data.view(np.uint8)
        expected[f"model.layers.{layer}.mlp.up_proj.weight"] = gguf.dequantize(raw, kind).reshape(2, 256)
    finish(writer)
    return summary(expected)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleave(weight, heads):
    """Hugging Face's order of the rows of q and k to llama.cpp's (`permute` of its converter)."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def sentence_piece():
    raw, at, tokens, scores = STORIES.read_bytes(), 4, [], []
    while at < len(raw):
        score, n = struct.unpack_from("<fi", raw, at)
        tokens.append(raw[at + 8 : at + 8 + n].decode())
        scores.append(score)
        at += 8 + n
    tokens[:3] = "<unk>", "<s>", "</s>"
    tokens[259:] = [token.replace(" ", "\u2581") for token in tokens[259:]]
    return tokens, scores, [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259)


def sentence_piece_ids(text, tokens, scores):
    """Merges the pair that makes the token of the highest score, the leftmost of several, until there is none."""
    ids = {token: i for i, token in enumerate(tokens)}
    found = [1]
    for piece, special in special_pieces(text, ["<s>", "</s>"]):
        if special:
            found.append(ids[piece])
            continue
        symbols = list(("\u2581" + piece).replace(" ", "\u2581"))
        while True:
            pairs = [(scores[ids[a + b]], -i) for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if ids.get(a + b, 0) > 258]
            if not pairs:
                break
            i = -max(pairs)[1]
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        for symbol in symbols:
            found += [ids[symbol]] if symbol in ids else [3 + byte for byte in symbol.encode()]
    return found


def special_pieces(text, special):
    while text:
        at = min((i, s) for s in special + [""] if (i := text.find(s) if s else len(text)) >= 0)
        if at[0]:
            yield text[: at[0]], False
        if at[1]:
            yield at[1], True
        text = text[at[0] + len(at[1]) :]


def byte_level():
    merges = ["Ġ t", "h e", "Ġt he", "l l", "he ll", "hell o", "1 2", "12 3", "i n", "e r", "Ġ a", "Ċ Ċ", "Ġ Ġ"]
    tokens = sorted(bytes_to_unicode().values()) + [merge.replace(" ", "") for merge in merges]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return tokens + special, merges, [1] * len(tokens) + [3] * len(special)


def model(name, rng, settings):
    """A random model of 2 layers, with the settings that `settings` adds."""
    query, kv, size = HEADS[name]
    width, ffn, layers = 32, 32, 2
    writer = gguf.GGUFWriter(OUT / f"{name}.gguf", name)
    writer.add_block_count(layers)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(query)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    if name == "llama":
        tokens, scores, kinds = sentence_piece()
        writer.add_tokenizer_model("llama")
        writer.add_token_scores(scores)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_chat_template("{{ bos_token }}{{ messages[0].content }}")
        ids = [sentence_piece_ids(text, tokens, scores) for text in TEXTS]
    else:
        tokens, merges, kinds = byte_level()
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_merges(merges)
        writer.add_eos_token_id(len(tokens) - 1)
        writer.add_eot_token_id(len(tokens) - 3)
        writer.add_pad_token_id(len(tokens) - 3)
        writer.add_chat_template([{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}])
        converted, _ = convert_gguf_tokenizer("qwen2", {"tokens": tokens, "merges": list(merges), "token_type": kinds})
        ids = [converted.encode(text).ids for text in TEXTS]
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    config = {
        "model_type": name, "vocab_size": len(tokens), "hidden_size": width, "intermediate_size": ffn,
        "num_hidden_layers": layers, "num_attention_heads": query, "num_key_value_heads": kv, "head_dim": size,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_scaling": None,
        "hidden_act": "silu", "tie_word_embeddings": name != "qwen3",
    } | settings(writer)

    def normal(*shape):
        return rng.normal(scale=0.1, size=shape).astype(np.float32)

    def put(tensor, data, kind):
        writer.add_tensor(tensor, gguf.quantize(data, Type[kind]), raw_dtype=Type[kind])

    put("token_embd.weight", normal(len(tokens), width), "Q8_0")
    put("output_norm.weight", normal(width), "F32")
    if name == "qwen3":
        put("output.weight", normal(len(tokens), width), "F16")
    for layer in range(layers):
        start = f"blk.{layer}."
        put(start + "attn_norm.weight", normal(width), "F32")
        put(start + "ffn_norm.weight", normal(width), "F32")
        for part, heads in [("attn_q", query), ("attn_k", kv)]:
            weight = normal(heads * size, width)
            weight = interleave(weight, heads) if name == "llama" else weight
            put(f"{start}{part}.weight", weight, "Q4_1" if part == "attn_q" else "F16")
            if name == "qwen2":
                put(f"{start}{part}.bias", normal(heads * size), "F32")
            if name == "qwen3":
                put(f"{start}{part}_norm.weight", normal(size), "F32")
        put(start + "attn_v.weight", normal(kv * size, width), "Q5_1")
        if name == "qwen2":
            put(start + "attn_v.bias", normal(kv * size), "F32")
        put(start + "attn_output.weight", normal(width, query * size), "Q5_0")
        put(start + "ffn_gate.weight", normal(ffn, width), "Q4_0")
        put(start + "ffn_up.weight", normal(ffn, width), "BF16")
        put(start + "ffn_down.weight", normal(width, ffn), "F32")
    finish(writer)
    empty = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    loaded = load_gguf_checkpoint(OUT / f"{name}.gguf", return_tensors=True, model_to_load=empty)
    tensors = {tensor: value.numpy().copy() for tensor, value in loaded["tensors"].items() if "rope" not in tensor}
    wanted = {tensor for tensor in empty.state_dict() if tensor != "lm_head.weight" or not config["tie_word_embeddings"]}
    assert set(tensors) == wanted, set(tensors) ^ wanted
    for field in ["hidden_size", "num_hidden_layers", "num_key_value_heads", "intermediate_size", "vocab_size"]:
        assert loaded["config"][field] == config[field], field
    return {"config": config, "ids": ids, "tensors": summary(tensors)}


def llama(writer):
    """Llama 3's factors; they stand for the parameters, which the file does not have."""
    size, base = HEADS["llama"][2], 1e6
    factor, low, high, original = 8.0, 1.0, 4.0, 8192
    factors = []
    for i in range(0, size, 2):
        turns = original / (2 * np.pi * base ** (i / size))
        smooth = (turns - low) / (high - low)
        factors.append(1 if turns > high else factor if turns < low else 1 / ((1 - smooth) / factor + smooth))
    writer.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(512)
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
               "original_max_position_embeddings": original}
    return {"rope_scaling": scaling, "attention_bias": False, "mlp_bias": False, "bos_token_id": 1, "eos_token_id": 2}


def ends():
    tokens = len(byte_level()[0])
    return {"eos_token_id": [tokens - 1, tokens - 3], "pad_token_id": tokens - 3}


def qwen2(writer):
    writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(32)
    return {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}} | ends()


def qwen3(writer):
    writer.add_key_length(HEADS["qwen3"][2])
    writer.add_value_length(HEADS["qwen3"][2])
    return ends()


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    OUT.mkdir(parents=True, exist_ok=True)
    by_type = types(rng)
    models = {name: model(name, rng, settings) for name, settings in [("llama", llama), ("qwen2", qwen2), ("qwen3", qwen3)]}
    text = json.dumps({"texts": TEXTS, "types": by_type, "models": models}, ensure_ascii=False)
    (OUT / "expected.json").write_text(text + "\n", encoding="utf-8")
