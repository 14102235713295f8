"""What the machine's matrix products allow: the peak, and the products that an example needs."""

import statistics
import time

import torch

# m, k, n of m×k by k×n; the last three are MiniLM's own, at 32 examples of 64 tokens
SHAPES = [
    (4096, 4096, 4096),
    (4096, 512, 4096),
    (2048, 384, 384),
    (2048, 384, 1536),
    (2048, 1536, 384),
]


def operations(t, layers=6, h=384, ffn=1536, classes=2, first_token=False):
    """Floating-point operations of an example of `t` tokens: all products of the forward pass, and those
    of the backward pass that give gradients of inputs, down to query and value of the first layer. No
    product that gives a gradient of a weight, none that is computed twice.

    With `first_token` the last layer is computed at the first token alone, from which the pooler reads; the
    keys and values of all tokens are still needed there. This gives the same gradients.
    """
    one_token = 2 * (h * h + classes * h)  # pooler and classifier, forward and backward
    total = one_token
    for layer in range(layers):
        queries = 1 if first_token and layer == layers - 1 else t
        projections = queries * h * h + 2 * t * h * h
        rest = queries * (h * h + 2 * h * ffn)
        attention = queries * t * h
        total += projections + rest + 2 * attention
        # backward: dP, dV, dQ and, unless it is below the first leaves, dK; dx of the projections
        total += rest + (3 if layer == 0 else 4) * attention
        total += 0 if layer == 0 else projections
    return 2 * total


def finished(device):
    """Waits for what was asked of a device."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def product_rates(repeats, device="cpu"):
    """Yields for every shape its name and the GFLOP/s of each repeat."""
    # about a quarter of a second on two cores, or a tenth on a large GPU
    work = 25_000_000_000 if device == "cpu" else 5_000_000_000_000
    for m, k, n in SHAPES:
        a, b, out = (torch.rand(shape, device=device) for shape in ((m, k), (k, n), (m, n)))
        calls = -(-work // (2 * m * k * n))
        rates = []
        for _ in range(repeats + 1):
            finished(device)
            start = time.perf_counter()
            for _ in range(calls):
                torch.mm(a, b, out=out)
            finished(device)
            rates.append(calls * 2e-9 * m * k * n / (time.perf_counter() - start))
        yield f"{m}×{k}×{n}", rates[1:]


def measured(repeats, work, size):
    """Rates of `size` things a call of `work`, after one call to warm up."""
    work()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        rates.append(size / (time.perf_counter() - start))
    return statistics.median(rates), rates
