"""MRPC with PyTorch + PEFT: gradients one example at a time or in batches of like length, and fine-tuning."""

import json
import random
import time

import torch

from encoder import one_at_a_time, peft_model


def read_mrpc(folder, model, max_length=128):
    """Token ids, token types and label of every training example, at their true lengths."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    examples = []
    paths = [folder / name / "train.jsonl" for name in ("mrpc", "MRPC", "glue_mrpc")]
    with open(next((path for path in paths if path.exists()), paths[0])) as file:
        for line in map(json.loads, file):
            encoded = tokenizer(
                line["sentence1"], line["sentence2"], truncation=True, max_length=max_length
            )
            examples.append((encoded["input_ids"], encoded["token_type_ids"], line["label"]))
    return examples


def pad(examples):
    """Ids, types, labels, and the mask of real tokens, or none when nothing is padded."""
    lengths = [len(ids) for ids, _, _ in examples]
    longest = max(lengths)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    types = torch.zeros_like(ids)
    for row, (example, kinds, _) in enumerate(examples):
        ids[row, : len(example)] = torch.tensor(example)
        types[row, : len(kinds)] = torch.tensor(kinds)
    labels = torch.tensor([label for _, _, label in examples])
    if min(lengths) == longest:
        return ids, types, labels, None
    return ids, types, labels, torch.arange(longest)[None] < torch.tensor(lengths)[:, None]


def single_gradients(model, examples):
    """PEFT's own loop: forward, `loss.backward()`, gradients copied, one example at a time."""
    return one_at_a_time(
        model,
        (
            dict(
                input_ids=torch.tensor([ids], device=model.device),
                token_type_ids=torch.tensor([types], device=model.device),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=model.device),
                labels=torch.tensor([label], device=model.device),
            )
            for ids, types, label in examples
        ),
    )


def bucketed_gradients(encoder, examples, tokens, rows):
    """Gradients of all examples into `rows`, batches of like length with about `tokens` tokens."""
    order = sorted(range(len(examples)), key=lambda index: len(examples[index][0]))
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * len(examples[order[end]][0]) <= tokens:
            end += 1
        indices = order[start:end]
        padded = pad([examples[index] for index in indices])
        ids, types, labels, mask = (x if x is None else x.to(encoder.device) for x in padded)
        part = encoder.buffers(len(indices))
        encoder.gradients(ids, labels, part, types, mask)
        where = torch.tensor(indices)
        for row, values in zip(rows, part):
            row.index_copy_(0, where, values.cpu())
        start = end


def epoch_batches(examples, size, bucketed):
    """The batches of an epoch: shuffled examples, or examples of like length in shuffled batches."""
    draw = random.Random(1)
    order = list(range(len(examples)))
    draw.shuffle(order)
    if bucketed:
        order.sort(key=lambda index: len(examples[index][0]))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if bucketed:
        draw.shuffle(batches)
    return batches


def epoch_rate(folder, examples, encoder_dropout, bucketed, steps, size=32, rank=8):
    """Examples/s of fine-tuning with AdamW, and the estimated seconds of an epoch.

    `steps` batches are timed after two to warm up: every k-th of the epoch's batches ordered by length,
    so that they stand for all of them.
    """
    model = peft_model(folder, rank, dropout=0.05, encoder_dropout=encoder_dropout).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-4, weight_decay=0.0)
    batches = epoch_batches(examples, size, bucketed)
    batches.sort(key=lambda batch: max(len(examples[index][0]) for index in batch))
    steps = min(steps, len(batches))
    chosen = [batches[(2 * step + 1) * len(batches) // (2 * steps)] for step in range(steps)]
    random.Random(1).shuffle(chosen)

    def step(batch):
        ids, types, labels, mask = pad([examples[index] for index in batch])
        mask = torch.ones_like(ids) if mask is None else mask.long()
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, token_type_ids=types, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()

    for batch in chosen[:2]:
        step(batch)
    start = time.perf_counter()
    for batch in chosen:
        step(batch)
    seconds = time.perf_counter() - start
    rate = sum(map(len, chosen)) / seconds
    return rate, len(examples) / rate


def sample(examples, count):
    """`count` random examples, always the same ones."""
    return random.Random(1).sample(examples, min(count, len(examples)))


