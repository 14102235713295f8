"""The small latent diffusion model with LoRA of rank 1 on all attentions, and one row of the whole shape of Stable Diffusion
v1.5, in PyTorch + diffusers, f32: what `cargo bench --bench diffusion` is held against.

    python benches/peers/diffusion.py [PART ...] [--repeats 3] [--threads 2] [--examples 64] [--rows 8,16,48]

Folders: $INFBENCH_SD_ICONS or ../shared/data/model_sd_icons32; for `full` $INFBENCH_SD_FULL (scripts/sd-full.sh makes it).
Latents and text states are random. Parts, by default all but the last:

  gradients    per-example gradients at the paper's six timesteps, concatenated: inputs and output gradients of the adapted
               matrices by hooks, for several numbers of rows (example and timestep) at a time
  single       the same by autograd, one row at a time
  step         a training step of the adapters (AdamW) on 64 examples, each at a timestep of its own, with the images a
               batch or in pieces whose gradients add up
  full         prediction and gradients of the adapters, one row of 64 x 64 latents

With --processes 2 --threads 1 as many processes do the same side by side, and their rates are added: PyTorch's own threads
lose half of their time on matrices as small as the small model's. Run with OMP_WAIT_POLICY=PASSIVE where other programs run.

Every line on standard output is one JSON object: `what`, `value` (examples/s, rows/s in `full`; the median of `repeats`),
`per_cpu_second` (the same per second of processor time, for machines that are not idle), `peak_mib`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig

PARTS = ("gradients", "single", "step", "full")
ROOT = Path(__file__).resolve().parents[2]
TIMESTEPS = [25, 225, 425, 525, 725, 925]


class Model:
    def __init__(self, folder, examples, side):
        self.unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32).eval()
        self.unet.requires_grad_(False)
        torch.manual_seed(1)
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        self.unet.add_adapter(LoraConfig(r=1, lora_alpha=1, init_lora_weights="gaussian", target_modules=targets))
        named = self.unet.named_modules()
        self.sites = [module for _, module in named if "default" in getattr(module, "lora_A", {})]
        self.adapters = [p for module in self.sites for p in module.parameters() if p.requires_grad]
        with torch.no_grad():
            for module in self.sites:
                module.lora_B["default"].weight.normal_(0, 0.01)
        config = json.loads((Path(folder) / "text_encoder/config.json").read_text())
        self.latents = torch.randn(examples, 4, side, side)
        self.text = torch.randn(examples, config["max_position_embeddings"], config["hidden_size"])
        self.alphas = DDPMScheduler.from_pretrained(folder, subfolder="scheduler").alphas_cumprod
        self.inputs, self.deltas = {}, {}

    def losses(self, examples, timesteps):
        """Of rows, one an example and timestep, with a posterior sample and noise of its own."""
        clean, text = self.latents[examples], self.text[examples]
        clean = clean + 0.1 * torch.randn_like(clean)
        noise = torch.randn_like(clean)
        alphas = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alphas.sqrt() * clean + (1 - alphas).sqrt() * noise
        return (self.unet(noisy, timesteps, text).sample - noise).pow(2).mean((1, 2, 3))

    def hook(self):
        for module in self.sites:
            module.register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.inputs[module] = inputs[0].detach()
        output.register_hook(lambda grad: self.deltas.__setitem__(module, grad))

    def of_rows(self, examples, timesteps):
        """A row of gradients for every row."""
        self.losses(examples, timesteps).sum().backward()
        out = []
        for module in self.sites:
            x, delta = self.inputs[module], self.deltas[module]
            a, b = (getattr(module, name)["default"].weight for name in ("lora_A", "lora_B"))
            scale = module.scaling["default"]
            with torch.no_grad():
                out.append(scale * (delta @ b).transpose(1, 2) @ x)
                out.append(scale * delta.transpose(1, 2) @ (x @ a.T))
        return out

    def gradients(self, rows):
        """Of all examples at all timesteps, `rows` at a time."""
        count = len(self.latents)
        examples = torch.arange(count).repeat_interleave(len(TIMESTEPS))
        timesteps = torch.tensor(TIMESTEPS).repeat(count)
        parts = zip(examples.split(rows), timesteps.split(rows))
        parts = [self.of_rows(*part) for part in parts]
        return [torch.cat(part).reshape(count, -1) for part in zip(*parts)]

    def single(self):
        for example in range(len(self.latents)):
            for timestep in TIMESTEPS:
                loss = self.losses(torch.tensor([example]), torch.tensor([timestep])).sum()
                torch.autograd.grad(loss, self.adapters)

    def step(self, optimizer, rows):
        optimizer.zero_grad()
        count = len(self.latents)
        for examples in torch.arange(count).split(rows):
            timesteps = torch.randint(0, len(self.alphas), (len(examples),))
            (self.losses(examples, timesteps).sum() / count).backward()
        torch.nn.utils.clip_grad_norm_(self.adapters, 1.0)
        optimizer.step()

    def check(self):
        """Hooks against autograd, a row with the same random numbers."""
        row = torch.tensor([0]), torch.tensor([425])
        torch.manual_seed(3)
        found = self.of_rows(*row)
        torch.manual_seed(3)
        expected = torch.autograd.grad(self.losses(*row).sum(), self.adapters)
        for found, expected in zip(found, expected):
            assert (found[0] - expected).norm() <= 1e-4 * expected.norm(), "hooks differ from autograd"


def timed(run, count, repeats):
    run()
    rates, busy = [], time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        rates.append(count / (time.perf_counter() - start))
    return rates, repeats * count / (time.process_time() - busy)


def side_by_side(args):
    """The sum over processes that do the same at the same time."""
    numbers = {"--repeats": args.repeats, "--examples": args.examples, "--rows": args.rows, "--threads": args.threads}
    own = [sys.executable, __file__, *args.parts, *(str(word) for pair in numbers.items() for word in pair)]
    started = [subprocess.Popen(own, stdout=subprocess.PIPE, text=True) for _ in range(args.processes)]
    lines = [[json.loads(line) for line in process.communicate()[0].splitlines()] for process in started]
    for same in zip(*lines):
        line = dict(same[0], what=f"{same[0]['what']} x{len(same)}", repeats=[one["repeats"] for one in same])
        line["value"] = sum(one["value"] for one in same)
        line["per_cpu_second"] = statistics.mean(one["per_cpu_second"] for one in same)
        line["peak_mib"] = sum(one["peak_mib"] for one in same)
        print(json.dumps(line), flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*", default=PARTS[:-1])
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--processes", type=int, default=1)
    arguments.add_argument("--examples", type=int, default=64)
    arguments.add_argument("--rows", default="8,16,48")
    args = arguments.parse_args()
    if args.processes > 1:
        return side_by_side(args)
    torch.set_num_threads(args.threads)
    icons = os.environ.get("INFBENCH_SD_ICONS", ROOT / "../shared/data/model_sd_icons32")
    full = os.environ.get("INFBENCH_SD_FULL", ROOT / "models/sd-full")
    rows = [int(rows) for rows in args.rows.split(",")]

    def say(what, measured):
        rates, busy = measured
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        line = dict(what=what, value=statistics.median(rates), per_cpu_second=busy, repeats=rates, peak_mib=peak)
        print(json.dumps(line), flush=True)

    for part in args.parts:
        if part == "full":
            model = Model(full, 1, 64)
            model.hook()
            row = torch.tensor([0]), torch.tensor([525])
            say(part, timed(lambda: model.of_rows(*row), 1, args.repeats))
        elif part == "single":
            model = Model(icons, 4, 8)
            say(part, timed(model.single, 4, args.repeats))
        elif part == "gradients":
            model = Model(icons, args.examples, 8)
            model.hook()
            model.check()
            for at_a_time in rows:
                say(f"{part}:{at_a_time}", timed(lambda: model.gradients(at_a_time), args.examples, args.repeats))
        else:
            model = Model(icons, 64, 8)
            optimizer = torch.optim.AdamW(model.adapters, lr=1e-4)
            for at_a_time in rows[1:] + [64]:
                say(f"{part}:{at_a_time}", timed(lambda: model.step(optimizer, at_a_time), 64, args.repeats))


if __name__ == "__main__":
    main()
