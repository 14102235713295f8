"""Records the distribution that PEFT draws LoRA's A from, for the test of `lora.init`.

    python scripts/parity/lora_init.py tests/fixtures/parity/lora_init.json

A tiny BERT (hidden 48, intermediate 96) gets fresh adapters from PEFT on `value` (in = 48) and on
`output.dense` of the feed-forward layers (in = 96), with `init_lora_weights` true and "gaussian" and ranks
1 and 4, until each case has at least 100,000 numbers. Written for each case: how many, their mean, standard
deviation, least and largest, and the quantiles at 1/40, 2/40 … 39/40; and the largest |B|.
"""

import json
import sys

import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

DRAWS = 100_000
CONFIG = BertConfig(
    vocab_size=10,
    hidden_size=48,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=96,
    max_position_embeddings=8,
)
TARGETS = {48: ["value"], 96: r".*layer\.\d+\.output\.dense"}

torch.manual_seed(1)
cases = []
for init in (True, "gaussian"):
    for inputs, target in TARGETS.items():
        for rank in (1, 4):
            lora = LoraConfig(task_type="SEQ_CLS", r=rank, target_modules=target, init_lora_weights=init)
            drawn, count, largest_b = [], 0, 0.0
            while count < DRAWS:
                model = get_peft_model(BertForSequenceClassification(CONFIG), lora)
                for name, parameter in model.named_parameters():
                    if "lora_A" in name:
                        assert parameter.shape == (rank, inputs), (name, parameter.shape)
                        drawn.append(parameter.detach().flatten().double())
                        count += parameter.numel()
                    elif "lora_B" in name:
                        largest_b = max(largest_b, parameter.abs().max().item())
            values = torch.cat(drawn)
            levels = torch.arange(1, 40, dtype=torch.float64) / 40
            cases.append(
                {
                    "init_lora_weights": init,
                    "inputs": inputs,
                    "rank": rank,
                    "draws": count,
                    "mean": values.mean().item(),
                    "deviation": values.std().item(),
                    "least": values.min().item(),
                    "largest": values.max().item(),
                    "quantiles": [round(q, 7) for q in values.quantile(levels).tolist()],
                    "largest_b": largest_b,
                }
            )
with open(sys.argv[1], "w") as file:
    json.dump({"peft": peft.__version__, "cases": cases}, file, indent=1)
    file.write("\n")
