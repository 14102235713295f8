"""infbench against PyTorch on a language model or a diffusion model, in one go and in turns: wall-clock and processor-time
ratios and peak memory, as Markdown.

    python benches/peers/ratios.py smollm2|diffusion|full [--rounds 3] [--features libtorch] [--device libtorch]
        [--program target/release/deps/llama-HASH] [--examples 64] [--tokens 128,256,512,1024]

Runs the benchmark, built first unless `--program` names it, and smollm2.py or diffusion.py of this folder with the Python that runs this, so it has torch, transformers
and PEFT (diffusers for the last two). Folders as there. A round is one run of each side, so that a machine that gets slower
slows both; a rate is the median over rounds. PyTorch's is the best of its variants: numbers of rows or tokens at a time, and for
the small diffusion model also two processes of one thread. The ratio of wall-clock rates means something on an idle machine
only; that of rates per second of processor time also on a busy one. Lines are kept in runs/peers-NAME.jsonl, and the table is
of the rounds that were finished when it is interrupted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# what | infbench's line | the beginnings of PyTorch's | ratio asked for
ROWS = {
    "smollm2": [
        ("gradients, answer, against hooks", "answer", ["hooks-answer"], 1.0),
        ("gradients, answer, against PEFT one by one", "answer", ["single-answer"], 1.8),
        ("gradients, all tokens, against hooks", "all", ["hooks-all"], 1.0),
        ("gradients, all tokens, against PEFT one by one", "all", ["single-all"], 1.8),
        ("training step, 64 examples", "step", ["step"], 1.2),
    ],
    "diffusion": [
        ("gradients against hooks", "gradients", ["gradients"], 0.8),
        ("gradients against one by one", "gradients", ["single"], None),
        ("training step, 64 examples", "step", ["step"], 0.8),
    ],
    "full": [("forward and backward pass to the adapters", "full", ["full"], 0.7)],
}
BENCH = {"smollm2": "llama", "diffusion": "diffusion", "full": "diffusion"}


def lines(command, environment):
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parents[1], env=environment)
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


def built(bench, features, environment):
    command = ["cargo", "bench", "--quiet", "--no-run", "--message-format", "json", *features, "--bench", bench]
    artifacts = [line for line in lines(command, environment) if line.get("target", {}).get("name") == bench]
    return next(line["executable"] for line in artifacts if line.get("executable"))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("name", choices=ROWS)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--program", help="the built benchmark")
    arguments.add_argument("--examples", help="of a language model's gradients")
    arguments.add_argument("--tokens", help="sizes of a batch that hooks are tried with")
    arguments.add_argument("--features")
    arguments.add_argument("--device")
    args = arguments.parse_args()
    threads = str(args.threads)
    environment = dict(os.environ, RAYON_NUM_THREADS=threads, OMP_NUM_THREADS=threads, OMP_WAIT_POLICY="PASSIVE")
    features = ["--features", args.features] if args.features else []
    device = ["--device", args.device] if args.device else []
    rows = ROWS[args.name]
    parts = list(dict.fromkeys(row[1] for row in rows))
    program = args.program or built(BENCH[args.name], features, environment)
    number = ["--examples", args.examples] if args.examples else []
    sizes = ["--tokens", args.tokens] if args.tokens else []
    # a process a part: peak memory is the process's
    ours = [[program, part, *device, *number] for part in parts]
    script = "smollm2.py" if args.name == "smollm2" else "diffusion.py"
    parts = list(dict.fromkeys(part for row in rows for part in row[2]))
    peers = [[sys.executable, str(HERE / script), part, "--threads", threads, *number, *sizes] for part in parts]
    if args.name == "diffusion":
        peers += [[*command[:3], "--threads", "1", "--processes", "2"] for command in peers if command[2] != "single"]
    kept = HERE.parents[1] / f"runs/peers-{args.name}.jsonl"
    kept.parent.mkdir(exist_ok=True)
    found = {}
    with kept.open("w") as file:
        try:
            for _ in range(args.rounds):
                for by, command in [*(("infbench", own) for own in ours), *(("PyTorch", peer) for peer in peers)]:
                    for line in lines([*command, "--repeats", str(args.repeats)], environment):
                        file.write(json.dumps(dict(line, by=by)) + "\n")
                        file.flush()
                        found.setdefault((by, line["what"]), []).append(line)
        except KeyboardInterrupt:
            print("interrupted\n")

    def rate(key, kind):
        return statistics.median(line[kind] for line in found[key])

    def best(starts, kind):
        keys = [key for key in found if key[0] == "PyTorch" and key[1].split(":")[0].split(" ")[0] in starts]
        return max(keys, key=lambda key: rate(key, kind))

    def peak(key):
        return max(line["peak_mib"] for line in found[key])

    rounds = min(map(len, found.values()), default=0)
    print(f"{rounds} rounds, {threads} threads, load {os.getloadavg()[0]:.1f}\n")
    print("| | asked | by wall clock | by processor time | examples/s | per CPU-second | PyTorch's best | peak MiB, infbench / PyTorch |")
    print("|---|---:|---:|---:|---:|---:|---|---:|")
    for what, own, starts, asked in rows:
        own = ("infbench", own)
        if own not in found or not any(key[1].split(":")[0] in starts for key in found if key[0] == "PyTorch"):
            continue
        # libtorch's own products are PyTorch's
        asked = 1.0 if asked == 0.8 and args.device else asked
        wall, busy = best(starts, "value"), best(starts, "per_cpu_second")
        cells = [
            what,
            f"{asked:.1f}" if asked else "–",
            f"{rate(own, 'value') / rate(wall, 'value'):.2f}",
            f"{rate(own, 'per_cpu_second') / rate(busy, 'per_cpu_second'):.2f}",
            f"{rate(own, 'value'):.3g} / {rate(wall, 'value'):.3g}",
            f"{rate(own, 'per_cpu_second'):.3g} / {rate(busy, 'per_cpu_second'):.3g}",
            f"{wall[1]}; {busy[1]}",
            f"{peak(own)} / {peak(wall)}",
        ]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
