"""all-MiniLM-L6-v2 with LoRA of rank 8 on query and value in PyTorch, f32: what infbench is held against.

    python benches/peers/minilm.py [PART ...] [--repeats 5] [--variants autograd:32,...] [--device cuda]

Packages: scripts/parity/requirements.txt. Parts, by default all of them:

  gemm      products in GFLOP/s, and the examples/s that the best of them allows at length 64
  length64  per-example gradients of random texts of 64 tokens, by every variant of variants.py or by those
            given, each first held against batch-of-one autograd
  single    MRPC's gradients with PEFT one example at a time, on a sample of 300 training examples
  mrpc      MRPC's gradients in batches of like length, all 3668 training examples
  epoch     fine-tuning on MRPC with PEFT in batches of 32: 20 steps, from which an epoch is estimated

Every line on standard output is one JSON object: `what`, `by`, `value` (GFLOP/s for gemm, else examples/s;
the median of `repeats`). A table goes to standard error. On a GPU the gradients end in the memory of the CPU, as
everywhere else; `epoch` is for the CPU alone. Folders as in
benches/minilm.rs: INFBENCH_MINILM, INFBENCH_DATA.
"""

import argparse
import json
import os
import sys
import statistics
import time
import warnings
from pathlib import Path

import torch

import roofline
import training
import variants
from encoder import Encoder, one_at_a_time, peft_model

PARTS = ("gemm", "length64", "single", "mrpc", "epoch")
ROOT = Path(__file__).resolve().parents[2]
RANK = 8
EXAMPLES, LENGTH = 256, 64
# tokens of a batch of the bucketed gradients, by the kind of device; a GPU also gets more examples
TOKENS = {"cpu": 2048, "cuda": 16384}
EXAMPLES_ON_GPU = 16 * EXAMPLES


class Report:
    def __init__(self):
        self.rows = []

    def say(self, what, by, value, repeats, **more):
        print(json.dumps(dict(what=what, by=by, value=value, repeats=repeats, **more)), flush=True)
        self.rows.append((what, by, value, repeats))

    def table(self):
        width = max((len(by) for _, by, _, _ in self.rows), default=0)
        for what, by, value, repeats in self.rows:
            print(
                f"{what:9} {by:{width}} {value:8.1f}   " + " ".join(f"{rate:.1f}" for rate in repeats),
                file=sys.stderr,
            )


def gemm(report, args):
    best = 0.0
    for shape, rates in roofline.product_rates(args.repeats, args.device):
        # the median, as of everything that it is compared with
        best = max(best, statistics.median(rates))
        report.say("gemm", f"PyTorch {shape}, GFLOP/s", statistics.median(rates), rates)
    for what, first_token in [("bound", False), ("bound, last layer at first token", True)]:
        value = best * 1e9 / roofline.operations(LENGTH, first_token=first_token)
        report.say(what, "PyTorch's peak at length 64", value, [value])


def length64(report, args):
    model = peft_model(args.model, RANK).eval().to(args.device)
    torch.manual_seed(2)
    n = 32 if args.quick else EXAMPLES if args.device == "cpu" else EXAMPLES_ON_GPU
    ids = torch.randint(1000, 30522, (n, LENGTH)).to(args.device)
    labels = (torch.arange(n) % 2).to(args.device)
    few = range(8)
    slow = one_at_a_time(
        model, (dict(input_ids=ids[i : i + 1], labels=labels[i : i + 1]) for i in few)
    )
    rows = Encoder(model).buffers(n)

    def host():
        """The rows in the memory of the CPU."""
        return [row.cpu() for row in rows]

    chosen = args.variants or [
        f"{name}:{size}" for name, (*_, sizes) in variants.VARIANTS.items() for size in sizes
    ]
    for variant in chosen:
        name, size = variant.split(":")
        try:
            work = variants.make(model, name, int(size))
            for row in rows:
                row.zero_()
            value, rates = roofline.measured(args.repeats, lambda: (work(ids, labels, rows), host()), n)
        except Exception as error:  # torch.compile needs a compiler
            if "compile" in name:
                print(f"{variant}: skipped, {type(error).__name__} {error}", file=sys.stderr)
                continue
            raise
        error = max(
            ((row[i] - expected[i]).norm() / expected[i].norm()).item()
            for row, expected in zip(rows, slow)
            for i in few
        )
        if not error < 1e-4:
            sys.exit(f"{variant}: gradients differ from batch-of-one autograd by {error:.1e} of their norm")
        report.say("length64", f"PyTorch {variant}", value, rates, error=error)


