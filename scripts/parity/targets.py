"""Records which modules PEFT adapts, for the test of `lora.targets` and `lora.layers`.

    python scripts/parity/targets.py tests/fixtures/parity/targets.json

Tiny sequence classifiers of 12 layers get adapters from PEFT for each choice of `target_modules` and
`layers_to_transform`. Written for each family: its config.json, and for each choice the names of the adapted modules,
without the family's prefix; null where PEFT says that there are none.
"""

import json
import sys

import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

SIZES = {
    "vocab_size": 10,
    "hidden_size": 4,
    "num_hidden_layers": 12,
    "num_attention_heads": 2,
    "intermediate_size": 6,
    "max_position_embeddings": 8,
}
FAMILIES = {
    "bert": (BertConfig(**SIZES), BertForSequenceClassification),
    "roberta": (RobertaConfig(**SIZES, pad_token_id=1), RobertaForSequenceClassification),
}


def choices(family):
    full = f"{family}.encoder.layer.11.attention.self.query"
    for targets in (
        ["query"],
        ["query", "value", "query"],
        ["self.key"],
        ["attention.self.key", "key"],
        ["dense"],
        ["output.dense"],
        ["attention.output.dense", "intermediate.dense"],
        [full],
        [full, "value"],
        ["uery"],
        ["encoder"],
    ):
        for layers in (None, [0], [1, 11], [3, 2]):
            yield targets, layers
    for text in (
        "all-linear",
        r".*\.(query|value)",
        r".*\.layer\.(0|1\d)\..*dense",
        rf"{family}\.encoder\.layer\.\d\.output\.dense",
        r".*query|.*\.1\..*key",
        "query",
        r".*\.layer\.1",
    ):
        yield text, None


torch.manual_seed(1)
families = []
for family, (config, kind) in FAMILIES.items():
    found = []
    for targets, layers in choices(family):
        lora = LoraConfig(task_type="SEQ_CLS", r=1, target_modules=targets, layers_to_transform=layers)
        try:
            names = get_peft_model(kind(config), lora).base_model.targeted_module_names
            modules = [name.removeprefix(f"{family}.") for name in names]
        except ValueError as error:
            # PEFT tries to adapt `encoder`, which is no linear layer, and finds nothing else
            print(family, targets, layers, str(error)[:80], file=sys.stderr)
            modules = None
        found.append({"target_modules": targets, "layers_to_transform": layers, "modules": modules})
    families.append({"config": json.loads(config.to_json_string()), "choices": found})
with open(sys.argv[1], "w") as file:
    json.dump({"peft": peft.__version__, "families": families}, file)
    file.write("\n")
