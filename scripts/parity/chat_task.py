"""Token ids of prompts with answers in chat templates, as transformers' `apply_chat_template` gives them.

    python scripts/parity/chat_task.py tests/fixtures/tokenizers SMOLLM2_FOLDER

Writes `chat_task.json`. `examples` are prompts with answers. `letters` has a tokenizer of single characters in several
templates of `chat.json`, `smollm2` the ids of SmolLM2's own tokenizer and template: for every example the ids of the
prompt with `add_generation_prompt`, and of the whole conversation up to its last end-of-text token.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

OUT, SMOLLM2 = Path(sys.argv[1]), sys.argv[2]
EXAMPLES = [
    ["Reverse the words: night call winds", " winds call night"],
    ["gradeoqi says it\nin Pirate Speak\n    The sun sets. -> ", "  The sun sets, matey!"],
    ["2 + 2 -> ", "Answer: 4"],
]
chats = json.loads((OUT / "chat.json").read_text())


def ids_of(tokenizer, template=None):
    rows = []
    for prompt, answer in EXAMPLES:
        user = {"role": "user", "content": prompt}
        assistant = {"role": "assistant", "content": answer.strip()}
        options = {"chat_template": template} if template else {}
        asked = tokenizer.apply_chat_template([user], add_generation_prompt=True, **options)
        whole = tokenizer.apply_chat_template([user, assistant], **options)
        last = len(whole) - whole[::-1].index(tokenizer.eos_token_id)  # a line end may follow
        rows.append({"prompt": asked, "whole": whole[:last]})
    return rows


def letters(template):
    """A token per character; special tokens as they are."""
    of_turns = "<|im_end|>" in template
    special = ["<unk>", "<s>", "<|im_end|>" if of_turns else "</s>"] + ["<|im_start|>"] * of_turns
    vocabulary = {token: i for i, token in enumerate(special + [chr(c) for c in [10, *range(32, 127)]])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token=special[1], eos_token=special[2],
        additional_special_tokens=special[3:], chat_template=template,
    )
    return fast


found = {"examples": EXAMPLES, "letters": {}, "smollm2": ids_of(AutoTokenizer.from_pretrained(SMOLLM2))}
for name in ["llama2", "qwen2", "smollm2", "zephyr"]:
    template = chats["templates"][name]["source"]
    fast = letters(template)
    found["letters"][name] = {"tokenizer": json.loads(fast.backend_tokenizer.to_str()), "eos": fast.eos_token, "template": template, "ids": ids_of(fast)}
(OUT / "chat_task.json").write_text(json.dumps(found, ensure_ascii=False) + "\n")
