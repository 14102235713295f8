"""Scores by kronfluence itself, for tests/peers.rs, which holds our variants of its strategies to them.

Run:  python scripts/peers_kronfluence.py        writes tests/fixtures/kronfluence/*.safetensors
Needs the packages of benches/peers/influence/requirements.txt.

A small network on texts of 2 to 5 tokens with padding: two layers at every token, then a head on the mean of an
example's tokens. Everything in double precision, kronfluence's own products, too. Written are

  train, query      per-example gradients, one [n, out, in] tensor a layer, by autograd one example at a time
  sampled           the training gradients at other labels, which stand for labels drawn from the model
  factors           Kronecker factors of `train` as infbench has them: NAME.inputs = Σ x xᵀ over tokens / tokens,
                    NAME.outputs = Σ δ δᵀ over tokens / examples, NAME.tokens = tokens / examples
  sampled.factors   those of `sampled`
  scores            kronfluence's scores, [queries, train], named by our method, positive = helpful
"""

import logging
import os
import tempfile
import warnings
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from kronfluence.analyzer import Analyzer, prepare_model  # noqa: E402
from kronfluence.arguments import FactorArguments, ScoreArguments  # noqa: E402
from kronfluence.task import Task  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from torch.utils.data import TensorDataset  # noqa: E402

logging.disable(logging.WARNING)
EXAMPLES, QUERIES, TOKENS, WIDTHS, CLASSES = 24, 5, 5, (6, 5, 4), 3
LAYERS = ("first", "second", "head")
DOUBLE = torch.float64


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(WIDTHS[0], WIDTHS[1], bias=False)
        self.second = nn.Linear(WIDTHS[1], WIDTHS[2], bias=False)
        self.head = nn.Linear(WIDTHS[2], CLASSES, bias=False)

    def forward(self, x, mask):
        z = torch.tanh(self.second(torch.tanh(self.first(x))))
        weight = mask.unsqueeze(-1) / mask.sum(1)[:, None, None]
        return self.head((z * weight).sum(1))


def examples(count):
    lengths = torch.randint(2, TOKENS + 1, (count,))
    mask = (torch.arange(TOKENS)[None, :] < lengths[:, None]).to(torch.int64)
    x = torch.randn(count, TOKENS, WIDTHS[0])
    labels, drawn = torch.randint(0, CLASSES, (2, count))
    return x, mask, labels, drawn


class Texts(Task):
    def compute_train_loss(self, batch, model, sample=False):
        x, mask, labels, drawn = batch
        return cross_entropy(model(x, mask), drawn if sample else labels, reduction="sum")

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)

    def get_attention_mask(self, batch):
        return batch[1]


def by_hand(model, data, labels):
    """Gradients and factors, one example at a time and without its padding."""
    x, mask = data[:2]
    rows = {name: [] for name in LAYERS}
    sums = {name: [0.0, 0.0, 0] for name in LAYERS}
    for i in range(len(x)):
        seen = {}

        def watch(name):
            def hook(module, inputs, output):
                output.retain_grad()
                seen[name] = (inputs[0].detach(), output)

            return hook

        hooks = [getattr(model, name).register_forward_hook(watch(name)) for name in LAYERS]
        model.zero_grad()
        length = int(mask[i].sum())
        loss = cross_entropy(model(x[i : i + 1, :length], mask[i : i + 1, :length]), labels[i : i + 1])
        loss.backward()
        for hook in hooks:
            hook.remove()
        for name, (inputs, output) in seen.items():
            a = inputs.reshape(-1, inputs.shape[-1])
            s = output.grad.reshape(-1, output.shape[-1])
            rows[name].append(getattr(model, name).weight.grad.clone())
            total = sums[name]
            total[0], total[1], total[2] = total[0] + a.T @ a, total[1] + s.T @ s, total[2] + len(a)
    gradients = {f"{name}.weight": torch.stack(rows[name]) for name in LAYERS}
    factors = {}
    for name, (inputs, outputs, tokens) in sums.items():
        factors[f"{name}.weight.inputs"] = inputs / tokens
        factors[f"{name}.weight.outputs"] = outputs / len(x)
        factors[f"{name}.weight.tokens"] = torch.tensor([[tokens / len(x)]])
    return gradients, factors


def kronfluence(model, train, query, strategy, empirical, damping):
    task = Texts()
    model = prepare_model(model, task)
    kinds = {"per_sample_gradient_dtype": DOUBLE}
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("peers", model, task, cpu=True, output_dir=folder, disable_tqdm=True)
        # batches of several, the last one shorter
        analyzer.fit_all_factors(
            "f",
            TensorDataset(*train),
            per_device_batch_size=7,
            factor_args=FactorArguments(
                strategy=strategy,
                use_empirical_fisher=empirical,
                activation_covariance_dtype=DOUBLE,
                gradient_covariance_dtype=DOUBLE,
                lambda_dtype=DOUBLE,
                **kinds,
            ),
        )
        analyzer.compute_pairwise_scores(
            "s",
            "f",
            TensorDataset(*query),
            TensorDataset(*train),
            per_device_query_batch_size=2,
            per_device_train_batch_size=7,
            score_args=ScoreArguments(
                damping_factor=damping, precondition_dtype=DOUBLE, score_dtype=DOUBLE, **kinds
            ),
        )
        return analyzer.load_pairwise_scores("s")["all_modules"]


def main():
    torch.manual_seed(5)
    torch.set_default_dtype(DOUBLE)
    model = Net()
    train, query = examples(EXAMPLES), examples(QUERIES)
    gradients, factors = by_hand(model, train, train[2])
    sampled, sampled_factors = by_hand(model, train, train[3])
    queries, _ = by_hand(model, query, query[2])
    scores = {"hessian_free": kronfluence(model_copy(model), train, query, "identity", True, 1e-8)}
    for strategy, method in (("diagonal", "diagonal"), ("kfac", "kfac"), ("ekfac", "ekfac")):
        for labels in ("sampled", "empirical"):
            for damping in ("1e-8", "heuristic", "0.003"):
                options = []
                if labels != "sampled":
                    options.append(f"labels={labels}")
                if damping != "1e-8":
                    options.append(f"damping={damping}")
                name = f"{method}_kronfluence" + (":" + ",".join(options) if options else "")
                value = None if damping == "heuristic" else float(damping)
                found = kronfluence(model_copy(model), train, query, strategy, labels == "empirical", value)
                assert found.dtype == DOUBLE and found.shape == (QUERIES, EXAMPLES), (name, found.dtype, found.shape)
                scores[name] = found.contiguous()
    folder = Path(__file__).resolve().parent.parent / "tests/fixtures/kronfluence"
    folder.mkdir(parents=True, exist_ok=True)
    for name, tensors in {
        "train": gradients,
        "query": queries,
        "sampled": sampled,
        "factors": factors,
        "sampled.factors": sampled_factors,
        "scores": scores,
    }.items():
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")


def model_copy(model):
    """A model of one's own: kronfluence wraps the layers of what it is given."""
    made = Net()
    made.load_state_dict(model.state_dict())
    return made


if __name__ == "__main__":
    main()
