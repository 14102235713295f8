"""Makes the fixture of the parity test on a real model, all-MiniLM-L6-v2 with a LoRA adapter for RTE.

    scripts/get-minilm.sh
    python scripts/parity/minilm.py models/all-MiniLM-L6-v2 GOLDEN tests/fixtures/parity/minilm

GOLDEN is a folder with `adapter/` (PEFT layout) and `examples.json` (texts and labels under `train`).
Writes `adapter/`, `examples.jsonl` (six examples from there, then pairs with accents, other scripts and
more than 128 tokens) and `expected.safetensors`: token ids and types end to end, lengths, losses, and
the gradients of the first two examples, taken one at a time in eval mode, float32; and
`golden_tokens.safetensors`: the token ids of all of GOLDEN's examples, end to end, and their lengths.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model, golden, out = map(Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)
shutil.copytree(golden / "adapter", out / "adapter", dirs_exist_ok=True)
given = json.loads((golden / "examples.json").read_text())["train"]
long = " ".join(example["sentence1"] for example in given[:12])
pairs = [(e["sentence1"], e["sentence2"], e["label"]) for e in given[:6]] + [
    ("Café naïve — 北京, don't: ÅNGSTRÖM ½ 🙂!", "[MASK] tabs\tand\u00a0spaces  ", 0),
    (long, given[0]["sentence2"], 1),
    (given[1]["sentence2"], long, 0),
    (long, long[::-1], 1),
]
tokenizer = AutoTokenizer.from_pretrained(model)
base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
model = PeftModel.from_pretrained(base, out / "adapter").eval()
wanted = {}
for name, parameter in model.named_parameters():
    trained = "lora_" in name or name.endswith("modules_to_save.default.weight")
    parameter.requires_grad_(trained)
    if trained:
        wanted[name] = parameter
encoded, losses, rows = [], [], {name: [] for name in wanted}
with open(out / "examples.jsonl", "w") as file:
    for index, (first, second, label) in enumerate(pairs):
        example = {"sentence1": first, "sentence2": second, "label": label}
        file.write(json.dumps(example, ensure_ascii=False) + "\n")
        batch = tokenizer(first, second, truncation=True, max_length=128, return_tensors="pt")
        encoded.append((batch["input_ids"][0], batch["token_type_ids"][0]))
        model.zero_grad()
        loss = model(**batch, labels=torch.tensor([label])).loss
        loss.backward()
        losses.append(loss.detach())
        if index < 2:
            for name, parameter in wanted.items():
                rows[name].append(parameter.grad.flatten().clone())
save_file(
    {
        "input_ids": torch.cat([ids for ids, _ in encoded]),
        "token_type_ids": torch.cat([types for _, types in encoded]),
        "lengths": torch.tensor([len(ids) for ids, _ in encoded]),
        "losses": torch.stack(losses),
    }
    | {f"gradient.{name}": torch.stack(grads) for name, grads in rows.items()},
    out / "expected.safetensors",
)
parts = json.loads((golden / "examples.json").read_text())
tokens = {}
for part in ("train", "query"):
    ids = [
        torch.tensor(tokenizer(e["sentence1"], e["sentence2"], truncation=True, max_length=128)["input_ids"])
        for e in parts[part]
    ]
    tokens |= {f"{part}.input_ids": torch.cat(ids), f"{part}.lengths": torch.tensor([len(i) for i in ids])}
save_file(tokens, out / "golden_tokens.safetensors")
