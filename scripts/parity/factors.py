"""Holds Kronecker factors that infbench wrote against hooks on PyTorch + PEFT, one example at a time.

    infbench gradients --model MODEL --adapter ADAPTER --task rte --examples TEXTS.jsonl --out G.safetensors \
        --factors F.safetensors
    python scripts/parity/factors.py MODEL ADAPTER TEXTS.jsonl G.safetensors F.safetensors

The texts are pairs (`sentence1`, `sentence2`) with a `label`. PEFT scales an adapter's output where infbench
scales the side of size r, so that PEFT's factors of lora_B are brought to ours by the scale squared. A token
counts where the loss depends on the layer's output. Exit code 1 when a factor is missing or differs by more
than 1e-4 of its norm.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, adapter, texts, gradients, file = map(Path, sys.argv[1:])
found = load_file(file)
facts = json.loads(gradients.with_suffix(".json").read_text())
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32)
model = PeftModel.from_pretrained(base, adapter).eval()
names = sorted({name.rsplit(".", 1)[0] for name in found})
modules = {name: model.get_submodule(name.removesuffix(".weight")) for name in names}
seen = {}


def watch(name):
    def forward(module, inputs, output):
        x = inputs[0].detach().double()

        def backward(delta):
            delta = delta.double().reshape(-1, delta.shape[-1])
            used = delta.abs().sum(-1) > 0
            seen[name] = (x.reshape(-1, x.shape[-1])[used], delta[used])

        output.register_hook(backward)

    return forward


for name, module in modules.items():
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    module.register_forward_hook(watch(name))
sums = {name: [0.0, 0.0, 0] for name in names}
examples = 0
with open(texts) as lines:
    for line in lines:
        example = json.loads(line)
        batch = tokenizer(
            example["sentence1"],
            example["sentence2"],
            truncation=True,
            max_length=facts["max_length"],
            return_tensors="pt",
        )
        model(**batch, labels=torch.tensor([example["label"]])).loss.backward()
        for name, (x, delta) in seen.items():
            total = sums[name]
            total[0] = total[0] + x.T @ x
            total[1] = total[1] + delta.T @ delta
            total[2] += len(x)
        examples += 1
worst, where = 0.0, None
for name, (inputs, outputs, tokens) in sums.items():
    scale = 1.0
    if "lora_B" in name:
        scale = model.get_submodule(name.split(".lora_B")[0]).scaling["default"] ** 2
    for side, expected in (("inputs", inputs / tokens * scale), ("outputs", outputs / examples / scale)):
        error = ((found[f"{name}.{side}"] - expected).norm() / expected.norm()).item()
        if not error <= worst:
            worst, where = error, f"{name}.{side}"
print(f"{examples} examples, {len(names)} tensors: factors to {worst:.1e} of their norm ({where})")
sys.exit(not worst <= 1e-4)
