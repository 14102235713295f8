"""pyDVL's influence models on given gradients, by the model of `probe.py`, with λ of each block.

All rows are one batch. Scores are positive for helpful examples, so the sign is turned.
"""

import logging

import torch
from pydvl.influence.torch import (
    ArnoldiInfluence,
    CgInfluence,
    DirectInfluence,
    InverseHarmonicMeanInfluence,
    LissaInfluence,
    NystroemSketchInfluence,
)

import probe

logging.disable(logging.WARNING)


def run(influence, g, v, lam, loader=probe.loader, **settings):
    made = influence(probe.model(g.shape[1]), lambda z, _: probe.loss(z), regularization=lam, **settings)
    made = made.fit(loader(g))
    zeros = torch.zeros
    factors = made.influence_factors(torch.from_numpy(v), zeros(len(v)))
    return -made.influences_from_factors(factors, torch.from_numpy(g), zeros(len(g))).detach().numpy()


def datainf(g, v, lam):
    """Its factors of one batch are divided by the number of queries (version 0.10.0): undone here."""
    return run(InverseHarmonicMeanInfluence, g, v, lam) * len(v)


def exact(g, v, lam):
    return run(DirectInfluence, g, v, lam)


def conjugate_gradient(g, v, lam):
    return run(CgInfluence, g, v, lam, maxiter=20, rtol=0.0, atol=0.0, warn_on_max_iteration=False)


def block_conjugate_gradient(g, v, lam):
    return run(CgInfluence, g, v, lam, maxiter=20, solve_simultaneously=True, warn_on_max_iteration=False)


def lissa(g, v, lam):
    return run(LissaInfluence, g, v, lam, loader=probe.plain_loader, maxiter=10, scale=1.0, rtol=0.0,
               warn_on_max_iteration=False)


def arnoldi(g, v, lam):
    """50 Ritz pairs to ARPACK's tolerance 1e-6; what lies outside gets 1/λ."""
    return run(ArnoldiInfluence, g, v, lam, rank=min(50, len(g) - 1), use_woodbury=True)


def nystrom(g, v, lam):
    return run(NystroemSketchInfluence, g, v, lam, rank=min(50, len(g)))


METHODS = {f.__name__: f for f in (datainf, exact, conjugate_gradient, block_conjugate_gradient, lissa, arnoldi,
                                   nystrom)}
SLOW = set(METHODS) - {"datainf"}
