"""Holds per-example gradients that infbench wrote against PyTorch + PEFT, one example at a time.

    infbench gradients --model MODEL --adapter ADAPTER --task rte --examples TEXTS.jsonl --out G.safetensors
    python scripts/parity/gradients.py MODEL ADAPTER TEXTS.jsonl G.safetensors

The texts are pairs (`sentence1`, `sentence2`) with a `label`; the longest sequence is read off G.json.
Exit code 1 when a tensor is missing or one example's gradient of it differs by more than 1e-4 of its norm,
or a loss by more than 1e-5.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder, adapter, texts, file = map(Path, sys.argv[1:])
found = load_file(file)
facts = json.loads(file.with_suffix(".json").read_text())
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=torch.float32)
model = PeftModel.from_pretrained(base, adapter).eval()
named = dict(model.named_parameters())
for name, parameter in named.items():
    parameter.requires_grad_(name in found)
trained = {
    name
    for name in named
    if "lora_" in name or name.endswith(("default.weight", "default.out_proj.weight")) and "modules_to_save" in name
}
assert trained == set(found), f"not in both: {sorted(trained ^ set(found))}"
worst, loss_error = {name: 0.0 for name in found}, 0.0
with open(texts) as lines:
    for index, line in enumerate(lines):
        example = json.loads(line)
        batch = tokenizer(
            example["sentence1"],
            example["sentence2"],
            truncation=True,
            max_length=facts["max_length"],
            return_tensors="pt",
        )
        assert batch["input_ids"].shape[1] == facts["tokens"][index], f"tokens of example {index}"
        model.zero_grad()
        loss = model(**batch, labels=torch.tensor([example["label"]])).loss
        loss.backward()
        loss_error = max(loss_error, abs(loss.item() - facts["losses"][index]))
        for name, rows in found.items():
            expected = named[name].grad.flatten()
            error = ((rows[index] - expected).norm() / expected.norm()).item()
            worst[name] = max(worst[name], error)
assert index + 1 == facts["examples"], f"{index + 1} texts, {facts['examples']} gradients"
name = max(worst, key=worst.get)
print(f"{index + 1} examples: losses to {loss_error:.1e}, gradients to {worst[name]:.1e} of their norm ({name})")
sys.exit(not (worst[name] <= 1e-4 and loss_error <= 1e-5))
