"""The peers' lines and scores beside infbench's, as a Markdown table; fails when scores differ that should agree.

    python table.py --labels METHOD...     the methods to ask infbench for, of those it has
    python table.py FOLDER                 the table of the scores in FOLDER

Seconds are prepare + apply + score summed over blocks: without reading, λ and start. Those of slow libraries are
of a few blocks, times what is missing, and are set in italics. "against infbench" is the peer's time over that of
infbench's method (f32 products; exact in f64). "correlation" is Pearson's with infbench's exact scores of the
same blocks, the mean over queries. "differs by" is max |a − b| / max |b| over all scores, b being infbench's
method in f64; it is checked where both compute the same thing.
"""

import glob
import json
import sys

import numpy as np
from safetensors import safe_open

# what infbench has for a peer's method
OURS = {
    "hessian_free": "hessian_free",
    "diagonal_fisher": "diagonal_fisher",
    "datainf": "datainf",
    "exact": "exact",
    "kfac": "exact",
    "ekfac": "exact",
    "lissa": "lissa:iterations=10",
    "conjugate_gradient": "conjugate_gradient:iterations=20,must_converge=false",
    "block_conjugate_gradient": "conjugate_gradient:iterations=20,must_converge=false",
    "arnoldi": "arnoldi:rank=50",
    "nystrom": "nystrom:rank=50",
}
# where a fixed number of steps or another Krylov space makes another answer
APART = {"conjugate_gradient", "block_conjugate_gradient", "arnoldi", "nystrom"}


def labels(methods):
    wanted = dict.fromkeys(OURS.values())
    return [label for label in wanted if label.split(":")[0] in methods]


def read(path):
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def correlation(a, b):
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
        return float(np.mean((a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))))


def main():
    folder = sys.argv[1]
    ours, _ = read(f"{folder}/ours-f64.safetensors")
    some, _ = read(f"{folder}/ours-f64-some.safetensors")
    times = {}
    for path in glob.glob(f"{folder}/ours-f32-*.safetensors"):
        _, metadata = read(path)
        for label, method in json.loads(metadata["methods"]).items():
            seconds = sum(method["seconds"].values())
            times[label] = min(seconds, times.get(label, seconds))
    with safe_open(f"{folder}/train.safetensors", "np") as file:
        blocks = len(file.keys())
        sizes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    d = max(shape[1] for shape in sizes.values())
    # rounding of f32 sums, times how far (F + λI)⁻¹ magnifies it: at most tr(F)/λ = d/c, here d/0.1
    tolerance = float(np.finfo(np.float32).eps) * d / 0.1

    ours_single = {}
    for path in glob.glob(f"{folder}/ours-f32-*.safetensors"):
        ours_single.update(read(path)[0])
    rows, failed = [], []
    for label in ours:
        difference = np.abs(ours_single[label] - ours[label]).max() / np.abs(ours[label]).max()
        rows.append((label, "infbench", f"{times[label]:.3g}", "1", correlation(ours[label], ours["exact"]),
                     f"{difference:.1e}"))
    with open(f"{folder}/lines.jsonl") as file:
        lines = {(line["library"], line["method"]): line for line in map(json.loads, file)}
    for (library, method), line in lines.items():
        scores, _ = read(f"{folder}/{library}.{method}.scores.safetensors")
        scores = scores["scores"]
        reference = ours if line["blocks"] == blocks else some
        seconds = line["seconds"] * blocks / line["blocks"]
        label = OURS[method]
        ratio = f"{seconds / times[label]:.3g}" if times.get(label) else "–"
        agreement = "–"
        if label in reference:
            difference = np.abs(scores - reference[label]).max() / np.abs(reference[label]).max()
            agreement = f"{difference:.1e}"
            if method not in APART and not difference <= tolerance:
                failed.append(f"{library}'s {method} differs from {label} by {difference:.1e}, allowed {tolerance:.1e}")
                agreement += " ✗"
        shown = f"{seconds:.3g}" if line["blocks"] == blocks else f"*{seconds:.3g}*"
        rows.append((method, library, shown, ratio, correlation(scores, reference["exact"]), agreement))

    order = list(OURS) + labels({label.split(":")[0] for label in OURS.values()})
    rows.sort(key=lambda row: (order.index(row[0]) if row[0] in OURS else order.index(
        next(k for k, v in OURS.items() if v == row[0])), row[1] != "infbench"))
    n, m = next(iter(sizes.values()))[0], ours["exact"].shape[0]
    print(f"\nn = {n}, {blocks} blocks, d = {d}, {m} queries; tolerance {tolerance:.1e}\n")
    print("| method | library | seconds | against infbench | correlation | differs by |")
    print("|---|---|---:|---:|---:|---:|")
    for method, library, seconds, ratio, r, agreement in rows:
        print(f"| {method} | {library} | {seconds} | {ratio} | {r:.4f} | {agreement} |")
    if failed:
        print("\n" + "\n".join(failed), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "--labels":
        print("\n".join(labels(sys.argv[2:])))
    else:
        main()
