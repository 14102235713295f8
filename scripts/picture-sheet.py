"""A few pictures of a results folder as one small SVG file, for a document: samples before and after the fine-tune, and for
one query the most helpful and most harmful training images by some methods. Needs Pillow; pictures are embedded with 48 colours
each, which takes less than half of the bytes.

Run:  python scripts/picture-sheet.py RESULTS OUT.svg [--cell ID] [--query N] [--methods exact,datainf,…] [--prompts 2] [--shown 4]

RESULTS is what `infbench run` wrote, with outputs.images and outputs.samples; --query counts the queries of its record from 0.
"""
import argparse, base64, io, json
from html import escape
from pathlib import Path

from PIL import Image

NAMES = {"exact": "Exact", "datainf": "DataInf", "hessian_free": "Hessian-free", "embed_cos:of=latents": "Latent cosine",
         "embed_cos": "Pixel cosine", "random": "Random"}
SIDE, GAP, LEFT = 44, 6, 132
INK, GREY, OWN, OTHER = "#24292f", "#6e7781", "#1a7f37", "#cf222e"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("results", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--cell")
    arguments.add_argument("--query", type=int, default=0)
    arguments.add_argument("--methods", default="exact,datainf,embed_cos:of=latents")
    arguments.add_argument("--prompts", type=int, default=2)
    arguments.add_argument("--shown", type=int, default=4, help="images of a row on each side, at most 5")
    args = arguments.parse_args()
    records = [json.loads(line) for line in (args.results / "records.jsonl").read_text().splitlines()]
    records = [r for r in records if (r["by_image"] or r["samples"]) and args.cell in (None, r["cell"]["id"])]
    if not records:
        raise SystemExit(f"{args.results} has no record with pictures" + (f" of the cell {args.cell}" if args.cell else ""))
    record, parts, known = records[0], [], {}

    def picture(file, x, y, about, frame=None, side=SIDE):
        if file not in known:
            known[file] = f"p{len(known)}"
            small = io.BytesIO()
            Image.open(args.results / file).quantize(48).save(small, "PNG", optimize=True)
            data = base64.b64encode(small.getvalue()).decode()
            parts.insert(0, f'<symbol id="{known[file]}" viewBox="0 0 1 1"><image width="1" height="1" href="data:image/png;base64,{data}"/></symbol>')
        parts.append(f'<use href="#{known[file]}" x="{x}" y="{y}" width="{side}" height="{side}"><title>{escape(about)}</title></use>')
        if frame:
            parts.append(f'<rect x="{x - 1.5}" y="{y - 1.5}" width="{side + 3}" height="{side + 3}" fill="none" stroke="{frame}" stroke-width="2"/>')

    def text(x, y, words, size=13, colour=INK, anchor="start", weight="normal"):
        parts.append(f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')

    step, y = SIDE + GAP, 24
    second = LEFT + max(4, args.shown) * step + 40
    width = second + max(4, args.shown) * step + 8
    for title, samples in [("Samples before the fine-tune", record["samples"][: args.prompts])] if record["samples"] else []:
        text(LEFT, y, title, weight="bold")
        text(second, y, "after it, same noise", weight="bold")
        y += 12
        for sample in samples:
            words, lines = sample["prompt"].split(), [""]
            for word in words:
                if len(lines[-1]) + len(word) > 17:
                    lines.append("")
                lines[-1] = f"{lines[-1]} {word}".strip()
            for line, words in enumerate(lines[:3]):
                text(8, y + 18 + 14 * line, words, 12)
            for x, files in ((LEFT, sample["before"]), (second, sample["after"])):
                for at, file in enumerate(files[: args.shown]):
                    picture(file, x + at * step, y, sample["prompt"])
            y += step
        y += 24
    if record["by_image"]:
        query = record["by_image"][args.query]
        about = lambda image: image["text"] + (f" ({image['class']})" if image.get("class") else "")
        picture(query["image"]["picture"], 8, y - 4, about(query["image"]), side=2 * SIDE)
        text(LEFT, y + 12, f"Query: {about(query['image'])}", 14, weight="bold")
        text(LEFT, y + 32, "Most helpful training images", 13)
        text(second, y + 32, "Most harmful", 13)
        text(LEFT, y + 48, "green: of the query's class, red: of another; below: scores", 11, GREY)
        y += 2 * SIDE + 10
        methods = {method["label"]: method for method in query["methods"]}
        for label in args.methods.split(","):
            if label not in methods:
                raise SystemExit(f"the record has no method {label}; it has: {', '.join(methods)}")
            text(8, y + 27, NAMES.get(label, label), 13)
            for x, images in ((LEFT, methods[label]["helpful"]), (second, methods[label]["harmful"])):
                for at, scored in enumerate(images[: args.shown]):
                    own, other = query["image"].get("class"), scored["image"].get("class")
                    frame = None if other is None else OWN if own == other else OTHER
                    picture(scored["image"]["picture"], x + at * step, y, about(scored["image"]), frame)
                    text(x + at * step + SIDE / 2, y + SIDE + 13, f"{scored['score']:.2g}".replace("e+0", "e").replace("-", "−"), 10, GREY, "middle")
            y += step + 14
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 6}" width="{width}" height="{y + 6}" '
           f'font-family="system-ui, sans-serif" style="image-rendering:pixelated"><rect width="100%" height="100%" fill="#ffffff"/>\n'
           + "\n".join(parts) + "\n</svg>\n")
    args.out.write_text(svg)
    settings = ", ".join(f"{name}={value}" for name, value in record["cell"]["axes"].items())
    print(f"{args.out}: {len(svg) / 1024:.0f} KiB, {len(known)} pictures of cell {record['cell']['id']} ({settings}, seed {record['cell']['seed']})")


main()
