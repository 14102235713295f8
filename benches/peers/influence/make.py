"""Gradients that every peer reads: `train.safetensors` and `query.safetensors`, f32, one `[n, d]` tensor a block.

    python make.py FOLDER --examples 2000 --blocks 24 --size 4096 --queries 100 --some 2

As gradients of a fine-tune they have a decaying spectrum, not white noise: block l is
c_l (A diag(j^-1) B + 0.003 E) with A `[n, r]`, B `[r, d]`, E `[n, d]` Gaussian and r = min(256, n, d); rows
have log-normal norms, and c_l makes tr(F_l) run from 0.5 down to 0.005 over the blocks, so that LiSSA with
scale 1 converges. Queries share B with the training gradients. `--some K` writes the first K blocks again,
as `train-some.safetensors` and `query-some.safetensors`, for the libraries that are too slow for them all.
"""

import argparse
import os

import numpy as np
from safetensors.numpy import save_file


def block(rng, rows, queries, size, trace):
    rank = min(256, rows, size)
    decay = np.arange(1, rank + 1, dtype=np.float32) ** -1.0
    directions = rng.standard_normal((rank, size), dtype=np.float32) / np.float32(size**0.5)

    def draw(count):
        made = (rng.standard_normal((count, rank), dtype=np.float32) * decay) @ directions
        made += np.float32(0.003 / size**0.5) * rng.standard_normal((count, size), dtype=np.float32)
        made *= np.exp(0.5 * rng.standard_normal((count, 1), dtype=np.float32))
        return made

    train, query = draw(rows), draw(queries)
    scale = np.float32((trace / (np.square(train, dtype=np.float64).sum() / rows)) ** 0.5)
    return train * scale, query * scale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--some", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    rng = np.random.default_rng(asked.seed)
    train, query = {}, {}
    for i, trace in enumerate(np.geomspace(0.5, 0.005, asked.blocks)):
        name = f"block{i:02}.weight"
        train[name], query[name] = block(rng, asked.examples, asked.queries, asked.size, trace)
    os.makedirs(asked.folder, exist_ok=True)
    names = list(train)
    for suffix, kept in (("", names), ("-some", names[: asked.some])):
        for kind, tensors in (("train", train), ("query", query)):
            save_file({k: tensors[k] for k in kept}, os.path.join(asked.folder, f"{kind}{suffix}.safetensors"))


if __name__ == "__main__":
    main()
