"""dattri's influence attributors on given gradients, by the model of `probe.py`, with λ of each block.

All rows are one batch: dattri sums the inverses of batches where it should average the Hessians, and repeats
the solve for the queries in every batch of training examples. Its scores are positive for helpful examples, so
the sign is turned.
"""

import torch
from dattri.algorithm.influence_function import (
    IFAttributorArnoldi,
    IFAttributorCG,
    IFAttributorDataInf,
    IFAttributorExplicit,
    IFAttributorLiSSA,
)
from dattri.task import AttributionTask

import probe


def run(attributor, g, v, **settings):
    model = probe.model(g.shape[1])

    def loss(params, data):
        return probe.loss(torch.func.functional_call(model, params, (data[0],)))

    task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
    made = attributor(task=task, **settings)
    train, query = probe.loader(g), probe.loader(v)
    made.cache(train)
    return -made.attribute(train, query).T.detach().numpy()


def datainf(g, v, lam):
    return run(IFAttributorDataInf, g, v, regularization=lam)


def exact(g, v, lam):
    return run(IFAttributorExplicit, g, v, regularization=lam)


def conjugate_gradient(g, v, lam):
    return run(IFAttributorCG, g, v, regularization=lam, max_iter=20)


def lissa(g, v, lam):
    """Full batches; damping λ with scale 1 is the paper's text: r ← v + (1 − λ) r − F r. Every query draws its
    own order of the rows, so that G is copied once a query and step: the queries are asked in tens."""
    settings = {"batch_size": len(g), "recursion_depth": 10, "damping": lam, "scaling": 1.0}
    import numpy as np

    parts = [run(IFAttributorLiSSA, g, v[i : i + 10], **settings) for i in range(0, len(v), 10)]
    return np.concatenate(parts)


def arnoldi(g, v, lam):
    """50 Ritz pairs of a Krylov space of 99; what lies outside is dropped."""
    return run(IFAttributorArnoldi, g, v, regularization=lam, proj_dim=min(50, len(g) - 1), max_iter=100)


METHODS = {"datainf": datainf, "exact": exact, "conjugate_gradient": conjugate_gradient, "lissa": lissa,
           "arnoldi": arnoldi}
SLOW = set(METHODS)
