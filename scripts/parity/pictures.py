"""Images of every kind, and what PIL and torchvision's arithmetic make of them: tests/fixtures/pictures.

Run:  python scripts/parity/pictures.py tests/fixtures/pictures      (Pillow 11.3.0, NumPy, safetensors)
Every expected array is `Image.open(file).convert("RGB")`, resized with `Image.BILINEAR`, as uint8 [height, width, 3].
"""
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(3)
W, H = 25, 16


def scene(w, h, channels=3):
    """Smooth colours with an edge and some noise."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [127 + 100 * np.sin(x / (3 + c) + c) * np.cos(y / (5 - c % 3) + c) for c in range(channels)]
    a = np.stack(planes, -1) + rng.normal(0, 12, (h, w, channels))
    a[h // 3 : h // 2, w // 4 : w // 2] = np.array([250, 10, 60, 90])[:channels]
    return a.clip(0, 255).round().astype(np.uint8)


def png(name, w, h, depth, kind, rows):
    def chunk(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))

    head = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + r for r in rows), 9)
    (out / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


rgb = scene(W, H)
rgba = scene(W, H, 4)
Image.fromarray(rgb).save(out / "rgb.png")
Image.fromarray(rgba).save(out / "rgba.png")
Image.fromarray(rgba[..., :2].copy()).save(out / "grey_alpha.png")
Image.fromarray(rgb[..., 0]).save(out / "grey.png")
Image.fromarray(rgb[..., 0]).convert("1").save(out / "grey_1bit.png")
palette = Image.fromarray(rgb).quantize(13)
palette.save(out / "palette.png", transparency=4)
wide = (rgba.astype(np.uint16) * 256 + rng.integers(0, 256, rgba.shape)).astype(">u2")
png("rgb_16bit.png", W, H, 16, 2, [r[:, :3].tobytes() for r in wide])
png("rgba_16bit.png", W, H, 16, 6, [r.tobytes() for r in wide])
png("grey_16bit.png", W, H, 16, 0, [r[:, 0].tobytes() for r in wide])
soft = Image.fromarray(scene(W, H)).resize((42, 27), Image.BICUBIC)
soft.save(out / "photo_420.jpg", quality=90, subsampling="4:2:0")
soft.save(out / "photo_444.jpg", quality=90, subsampling="4:4:4")
soft.save(out / "photo_progressive.jpg", quality=85, progressive=True)
soft.convert("L").save(out / "photo_grey.jpg", quality=90)
soft.convert("CMYK").save(out / "photo_cmyk.jpg", quality=90)
exif = Image.Exif()
exif[0x0112] = 6
soft.save(out / "photo_turned.jpg", quality=90, exif=exif)
soft.save(out / "lossy.webp", quality=90)
Image.fromarray(rgb).save(out / "lossless.webp", lossless=True)
Image.fromarray(rgba).save(out / "alpha.webp", lossless=True, exact=True)
Image.fromarray(rgb).save(out / "named_wrongly.jpg", format="PNG")

expected = {}
for path in sorted(out.iterdir()):
    if path.suffix in (".png", ".jpg", ".webp") and path.stem != "grey_16bit":
        expected[f"{path.name} read"] = np.asarray(Image.open(path).convert("RGB"))


def crop(image, size):
    """torchvision's Resize(size), CenterCrop(size)."""
    w, h = image.size
    short, long = min(w, h), max(w, h)
    new = int(size * long / short)
    image = image.resize((size, new) if w <= h else (new, size), Image.BILINEAR)
    w, h = image.size
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


image = Image.open(out / "rgb.png").convert("RGB")
tall = image.transpose(Image.ROTATE_90)
tall.save(out / "tall.png")
for w, h in [(11, 11), (5, 15), (41, 33), (14, 40), (25, 16), (25, 7), (6, 16), (1, 1), (77, 1), (2, 50), (24, 17)]:
    expected[f"rgb.png resize {w} {h}"] = np.asarray(image.resize((w, h), Image.BILINEAR))
for size in (5, 8, 11, 15, 16, 17, 27):
    expected[f"rgb.png crop {size}"] = np.asarray(crop(image, size))
    expected[f"tall.png crop {size}"] = np.asarray(crop(tall, size))
save_file({k: np.ascontiguousarray(v) for k, v in expected.items()}, out / "expected.safetensors")
print(len(expected), sum(p.stat().st_size for p in out.iterdir()))
