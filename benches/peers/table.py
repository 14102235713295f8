"""The lines of `benches/minilm.rs --json` and `minilm.py`, of any number of rounds, as Markdown tables.

    python benches/peers/table.py LINES.jsonl           the tables
    python benches/peers/table.py --best LINES.jsonl    the fastest variants for `minilm.py --variants`

A rate is the median of the repeats of all rounds; a product's is the best.
"""

import json
import statistics
import sys


def read(path):
    """Rates by what is measured and by whom."""
    repeats = {}
    with open(path) as file:
        for line in map(json.loads, file):
            repeats.setdefault(line["what"], {}).setdefault(line["by"], []).extend(line["repeats"])
    return {
        what: {by: statistics.median(all) for by, all in rows.items()}
        for what, rows in repeats.items()
    }


def best(rates, part):
    found = {by: rate for by, rate in rates.items() if part(by)}
    return max(found.items(), key=lambda item: item[1], default=None)


def torch(by):
    return by.startswith("PyTorch")


def first_token(by):
    return "first" in by


def variants(rates):
    """The fastest variant with and without the shortcut of the last layer."""
    for shortcut in (False, True):
        found = best(rates["length64"], lambda by: torch(by) and first_token(by) == shortcut)
        if found:
            yield found[0].removeprefix("PyTorch ")


def table(title, rows, columns):
    """`columns` are names and rates to divide by."""
    columns = [(name, rate) for name, rate in columns if rate]
    print(f"\n{title}\n")
    print("| | examples/s |" + "".join(f" against {name} |" for name, _ in columns))
    print("|---|---:|" + "---:|" * len(columns))
    for by, rate in rows:
        print(f"| {by} | {rate:.1f} |" + "".join(f" {rate / other:.2f} |" for _, other in columns))


def main():
    rates = read(sys.argv[-1])
    if sys.argv[1] == "--best":
        print(",".join(variants(rates)))
        return
    if "gemm" in rates:
        print("\nProducts in f32\n\n| m×k×n, GFLOP/s | |\n|---|---:|")
        for by, rate in rates["gemm"].items():
            print(f"| {by.removesuffix(', GFLOP/s')} | {rate:.0f} |")
    if "length64" in rates:
        ours = {by: rate for by, rate in rates["length64"].items() if not torch(by)}
        plain = best(rates["length64"], lambda by: torch(by) and not first_token(by))
        short = best(rates["length64"], lambda by: torch(by) and first_token(by))
        bound = best(rates.get("bound", {}), lambda by: True)
        less = rates.get("bound, last layer at first token", {}).get("PyTorch's peak at length 64")
        rows = [*ours.items(), *filter(None, (plain, short))]
        if bound:
            rows.append((f"bound by {bound[0].removesuffix(' at length 64')}", bound[1]))
        if bound and less:
            share = less / rates["bound"]["PyTorch's peak at length 64"]
            rows.append(("the same, last layer at the first token", bound[1] * share))
        columns = [("best PyTorch", max((rate for _, rate in filter(None, (plain, short))), default=None))]
        columns += [("bound", bound and bound[1]), ("flex", ours.get("infbench flex"))]
        columns += [("libtorch", ours.get("infbench libtorch"))]
        table("Per-example gradients, 64 tokens", rows, columns)
    if "mrpc" in rates:
        rows = rates["mrpc"]
        single = best(rows, lambda by: torch(by) and "one by one" in by)
        many = best(rows, lambda by: torch(by) and "bucketed" in by)
        columns = [("PEFT one by one", single and single[1]), ("best batched PyTorch", many and many[1])]
        table("Per-example gradients, MRPC's training texts", rows.items(), columns)
    if "epoch" in rates:
        rows = rates["epoch"]
        columns = [
            (f"PEFT {kind}", (best(rows, lambda by: torch(by) and kind in by) or (None, None))[1])
            for kind in ("shuffled, encoder dropout 0", "like lengths, encoder dropout 0")
        ]
        table("Fine-tuning on MRPC, batches of 32", rows.items(), columns)


if __name__ == "__main__":
    main()
