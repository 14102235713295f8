"""Scores by the libraries themselves, for tests/peers.rs, which holds our variants of their conventions to them.

Run:  python scripts/peers.py        writes tests/fixtures/peers/{train,query,scores}.safetensors
Needs the packages of benches/peers/influence/requirements.txt. The libraries are driven as in
benches/peers/influence, one block at a time, through a model whose per-example gradients are given rows.

Scores are named by our method and are the library's own, [queries, train], positive = helpful. float64 where
the library was run in double precision, float32 where it takes single alone.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches/peers/influence"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from dattri.algorithm.influence_function import (  # noqa: E402
    IFAttributorCG,
    IFAttributorDataInf,
    IFAttributorExplicit,
    IFAttributorLiSSA,
)
from dattri.task import AttributionTask  # noqa: E402
from pydvl.influence.torch import (  # noqa: E402
    CgInfluence,
    DirectInfluence,
    InverseHarmonicMeanInfluence,
    LissaInfluence,
)
from pydvl.influence.torch.util import SecondOrderMode  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

import probe  # noqa: E402

logging.disable(logging.WARNING)
EXAMPLES, QUERIES, SIZES = 20, 5, {"a": 7, "b": 12}
GAUSS_NEWTON = {"second_order_mode": SecondOrderMode.GAUSS_NEWTON}


def gradients(rng, rows, size):
    spread = np.arange(1, size + 1.0) ** -0.5
    norms = np.exp(rng.normal(0.0, 0.5, (rows, 1)))
    return (0.5 * norms * rng.standard_normal((rows, size)) * spread).astype(np.float32)


def rows(g):
    return torch.from_numpy(g.astype(np.float64 if torch.get_default_dtype() == torch.float64 else np.float32))


def batches(g, size):
    """Batches as lists of tensors, which dattri asks for, of `size` rows."""
    data = rows(g)
    collate = lambda batch: [torch.stack([x for x, _ in batch]), torch.stack([y for _, y in batch])]  # noqa: E731
    return DataLoader(torch.utils.data.TensorDataset(data, torch.zeros(len(data))), size or len(g), collate_fn=collate)


def dattri(attributor, batch=None, **settings):
    def run(g, v, lam):
        model = probe.model(g.shape[1])

        def loss(params, data):
            return probe.loss(torch.func.functional_call(model, params, (data[0],)))

        task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
        filled = {key: lam if value == "auto" else value for key, value in settings.items()}
        made = attributor(task=task, **filled)
        made.cache(batches(g, batch))
        return made.attribute(batches(g, None), batches(v, None)).T.detach().numpy()

    return run


def pydvl(influence, batch=None, regularization="auto", **settings):
    def run(g, v, lam):
        made = influence(
            probe.model(g.shape[1]),
            lambda z, _: probe.loss(z),
            regularization=lam if regularization == "auto" else regularization,
            **settings,
        ).fit(batches(g, batch))
        factors = made.influence_factors(rows(v), torch.zeros(len(v)))
        return made.influences_from_factors(factors, rows(g), torch.zeros(len(g))).detach().numpy()

    return run


# double precision
DOUBLE = {
    "datainf_dattri": dattri(IFAttributorDataInf, batch=8, regularization=None),
    "datainf_dattri:damping=auto": dattri(IFAttributorDataInf, regularization="auto"),
    "datainf_dattri:damping=0.03": dattri(IFAttributorDataInf, regularization=0.03),
    "exact_dattri:batch_size=20": dattri(IFAttributorExplicit, regularization="auto"),
    "exact_dattri:batch_size=8": dattri(IFAttributorExplicit, batch=8, regularization="auto"),
    "exact_dattri:batch_size=5,damping=0.02": dattri(IFAttributorExplicit, batch=5, regularization=0.02),
    "conjugate_gradient_dattri:iterations=3": dattri(IFAttributorCG, max_iter=3, regularization="auto"),
    "conjugate_gradient_dattri:iterations=5,damping=0.05": dattri(IFAttributorCG, max_iter=5, regularization=0.05),
    "datainf_pydvl:batch_size=20": pydvl(InverseHarmonicMeanInfluence),
    "datainf_pydvl:batch_size=8": pydvl(InverseHarmonicMeanInfluence, batch=8),
    "datainf_pydvl:batch_size=5,damping=0.2": pydvl(InverseHarmonicMeanInfluence, batch=5, regularization=0.2),
    "exact_pydvl:batch_size=10": pydvl(DirectInfluence, batch=10, **GAUSS_NEWTON),
    "exact_pydvl:batch_size=6,damping=0.01": pydvl(DirectInfluence, batch=6, regularization=0.01, **GAUSS_NEWTON),
    "exact_pydvl:solver=iterative": pydvl(CgInfluence, rtol=1e-9, atol=1e-15, maxiter=200, **GAUSS_NEWTON),
    "lissa_pydvl:iterations=30": pydvl(LissaInfluence, regularization=None, maxiter=30),
    "lissa_pydvl:iterations=1000,scale=4,damping=auto,tolerance=0.01": pydvl(
        LissaInfluence, scale=4.0, rtol=0.01
    ),
    "lissa_pydvl:iterations=12,scale=3,dampen=0.1,damping=0.05": pydvl(
        LissaInfluence, regularization=0.05, maxiter=12, scale=3.0, dampen=0.1
    ),
}
# dattri casts what LiSSA draws to single precision
SINGLE = {
    "lissa_dattri:iterations=40": dattri(IFAttributorLiSSA, batch_size=EXAMPLES, recursion_depth=40),
    "lissa_dattri:iterations=15,scale=3,damping=0.02": dattri(
        IFAttributorLiSSA, batch_size=EXAMPLES, recursion_depth=15, scaling=3.0, damping=0.02
    ),
    "lissa_dattri:iterations=15,scale=2,damping=auto": dattri(
        IFAttributorLiSSA, batch_size=EXAMPLES, recursion_depth=15, scaling=2.0, damping="auto"
    ),
}


def main():
    rng = np.random.default_rng(11)
    train = {name: gradients(rng, EXAMPLES, size) for name, size in SIZES.items()}
    query = {name: gradients(rng, QUERIES, size) for name, size in SIZES.items()}
    scores = {}
    for kind, methods in ((torch.float64, DOUBLE), (torch.float32, SINGLE)):
        torch.set_default_dtype(kind)
        for name, method in methods.items():
            total = 0.0
            for block, g in train.items():
                lam = float(0.1 * np.square(g, dtype=np.float64).sum() / g.size)
                part = method(g, query[block], lam)
                assert part.dtype == (np.float64 if kind == torch.float64 else np.float32), (name, part.dtype)
                total = total + part
            scores[name] = np.ascontiguousarray(total)
    folder = ROOT / "tests/fixtures/peers"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(train, folder / "train.safetensors")
    save_file(query, folder / "query.safetensors")
    save_file(scores, folder / "scores.safetensors")


if __name__ == "__main__":
    main()
