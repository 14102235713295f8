"""The methods in PyTorch, as one would write them: whole matrices, no loops over examples or queries, products
fused with what follows them where PyTorch can (`addmm`, in place), without autograd.

Shapes and precision as in `by_numpy.py`.
"""

import torch

ITERATIONS = 10
CG_ITERATIONS = 20


def on_tensors(method):
    @torch.inference_mode()
    def run(g, v, lam):
        return method(torch.from_numpy(g), torch.from_numpy(v), lam).numpy()

    run.__name__ = method.__name__
    return run


@on_tensors
def hessian_free(g, v, lam):
    return (v @ g.T).neg_()


@on_tensors
def diagonal_fisher(g, v, lam):
    diagonal = g.square().mean(0).add_(lam)
    return ((v / diagonal) @ g.T).neg_()


@on_tensors
def datainf(g, v, lam):
    weights = torch.linalg.vector_norm(g, dim=1).square_().add_(lam).mul_(len(g)).reciprocal_()
    c = (v @ g.T).mul_(weights)
    x = torch.addmm(v, c, g, beta=1 / lam, alpha=-1 / lam)
    return (x @ g.T).neg_()


@on_tensors
def exact(g, v, lam):
    g, v = g.double(), v.double()
    n = len(g)
    if n > g.shape[1]:
        fisher = (g.T @ g).div_(n)
        fisher.diagonal().add_(lam)
        x = torch.cholesky_solve(v.T, torch.linalg.cholesky(fisher))
    else:
        gram = g @ g.T
        gram.diagonal().add_(n * lam)
        c = torch.cholesky_solve(g @ v.T, torch.linalg.cholesky(gram))
        x = torch.addmm(v.T, g.T, c, beta=1 / lam, alpha=-1 / lam)
    return (g @ x).T.neg()


@on_tensors
def lissa(g, v, lam):
    r = v
    for _ in range(ITERATIONS):
        r = torch.addmm(r, r @ g.T, g, beta=1 - lam, alpha=-1 / len(g)).add_(v)
    return (r @ g.T).neg_()


@on_tensors
def conjugate_gradient(g, v, lam):
    x, r = torch.zeros_like(v), v.clone()
    p, rr = r.clone(), r.square().sum(1, keepdim=True)
    for _ in range(CG_ITERATIONS):
        ap = torch.addmm(p, p @ g.T, g, beta=lam, alpha=1 / len(g))
        alpha = rr / (p * ap).sum(1, keepdim=True)
        x.addcmul_(alpha, p)
        r.addcmul_(alpha, ap, value=-1)
        new = r.square().sum(1, keepdim=True)
        p.mul_(new / rr).add_(r)
        rr = new
    return (x @ g.T).neg_()


METHODS = {f.__name__: f for f in (hessian_free, diagonal_fisher, datainf, exact, lissa, conjugate_gradient)}
SLOW = set()
