"""Random tiny diffusion pipelines with a LoRA: gradients, images and text states of infbench against diffusers.

Run:  python pipelines.py INFBENCH [--count 30] [--first 0]     with torch 2.9.0, diffusers 0.42.1, transformers 5.24.0, peft 0.21.2

Pipeline k is drawn from seed k: block lists, layers, heads and depths for every level, middle blocks, projections, ways of the
time into a block, widths, norm groups, names of tensors (old attentions of the autoencoder, a text encoder with and without
prefix), f32, f16 or bf16 weights, beta schedules, prediction, sampling steps; the LoRA's rank, alpha, modules and layout; latents
that the levels do not divide, an empty caption. Compared are `infbench gradients --task images --noise` with autograd's in
float64, by the worst tensor of a row, allowed five times the distance of PyTorch's own float32, and 1e-5; and `infbench
generate` with diffusers' DDIM, allowed five times the levels that its float32 and float64 differ by, and one. Exit code 1 when something differs.
"""
import argparse, json, os, random, subprocess, sys, tempfile
import diffusers, numpy as np, torch, transformers
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from peft import LoraConfig
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CAPTIONS = ["a red cab", "", "cafe, abc  dog!"]
LENGTH = 9


def draw_unet(r, context, latents):
    count, groups = r.randint(1, 3), r.choice([1, 2, 4])
    heads = [r.choice([1, 2, 3]) for _ in range(count)]
    channels = [groups * h * r.randint(1, 2) * 2 for h in heads]
    attends = [r.random() < 0.6 for _ in range(count)]
    up = [a if r.random() < 0.8 else not a for a in attends]
    middle = r.choice(["UNetMidBlock2DCrossAttn", "UNetMidBlock2DCrossAttn", "UNetMidBlock2D", None])
    if not any(attends + up) and middle != "UNetMidBlock2DCrossAttn":
        attends[-1] = True
    same = lambda draw: [draw() for _ in range(count)] if r.random() < 0.5 else draw()
    if r.random() < 0.3:
        heads, channels = 2, [groups * 2 * r.randint(1, 3) for _ in range(count)]
    return dict(sample_size=8, in_channels=latents, out_channels=latents, block_out_channels=channels, attention_head_dim=heads,
                layers_per_block=same(lambda: r.randint(1, 2)), transformer_layers_per_block=same(lambda: r.randint(1, 2)),
                down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
                up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(up)], mid_block_type=middle,
                cross_attention_dim=context, norm_num_groups=groups, norm_eps=r.choice([1e-5, 1e-4]), act_fn=r.choice(["silu", "swish"]),
                use_linear_projection=r.random() < 0.4, flip_sin_to_cos=r.random() < 0.6, freq_shift=r.choice([0, 1]) if channels[0] > 3 else 0,
                time_embedding_dim=r.choice([None, 10]), resnet_time_scale_shift=r.choice(["default", "default", "scale_shift"]),
                center_input_sample=r.random() < 0.2, downsample_padding=r.choice([1, 1, 0]), upcast_attention=r.random() < 0.2)


def draw_vae(r, latents):
    count, groups = r.randint(1, 3), r.choice([1, 2])
    return dict(in_channels=3, out_channels=3, latent_channels=latents, block_out_channels=[2 * groups * r.randint(1, 3) for _ in range(count)],
                layers_per_block=r.randint(1, 2), norm_num_groups=groups, down_block_types=["DownEncoderBlock2D"] * count,
                up_block_types=["UpDecoderBlock2D"] * count, sample_size=8 << (count - 1), scaling_factor=r.choice([0.18215, 0.7]),
                shift_factor=r.choice([None, 0.1]), use_quant_conv=r.random() < 0.7, use_post_quant_conv=r.random() < 0.7,
                mid_block_add_attention=r.random() < 0.7)


