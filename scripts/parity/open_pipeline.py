"""Opens a pipeline that `infbench pretrain` wrote with diffusers, and holds images of the two against each other.

Run:  infbench generate --model PIPELINE --prompt … --latents L.safetensors --out T.png --scale 1 …   is done by this script:
      python open_pipeline.py INFBENCH PIPELINE      with torch 2.9.0, diffusers 0.42.1, transformers 5.24.0

Every tensor must be used and none may be missing; token ids of all prompts are those of infbench's own tokenizer by way of
the images. Exit code 1 when a level of an image differs by more than 1 (rounding at the border between two levels).
"""
import subprocess, sys, tempfile
import numpy as np, torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextModel

program, folder = sys.argv[1:3]
for part, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
    _, about = kind.from_pretrained(f"{folder}/{part}", output_loading_info=True)
    left = {k: v for k, v in about.items() if v}
    print(f"{part}: {left or 'every tensor is used, none is missing'}")
    assert not left
pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
pipe.set_progress_bar_config(disable=True)
prompts = ["an icon of red heart", "", "An ICON  of café, 3 dogs!", "an icon of " + "very " * 40 + "long"]
side = pipe.unet.config.sample_size
latents = torch.randn(len(prompts), pipe.unet.config.in_channels, side, side, generator=torch.Generator().manual_seed(0))
theirs = [np.asarray(i) for i in pipe(prompts, num_inference_steps=12, guidance_scale=3.0, latents=latents, output_type="pil").images]
with tempfile.TemporaryDirectory() as work:
    save_file({"latents": latents}, f"{work}/l.safetensors")
    prompt = [word for p in prompts for word in ("--prompt", p)]
    subprocess.run([program, "--quiet", "generate", "--model", folder, *prompt, "--latents", f"{work}/l.safetensors", "--steps", "12",
                    "--guidance-scale", "3", "--out", f"{work}/t.png", "--scale", "1"], check=True)
    table = np.asarray(Image.open(f"{work}/t.png").convert("RGB")).astype(int)
size, gap = theirs[0].shape[0], 4
worst = other = 0
for row, image in enumerate(theirs):
    top = gap + row * (size + gap)
    ours = table[top : top + size, gap : gap + size]
    difference = np.abs(ours - image.astype(int))
    worst, other = max(worst, difference.max()), other + int((difference > 0).sum())
print(f"images: largest difference {worst} of 255, {other} of {len(theirs) * size * size * 3} levels differ")
sys.exit(int(worst > 1))
