#!/usr/bin/env python3
"""Holds the forecast of units of work against what they took, as a Markdown table (the one in docs/scale.md).

    scripts/forecast.py [INFBENCH] [EXPERIMENT[:PROFILE] …]

The units of the first cell of every experiment run one after the other, each in a process of its own at one thread, in a
temporary folder. Measured are the most memory of the process that was resident and its processor time, which a busy
machine changes least. Without experiments: those whose first cell takes about a minute at most.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DEFAULT = "smoke quickstart retraining:quick rank:quick layers:quick dataset_size:quick damping:quick sentences".split()
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "s": 1, "min": 60, "h": 3600}

root = Path(__file__).resolve().parent.parent
arguments = sys.argv[1:]
program = Path(arguments.pop(0) if arguments and not Path(f"experiments/{arguments[0].split(':')[0]}.yaml").exists()
               else "target/release/infbench").resolve()


def amount(text):
    number, unit = re.fullmatch(r"([\d.]+) (\w+)", text).groups()
    return float(number) * UNITS[unit]


print("| experiment | unit | memory, forecast / measured (MB) | ratio | time, forecast / measured (s) | ratio |")
print("|---|---|---:|---:|---:|---:|")
for entry in arguments or DEFAULT:
    name, _, profile = entry.partition(":")
    with tempfile.TemporaryDirectory() as out:
        base = [root / f"experiments/{name}.yaml", "--out", out, "--threads", "1"] + (["--profile", profile] if profile else [])
        listed = subprocess.run([program, "plan", *base, "--units", "--slice", "1000"], capture_output=True, text=True, cwd=root)
        if listed.returncode:
            print(f"| {entry} | not run: {listed.stderr.strip().splitlines()[0][:90]} | | | | |")
            continue
        lines = listed.stdout.split("\n\n")[0].splitlines()[1:]
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
        cell = next(row[0] for row in rows if row[0].startswith("score-")).removeprefix("score-")
        for row in rows:
            if cell not in row[0]:
                continue
            run = subprocess.run([program, "run", *base, "--quiet", "--unit", row[0]], capture_output=True, text=True, cwd=root)
            if run.returncode:
                print(f"| {entry} | {row[0]} failed: {run.stderr.strip()[:90]} | | | | |")
                break
            told = json.loads(Path(out, f"units/{row[0]}.json").read_text())
            seconds, memory = amount(row[2]), amount(row[3])
            resident, spent = told["resident_bytes"], max(told["cpu_seconds"], 0.01)
            print(
                f"| {entry.replace(':', ', ')} | {row[0].split('-')[0]} | {memory / 1e6:.0f} / {resident / 1e6:.0f} "
                f"| {memory / resident:.2f} | {seconds:.2f} / {spent:.2f} | {seconds / spent:.2f} |",
                flush=True,
            )
