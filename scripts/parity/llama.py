"""Makes the fixtures of causal language models: tiny random ones of every kind that is read, with PEFT adapters.

    /tmp/parity/bin/python scripts/parity/llama.py tests/fixtures/llama

Needs transformers 4.57.1 and PEFT 0.18. Writes one folder a case: `model/` (Hugging Face layout, with `config_5.json`, the
same settings as transformers 5 writes them), `adapter/` (PEFT layout) and `expected.safetensors`, in eval mode, one example
at a time, without padding:
  ids, lengths         token ids, padded with 0, and how many of them are an example's
  logits.base, logits  logits of every position, the examples one after another, without and with adapter
  losses               mean cross-entropy of every token but the first, from the tokens before it
  gradient.NAME        gradients of these losses, `[examples, d]`
  pytorch_f32          median and largest relative error of a row of PyTorch's own float32 gradients; rows that are zero but for
                       rounding (queries and keys of an example with one target) are left out
All are computed in float64 and stored in float32.
The float64 pass is one throughout but for cosines and sines of the rotary embedding, which transformers computes in
float32: RMSNorm, which it computes in float32 whatever the model's type, is replaced.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

SIZES = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=20, use_cache=False)
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8)
CASES = {
    "mha": dict(
        model=LlamaForCausalLM,
        config=LlamaConfig(**SIZES),
        lora=dict(r=2, lora_alpha=4, target_modules=SEVEN),
        dtype=torch.float32,
    ),
    "gqa_2_tied_linear": dict(
        model=LlamaForCausalLM,
        config=LlamaConfig(
            **SIZES, num_key_value_heads=2, tie_word_embeddings=True, rope_scaling=dict(rope_type="linear", factor=2.5)
        ),
        lora=dict(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"]),
    ),
    "gqa_3_dynamic": dict(
        model=LlamaForCausalLM,
        config=LlamaConfig(
            **SIZES | dict(num_attention_heads=6, hidden_size=24),
            num_key_value_heads=2,
            max_position_embeddings=8,
            rope_scaling=dict(rope_type="dynamic", factor=2.0),
        ),
        lora=dict(r=2, lora_alpha=4, target_modules=["k_proj", "down_proj"], use_rslora=True),
    ),
    "mqa_llama3_biases": dict(
        model=LlamaForCausalLM,
        config=LlamaConfig(
            **SIZES,
            num_key_value_heads=1,
            rope_theta=500.0,
            rope_scaling=LLAMA3,
            max_position_embeddings=32,
            attention_bias=True,
            mlp_bias=True,
        ),
        lora=dict(r=1, lora_alpha=2, target_modules="all-linear"),
    ),
    "yarn": dict(
        model=LlamaForCausalLM,
        config=LlamaConfig(
            **SIZES | dict(num_attention_heads=2),
            rope_theta=100.0,
            max_position_embeddings=32,
            rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=2.0, beta_slow=0.5),
        ),
        lora=dict(r=2, lora_alpha=4, target_modules=["q_proj", "k_proj"], layers_to_transform=[1]),
    ),
    "mistral_window": dict(
        model=MistralForCausalLM,
        config=MistralConfig(**SIZES, num_key_value_heads=2, head_dim=6, sliding_window=5),
        lora=dict(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "o_proj"]),
    ),
    "qwen2": dict(
        model=Qwen2ForCausalLM,
        config=Qwen2Config(
            **SIZES,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            use_sliding_window=True,
            sliding_window=4,
            max_window_layers=1,
        ),
        lora=dict(r=2, lora_alpha=4, target_modules=r".*\.layers\.[01]\.(self_attn\.[qkv]|mlp\.up)_proj"),
        dtype=torch.float16,
    ),
    "qwen3_shards": dict(
        model=Qwen3ForCausalLM,
        config=Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=6, rope_theta=1e6),
        lora=dict(r=2, lora_alpha=4, target_modules=SEVEN, rank_pattern={"v_proj": 1}),
        shard="6KB",
    ),
}
LENGTHS = [7, 13, 2, 10]


def precise(self, x):
    """RMSNorm in the type of its input."""
    if x.dtype != torch.float64:
        return self.float32(x)
    return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


for norm in (LlamaRMSNorm, MistralRMSNorm, Qwen2RMSNorm, Qwen3RMSNorm):
    norm.float32, norm.forward = norm.forward, precise


def config_5(config):
    """config.json as transformers 5 writes it: one dictionary for the rotary embedding, `dtype`."""
    config = dict(config)
    rope = config.pop("rope_scaling", None) or {"rope_type": "default"}
    config["rope_parameters"] = {"rope_theta": config.pop("rope_theta"), **rope}
    if "torch_dtype" in config:
        config["dtype"] = config.pop("torch_dtype")
    config["transformers_version"] = "5.0.0"
    return config


def loss(logits, ids):
    return torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])


def run(model, ids):
    """Logits of every position, losses, gradients of every trained parameter."""
    named = {k: p for k, p in model.named_parameters() if p.requires_grad}
    logits, losses, rows = [], [], {name: [] for name in named}
    for row, length in zip(ids, LENGTHS):
        one = row[None, :length]
        model.zero_grad()
        out = model(one).logits
        value = loss(out, one)
        if named:
            value.backward()
        logits.append(out[0].detach())
        losses.append(value.detach())
        for name, parameter in named.items():
            rows[name].append(parameter.grad.flatten().clone())
    return torch.cat(logits), torch.stack(losses), {name: torch.stack(grads) for name, grads in rows.items()}


def make(folder, model, config, lora, dtype=torch.bfloat16, shard="1GB"):
    torch.manual_seed(1)
    config._attn_implementation = "sdpa"
    model = model(config).eval().to(dtype)
    with torch.no_grad():  # weights that matter, norms that are not 1, biases that are not 0
        for name, parameter in model.named_parameters():
            scale = 0.3 if "proj" in name or "norm" in name else 0.2
            parameter.add_(scale * torch.randn_like(parameter))
    model.save_pretrained(folder / "model", max_shard_size=shard)
    path = folder / "model" / "config.json"
    (folder / "model" / "config_5.json").write_text(json.dumps(config_5(json.loads(path.read_text())), indent=2) + "\n")
    (folder / "model" / "generation_config.json").unlink(missing_ok=True)
    ids = torch.randint(1, config.vocab_size, (len(LENGTHS), max(LENGTHS)))
    for row, length in enumerate(LENGTHS):
        ids[row, length:] = 0
    # anew, because `to` has rounded the rotary embedding's frequencies too
    model = type(model).from_pretrained(folder / "model", dtype=torch.float32, attn_implementation="sdpa").eval()
    model = model.double().requires_grad_(False)
    out = {"ids": ids.to(torch.int32), "lengths": torch.tensor(LENGTHS, dtype=torch.int32)}
    out["logits.base"] = run(model, ids)[0]
    model = get_peft_model(model.float(), LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **lora)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    single = run(model, ids)[2]
    out["logits"], out["losses"], rows = run(model.double(), ids)
    errors = []
    for name, grads in rows.items():
        sizes = grads.norm(dim=1)
        counted = sizes > 1e-5 * sizes.max()
        errors.append(((single[name].double() - grads).norm(dim=1) / sizes)[counted])
    errors = torch.cat(errors)
    out["pytorch_f32"] = torch.stack([errors.median(), errors.max()])
    out |= {f"gradient.{name}": grads for name, grads in rows.items()}
    out = {k: (v.float() if v.is_floating_point() else v).contiguous() for k, v in out.items()}
    save_file(out, folder / "expected.safetensors")
    print(f"PyTorch's float32: {out['pytorch_f32'].tolist()}; losses {out['losses'].tolist()}")


if __name__ == "__main__":
    for name, case in CASES.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, **case)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder}: {size} bytes")
