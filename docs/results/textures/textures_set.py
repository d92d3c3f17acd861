"""Crops of 200 real textures of Debian's package ufoai-textures (2.5-2); class = texture.

``python textures_set.py 0textures.pk3`` makes ``crops.pt`` beside this file out of the package's
``/usr/share/games/ufoai/base/0textures.pk3``. Trained on is the left 55 % of each texture, held out the right 30 %. The
images are GPL-2+ and CC licensed, as the package says file by file; they are used here, not shipped.
"""

import io
import random
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lit_hardcl.data import DATASETS, DataSet
from lit_hardcl.data.images import in_memory

CROPS = Path(__file__).with_name("crops.pt")
TRAIN, TEST = 50, 40  # crops of each texture, of 64 pixels, at 32
NO_COLOURS = ("_nm", "_sm", "_gm", "_sp", "_norm", "_spec", "_glow", "_height", "_bump", "_rm", "_hm", "_local", "_g")


def textures(archive: Path) -> list[tuple[str, Image.Image]]:
    """Opaque colour images of 256 pixels or more, shorter side to 256; neither flat nor nearly one before it."""
    kept: list[tuple[str, Image.Image]] = []
    seen: list[np.ndarray] = []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            stem, _, ending = name.lower().rpartition(".")
            if ending not in ("jpg", "png", "tga") or stem.endswith(NO_COLOURS):
                continue
            try:
                image = Image.open(io.BytesIO(files.read(name)))
            except OSError:
                continue
            if image.mode in ("P", "L") or (image.mode == "RGBA" and np.asarray(image)[..., 3].min() == 255):
                image = image.convert("RGB")
            if image.mode != "RGB" or min(image.size) < 256:
                continue
            scale = 256 / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
            small = np.asarray(image.resize((16, 16))).astype(float).ravel()
            is_flat = np.asarray(image).astype(float).std(axis=(0, 1)).mean() < 14
            if max(image.size) > 1024 or is_flat or any(np.abs(small - other).mean() < 4 for other in seen):
                continue
            seen.append(small)
            kept.append((name, image))
    random.Random(0).shuffle(kept)
    return sorted(kept[:200], key=lambda each: each[0].replace("/", "__"))


def make(archive: Path) -> None:
    """Cut the crops, from a fixed seed."""
    draws = np.random.default_rng(0)
    crops: dict[str, list[torch.Tensor]] = {"train": [], "test": []}
    for _, image in textures(archive):
        pixels = np.asarray(image)
        height, width = pixels.shape[:2]
        sides = ("train", TRAIN, 0, int(0.55 * width)), ("test", TEST, int(0.7 * width), width)
        for split, count, left, right in sides:
            for _ in range(count):
                top, start = draws.integers(0, height - 64 + 1), draws.integers(left, right - 64 + 1)
                crop = Image.fromarray(pixels[top : top + 64, start : start + 64])
                small = np.asarray(crop.resize((32, 32), Image.Resampling.BOX))
                crops[split].append(torch.from_numpy(small.copy()).permute(2, 0, 1))
    torch.save({split: torch.stack(each) for split, each in crops.items()}, CROPS)


def load(root, train, download):
    """The crops, in the order of their textures."""
    pixels = torch.load(CROPS, weights_only=True)["train" if train else "test"]
    targets = torch.arange(len(pixels)) // (TRAIN if train else TEST)
    return in_memory(pixels, targets, tuple(str(number) for number in range(200)))


SET = DataSet(load, 3, 32, (0.45, 0.42, 0.38), (0.25, 0.24, 0.23), DATASETS["cifar10"].augmentation, num_classes=200)

if __name__ == "__main__":
    make(Path(sys.argv[1]))
