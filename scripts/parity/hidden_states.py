"""Records hidden states of the tiny models of `scripts/parity/llama.py` with their adapters, after the final norm.

    python scripts/parity/hidden_states.py tests/fixtures/llama

Needs transformers 4.57.1 and PEFT 0.18. Writes `hidden_states.json`: for every model and every one of its examples the
state at the last token and the mean over the tokens, in float64.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import llama  # replaces RMSNorm by one that keeps float64

OUT = Path(sys.argv[1])
found = {}
for name in llama.CASES:
    model = AutoModelForCausalLM.from_pretrained(OUT / name / "model", dtype=torch.float32)
    model = PeftModel.from_pretrained(model, OUT / name / "adapter").eval().double()
    expected = load_file(OUT / name / "expected.safetensors")
    last, mean = [], []
    for ids, length in zip(expected["ids"], expected["lengths"]):
        with torch.no_grad():
            states = model.base_model.model.model(ids[None, :length].long()).last_hidden_state[0]
        last.append(states[-1].tolist())
        mean.append(states.mean(0).tolist())
    rounded = lambda rows: [[float(f"{x:.9g}") for x in row] for row in rows]
    found[name] = {"last": rounded(last), "mean": rounded(mean)}
(OUT / "hidden_states.json").write_text(json.dumps(found) + "\n")
