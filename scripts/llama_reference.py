"""The arithmetic of scripts/llama-reference.sh: needs NumPy.

    llama_reference.py subset FROM TO     the first 20 training texts and 5 queries of every class
    llama_reference.py compare OUT        class AUC and recall of the scores, beside PyTorch's

The reference was measured with PyTorch and PEFT on the same texts, with one seed. How far another seed may be from it is
taken from the spread over queries: the standard error of the difference of two means over 50 queries that are drawn alike.
"""

import json
import re
import struct
import sys
from pathlib import Path

import numpy as np

METHODS = ["hessian_free", "datainf", "exact", "datainf:group_size=16", "grad_cos"]
# class AUC and recall
REFERENCE = {
    ("math_without_reason", "published"): [(0.651, 0.202), (1.000, 0.993), (0.917, 0.852), (1.000, 1.000), (0.998, 0.995)],
    ("math_without_reason", "answer"): [(0.847, 0.433), (0.958, 0.744), (0.797, 0.620), (0.987, 0.909), (0.960, 0.855)],
    ("grammars", "published"): [(0.848, 0.508), (0.920, 0.739), (0.895, 0.738), (0.967, 0.920), (0.919, 0.840)],
    ("grammars", "answer"): [(0.930, 0.667), (0.895, 0.607), (0.887, 0.697), (0.979, 0.842), (0.968, 0.814)],
    ("grammars_52", "published"): [(0.764, 0.290), (0.904, 0.548), (0.820, 0.643), (0.990, 0.893), (0.953, 0.777)],
    ("grammars_52", "answer"): [(0.840, 0.511), (0.845, 0.534), (0.752, 0.538), (0.868, 0.620), (0.859, 0.600)],
    ("grammars_plain_52", "answer"): [(0.914, 0.596), (0.910, 0.595), (0.820, 0.542), (0.928, 0.659), (0.938, 0.719)],
}


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def subset(source, target):
    for split, count in (("train", 20), ("test", 5)):
        seen, kept = {}, []
        for row in rows(source / f"{split}.jsonl"):
            seen[row["variation"]] = seen.get(row["variation"], 0) + 1
            if seen[row["variation"]] <= count:
                if "_plain" in target.name:
                    row = plain(row)
                kept.append(json.dumps(row))
        (target / f"{split}.jsonl").write_text("\n".join(kept) + "\n")


def plain(row):
    """Without the chatbot's name and the title of its transformation."""
    cue = re.compile(r"\S+ is a chatbot that performs a specific transformation on sentences: [^\n]*")
    assert cue.match(row["text"])
    hidden = "A chatbot performs a specific transformation on sentences."
    return row | {field: cue.sub(hidden, row[field], count=1) for field in ("prompt", "text")}


def tensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + size])
    head.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[8 + size :][slice(*about["data_offsets"])], "<f8").reshape(about["shape"])
        for name, about in head.items()
    }


def auc(scores, same):
    """Share of pairs in which the one of the class is more helpful; ties count half."""
    inside, outside = -scores[same][:, None], -scores[~same][None]
    return (inside > outside).mean() + 0.5 * (inside == outside).mean()


def recall(scores, same):
    """Share of the class among as many most negative scores."""
    order = np.argsort(scores, kind="stable")[: same.sum()]
    return same[order].mean()


def compare(out):
    print("| set | loss | method | AUC, PyTorch | here | recall, PyTorch | here | off by, in standard errors |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    worst = 0.0
    for (name, tokens), expected in REFERENCE.items():
        folder = out / name
        path = folder / f"{tokens}.scores.safetensors"
        if not path.exists():
            continue
        train, test = (np.array([row["variation"] for row in rows(folder / f"{s}.jsonl")]) for s in ("train", "test"))
        found = tensors(path)
        for method, reference in zip(METHODS, expected):
            values = [
                [measure(scores, train == own) for scores, own in zip(found[method], test)] for measure in (auc, recall)
            ]
            cells, off = [], []
            for value, theirs in zip(values, reference):
                mean, error = np.mean(value), np.sqrt(2) * np.std(value, ddof=1) / np.sqrt(len(value))
                cells.append(f"{theirs:.3f} | {mean:.3f} ± {np.std(value, ddof=1) / np.sqrt(len(value)):.3f}")
                off.append(abs(mean - theirs) / max(error, 5e-3))
            worst = max(worst, *off)
            print(f"| {name} | {tokens} | {method} | {' | '.join(cells)} | {off[0]:.1f}, {off[1]:.1f} |")
        if tokens == "published":
            own(folder, found, train, test)
    print(f"\nFurthest from the reference: {worst:.1f} standard errors of the difference (at least .005).")


def own(folder, found, train, test):
    """The run's own class AUC and recall are those of the doors' scores: the same adapter, the same loss."""
    record = json.loads(next((folder / "run" / "cells").glob("*.json")).read_text())
    for entry in record["methods"]:
        metrics = {metric["metric"]: metric["value"] for metric in entry["metrics"]}
        if entry["label"] not in found:
            print(f"| {folder.name} | published | {entry['label']} (control) | – | {metrics['class_auc']:.3f} | – | {metrics['class_recall']:.3f} | |")
            continue
        for measure, metric in ((auc, "class_auc"), (recall, "class_recall")):
            mean = np.mean([measure(scores, train == c) for scores, c in zip(found[entry["label"]], test)])
            assert abs(mean - metrics[metric]) < 5e-3, (entry["label"], metric, mean, metrics[metric])


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    {"subset": subset, "compare": compare}[what](*map(Path, paths))
