"""Opens the LoRA files that infbench wrote with diffusers, and writes what its UNet then predicts, for tests/lora_files.rs.

Run:  INFBENCH_WRITE_FIXTURES=1 cargo test --release --test lora_files diffusers_opens     (the files)
      python open_loras.py tests/fixtures/diffusion tests/fixtures/loras                   (the predictions)
with torch 2.9.0, diffusers 0.42.1, transformers 5.24.0, peft 0.21.2.

Exit code 1 when diffusers leaves a tensor of a file unused, or a file makes no difference.
"""
import glob, os, sys
import torch
from diffusers import StableDiffusionPipeline as Pipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

case, folder = sys.argv[1:3]
torch.set_num_threads(1)
g = torch.Generator().manual_seed(11)
x, text = torch.randn(2, 4, 6, 5, generator=g), torch.randn(2, 9, 6, generator=g)
fresh = lambda: UNet2DConditionModel.from_pretrained(f"{case}/pipeline/unet", torch_dtype=torch.float32, low_cpu_mem_usage=False).eval()


@torch.no_grad()
def predict(unet, dtype=torch.float32):
    return unet.to(dtype)(x.to(dtype), torch.tensor(800), text.to(dtype)).sample


out, tolerance, wrong = {"x": x, "text": text, "plain": predict(fresh())}, 0.0, False
for path in sorted(glob.glob(f"{folder}/*.safetensors")):
    name = os.path.basename(path).removesuffix(".safetensors")
    if name == "predictions":
        continue
    state, alphas, metadata = Pipeline.lora_state_dict(folder, weight_name=os.path.basename(path), return_lora_metadata=True)
    unet = fresh()
    Pipeline.load_lora_into_unet(state, network_alphas=alphas, unet=unet, metadata=metadata, adapter_name="default")
    loaded = {k: v for k, v in unet.state_dict().items() if "lora_" in k}
    file = load_file(path)
    single = predict(unet)
    double = predict(unet, torch.float64)
    tolerance = max(tolerance, float((single.double() - double).norm() / double.norm()))
    moved = float((single - out["plain"]).norm() / out["plain"].norm())
    scales = sorted({m.scaling["default"] for m in unet.modules() if hasattr(m, "scaling")})
    print(f"{name}: {len(file)} tensors in the file, {len(loaded)} in the UNet, scales {scales}, moves the prediction by {moved:.2f} of its norm")
    wrong |= len(file) != len(loaded) or moved < 0.1
    out[name] = single
save_file({**{k: v.contiguous() for k, v in out.items()}, "tolerance": torch.tensor([tolerance])}, f"{folder}/predictions.safetensors")
print(f"float32 against float64: {tolerance:.1e}")
sys.exit(wrong)