def draw_scheduler(r):
    kind = r.choice(["PNDMScheduler", "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler"])
    config = dict(_class_name=kind, num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
                  beta_schedule=r.choice(["linear", "scaled_linear", "squaredcos_cap_v2"]), prediction_type=r.choice(["epsilon", "v_prediction"]),
                  timestep_spacing=r.choice(["leading", "trailing", "linspace"]), steps_offset=r.choice([0, 1]))
    if kind in ("PNDMScheduler", "DDIMScheduler"):
        config["set_alpha_to_one"] = r.random() < 0.5
    if kind in ("DDIMScheduler", "DDPMScheduler"):
        config["clip_sample"] = r.random() < 0.3
    if r.random() < 0.15:
        config["trained_betas"] = np.linspace(1e-4, 0.02, 1000).tolist()
    return config


def shake(module, g):
    with torch.no_grad():
        for name, p in module.named_parameters():
            if p.ndim == 1:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.15 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(torch.randn(p.shape, generator=g) * (0.3 if "token" in name or "position" in name else p[0].numel() ** -0.5))


def old(name):
    """Of an autoencoder's attention, as files of 2022 call it."""
    for new, was in (("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn.")):
        if ".attentions." in name:
            name = name.replace(new, was)
    return name


def write_pipeline(folder, r, g):
    latents, context = r.choice([3, 4]), 2 * r.randint(2, 4)
    unet_config, vae_config = draw_unet(r, context, latents), draw_vae(r, latents)
    letters = [c + end for c in "abcdefghijklmnopqrstuvwxyz,!" for end in ("", "</w>")] + ["<|startoftext|>", "<|endoftext|>"]
    text = CLIPTextConfig(vocab_size=len(letters), hidden_size=context, intermediate_size=10, num_attention_heads=2, num_hidden_layers=r.randint(1, 3),
                          max_position_embeddings=LENGTH, hidden_act=r.choice(["gelu", "quick_gelu"]), layer_norm_eps=r.choice([1e-5, 1e-4]),
                          bos_token_id=len(letters) - 2, eos_token_id=len(letters) - 1, pad_token_id=len(letters) - 1)
    parts = {"unet": UNet2DConditionModel.from_config(unet_config), "vae": AutoencoderKL.from_config(vae_config), "text_encoder": CLIPTextModel(text)}
    for name, part in parts.items():
        shake(part, g)
        part.to(r.choice([torch.float32, torch.float32, torch.float16, torch.bfloat16])).save_pretrained(f"{folder}/{name}")
    names = {f"{folder}/vae/diffusion_pytorch_model.safetensors": old if r.random() < 0.4 else str}
    if r.random() < 0.5:
        names[f"{folder}/text_encoder/model.safetensors"] = lambda name: name.removeprefix("text_model.")
    for path, rename in names.items():
        save_file({rename(k): v for k, v in load_file(path).items()}, path, {"format": "pt"})
    os.makedirs(f"{folder}/scheduler")
    json.dump(draw_scheduler(r), open(f"{folder}/scheduler/scheduler_config.json", "w"))
    os.makedirs(f"{folder}/tokenizer")
    json.dump({c: i for i, c in enumerate(letters)}, open(f"{folder}/tokenizer/vocab.json", "w"))
    open(f"{folder}/tokenizer/merges.txt", "w").write("#version: 0.2\n")
    json.dump(dict(tokenizer_class="CLIPTokenizer", model_max_length=LENGTH, bos_token="<|startoftext|>", eos_token="<|endoftext|>",
                   unk_token="<|endoftext|>", pad_token="<|endoftext|>"), open(f"{folder}/tokenizer/tokenizer_config.json", "w"))
    return unet_config, vae_config


