"""A checkpoint of Llama-2-13B's shape with random bf16 weights, a LoRA adapter (r = 8 on q_proj and v_proj) and examples.

    python scripts/llama_13b.py OUT TOKENIZER_DIR [--layers 40] [--examples 16]

Writes OUT/model (26 GB with 40 layers), OUT/adapter and OUT/examples.jsonl. The tokenizer's files are copied from another
Llama; texts are as long as it makes them, so cut them with `--truncate right`. Needs NumPy. Weights are normal with standard
deviation 0.02, and what goes into the residual stream is divided by √(2·layers), so that activations keep their size.
"""

import argparse
import json
import math
import pathlib
import shutil

import numpy as np

HIDDEN, FFN, HEADS, VOCABULARY = 5120, 13824, 40, 32000
PIECE = 1 << 24


def quantiles(deviation):
    """65,536 bf16 numbers that are spread like a normal distribution, to be drawn by 16 random bits."""
    rng = np.random.default_rng(0)
    numbers = np.sort(rng.standard_normal(1 << 16).astype(np.float32)) * deviation
    return (numbers.view(np.uint32) >> 16).astype(np.uint16)


def write(path, tensors, rng):
    """A safetensors file of tensors (name, shape, deviation); deviation None for ones."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in tensors:
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape, deviation in tensors:
            left = math.prod(shape)
            if deviation is None:
                file.write(np.full(left, 0x3F80, np.uint16).tobytes())
                continue
            table = quantiles(deviation)
            while left > 0:
                count = min(left, PIECE)
                bits = np.frombuffer(rng.bytes(2 * count), np.uint16)
                file.write(table[bits].tobytes())
                left -= count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--examples", type=int, default=16)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    model, adapter = args.out / "model", args.out / "adapter"
    model.mkdir(parents=True, exist_ok=True)
    adapter.mkdir(exist_ok=True)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(args.tokenizer / name, model / name)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": args.layers,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2, "rope_theta": 10000.0,
    }
    (model / "config.json").write_text(json.dumps(config, indent=1))

    small = 0.02 / math.sqrt(2 * args.layers)
    shards = [[("model.embed_tokens.weight", [VOCABULARY, HIDDEN], 0.02)]]
    for layer in range(args.layers):
        name = f"model.layers.{layer}."
        shards.append(
            [(f"{name}input_layernorm.weight", [HIDDEN], None)]
            + [(f"{name}self_attn.{part}_proj.weight", [HIDDEN, HIDDEN], small if part == "o" else 0.02) for part in "qkvo"]
            + [(f"{name}post_attention_layernorm.weight", [HIDDEN], None)]
            + [(f"{name}mlp.{part}_proj.weight", [FFN, HIDDEN], 0.02) for part in ("gate", "up")]
            + [(f"{name}mlp.down_proj.weight", [HIDDEN, FFN], small)]
        )
    shards.append([("model.norm.weight", [HIDDEN], None), ("lm_head.weight", [VOCABULARY, HIDDEN], 0.02)])
    index = {}
    for number, tensors in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(model / file, tensors, rng)
        index.update({name: file for name, _, _ in tensors})
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))

    sites = [f"base_model.model.model.layers.{layer}.self_attn.{part}_proj" for layer in range(args.layers) for part in "qv"]
    factors = [(f"{site}.lora_A.weight", [8, HIDDEN], 0.02) for site in sites]
    factors += [(f"{site}.lora_B.weight", [HIDDEN, 8], 0.02) for site in sites]
    write(adapter / "adapter_model.safetensors", factors, rng)
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "model", "r": 8, "lora_alpha": 32,
        "lora_dropout": 0.05, "target_modules": ["q_proj", "v_proj"], "bias": "none", "inference_mode": True,
    }
    (adapter / "adapter_config.json").write_text(json.dumps(settings, indent=1))
    words = "the cat and a dog went to play in the park with one big red ball until it was time for bed".split()
    lines = []
    for _ in range(args.examples):
        text = " ".join(rng.choice(words, 120))
        lines.append(json.dumps({"prompt": text[:40], "text": text}))
    (args.out / "examples.jsonl").write_text("\n".join(lines) + "\n")


main()
