"""Runs one library's methods on the gradients and keeps scores and seconds.

    python run.py FOLDER LIBRARY [--methods a,b] [--repeats 3] [--threads 2]

The clock runs over what the library does with one block at a time, gradients in memory, summed over blocks:
preparation, the queries and the scores, the same work as infbench's prepare + apply + score. λ = 0.1 tr(F)/d
of each block is computed before, reading is outside. The methods that a library's file lists as slow run on
the first few blocks alone (`*-some.safetensors`), once. The best of the repeats counts.
"""

import argparse
import importlib
import os
import time
import warnings
import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def measure(method, folder, suffix, repeats):
    with safe_open(f"{folder}/train{suffix}.safetensors", "np") as train, safe_open(
        f"{folder}/query{suffix}.safetensors", "np"
    ) as query:
        blocks = []
        for name in train.keys():
            g, v = train.get_tensor(name), query.get_tensor(name)
            blocks.append((g, v, float(0.1 * np.square(g, dtype=np.float64).sum() / g.size)))
        g, v, lam = blocks[0]
        method(g[:16].copy(), v[:2].copy(), lam)  # libraries and threads awake
        seconds = []
        # a repeat goes through all blocks, so that none is still in a cache from the last one
        for _ in range(repeats):
            spent, scores = 0.0, 0.0
            for g, v, lam in blocks:
                start = time.perf_counter()
                part = method(g, v, lam)
                spent += time.perf_counter() - start
                scores = scores + np.ascontiguousarray(part, np.float64)
            seconds.append(spent)
        return min(seconds), len(blocks), scores


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("library")
    parser.add_argument("--methods")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()

    warnings.filterwarnings("ignore")
    if asked.library != "numpy":
        import torch

        torch.set_num_threads(asked.threads)
        torch.manual_seed(0)
    library = importlib.import_module(f"by_{asked.library}")
    names = asked.methods.split(",") if asked.methods else list(library.METHODS)
    for name in names:
        slow = name in library.SLOW
        seconds, blocks, scores = measure(
            library.METHODS[name], asked.folder, "-some" if slow else "", 1 if slow else asked.repeats
        )
        label = f"{asked.library}.{name}"
        save_file({"scores": scores}, os.path.join(asked.folder, f"{label}.scores.safetensors"))
        with open(os.path.join(asked.folder, "lines.jsonl"), "a") as file:
            line = {"library": asked.library, "method": name, "seconds": seconds, "blocks": blocks, "slow": slow}
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
