"""Records the moments of logits and losses under dropout in transformers' train mode, for the test of
`train.base_dropout`.

    python scripts/parity/dropout.py tests/fixtures/parity

For the tiny BERT and RoBERTa with adapters of `make.py`, whose `expected.safetensors` has the batch, and for each
setting of the probabilities: mean, variance and fourth central moment over many masks of every example's logits
and loss. Written to FOLDER/dropout.json, with the number of masks. Probabilities are larger than anybody's, so that
a mask in the wrong place shows.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

MASKS, COPIES = 40_000, 200
NONE = dict(hidden=0.0, attention=0.0, classifier=0.0, adapter=0.0)
SETTINGS = [
    NONE | dict(hidden=0.2),
    NONE | dict(attention=0.3),
    NONE | dict(classifier=0.3),
    NONE | dict(adapter=0.3),
    dict(hidden=0.1, attention=0.1, classifier=0.1, adapter=0.05),
]
FIELDS = dict(
    hidden="hidden_dropout_prob",
    attention="attention_probs_dropout_prob",
    classifier="classifier_dropout",
)


def train_mode(case, setting):
    folder = Path(sys.argv[1]) / case
    probabilities = {field: setting[name] for name, field in FIELDS.items()}
    base = AutoModelForSequenceClassification.from_pretrained(folder / "model", **probabilities)
    model = PeftModel.from_pretrained(base, folder / "adapter")
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Dropout) and "lora_dropout" in name:
            module.p = setting["adapter"]
        elif isinstance(module, torch.nn.Identity) and "lora_dropout.default" in name:
            parent = model.get_submodule(name.removesuffix(".default"))
            parent["default"] = torch.nn.Dropout(setting["adapter"])
    return model.train()


def moments(case, setting):
    torch.manual_seed(1)
    model = train_mode(case, setting)
    batch = load_file(Path(sys.argv[1]) / case / "expected.safetensors")
    lengths = batch["lengths"]
    mask = (torch.arange(lengths.max())[None] < lengths[:, None]).long()
    copies = lambda x: x.repeat(COPIES, *[1] * (x.dim() - 1))
    inputs = dict(
        input_ids=copies(batch["input_ids"]),
        attention_mask=copies(mask),
        token_type_ids=copies(batch["token_type_ids"]),
    )
    labels = copies(batch["labels"])
    values = []
    with torch.no_grad():
        for _ in range(MASKS // COPIES):
            logits = model(**inputs).logits.double()
            losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            values.append(torch.cat([logits, losses[:, None]], 1).reshape(COPIES, len(lengths), -1))
    values = torch.cat(values)  # [masks, examples, classes + 1]
    mean = values.mean(0)
    from_mean = values - mean
    return {
        "mean": mean.tolist(),
        "variance": (from_mean**2).mean(0).tolist(),
        "fourth": (from_mean**4).mean(0).tolist(),
    }


if __name__ == "__main__":
    found = [
        {"case": case, "dropout": setting} | moments(case, setting)
        for case in ("bert", "roberta")
        for setting in SETTINGS
    ]
    with open(Path(sys.argv[1]) / "dropout.json", "w") as file:
        json.dump({"transformers": transformers.__version__, "masks": MASKS, "moments": found}, file)
        file.write("\n")