def write_lora(path, unet, r, g):
    """In one of the layouts; the names of what has a LoRA are diffusers'."""
    layout = r.choice(["peft", "2024", "2023"])
    attention = ["to_q", "to_k", "to_v", "to_out.0"]
    targets = r.sample(attention, r.randint(1, 4))
    if layout == "peft" and r.random() < 0.4:
        targets += r.sample(["ff.net.0.proj", "ff.net.2", "time_emb_proj", "linear_1"], 2)
    rank, alpha = r.randint(1, 3), r.choice([None, 2.0, 5.0])
    scale = 1.0 if alpha is None else alpha / rank
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=alpha or rank, target_modules=targets))
    lora = {k: p for k, p in unet.named_parameters() if "lora_" in k}
    state = {}
    for k, p in lora.items():
        with torch.no_grad():
            p.copy_(torch.randn(p.shape, generator=g) * (p.shape[1] ** -0.5 if "lora_A" in k else 0.3))
        module, which = k.replace(".default", "").replace(".base_layer", "").removesuffix(".weight").rsplit(".", 1)
        down = {"lora_A": "down", "lora_B": "up"}[which]
        if layout == "peft":
            name = f"unet.{module}.{which}.weight"
        elif layout == "2024":
            name = f"unet.{module}.lora.{down}.weight"
        else:
            block, last = module.removesuffix(".0").rsplit(".", 1)
            name = f"unet.{block}.processor.{last}_lora.{down}.weight"
        state[name] = p.detach().clone().contiguous()
        if alpha is not None and which == "lora_A":
            state[f"unet.{module}.alpha" if layout != "2023" else name.replace(".down.weight", ".alpha")] = torch.tensor(alpha)
    save_file(state, path)
    return layout, rank, scale, targets, {k.replace(".default", "").replace(".base_layer", ""): p for k, p in lora.items()}


