"""What diffusers' StableDiffusionPipeline paints with DDIM and guidance, for tests/sampling.rs.

Run:  python sampling.py SHARED OUT     with torch 2.9.0, diffusers 0.42.1, transformers 5.24.0, peft 0.21.2
SHARED has golden/sd_tiny and data/model_sd_icons32; OUT is tests/fixtures/sampling.

A file a case: `latents` [n, c, h, w] that the images begin with and `images` [n, 3, H, W] from -1 to 1, both float32, the
images from float64; `levels` [n, H, W, 3] as PIL gets them, in float16, from the pipeline in float32. cases.json has prompts,
settings, and the relative distance of PyTorch's own float32 from the float64 images.
"""
import json, os, sys
import numpy as np, torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import save_file

shared, out = sys.argv[1:3]
torch.set_num_threads(1)
CASES = dict(
    tiny=dict(pipeline="golden/sd_tiny/pipeline", adapter="golden/sd_tiny/lora/pytorch_lora_weights.safetensors", width=32, height=24,
              prompts=["a red square", "", "Über café, 3 dogs!"], steps=7, guidance=7.5, seed=1),
    icons=dict(pipeline="data/model_sd_icons32", adapter=None, width=32, height=32, prompts=["an icon of red apple", "an icon of house"],
               steps=20, guidance=3.0, seed=2),
    unguided=dict(pipeline="data/model_sd_icons32", adapter=None, width=32, height=32, prompts=["an icon of fish"], steps=10, guidance=1.0, seed=3),
)
about = {}
for name, case in CASES.items():
    pipe = StableDiffusionPipeline.from_pretrained(f"{shared}/{case['pipeline']}", safety_checker=None, feature_extractor=None,
                                                   requires_safety_checker=False, torch_dtype=torch.float32)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    if case["adapter"]:
        folder, file = os.path.split(f"{shared}/{case['adapter']}")
        pipe.load_lora_weights(folder, weight_name=file)
    factor = pipe.vae_scale_factor
    n = len(case["prompts"])
    latents = torch.randn(n, 4, case["height"] // factor, case["width"] // factor, generator=torch.Generator().manual_seed(case["seed"]))

    def paint(dtype, kind):
        pipe.to(dtype)
        table = pipe.scheduler.alphas_cumprod
        pipe.scheduler.alphas_cumprod = table.to(dtype)
        pipe.scheduler.final_alpha_cumprod = pipe.scheduler.final_alpha_cumprod.to(dtype)
        found = pipe(case["prompts"], width=case["width"], height=case["height"], num_inference_steps=case["steps"],
                     guidance_scale=case["guidance"], latents=latents.to(dtype), output_type=kind).images
        return found

    def decoded(dtype):
        z = paint(dtype, "latent")
        with torch.no_grad():
            return pipe.vae.decode(z / pipe.vae.config.scaling_factor).sample

    single, levels = decoded(torch.float32), np.stack([np.asarray(i) for i in paint(torch.float32, "pil")])
    double = decoded(torch.float64)
    gap = float((single.double() - double).norm() / double.norm())
    about[name] = dict(case, tolerance=float(f"{gap:.1e}"))
    save_file({"latents": latents.contiguous(), "images": double.float().contiguous(), "levels": torch.from_numpy(levels.copy()).half()}, f"{out}/{name}.safetensors")
    print(name, f"{gap:.1e}", list(double.shape))
json.dump(about, open(f"{out}/cases.json", "w"), indent=1, ensure_ascii=False)
