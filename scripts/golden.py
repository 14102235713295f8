"""Reference scores for tests/golden.rs, in float64 NumPy, straight from the formulas.

Run:  python scripts/golden.py            writes tests/fixtures/{tall,wide}/{train,query,scores}.safetensors
Needs numpy and safetensors. Deterministic: running it again gives the same bytes.

Every operator is formed as a dense d x d matrix and inverted or iterated as written; nothing here is fast.
Scores are  -sum_l v^T (F_l + lambda_l I)^-1 g_k  with F_l = G_l^T G_l / n and lambda_l = 0.1 tr(F_l) / d_l.
`<method>` is [queries, train], `<method>.mean` the same for the mean query.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

DAMPING = 0.1
ITERATIONS = 10


def block(rng, rows, basis, scale):
    """Gradients with a decaying spectrum in a rotated basis and norms that differ by example."""
    d = len(basis)
    spread = np.arange(1, d + 1.0) ** -0.6
    norms = np.exp(rng.normal(0.0, 0.6, (rows, 1)))
    return (scale * norms * (rng.standard_normal((rows, d)) * spread @ basis)).astype(np.float32)


def grouped(g, lam, size):
    """Mean over consecutive groups of the inverse of the group's own damped Fisher, weighted by size."""
    n, d = g.shape
    total = np.zeros((d, d))
    for start in range(0, n, size):
        h = g[start : start + size]
        total += len(h) / n * np.linalg.inv(h.T @ h / len(h) + lam * np.eye(d))
    return total


def lissa(fisher, damping):
    """The matrix P with P v = r_k, for r_0 = v, r_j = v + (I - F - damping I) r_(j-1)."""
    eye = np.eye(len(fisher))
    p = eye
    for _ in range(ITERATIONS):
        p = eye + (eye - fisher - damping * eye) @ p
    return p


def operators(g):
    """The d x d matrix that every method puts in place of (F + lambda I)^-1."""
    n, d = g.shape
    fisher = g.T @ g / n
    lam = DAMPING * np.trace(fisher) / d
    eye = np.eye(d)
    return {
        "exact": np.linalg.inv(fisher + lam * eye),
        "datainf": sum((eye - np.outer(x, x) / (lam + x @ x)) / lam for x in g) / n,
        "datainf_groups_of_3": grouped(g, lam, 3),
        "datainf_groups_of_7": grouped(g, lam, 7),
        "hessian_free": eye,
        "hessian_free_block_weighted": eye / lam,
        "diagonal_fisher": np.diag(1.0 / (np.diag(fisher) + lam)),
        f"lissa_paper_{ITERATIONS}": lissa(fisher, lam),
        f"lissa_code_{ITERATIONS}": lissa(fisher, -lam),
    }


def write(folder, seed, n, m, dims):
    rng = np.random.default_rng(seed)
    bases = [np.linalg.qr(rng.standard_normal((d, d)))[0] for d in dims]
    scales = [0.4 * 5.0**-i for i in range(len(dims))]
    names = [f"layer.{i}.value.lora_A.weight" for i in range(len(dims))]
    train = {k: block(rng, n, b, s) for k, b, s in zip(names, bases, scales)}
    query = {k: block(rng, m, b, s) for k, b, s in zip(names, bases, scales)}
    scores = {}
    for name in names:
        g, v = train[name].astype(np.float64), query[name].astype(np.float64)
        for method, operator in operators(g).items():
            for suffix, q in (("", v), (".mean", v.mean(0, keepdims=True))):
                part = -q @ operator @ g.T
                scores[method + suffix] = scores.get(method + suffix, 0.0) + part
    folder.mkdir(parents=True, exist_ok=True)
    save_file(train, folder / "train.safetensors")
    save_file(query, folder / "query.safetensors")
    save_file({k: np.ascontiguousarray(s) for k, s in scores.items()}, folder / "scores.safetensors")


if __name__ == "__main__":
    fixtures = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
    write(fixtures / "tall", seed=11, n=50, m=5, dims=[4, 17, 33])
    write(fixtures / "wide", seed=12, n=20, m=3, dims=[80, 31])
