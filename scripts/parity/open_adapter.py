"""Opens an adapter that infbench saved with PEFT and holds its logits against those of PEFT's own.

    python scripts/parity/open_adapter.py tests/fixtures/parity/bert SAVED_ADAPTER [LOGITS]
    python scripts/parity/open_adapter.py tests/fixtures/llama/mha SAVED_ADAPTER

LOGITS is a safetensors file whose `logits` are expected instead of those of the case's own adapter.

Exit code 1 when a logit differs by more than 1e-5 (the rounding of logits of size 1 in float32) or a parameter was not loaded.
"""

import sys
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

case, saved = Path(sys.argv[1]), sys.argv[2]
expected = load_file(case / "expected.safetensors")
if "logits.adapter" not in expected:  # a causal language model, one example at a time
    base = AutoModelForCausalLM.from_pretrained(case / "model", dtype=torch.float32)
    warnings.simplefilter("error")  # PEFT warns of keys that are missing
    warnings.simplefilter("ignore", FutureWarning)
    model = PeftModel.from_pretrained(base, saved).eval()
    rows = zip(expected["ids"].long(), expected["lengths"])
    with torch.no_grad():
        logits = torch.cat([model(ids[None, :length]).logits[0] for ids, length in rows])
    worst = (logits - expected["logits"]).abs().max().item()
    print(f"{saved}: largest difference of a logit {worst:.2e}")
    sys.exit(worst > 1e-5)
if len(sys.argv) > 3:
    expected["logits.adapter"] = load_file(sys.argv[3])["logits"]
labels = expected["logits.base"].shape[1]
config = AutoConfig.from_pretrained(case / "model", num_labels=labels)
base = AutoModelForSequenceClassification.from_pretrained(case / "model", config=config)
warnings.simplefilter("error")  # PEFT warns of keys that are missing
warnings.simplefilter("ignore", FutureWarning)
model = PeftModel.from_pretrained(base, saved).eval()
mask = (torch.arange(expected["input_ids"].shape[1])[None] < expected["lengths"][:, None]).long()
with torch.no_grad():
    logits = model(
        expected["input_ids"], attention_mask=mask, token_type_ids=expected["token_type_ids"]
    ).logits
worst = (logits - expected["logits.adapter"]).abs().max().item()
print(f"{saved}: largest difference of a logit {worst:.2e}")
sys.exit(worst > 1e-5)
