#!/usr/bin/env python3
"""Draws docs/architecture.svg from the table of rows in docs/architecture.md: scripts/architecture.py > docs/architecture.svg"""
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
WHAT = {
    "cli": "arguments, exit codes", "reproduce": "the paper's items", "report": "figures, tables, pages",
    "engines": "Slurm, HyperQueue", "generation": "infbench generate", "gradient_files": "infbench gradients",
    "runner": "cells → records: 2 to 8", "score": "infbench score",
    "resolve": "reads the experiment, finds its data and checkpoints", "config": "YAML → grid of cells",
    "results": "the versioned record", "theory": "claims and bounds", "ground_truth": "retraining",
    "metrics": "values with intervals", "influence": "(F + λI)⁻¹v and its rivals",
    "pretraining": "small diffusion pipelines", "finetune": "training", "gradients": "one row per example",
    "objectives": "losses and measurements", "sampling": "prompts → images", "batching": "examples → batches",
    "tasks": "examples, known truth", "models": "networks with LoRA sites",
    "checkpoints": "files of pretrained models, here or on the hub", "data": "inputs, targets, truth",
    "input": "files and arguments: what they are, how they are quoted",
}
STEP = {"config": 1, "tasks": 2, "finetune": 3, "gradients": 4, "influence": 5, "ground_truth": 6, "metrics": 7,
        "results": 8, "report": 9}
INK, GREY, LEFT, WIDTH, GAP, PITCH, TOP = "#1b1e23", "#444444", 70, 640, 8, 47, 58

rows = [re.findall(r"`(\w+)`", line) for line in (DOCS / "architecture.md").read_text().splitlines()
        if re.match(r"\| \d+ \|", line)][::-1]
height = TOP + PITCH * len(rows) + 26


def text(x, y, words, size, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" {more}>{words}</text>'


def box(x, y, width, name):
    middle = f'text-anchor="middle" fill="{INK}"'
    yield (f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="40" rx="5" fill="#f4f4f2" stroke="#9a9a94" '
           'stroke-width="1.2"/>')
    if name in WHAT:
        yield text(x + width / 2, y + 17, name, 13, f'font-weight="bold" {middle}')
        yield text(x + width / 2, y + 32, WHAT[name], 11, f'text-anchor="middle" fill="{GREY}"')
    else:
        yield text(x + width / 2, y + 24, name, 11, middle)


print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" width="860" height="{height}" '
      'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" role="img" aria-labelledby="title desc">')
print('<title id="title">The modules of infbench</title>')
print('<desc id="desc">Modules in the order of their imports, the lowest at the bottom; numbers give the way of the '
      'data.</desc>')
print(f'<rect width="860" height="{height}" fill="#ffffff"/>')
print('<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
      f'<path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>')
print(text(LEFT, 24, "An import points down. The numbers are the way of the data.", 15,
           f'font-weight="bold" fill="{INK}"'))
print(text(LEFT, 44, "Modules of one row do not import one another; nothing imports its own row or a row above.", 12,
           f'fill="{GREY}"'))
for at, row in enumerate(rows):
    y = TOP + PITCH * at
    row = sorted(row, key=lambda name: STEP.get(name, 99)) if set(row) & set(STEP) else row
    width = (WIDTH - GAP * (len(row) - 1)) / len(row)
    for place, name in enumerate(row):
        print("\n".join(box(LEFT + place * (width + GAP), y, width, name)))
        if name in STEP:
            print(f'<circle cx="{LEFT + place * (width + GAP) + 18:.1f}" cy="{y + 20}" r="11" fill="#0072b2"/>'
                  + text(LEFT + place * (width + GAP) + 18, y + 24.5, STEP[name], 12,
                         'font-weight="bold" text-anchor="middle" fill="#ffffff"'))
    if "influence" in row:  # below it are tensors
        line = y + 40 + (PITCH - 40) / 2
        print(f'<line x1="60" y1="{line}" x2="850" y2="{line}" stroke="#d55e00" stroke-width="1.6" '
              'stroke-dasharray="6 4"/>')
        for dy, words in ((-6, "plain matrices"), (16, "tensors (burn)")):
            print(text(848, line + dy, words, 11.5, 'text-anchor="end" fill="#a34700"'))
end = TOP + PITCH * len(rows) - 20
print(f'<line x1="34" y1="{TOP + 4}" x2="34" y2="{end}" stroke="{GREY}" stroke-width="1.6" marker-end="url(#tip)"/>')
middle = (TOP + end) / 2
print(text(26, middle, "imports", 12, f'fill="{GREY}" text-anchor="middle" transform="rotate(-90 26 {middle})"'))
print("</svg>")
