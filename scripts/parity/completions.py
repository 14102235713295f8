#!/usr/bin/env python3
"""Token ids of the authors' three data sets by transformers, for tests/language_tasks.rs.

    python scripts/parity/completions.py DATA OUT.json MODEL_FOLDER...     DATA holds datainf_grammars, …
    INFBENCH_COMPLETIONS=OUT.json cargo test --release --test language_tasks

Of every text: its ids without the token that ends it, which of them end after the prompt, and the prompt's own ids. Run
with transformers 4.57.1.
"""
import json
import sys

from transformers import AutoTokenizer

data, out, *folders = sys.argv[1:]
found = {}
for folder in folders:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = found[folder] = []
    for name in ("grammars", "math_without_reason", "math_with_reason"):
        for split in ("train", "test"):
            for line in open(f"{data}/datainf_{name}/{split}.jsonl"):
                row = json.loads(line)
                text, prompt = row["text"].removesuffix("</s>"), row["prompt"]
                coded = tokenizer(text, return_offsets_mapping=True)
                rows.append({
                    "ids": coded["input_ids"],
                    "answer": [int(end > len(prompt)) for _, end in coded["offset_mapping"]],
                    "prompt": tokenizer(prompt)["input_ids"],
                })
json.dump(found, open(out, "w"))
