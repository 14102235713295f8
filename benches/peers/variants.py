"""Ways of taking per-example gradients of a whole batch in PyTorch; `minilm.py length64` tries them all.

A variant is a name and a batch size, `autograd:32`. Its step leaves the gradients of one batch in `rows`,
arrays `[n, …]` in the order of `encoder.wanted`; a runner takes all batches one after the other with every
operation on all threads, or (`threads-…`) each on one thread, as many at a time as there are threads.
"""

import threading

import torch
import torch.nn.functional as F

from encoder import TARGETS, Encoder


def autograd(encoder):
    """One forward and one backward a batch, δ at every product from autograd."""
    return encoder.gradients


def compiled(encoder):
    """The same through torch.compile, with a leaf of zeros at every product."""
    h = encoder.hidden

    def forward(x, labels, probes):
        inputs = []
        for index, layer in enumerate(encoder.layers):
            inputs.append(x)
            x = encoder.layer(index, x, F.linear(x, *layer["qkv"]) + probes[index], None)
        pooled = torch.tanh(F.linear(x[:, 0], *encoder.pooler))
        inputs.append(pooled)
        logits = F.linear(pooled, *encoder.classifier) + probes[-1]
        return F.cross_entropy(logits, labels, reduction="sum"), inputs

    fast = torch.compile(forward, dynamic=False)

    def step(ids, labels, rows):
        with torch.no_grad():
            x = encoder.embed(ids, None)
        probes = [torch.zeros(*ids.shape, 3 * h) for _ in encoder.layers]
        probes.append(torch.zeros(len(ids), 2))
        for probe in probes:
            probe.requires_grad_()
        loss, inputs = fast(x, labels, probes)
        encoder.products(inputs, torch.autograd.grad(loss, probes), rows)

    return step


def vmapped(encoder):
    """torch.func: vmap over examples of grad, LoRA beside W as it is in PEFT."""
    h, heads = encoder.hidden, encoder.heads
    parameters = []
    for layer in encoder.layers:
        for which in range(len(TARGETS)):
            parameters += [layer["a"][which], layer["b"][which]]
    parameters.append(encoder.classifier[0])

    def loss(parameters, x, label):
        t = x.shape[0]
        for index, layer in enumerate(encoder.layers):
            aq, bq, av, bv = parameters[4 * index : 4 * index + 4]
            q, k, v = F.linear(x, *layer["frozen"]).split(h, dim=-1)
            q = q + layer["scale"] * F.linear(F.linear(x, aq), bq)
            v = v + layer["scale"] * F.linear(F.linear(x, av), bv)
            q, k, v = (part.view(t, heads, h // heads).transpose(0, 1) for part in (q, k, v))
            weights = torch.softmax(q @ k.transpose(1, 2) * (h // heads) ** -0.5, -1)
            context = (weights @ v).transpose(0, 1).reshape(t, h)
            x = F.layer_norm(F.linear(context, *layer["out"]) + x, (h,), *layer["norm1"], encoder.eps)
            wide = F.gelu(F.linear(x, *layer["ffn1"]))
            x = F.layer_norm(F.linear(wide, *layer["ffn2"]) + x, (h,), *layer["norm2"], encoder.eps)
        pooled = torch.tanh(F.linear(x[0], *encoder.pooler))
        return F.cross_entropy(F.linear(pooled, parameters[-1], encoder.classifier[1]), label)

    per_example = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))

    def step(ids, labels, rows):
        with torch.no_grad():
            x = encoder.embed(ids, None)
        for row, gradient in zip(rows, per_example(tuple(parameters), x, labels)):
            row.copy_(gradient)

    return step


def in_turn(step, size):
    def run(ids, labels, rows):
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            step(ids[part], labels[part], [row[part] for row in rows])

    return run


def in_threads(step, size):
    warm, first = threading.Event(), threading.Lock()

    def run(ids, labels, rows):
        starts, lock = iter(range(0, len(ids), size)), threading.Lock()
        threads, failures = torch.get_num_threads(), []

        def take(start):
            part = slice(start, start + size)
            step(ids[part], labels[part], [row[part] for row in rows])

        def loop():
            torch.set_num_threads(1)  # of this thread's own operations
            try:
                while True:
                    with lock:
                        start = next(starts, None)
                    if start is None:
                        return
                    if warm.is_set():
                        take(start)
                        continue
                    with first:  # one thread compiles, the others wait for it
                        take(start)
                        warm.set()
            except Exception as error:
                failures.append(error)

        workers = [threading.Thread(target=loop) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        torch.set_num_threads(threads)
        if failures:
            raise failures[0]

    return run


SIZES = (8, 16, 32, 64, 128)
SMALL = (4, 8, 16)
# name: step, runner, whether the last layer is computed at the first token alone, batch sizes
VARIANTS = {
    "autograd": (autograd, in_turn, False, SIZES),
    "autograd-first-token": (autograd, in_turn, True, SIZES),
    "threads-autograd": (autograd, in_threads, False, SMALL),
    "threads-autograd-first-token": (autograd, in_threads, True, SMALL),
    "compile": (compiled, in_turn, False, (16, 32)),
    "compile-first-token": (compiled, in_turn, True, (16, 32)),
    "threads-compile": (compiled, in_threads, False, (8, 16)),
    "threads-compile-first-token": (compiled, in_threads, True, (8, 16)),
    "vmap": (vmapped, in_turn, False, (8, 16, 32, 64)),
}


def make(model, name, size):
    step, runner, first_token, _ = VARIANTS[name]
    return runner(step(Encoder(model, first_token)), size)
