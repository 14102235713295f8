#!/usr/bin/env python3
"""Holds the forecast of units of work against what they took: prints the table of docs/scale.md and draws docs/forecast.svg.

    scripts/forecast.py [--infbench FILE] [--keep DIR] [--home DIR] [EXPERIMENT[:PROFILE] …]

The units of the first cell of every experiment run one after the other, each in a process of its own at one thread.
Measured are the most memory of the process that was resident and its processor time, which a busy machine changes least.
Of retrainings one slice of two minutes is run; where there are more slices, the scores that need all are not taken.
Experiments look for data and models below --home (the repository); with --keep what was measured there before is not
measured again. Without experiments: all that are shipped, in small sizes.
"""

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

SHIPPED = """smoke quickstart rank layers dataset_size cost:examples cost:size cost:blocks cost:queries hessian damping:quick
damping:full decomposition:quick retraining:quick retraining:full frontier:digits frontier:spectra precision:digits sentences
glue_rank:laptop glue_size:laptop glue_layers:laptop glue_init:laptop glue_clean:laptop glue_detection:laptop
glue_selection:laptop frontier:minilm precision:minilm retraining_minilm:quick llama_rank:small llama_cue:small
llama_table2:small llama_truth:small llama_rank:laptop diffusion_rank:small diffusion_truth:small styles:small
subjects:small""".split()
COLOURS = {"base": "#0072b2", "tune": "#009e73", "retrain": "#d55e00", "score": "#cc79a7"}
INK, GREY = "#1b1e23", "#5a5a55"
ROOT = Path(__file__).resolve().parent.parent

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--infbench", type=Path, default=ROOT / "target/release/infbench")
parser.add_argument("--keep", type=Path)
parser.add_argument("--home", type=Path, default=ROOT)
parser.add_argument("experiments", nargs="*", default=SHIPPED)
options = parser.parse_args()


