"""kronfluence on given gradients, by the model of `probe.py`.

With `damping_factor=None` its damping is 0.1 times the mean eigenvalue of the approximated Fisher, which is our
λ (the default is 1e-8).
With one output the layer's Kronecker factors are 1 and F itself, so that kfac and ekfac are exact here, through
the eigenvectors of a d×d matrix in double precision. Factors and scores go through files in a folder that is
made and removed within the clock. Scores are positive for helpful examples, so the sign is turned.
"""

import logging
import os
import tempfile

os.environ.setdefault("TQDM_DISABLE", "1")

import torch  # noqa: E402
from kronfluence.analyzer import Analyzer, prepare_model  # noqa: E402
from kronfluence.arguments import FactorArguments, ScoreArguments  # noqa: E402
from kronfluence.task import Task  # noqa: E402

import probe  # noqa: E402

logging.disable(logging.WARNING)


class Rows(Task):
    def compute_train_loss(self, batch, model, sample=False):
        return model(batch[0]).sum()

    def compute_measurement(self, batch, model):
        return model(batch[0]).sum()


def run(strategy, g, v):
    task = Rows()
    model = prepare_model(torch.nn.Sequential(probe.model(g.shape[1])), task)
    train, query = probe.Rows(g), probe.Rows(v)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("peers", model, task, cpu=True, output_dir=folder, disable_tqdm=True,
                            disable_model_save=True)
        arguments = FactorArguments(strategy=strategy, use_empirical_fisher=True)
        analyzer.fit_all_factors("f", train, per_device_batch_size=len(g), factor_args=arguments)
        analyzer.compute_pairwise_scores("s", "f", query, train, per_device_query_batch_size=len(v),
                                         per_device_train_batch_size=len(g),
                                         score_args=ScoreArguments(damping_factor=None))
        return -analyzer.load_pairwise_scores("s")["all_modules"].numpy()


def hessian_free(g, v, lam):
    return run("identity", g, v)


def diagonal_fisher(g, v, lam):
    return run("diagonal", g, v)


def kfac(g, v, lam):
    return run("kfac", g, v)


def ekfac(g, v, lam):
    return run("ekfac", g, v)


METHODS = {f.__name__: f for f in (hessian_free, diagonal_fisher, kfac, ekfac)}
SLOW = {"kfac", "ekfac"}
