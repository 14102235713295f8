"""Writes RoBERTa-large with random weights in Hugging Face's layout, and a PEFT adapter for it.

    python scripts/roberta_large.py OUT_DIR [--layers 24] [--hidden 1024] [--seed 0] ...

OUT_DIR/model has config.json, model.safetensors (f32, 1.4 GB, written tensor by tensor) and
tokenizer.json: byte-level BPE without merges, a token a byte, with RoBERTa's special tokens and pairs
(<s> A </s></s> B </s>). OUT_DIR/adapter is LoRA of rank r on `value` in every layer and the classifier of
two classes. Weights are drawn as transformers draws them: normal with standard deviation 0.02, biases 0,
layer normalisations 1 and 0; A with standard deviation 1/r, B with 0.02 so that it matters.

Needs NumPy and nothing else. It is for runs at full size where the real weights are not at hand: what such
a model says means nothing, but it takes as long and as much memory.
"""

import argparse
import json
import os
import struct
from pathlib import Path

import numpy as np

# numbers that are drawn and written at a time
PIECE = 1 << 22


def settings():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    for name, default, what in [
        ("layers", 24, "encoder layers"),
        ("hidden", 1024, "width, a multiple of the heads"),
        ("heads", 16, "attention heads"),
        ("ffn", 4096, "width of the feed-forward layers"),
        ("vocabulary", 50265, "rows of the table of words, at least 261"),
        ("positions", 514, "rows of the table of positions, two more than the longest text"),
        ("rank", 4, "r of the adapter; its alpha is as large"),
        ("seed", 0, "of the weights"),
    ]:
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default})")
    given = parser.parse_args()
    for name, least in [("layers", 1), ("hidden", 1), ("heads", 1), ("ffn", 1), ("vocabulary", 261), ("positions", 3), ("rank", 1), ("seed", 0)]:
        if getattr(given, name) < least:
            parser.error(f"--{name} is {getattr(given, name)}; allowed: {least} or more")
    if given.hidden % given.heads:
        parser.error(f"--hidden is {given.hidden}; allowed: a multiple of --heads, {given.heads}")
    if given.rank > given.hidden:
        parser.error(f"--rank is {given.rank}; allowed: at most --hidden, {given.hidden}")
    return given


def config(s):
    return {
        "architectures": ["RobertaForSequenceClassification"],
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": s.hidden,
        "initializer_range": 0.02,
        "intermediate_size": s.ffn,
        "layer_norm_eps": 1e-05,
        "max_position_embeddings": s.positions,
        "model_type": "roberta",
        "num_attention_heads": s.heads,
        "num_hidden_layers": s.layers,
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "type_vocab_size": 1,
        "vocab_size": s.vocabulary,
    }


def head(hidden):
    """Names, shapes and kinds of the classifier of two classes."""
    return [
        ("classifier.dense.weight", [hidden, hidden], 0.02),
        ("classifier.dense.bias", [hidden], "zeros"),
        ("classifier.out_proj.weight", [2, hidden], 0.02),
        ("classifier.out_proj.bias", [2], "zeros"),
    ]


def tensors(s):
    """Names, shapes and kinds of the model's tensors: a standard deviation, `zeros` or `ones`."""

    def linear(name, inputs, outputs):
        return [(f"{name}.weight", [outputs, inputs], 0.02), (f"{name}.bias", [outputs], "zeros")]

    def norm(name):
        return [(f"{name}.weight", [s.hidden], "ones"), (f"{name}.bias", [s.hidden], "zeros")]

    start = "roberta.embeddings"
    found = [
        (f"{start}.word_embeddings.weight", [s.vocabulary, s.hidden], 0.02),
        (f"{start}.position_embeddings.weight", [s.positions, s.hidden], 0.02),
        (f"{start}.token_type_embeddings.weight", [1, s.hidden], 0.02),
        *norm(f"{start}.LayerNorm"),
    ]
    for index in range(s.layers):
        layer = f"roberta.encoder.layer.{index}"
        for part in ("query", "key", "value"):
            found += linear(f"{layer}.attention.self.{part}", s.hidden, s.hidden)
        found += linear(f"{layer}.attention.output.dense", s.hidden, s.hidden)
        found += norm(f"{layer}.attention.output.LayerNorm")
        found += linear(f"{layer}.intermediate.dense", s.hidden, s.ffn)
        found += linear(f"{layer}.output.dense", s.ffn, s.hidden)
        found += norm(f"{layer}.output.LayerNorm")
    return found + head(s.hidden)


def adapter(s):
    """Names, shapes and kinds of the adapter's tensors."""
    found = []
    for index in range(s.layers):
        site = f"base_model.model.roberta.encoder.layer.{index}.attention.self.value"
        found.append((f"{site}.lora_A.weight", [s.rank, s.hidden], 1.0 / s.rank))
        found.append((f"{site}.lora_B.weight", [s.hidden, s.rank], 0.02))
    return found + [(f"base_model.model.{name}", shape, kind) for name, shape, kind in head(s.hidden)]


def adapter_config(s, model):
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": str(model),
        "inference_mode": True,
        "r": s.rank,
        "lora_alpha": s.rank,
        "lora_dropout": 0.05,
        "target_modules": ["value"],
        "modules_to_save": ["classifier"],
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
    }


def alphabet():
    """The character that byte-level BPE writes for each of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def tokenizer():
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    characters = alphabet()
    tokens = special + [characters[byte] for byte in range(256)] + ["<mask>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    added = [
        {
            "id": vocabulary[token],
            "content": token,
            "single_word": False,
            "lstrip": token == "<mask>",
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in [*special, "<mask>"]
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": ["</s>", vocabulary["</s>"]],
            "cls": ["<s>", vocabulary["<s>"]],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [],
        },
    }


def write_text(path, value):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def write_tensors(path, listed, purpose, seed):
    """A safetensors file, its header first, then every tensor a piece at a time."""
    header, start = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in listed:
        end = start + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
        start = end
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for index, (_, shape, kind) in enumerate(listed):
            rng = np.random.default_rng([seed, purpose, index])
            left = int(np.prod(shape))
            while left:
                size = min(left, PIECE)
                if isinstance(kind, str):
                    values = np.full(size, float(kind == "ones"), dtype="<f4")
                else:
                    values = rng.standard_normal(size, dtype=np.float32)
                    values *= np.float32(kind)
                file.write(values.astype("<f4", copy=False).data)
                left -= size
    os.replace(partial, path)


def main():
    s = settings()
    model, tuned = s.out / "model", s.out / "adapter"
    for folder in (model, tuned):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(model / "config.json", config(s))
    write_text(model / "tokenizer.json", tokenizer())
    write_tensors(model / "model.safetensors", tensors(s), 0, s.seed)
    write_text(tuned / "adapter_config.json", adapter_config(s, model))
    write_tensors(tuned / "adapter_model.safetensors", adapter(s), 1, s.seed)
    parameters = sum(int(np.prod(shape)) for _, shape, _ in tensors(s))
    print(f"{model}: {parameters:,} parameters\n{tuned}: r = {s.rank} on value in {s.layers} layers")


if __name__ == "__main__":
    main()
