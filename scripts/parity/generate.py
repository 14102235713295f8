"""Records what transformers generates greedily, token for token.

    python scripts/parity/generate.py tests/fixtures/llama [NAME=FOLDER ...]

Writes `generate.json` beside the tiny models of `scripts/parity/llama.py`: prompts of their ids with 12 tokens more, one by
one without padding and without cache (transformers keeps keys of rotary embeddings that are stretched with the length).
The same with the adapters. For every NAME=FOLDER, a real model: prompts as texts, raw and through its chat template where it has one.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

OUT = Path(sys.argv[1])
PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6], [7], [2, 7, 1, 8, 2], [39, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19], [5, 5, 5]]
TEXTS = ["Once upon a time", "The capital of France is", "Lily had a", "One day, Tom and his mom went to the big park. They"]


def follow(model, ids, count, eos=None):
    options = {"eos_token_id": eos} if eos is not None else {}
    found = model.generate(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                           max_new_tokens=count, do_sample=False, use_cache=False, pad_token_id=0, **options)
    return found[0, len(ids):].tolist()


def tiny(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    return [follow(model, ids, 12) for ids in PROMPTS]


def adapted(folder):
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    model = PeftModel.from_pretrained(model, folder / "adapter").eval()
    model.generation_config.eos_token_id = None
    return [follow(model, ids, 12) for ids in PROMPTS]


def real(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    for template in ["raw", "chat"] if tokenizer.chat_template else ["raw"]:
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            if template == "chat":
                turns = [{"role": "user", "content": text}]
                ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
            after = follow(model, ids, 24)
            answer = tokenizer.decode(after, skip_special_tokens=True)
            cases.append({"template": template, "prompt": text, "prompt_tokens": len(ids), "ids": after, "text": answer})
    return cases


if __name__ == "__main__":
    models = {folder.name: tiny(folder / "model") for folder in sorted(OUT.iterdir()) if folder.is_dir()}
    adapters = {folder.name: adapted(folder) for folder in sorted(OUT.iterdir()) if folder.is_dir()}
    texts = {name: real(folder) for name, folder in (pair.split("=") for pair in sys.argv[2:])}
    about = {"prompts": PROMPTS, "models": models, "adapted": adapters, "real": texts}
    (OUT / "generate.json").write_text(json.dumps(about, ensure_ascii=False) + "\n")