def one(program, seed, work):
    r, g = random.Random(seed), torch.Generator().manual_seed(seed)
    folder = f"{work}/pipeline"
    unet_config, vae_config = write_pipeline(folder, r, g)
    load = lambda kind, part: kind.from_pretrained(f"{folder}/{part}", torch_dtype=torch.float32).requires_grad_(False).eval()
    unet, vae, text = load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae"), load(CLIPTextModel, "text_encoder")
    tokenizer = CLIPTokenizer.from_pretrained(f"{folder}/tokenizer")
    scheduler = json.load(open(f"{folder}/scheduler/scheduler_config.json"))
    ddpm = DDPMScheduler.from_config({k: v for k, v in scheduler.items() if k != "_class_name"})
    ids = tokenizer(CAPTIONS, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    layout, rank, scale, targets, lora = write_lora(f"{work}/lora.safetensors", unet, r, g)
    steps = sorted(r.sample(range(1000), r.randint(1, 3)))
    levels = len(unet_config["block_out_channels"])
    size = [r.randint(max(2, 1 << (levels - 1)), 9) for _ in range(2)]
    n, c = len(CAPTIONS), unet_config["in_channels"]
    latents, noise = (torch.randn(n, len(steps), c, *size, generator=g) for _ in range(2))
    save_file({"latents": latents, "noise": noise, "timesteps": torch.tensor(steps)}, f"{work}/noise.safetensors")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(f"{work}/a.png")
    with open(f"{work}/examples.jsonl", "w") as file:
        file.writelines(json.dumps({"image": "a.png", "text": t, "class": "a"}) + "\n" for t in CAPTIONS)

    def gradients(dtype):
        u, hidden = unet.to(dtype), text.to(dtype)(ids).last_hidden_state
        alphas, rows = ddpm.alphas_cumprod.to(dtype), {k: [] for k in lora}
        for i in range(n):
            parts = {k: [] for k in lora}
            for j, t in enumerate(steps):
                x, e = latents[i : i + 1, j].to(dtype), noise[i : i + 1, j].to(dtype)
                a, b = alphas[t].sqrt(), (1 - alphas[t]).sqrt()
                wanted = e if scheduler["prediction_type"] == "epsilon" else a * e - b * x
                loss = torch.nn.functional.mse_loss(u(a * x + b * e, torch.tensor([t]), hidden[i : i + 1]).sample, wanted)
                found = torch.autograd.grad(loss, list(lora.values()), allow_unused=True)
                for (k, p), grad in zip(lora.items(), found):
                    parts[k].append((torch.zeros_like(p) if grad is None else grad).flatten())
            for k in lora:
                rows[k].append(torch.cat(parts[k]).double())
        unet.to(torch.float32), text.to(torch.float32)
        return {k: torch.stack(v) for k, v in rows.items()}

    for p in lora.values():
        p.requires_grad_(True)
    exact, single = gradients(torch.float64), gradients(torch.float32)
    subprocess.run([program, "--quiet", "--threads", "1", "gradients", "--task", "images", "--model", folder, "--adapter", f"{work}/lora.safetensors",
                    "--examples", f"{work}/examples.jsonl", "--noise", f"{work}/noise.safetensors", "--out", f"{work}/g.safetensors"], check=True)
    ours = load_file(f"{work}/g.safetensors")
    assert set(ours) == set(exact), sorted(set(ours) ^ set(exact))[:4]
    # what is next to nothing beside the other gradients is rounding alone
    least = 1e-6 * max(float(v.norm(dim=1).max()) for v in exact.values())
    far = lambda found: max(float(((found[k].double() - v).norm(dim=1) / v.norm(dim=1).clamp_min(least)).max()) for k, v in exact.items())
    error, own = far(ours), far(single)

    # images, without the LoRA
    unet = load(UNet2DConditionModel, "unet")
    ddim = DDIMScheduler.from_config({k: v for k, v in scheduler.items() if k != "_class_name"})
    start = torch.randn(n, c, *size, generator=g)
    height, width = (s << (len(vae_config["block_out_channels"]) - 1) for s in size)
    count = r.randint(3, 6)
    ddim.set_timesteps(count)

    @torch.no_grad()
    def sample(dtype):
        """The loop of diffusers' pipeline, which itself asks for sides that 8 divides and knows no shift."""
        parts = unet.to(dtype), vae.to(dtype), text.to(dtype)
        x, hidden = start.to(dtype), parts[2](ids).last_hidden_state
        empty = parts[2](tokenizer([""], padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids).last_hidden_state
        for t in ddim.timesteps:
            without, given = (parts[0](x, t, states).sample for states in (empty.expand(n, -1, -1), hidden))
            x = ddim.step(without + 2.0 * (given - without), t, x, eta=0.0).prev_sample
        images = parts[1].decode(x / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)).sample
        return ((images / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1).numpy().astype(int)

    images = sample(torch.float32)
    rounding = int(np.abs(sample(torch.float64) - images).max())
    save_file({"latents": start}, f"{work}/l.safetensors")
    prompts = [word for p in CAPTIONS for word in ("--prompt", p)]
    subprocess.run([program, "--quiet", "--threads", "1", "generate", "--model", folder, *prompts, "--latents", f"{work}/l.safetensors", "--steps", str(count),
                    "--guidance-scale", "2", "--width", str(width), "--height", str(height), "--out", f"{work}/t.png", "--scale", "1"], check=True)
    table, gap = np.asarray(Image.open(f"{work}/t.png").convert("RGB")).astype(int), 4
    tops = (gap + row * (height + gap) for row in range(n))
    levels = max(int(np.abs(table[top : top + height, gap : gap + width] - image).max()) for top, image in zip(tops, images))
    right = error <= 5 * own + 1e-5 and levels <= 1 + 5 * rounding
    print(f"{seed}: {'' if right else 'DIFFERS: '}gradients {error:.1e} (PyTorch's float32 {own:.1e}), images {levels} ({rounding}); {layout} rank {rank} scale {scale:.2f} "
          f"{'+'.join(targets)}; {scheduler['_class_name']} {scheduler['beta_schedule']} {scheduler['prediction_type']}; latents {size}", flush=True)
    if not right:
        print(json.dumps(dict(unet=unet_config, vae=vae_config, scheduler={k: v for k, v in scheduler.items() if k != "trained_betas"})))
    return right


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("--count", type=int, default=30)
    arguments.add_argument("--first", type=int, default=0)
    args = arguments.parse_args()
    torch.set_num_threads(1)
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    wrong = 0
    for seed in range(args.first, args.first + args.count):
        with tempfile.TemporaryDirectory() as work:
            wrong += not one(args.program, seed, work)
    print(f"{wrong} of {args.count} pipelines differ")
    sys.exit(wrong > 0)


main()
