"""SmolLM2-135M with LoRA of rank 8 on q_proj and v_proj of every layer in PyTorch + PEFT, f32: what `cargo bench --bench
llama` is held against.

    python benches/peers/smollm2.py [PART ...] [--repeats 3] [--threads 2] [--examples 128]

The folder is $INFBENCH_SMOLLM2 or models/SmolLM2-135M-Instruct. The examples are the same as in benches/llama.rs: ids and
lengths by a formula, 32 to 61 tokens (mean 46.5, about that of the paper's sentence transformations), of which the last 12
are the answer. Parts, by default all of them:

  single-answer, single-all  per-example gradients with PEFT one at a time, of the mean loss of the answer or of all tokens
  hooks-answer, hooks-all    per-example gradients of batches of like length: inputs and output gradients of the adapted
                             layers by hooks, logits at target positions only; the best of several batch sizes
  step                       a training step (AdamW) on 64 examples padded to the longest

Every line on standard output is one JSON object: `what`, `value` (examples/s, the median of `repeats`), `per_cpu_second`
(examples per second of processor time, for machines that are not idle), `peak_mib`.
"""

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear
from transformers import AutoModelForCausalLM

PARTS = ("single-answer", "single-all", "hooks-answer", "hooks-all", "step")
ROOT = Path(__file__).resolve().parents[2]
ANSWER = 12


def examples(count):
    """Ids, and how many of the last are targets."""
    lengths = [32 + (37 * i) % 30 for i in range(count)]
    return [torch.tensor([10 + (7919 * i + 104729 * j) % 49000 for j in range(n)]) for i, n in enumerate(lengths)]


def targets(ids, kind):
    """Positions that predict, of one example."""
    return torch.arange(len(ids) - 1 - ANSWER if kind == "answer" else 0, len(ids) - 1)


def peft_model(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    torch.manual_seed(1)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=32, target_modules=["q_proj", "v_proj"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.01)
    return model.eval()


def hidden_states(model, ids):
    return model.base_model.model.model(input_ids=ids).last_hidden_state


def loss_of(model, hidden, ids, kind):
    at = targets(ids, kind)
    logits = model.base_model.model.lm_head(hidden[at])
    return torch.nn.functional.cross_entropy(logits, ids[at + 1])


def single(model, rows, kind):
    wanted = [p for p in model.parameters() if p.requires_grad]
    out = []
    for ids in rows:
        model.zero_grad()
        loss_of(model, hidden_states(model, ids[None])[0], ids, kind).backward()
        out.append([p.grad.clone() for p in wanted])
    return out


class Hooks:
    """Inputs and output gradients of the adapted layers."""

    def __init__(self, model):
        self.model = model
        self.layers = [module for module in model.modules() if isinstance(module, Linear)]
        model.requires_grad_(False)
        self.inputs, self.deltas = {}, {}
        for layer in self.layers:
            layer.register_forward_hook(self.keep)
        # something below the first adapted layer has to carry a gradient
        self.embedding = model.base_model.model.model.embed_tokens

    def keep(self, layer, inputs, output):
        self.inputs[layer] = inputs[0].detach()
        output.register_hook(lambda grad: self.deltas.__setitem__(layer, grad))

    def gradients(self, rows, kind):
        longest = max(map(len, rows))
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        for row, one in zip(ids, rows):
            row[: len(one)] = one
        embedded = self.embedding(ids).requires_grad_()
        hidden = self.model.base_model.model.model(inputs_embeds=embedded).last_hidden_state
        at = [targets(one, kind) for one in rows]
        states = torch.cat([hidden[i, positions] for i, positions in enumerate(at)])
        wanted = torch.cat([one[positions + 1] for one, positions in zip(rows, at)])
        logits = self.model.base_model.model.lm_head(states)
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        weights = torch.cat([torch.full((len(positions),), 1 / len(positions)) for positions in at])
        (losses * weights).sum().backward()
        out = []
        for layer in self.layers:
            x, delta = self.inputs[layer], self.deltas[layer]
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            scale = layer.scaling["default"]
            out.append(scale * (delta @ b).transpose(1, 2) @ x)
            out.append(scale * delta.transpose(1, 2) @ (x @ a.T))
        return out


def buckets(rows, tokens):
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    piece = []
    for i in order:
        if piece and (len(piece) + 1) * len(rows[i]) > tokens:
            yield piece
            piece = []
        piece.append(i)
    yield piece


def hooked(hooks, rows, kind, tokens):
    return [(piece, hooks.gradients([rows[i] for i in piece], kind)) for piece in buckets(rows, tokens)]


def timed(run, count, repeats):
    run()
    rates, busy = [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        rates.append(count / (time.perf_counter() - start))
    return rates, repeats * count / (time.process_time() - busy)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*", default=PARTS)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--examples", type=int, default=64)
    arguments.add_argument("--tokens", default="128,256,512,1024")
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    folder = os.environ.get("INFBENCH_SMOLLM2", ROOT / "models/SmolLM2-135M-Instruct")
    rows = examples(args.examples)

    def say(what, measured):
        rates, busy = measured
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        line = dict(what=what, value=statistics.median(rates), per_cpu_second=busy, repeats=rates, peak_mib=peak)
        print(json.dumps(line), flush=True)

    for part in args.parts:
        what, _, kind = part.partition("-")
        model = peft_model(folder)
        if what == "single":
            few = rows[:24]
            say(part, timed(lambda: single(model, few, kind), len(few), args.repeats))
        elif what == "hooks":
            slow = single(model, rows[:4], kind)
            hooks = Hooks(model)
            for piece, found in hooked(hooks, rows[:4], kind, 1024):
                for row, i in enumerate(piece):
                    for mine, theirs in zip(found, slow[i]):
                        assert (mine[row] - theirs).norm() <= 1e-3 * theirs.norm(), "hooks differ from autograd"
            for tokens in map(int, args.tokens.split(",")):
                rates = timed(lambda: hooked(hooks, rows, kind, tokens), len(rows), args.repeats)
                say(f"{part}:{tokens}", rates)
        else:
            model.train()
            batch = examples(64)
            ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
            labels = torch.full_like(ids, -100)
            for i, one in enumerate(batch):
                ids[i, : len(one)] = one
                labels[i, : len(one)] = one
            optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

            def step():
                optimizer.zero_grad()
                model(input_ids=ids, labels=labels).loss.backward()
                optimizer.step()

            say(part, timed(step, len(batch), args.repeats))


if __name__ == "__main__":
    main()