def single(report, args):
    model = peft_model(args.model, RANK).eval().to(args.device)
    examples = training.sample(args.examples, 30 if args.quick else 300)
    training.single_gradients(model, examples[:10])
    rates = []
    for _ in range(args.repeats):
        start = time.perf_counter()
        training.single_gradients(model, examples)
        roofline.finished(args.device)
        rates.append(len(examples) / (time.perf_counter() - start))
    rates.sort()
    by = f"PyTorch + PEFT one by one, {len(examples)} of {len(args.examples)}"
    report.say("mrpc", by, rates[len(rates) // 2], rates)


def mrpc(report, args):
    model = peft_model(args.model, RANK).eval().to(args.device)
    examples = args.examples[:128] if args.quick else args.examples
    few = examples[:8]
    slow = training.single_gradients(model, few)
    for name, first_token in [("bucketed", False), ("bucketed, last layer at first token", True)]:
        encoder = Encoder(model, first_token)
        rows = encoder.buffers(len(examples), "cpu")
        tokens = args.tokens or TOKENS[args.device.split(":")[0]]
        work = lambda: training.bucketed_gradients(encoder, examples, tokens, rows)
        value, rates = roofline.measured(args.repeats, work, len(examples))
        error = max(
            ((row[i] - expected[i].cpu()).norm() / expected[i].norm().cpu()).item()
            for row, expected in zip(rows, slow)
            for i in range(len(few))
        )
        if not error < 1e-4:
            sys.exit(f"{name}: gradients differ from batch-of-one autograd by {error:.1e} of their norm")
        report.say("mrpc", f"PyTorch {name}", value, rates, error=error)


def epoch(report, args):
    for bucketed in (False, True):
        for dropout in (0.0, None):
            steps = 2 if args.quick else 20
            runs = [
                training.epoch_rate(args.model, args.examples, dropout, bucketed, steps)
                for _ in range(args.repeats)
            ]
            rates = sorted(rate for rate, _ in runs)
            by = "PyTorch + PEFT"
            by += ", like lengths" if bucketed else ", shuffled"
            by += ", encoder dropout " + ("0.1" if dropout is None else "0")
            value = rates[len(rates) // 2]
            report.say("epoch", by, value, rates, epoch_seconds=len(args.examples) / value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--repeats", type=int, default=5, help="timed runs after the warm-up (5)")
    parser.add_argument("--threads", type=int, default=2, help="threads (2)")
    parser.add_argument("--variants", type=lambda text: text.split(","), help="NAME:BATCH,... for length64")
    parser.add_argument("--device", default="cpu", help="cpu (the default), cuda or cuda:N")
    parser.add_argument("--tokens", type=int, help="tokens of a batch of mrpc; 2048, on a GPU 16384")
    parser.add_argument("--quick", action="store_true", help="few examples: does it work?")
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error(f"unknown part `{part}`; allowed: {', '.join(PARTS)}")
    warnings.simplefilter("ignore", FutureWarning)
    torch.set_num_threads(args.threads)
    args.model = Path(os.environ.get("INFBENCH_MINILM", ROOT / "models/all-MiniLM-L6-v2"))
    data = Path(os.environ.get("INFBENCH_DATA", ROOT / "data/glue"))
    if args.device != "cpu" and "epoch" in args.parts:
        parser.error("epoch is for the CPU alone")
    parts = args.parts or [part for part in PARTS if args.device == "cpu" or part != "epoch"]
    if {"single", "mrpc", "epoch"} & set(parts):
        args.examples = training.read_mrpc(data, args.model)
    report = Report()
    for part in PARTS:
        if part in parts:
            globals()[part](report, args)
    report.table()


if __name__ == "__main__":
    main()
