"""Gradients of a real causal language model by infbench beside float64 of PyTorch + transformers + PEFT, for other adapters and
texts than the golden case's.

    python scripts/parity/llama_real.py MODEL_DIR OUT [--infbench target/release/infbench] [--gguf FILE.gguf] [--only NAME ...]

Adapters are PEFT's own files: all seven matrices, a regular expression, ranks and alphas by pattern, rsLoRA, some layers.
Texts have several scripts, emoji, tabs and lines, prompts whose last token merges with the answer, and lengths from 2 to 107
tokens. Prints for every adapter and loss the largest relative error of a loss and the errors of the rows of blocks, of their
norm, beside those of PyTorch's own float32. Exit code 1: a loss off by 1e-5, a median above twice PyTorch's, a row off by 1e-3,
or other names or counts of tokens. `--gguf` takes the same through a GGUF file, whose weights transformers reads for the truth.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

TEXTS = [
    ("Reverse the words: the quick brown fox -> ", "fox brown quick the"),
    ("Übersetze ins Japanische: Der Zug fährt um acht Uhr ab. ", "電車は八時に出発します。"),
    ("def f(x):\n\treturn x ** 2\n\n# What does f(3) give?\n", "9\n\nIt squares its argument:\n\t3 ** 2 == 9\n"),
    ("Smile 🙂🙃 and wave 👋🏽: ", "👋🏽🙂 ok"),
    ("اكتب كلمة واحدة: ", "سلام"),
    ("cafe\u0301 naï", "ve re\u0301sume\u0301"),
    ("A", "B"),
    ("There are 3 boxes with 12 eggs each and 5 break. How many are left? -> Ans", "wer: 3 * 12 - 5 = 31"),
    ("Tell a story.\r\n  ", " Once upon a time, in a village by the sea, there lived an old clockmaker. " * 5),
]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# name: settings of PEFT, kind of loss, reduction
CASES = {
    "all_linear": (dict(r=1, lora_alpha=3, target_modules="all-linear"), "answer", "mean"),
    "patterns": (
        dict(
            r=2, lora_alpha=4, target_modules=ALL, layers_to_transform=[0, 15],
            rank_pattern={"down_proj": 5, r"layers\.0\.self_attn\.k_proj": 1}, alpha_pattern={"gate_proj": 16},
        ), "all", "mean",
    ),
    "rslora_regex": (
        dict(r=8, lora_alpha=4, use_rslora=True, target_modules=r".*\.(7|8|23)\.(self_attn\.o_proj|mlp\.up_proj)"), "answer", "sum",
    ),
    "attention": (dict(r=4, lora_alpha=32, target_modules=["k_proj", "v_proj", "o_proj"]), "published", "mean"),
    "feed_forward": (dict(r=1, lora_alpha=1, target_modules=["mlp.gate_proj", "mlp.down_proj"]), "published", "sum"),
}


def encode(tokenizer, prompt, answer, eos):
    found = tokenizer.encode(prompt + answer, add_special_tokens=False)
    return found.ids + [eos], [end > len(prompt) for _, end in found.offsets] + [True]


def loss(model, ids, wanted, reduction):
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
    wanted = torch.tensor(wanted[1:])
    return torch.nn.functional.cross_entropy(logits[wanted], torch.tensor(ids[1:])[wanted], reduction=reduction)


def published(model, prompt, longest, pad, reduction):
    ids = torch.tensor([prompt + [pad] * (longest - len(prompt))])
    mask = torch.tensor([[1] * len(prompt) + [0] * (longest - len(prompt))])
    logits = model(input_ids=ids, attention_mask=mask).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction=reduction)


def gradients(model, losses):
    values, rows = [], []
    for one in losses:
        model.zero_grad()
        value = one()
        value.backward()
        values.append(value.item())
        rows.append({n: p.grad.double().flatten().numpy().copy() for n, p in model.named_parameters() if p.requires_grad})
    return np.array(values), {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def errors(found, truth):
    """Of the rows of blocks; one that is zero but for rounding is held against the example's whole gradient."""
    whole = np.sqrt(sum((rows ** 2).sum(1) for rows in truth.values()))
    return np.array([
        np.linalg.norm(found[name][i] - truth[name][i]) / max(np.linalg.norm(truth[name][i]), 1e-6 * whole[i])
        for name in truth for i in range(len(truth[name]))
    ])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--infbench", default="target/release/infbench")
    arguments.add_argument("--gguf", type=Path)
    arguments.add_argument("--only", nargs="*", default=list(CASES))
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--device", default="flex")
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    eos = json.loads((args.model / "config.json").read_text())["eos_token_id"]
    args.out.mkdir(parents=True, exist_ok=True)
    examples = args.out / "examples.jsonl"
    lines = [json.dumps({"prompt": p, "text": p + a, "class": "x"}, ensure_ascii=i % 2 == 0) for i, (p, a) in enumerate(TEXTS)]
    examples.write_text("\n".join(lines) + "\n", newline="")
    coded = [encode(tokenizer, *text, eos) for text in TEXTS]
    prompts = [tokenizer.encode(prompt, add_special_tokens=False).ids for prompt, _ in TEXTS]
    longest = max(map(len, prompts))
    failed = False
    for name in args.only:
        settings, tokens, reduction = CASES[name]
        torch.manual_seed(len(name))
        where = dict(gguf_file=args.gguf.name) if args.gguf else {}
        base = AutoModelForCausalLM.from_pretrained(args.gguf.parent if args.gguf else args.model, dtype=torch.float32, **where)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.05, **settings)).eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_B" in key:
                    parameter.normal_(0, 0.02)
        adapter = args.out / name
        model.save_pretrained(adapter)

        def of(tokens=tokens, reduction=reduction, model=model):
            if tokens == "published":
                return [lambda p=p: published(model, p, longest, eos, reduction) for p in prompts]
            kinds = [(ids, answer if tokens == "answer" else [True] * len(ids)) for ids, answer in coded]
            return [lambda ids=ids, wanted=wanted: loss(model, ids, wanted, reduction) for ids, wanted in kinds]

        _, single = gradients(model, of())
        model.double()
        values, truth = gradients(model, of())
        counts = [longest - 1] * len(prompts) if tokens == "published" else [
            sum((answer if tokens == "answer" else [True] * len(ids))[1:]) for ids, answer in coded
        ]
        path = args.out / f"{name}.safetensors"
        subprocess.run(
            [args.infbench, "--threads", str(args.threads), "gradients", "--model", args.gguf or args.model, "--adapter", adapter, "--device", args.device,
             "--task", "instruction", "--examples", examples, "--tokens", tokens, "--reduction", reduction, "--max-length", "256", "--out", path],
            check=True, stdout=subprocess.DEVNULL,
        )
        found = {key: value.astype(np.float64) for key, value in load_file(path).items()}
        beside = json.loads(path.with_suffix(".json").read_text())
        same = sorted(found) == sorted(truth) and beside["targets"] == counts
        if sorted(found) != sorted(truth):
            print(sorted(set(found) ^ set(truth))[:4])
        if beside["targets"] != counts:
            print(beside["targets"], counts)
        off = np.max(np.abs(np.array(beside["losses"]) - values) / np.abs(values)) if same else np.inf
        ours, theirs = errors(found, truth) if same else np.array([np.inf]), errors(single, truth)
        good = same and off < 1e-5 and np.median(ours) <= 2 * np.median(theirs) and ours.max() <= max(1e-3, 2 * theirs.max())
        failed |= not good
        print(
            f"{name}: {tokens}, {reduction}: {len(truth)} tensors, losses {off:.1e}, gradients median {np.median(ours):.1e}, worst {ours.max():.1e}"
            f" (PyTorch f32: {np.median(theirs):.1e}, {theirs.max():.1e}){'' if good else '  <- FAILED'}", flush=True,
        )
    sys.exit(failed)


main()
