"""What EK-FAC of pyDVL and dattri computes, measured: the statements of benches/peers/influence/CONVENTIONS.md.

Run:  python scripts/peers_ekfac.py        prints each statement with what was measured; fails when one does not hold
Needs the packages of benches/peers/influence/requirements.txt. Double precision, a classifier of two layers on 30
examples, and on sequences of 3 tokens.
"""

import logging
import os
import warnings

os.environ["TQDM_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from dattri.algorithm.influence_function import IFAttributorEKFAC  # noqa: E402
from dattri.task import AttributionTask  # noqa: E402
from pydvl.influence.torch import EkfacInfluence  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

logging.disable(logging.WARNING)
torch.set_default_dtype(torch.float64)
N, M, WIDTHS, DAMPING = 30, 4, (5, 4, 3), 0.01


class Net(nn.Module):
    """Two layers; sequences are averaged before the second."""

    def __init__(self, bias):
        super().__init__()
        self.first = nn.Linear(WIDTHS[0], WIDTHS[1], bias=bias)
        self.second = nn.Linear(WIDTHS[1], WIDTHS[2], bias=bias)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.second(h.mean(1) if h.dim() == 3 else h)


def apart(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def say(statement, holds, *numbers):
    print(f"{'✓' if holds else '✗'} {statement}: " + ", ".join(f"{n:.1e}" for n in numbers))
    assert holds, statement


def moments(model, x, loss):
    """Σ x xᵀ, Σ δ δᵀ and per-position inputs and output gradients of a loss summed over the examples, by layer."""
    seen = {}

    def watch(name, module):
        def hook(_, inputs, output):
            output.retain_grad()
            ones = [torch.ones(*inputs[0].shape[:-1], 1)] if module.bias is not None else []
            seen[name] = (torch.cat([inputs[0].detach(), *ones], -1), output)

        return module.register_forward_hook(hook)

    hooks = [watch(name, module) for name, module in model.named_children()]
    loss(model(x)).backward()
    for hook in hooks:
        hook.remove()
    return {name: (a, output.grad) for name, (a, output) in seen.items()}


def flat(t):
    return t.reshape(-1, t.shape[-1])


def gradients(model, x, y):
    """Per-example gradients by layer, [n, out, in], the bias as a last column."""
    found = moments(model, x, lambda z: cross_entropy(z, y, reduction="sum"))
    many = {}
    for name, (a, s) in found.items():
        a, s = (t if t.dim() == 3 else t.unsqueeze(1) for t in (a, s))
        many[name] = torch.einsum("nto,nti->noi", s, a)
    return many


def solve(v, q_s, q_a, diagonal):
    return q_s @ ((q_s.T @ v @ q_a) / (diagonal + DAMPING)) @ q_a.T


def roots(z):
    """pyDVL's loss: Σ_c √p_c log p_c with √p taken as constant."""
    p = torch.softmax(z, 1)
    return (torch.log(p) * p.detach().sqrt()).sum()


def pydvl_scores(model, train, query, update):
    made = EkfacInfluence(model, update_diagonal=update, hessian_regularization=DAMPING)
    made = made.fit(DataLoader(TensorDataset(*train), batch_size=7))
    return made.influences(*query, *train).detach()


def formula(model, train, query, update, permute=False):
    """pyDVL's scores by formula."""
    found = moments(model, train[0], roots)
    own, asked = gradients(model, *train), gradients(model, *query)
    total = 0.0
    for name, (a, s) in found.items():
        q_a = torch.linalg.eigh(flat(a).T @ flat(a) / N)
        q_s = torch.linalg.eigh(flat(s).T @ flat(s) / N)
        diagonal = torch.outer(q_s[0], q_a[0])
        if update:  # squares by position, not of the example's sum
            diagonal = (flat(s) @ q_s[1]).T.square() @ (flat(a) @ q_a[1]).square() / N
        v = asked[name]
        out, width = v.shape[1:]
        if permute:  # the last `out` entries of the row-major matrix are taken for a bias
            entries = v.reshape(len(v), -1)
            v = torch.cat([entries[:, :-out].reshape(-1, out, width - 1), entries[:, -out:, None]], 2)
        x = solve(v, q_s[1], q_a[1], diagonal)
        if permute:
            x = torch.cat([x[:, :, :-1].reshape(len(x), -1), x[:, :, -1]], 1).reshape(-1, out, width)
        total = total + torch.einsum("moi,noi->mn", x, own[name])
    return total


def pydvl():
    train = torch.randn(N, WIDTHS[0]), torch.randint(0, WIDTHS[2], (N,))
    query = torch.randn(M, WIDTHS[0]), torch.randint(0, WIDTHS[2], (M,))
    model = Net(bias=True)
    by_default = apart(pydvl_scores(model, train, query, False), formula(model, train, query, False))
    say("pyDVL: by default K-FAC with the factors of Σ √p log p, both over the number of examples", by_default < 1e-10,
        by_default)
    updated = apart(pydvl_scores(model, train, query, True), formula(model, train, query, True))
    say("pyDVL: update_diagonal is the mean square in the eigenbasis at that loss", updated < 1e-10, updated)
    p = torch.softmax(model(train[0]), 1)
    fisher = torch.diag(p.mean(0)) - p.T @ p / N
    s = moments(model, train[0], roots)["second"][1]
    off = apart(s.T @ s / N, fisher.detach())
    say("pyDVL: its factor of the logits is not the Fisher's, diag p − ppᵀ", off > 0.1, off)
    bare = Net(bias=False)
    found = pydvl_scores(bare, train, query, False)
    straight, turned = (apart(found, formula(bare, train, query, False, p)) for p in (False, True))
    say("pyDVL: without a bias the last entries of the weight are taken for one", turned < 1e-10 < straight, turned,
        straight)
    train = torch.randn(N, 3, WIDTHS[0]), train[1]
    query = torch.randn(M, 3, WIDTHS[0]), query[1]
    factors = [apart(pydvl_scores(model, train, query, u), formula(model, train, query, u)) for u in (False, True)]
    say("pyDVL: over tokens, factors over examples and squares by position", max(factors) < 1e-10, *factors)


def dattri():
    train = torch.randn(N, WIDTHS[0]), torch.randint(0, WIDTHS[2], (N,))
    query = torch.randn(M, WIDTHS[0]), torch.randint(0, WIDTHS[2], (M,))
    model = Net(bias=False)

    def run(train, query, batch):
        def loss(params, data):
            return cross_entropy(torch.func.functional_call(model, params, (data[0],)), data[1])

        task = AttributionTask(loss_func=loss, model=model, checkpoints=model.state_dict())
        made = IFAttributorEKFAC(task=task, damping=DAMPING)
        made.cache(DataLoader(TensorDataset(*train), batch_size=batch))
        every = DataLoader(TensorDataset(*train), batch_size=N), DataLoader(TensorDataset(*query), batch_size=M)
        return made.attribute(*every).T.detach()

    found = run(train, query, 7)
    own, asked = gradients(model, *train), gradients(model, *query)
    data = moments(model, train[0], lambda z: cross_entropy(z, train[1], reduction="sum"))

    def formula(transposed, signs=False):
        total = 0.0
        for name, (a, s) in data.items():
            q_a = torch.linalg.eigh(a.T @ a / N, UPLO="U")[1]
            q_s = torch.linalg.eigh(s.T @ s / N, UPLO="U")[1]
            if signs:  # as good an eigenvector
                q_s = q_s * torch.tensor([-1.0] + [1.0] * (len(q_s) - 1))
            if transposed:
                q_a, q_s = q_a.T, q_s.T
            diagonal = (q_s.T @ own[name] @ q_a).square().mean(0)
            total = total + torch.einsum("moi,noi->mn", solve(asked[name], q_s, q_a, diagonal), own[name])
        return total

    wrong = apart(found, formula(True))
    say("dattri: EK-FAC with the eigenvectors transposed", wrong < 1e-9, wrong)
    right = apart(found, formula(False))
    say("dattri: which is not EK-FAC", right > 0.01, right)
    same, turned = apart(formula(False, True), formula(False)), apart(formula(True, True), formula(True))
    say("dattri: and changes with the sign of an eigenvector, where EK-FAC does not", same < 1e-9 < 1e-3 < turned,
        same, turned)
    try:
        run((torch.randn(N, 3, WIDTHS[0]), train[1]), (torch.randn(M, 3, WIDTHS[0]), query[1]), 7)
        stopped = False
    except UnboundLocalError:
        stopped = True
    say("dattri: sequences stop it with an UnboundLocalError", stopped)


if __name__ == "__main__":
    torch.manual_seed(3)
    pydvl()
    dattri()