def infbench(*arguments):
    command = [options.infbench.resolve(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=options.home)


def units(entry, folder):
    """(kind, [forecast, measured] of memory in bytes and of time in seconds) of the units of the first cell."""
    name, _, profile = entry.partition(":")
    about = [ROOT / f"experiments/{name}.yaml", "--out", folder, "--threads", "1", "--force"]
    about += ["--profile", profile] if profile else []
    listed = infbench("plan", *about, "--units", "--json", "--slice", "2")
    if listed.returncode:
        raise RuntimeError(listed.stderr.strip()[:200])
    listed = json.loads(listed.stdout)
    cell = next(unit["id"] for unit in listed if unit["kind"] == "score").removeprefix("score-")
    own = [unit for unit in listed if cell in unit["id"]]
    slices = [unit for unit in own if unit["kind"] == "retrain"]
    for unit in own:
        if unit in slices[1:] or (unit["kind"] == "score" and len(slices) > 1):
            continue
        report = Path(folder, f"units/{unit['id']}.json")
        told = json.loads(report.read_text()) if report.exists() else {}
        if told.get("state") != "done":
            ran = infbench("run", *about, "--quiet", "--unit", unit["id"])
            if ran.returncode:
                raise RuntimeError(f"{unit['id']}: {ran.stderr.strip()[:200]}")
            told = json.loads(report.read_text())
        # without them it was done with another unit
        if told.get("resident_bytes"):
            yield unit["kind"], [unit["memory_bytes"], told["resident_bytes"]], [unit["seconds"], told["cpu_seconds"]]


def text(x, y, words, size=12, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{INK}" {more}>{words}</text>'


def panel(left, title, unit, scale, band, points):
    """Measured to the right, forecast upwards, both logarithmic; the band is what is asked of the forecast."""
    low = math.floor(2 * math.log10(min(min(pair) for _, pair in points) / scale)) / 2
    high = math.ceil(2 * math.log10(max(max(pair) for _, pair in points) / scale)) / 2
    top, size = 62, 330
    x = lambda value: left + size * (math.log10(value / scale) - low) / (high - low)
    y = lambda value: top + size - size * (math.log10(value / scale) - low) / (high - low)
    edge = [scale * 10**low, scale * 10**high]
    corners = [(edge[0], band[0]), (edge[1], band[0]), (edge[1], band[1]), (edge[0], band[1])]
    inside = " ".join(f"{x(value):.1f},{y(value * factor):.1f}" for value, factor in corners)
    yield f'<clipPath id="c{left}"><rect x="{left}" y="{top}" width="{size}" height="{size}"/></clipPath>'
    yield f'<g clip-path="url(#c{left})"><polygon points="{inside}" fill="#e9e9e4"/>'
    yield (f'<line x1="{x(edge[0]):.1f}" y1="{y(edge[0]):.1f}" x2="{x(edge[1]):.1f}" y2="{y(edge[1]):.1f}" stroke="{GREY}" '
           'stroke-dasharray="5 4"/></g>')
    yield f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{GREY}"/>'
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = scale * 10**power
        label = f"{10**power:g}"
        yield f'<path d="M{x(at):.1f} {top + size}v5M{left} {y(at):.1f}h-5" stroke="{GREY}"/>'
        yield text(x(at), top + size + 18, label, 11, 'text-anchor="middle"')
        yield text(left - 8, y(at) + 4, label, 11, 'text-anchor="end"')
    for kind, (forecast, measured) in points:
        yield f'<circle cx="{x(measured):.1f}" cy="{y(forecast):.1f}" r="4" fill="{COLOURS[kind]}" fill-opacity="0.75"/>'
    yield text(left, 50, title, 13, 'font-weight="bold"')
    yield text(left + size / 2, top + size + 38, f"measured, {unit}", 12, 'text-anchor="middle"')
    middle = top + size / 2
    yield text(left - 44, middle, f"forecast, {unit}", 12, f'text-anchor="middle" transform="rotate(-90 {left - 44} {middle})"')


def figure(rows):
    yield ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 470" width="860" height="470" role="img" '
           'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" aria-labelledby="title">')
    yield '<title id="title">Forecast against measured memory and time of units of work</title>'
    yield '<rect width="860" height="470" fill="#ffffff"/>'
    for place, (kind, colour) in enumerate(COLOURS.items()):
        yield f'<circle cx="{76 + 90 * place}" cy="20" r="4" fill="{colour}"/>' + text(86 + 90 * place, 24, kind)
    yield from panel(70, "Memory: 1 to 1.25 times what was measured", "MB", 1e6, (1, 1.25), [(k, m) for k, m, _ in rows])
    times = [(kind, [max(seconds, 0.01) for seconds in pair]) for kind, _, pair in rows]
    yield from panel(490, "Time: half to twice what was measured", "s", 1, (0.5, 2), times)
    yield "</svg>"


print("| experiment | unit | memory, forecast / measured (MB) | ratio | time, forecast / measured (s) | ratio |")
print("|---|---|---:|---:|---:|---:|")
rows = []
for entry in options.experiments:
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep / entry.replace(":", "-") if options.keep else temporary
        try:
            for kind, memory, time in units(entry, folder):
                rows.append((kind, memory, time))
                # below a tenth of a second the process itself is all that is measured
                ratio = f"{time[0] / time[1]:.2f}" if max(time) >= 0.1 else "–"
                print(f"| {entry.replace(':', ', ')} | {kind} | {memory[0] / 1e6:.0f} / {memory[1] / 1e6:.0f} "
                      f"| {memory[0] / memory[1]:.2f} | {time[0]:.2f} / {time[1]:.2f} | {ratio} |", flush=True)
        except RuntimeError as error:
            print(f"| {entry.replace(':', ', ')} | not run: {error} | | | | |", flush=True)
(ROOT / "docs/forecast.svg").write_text("\n".join(figure(rows)) + "\n")
within = sum(1 <= forecast / measured <= 1.25 for _, (forecast, measured), _ in rows)
timed = [pair for _, _, pair in rows if max(pair) >= 0.1]
good = sum(0.5 <= forecast / max(measured, 0.01) <= 2 for forecast, measured in timed)
print(f"\n{within} of {len(rows)} units take at most the forecast memory, and four fifths of it or more; {good} of the {len(timed)} units "
      "of a tenth of a second or more take half to twice the forecast time.")
