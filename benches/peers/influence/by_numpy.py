"""The methods in NumPy, as one would write them: whole matrices, no loops over examples or queries.

Each takes G `[n, d]`, V `[m, d]` and λ of one block and returns the block's part of the scores `[m, n]`,
positive = harmful. The exact solution is in double precision, as infbench's is; the others in f32.
"""

import numpy as np

ITERATIONS = 10
CG_ITERATIONS = 20


def hessian_free(g, v, lam):
    return -v @ g.T


def diagonal_fisher(g, v, lam):
    diagonal = np.einsum("ij,ij->j", g, g) / len(g) + np.float32(lam)
    return -(v / diagonal) @ g.T


def datainf(g, v, lam):
    weights = 1 / (len(g) * (np.float32(lam) + np.einsum("ij,ij->i", g, g)))
    x = (v - ((v @ g.T) * weights) @ g) / np.float32(lam)
    return -x @ g.T


def exact(g, v, lam):
    """Woodbury: x = (v - Gᵀ(nλI + GGᵀ)⁻¹Gv)/λ, so that x·g_k = ((K + nλI)⁻¹GV)_k n; Cholesky of n×n."""
    from scipy.linalg import cho_factor, cho_solve

    g, v = g.astype(np.float64), v.astype(np.float64)
    n = len(g)
    if n > g.shape[1]:
        fisher = g.T @ g / n
        fisher.flat[:: len(fisher) + 1] += lam
        x = cho_solve(cho_factor(fisher, lower=True, overwrite_a=True, check_finite=False), v.T, check_finite=False)
    else:
        gram = g @ g.T
        gram.flat[:: n + 1] += n * lam
        c = cho_solve(cho_factor(gram, lower=True, overwrite_a=True, check_finite=False), g @ v.T, check_finite=False)
        x = (v.T - g.T @ c) / lam
    return -(g @ x).T


def lissa(g, v, lam):
    r = v
    for _ in range(ITERATIONS):
        r = v + (1 - np.float32(lam)) * r - (r @ g.T) @ g / np.float32(len(g))
    return -r @ g.T


def conjugate_gradient(g, v, lam):
    n, lam = np.float32(len(g)), np.float32(lam)
    x, r = np.zeros_like(v), v.copy()
    p, rr = r.copy(), np.einsum("ij,ij->i", r, r)
    for _ in range(CG_ITERATIONS):
        ap = (p @ g.T) @ g / n + lam * p
        alpha = (rr / np.einsum("ij,ij->i", p, ap))[:, None]
        x += alpha * p
        r -= alpha * ap
        new = np.einsum("ij,ij->i", r, r)
        p = r + (new / rr)[:, None] * p
        rr = new
    return -x @ g.T


METHODS = {f.__name__: f for f in (hessian_free, diagonal_fisher, datainf, exact, lissa, conjugate_gradient)}
SLOW = set()
