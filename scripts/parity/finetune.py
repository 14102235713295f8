"""Fine-tunes all-MiniLM-L6-v2 for twenty steps with PyTorch and PEFT, for the test that infbench does the same.

    scripts/get-minilm.sh
    python scripts/parity/finetune.py models/all-MiniLM-L6-v2 GOLDEN tests/fixtures/parity/finetune

GOLDEN is a folder with `adapter/` (PEFT layout; where the fine-tune starts) and `examples.json` (texts and labels
under `train`). `batches.json` in the output folder holds the batches, as indices of the examples; they are those
that infbench draws, and its test prints them when they change.

Adapters and classifier are trained as the paper's code does: `torch.optim.AdamW` on all parameters,
`get_linear_schedule_with_warmup` with 6 % of the steps for warm-up, the mean loss of every batch, in train mode with
every dropout at 0. `paper` has the paper's learning rate and weight decay; `strong` larger ones, so that both show.
Writes `examples.json` (token ids, types, labels; how far PyTorch's float32 is from its float64) and
`trained.safetensors`: the parameters after the last step, computed in float64, stored as float32.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

CASES = dict(paper=dict(lr=3e-4), strong=dict(lr=3e-3, weight_decay=0.1))
model_folder, golden, out = map(Path, sys.argv[1:])
given = json.loads((golden / "examples.json").read_text())["train"]
batches = json.loads((out / "batches.json").read_text())
tokenizer = AutoTokenizer.from_pretrained(model_folder)
encoded = [
    tokenizer(example["sentence1"], example["sentence2"], truncation=True, max_length=128) for example in given
]
labels = [example["label"] for example in given]


def tune(dtype, **options):
    base = AutoModelForSequenceClassification.from_pretrained(
        model_folder,
        num_labels=2,
        dtype=dtype,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=0.0,
    )
    model = PeftModel.from_pretrained(base, golden / "adapter", is_trainable=True).to(dtype).train()
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    scheduler = get_linear_schedule_with_warmup(
        optimizer, num_warmup_steps=0.06 * len(batches), num_training_steps=len(batches)
    )
    for indices in batches:
        batch = tokenizer.pad([encoded[index] for index in indices], return_tensors="pt")
        model(**batch, labels=torch.tensor([labels[index] for index in indices])).loss.backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
    return {name: value.detach().double() for name, value in get_peft_model_state_dict(model).items()}


trained, rounding = {}, {}
for case, options in CASES.items():
    exact, single = tune(torch.float64, **options), tune(torch.float32, **options)
    rounding[case] = max(((single[name] - exact[name]).norm() / exact[name].norm()).item() for name in exact)
    trained |= {f"{case}.{name}": value.float().contiguous() for name, value in exact.items()}
save_file(trained, out / "trained.safetensors")
examples = {
    "input_ids": [example["input_ids"] for example in encoded],
    "token_type_ids": [example["token_type_ids"] for example in encoded],
    "labels": labels,
    "pytorch_f32": rounding,
}
(out / "examples.json").write_text(json.dumps(examples) + "\n")
print(f"{len(batches)} steps; float32 is within {rounding} of float64")
