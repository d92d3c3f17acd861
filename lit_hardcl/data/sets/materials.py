"""Crops of real textures of Debian's package ufoai-textures: a class is a texture, a coarse class its material."""

import hashlib
import io
import random
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.files import whole
from lit_hardcl.views.recipe import Augmentation

ARCHIVE: Final = "0textures.pk3"
LISTED: Final = Path(__file__).with_name("materials.txt")  # made by docs/results/materials/list_textures.py
STRIPS: Final = {"train": (0.0, 0.42), "validation": (0.42, 0.7), "test": (0.7, 1.0)}  # of a texture's width
SIDE, CROP = 256, 64  # pixels: of a texture's shorter side, and of a crop before it is made smaller


class Numbers(NamedTuple):
    """What can be chosen, as :func:`materials` takes it."""

    classes: int
    crops: int
    held_out: int
    image_size: int


def materials(classes: int = 200, crops: int = 50, held_out: int = 40, image_size: int = 32) -> DataSet:
    """Give the data set with other numbers, for one of your own.

    A file ``mine.py`` with ``SET = materials(classes=100)`` makes it ``--data.dataset mine.SET``. Training,
    validation and test crops are of disjoint strips of each texture, 42, 28 and 30 % of its width, so that nothing is
    tuned on what is reported. Crops are drawn from a fixed seed.

    Args:
        classes: number of textures, of the 418 in the list.
        crops: number of training crops of each.
        held_out: number of validation crops of each, and of test crops.
        image_size: height and width of an image, from 8 to 64 pixels.

    Raises:
        Refusal: if a number is out of its range; later, if the archive is missing or not the published one.
    """
    check_whole(2, len(LISTED.read_text().splitlines()), classes=classes)
    check_whole(1, 10**4, crops=crops, held_out=held_out)
    check_whole(8, CROP, image_size=image_size)
    numbers = Numbers(classes, crops, held_out, image_size)
    return DataSet(
        load=partial(load, numbers),
        validation=partial(validation, numbers),
        channels=3,
        image_size=image_size,
        mean=(0.47, 0.43, 0.37),
        std=(0.19, 0.18, 0.19),
        augmentation=Augmentation(),
        num_classes=classes,
        class_names=tuple(_title(name) for _, name in _chosen(classes)),
        coarse_targets=partial(coarse_targets, numbers),
    )


def load(numbers: Numbers, root: Path, train: bool, download: bool) -> Images:
    """Training or test crops."""
    return _read(numbers, root, "train" if train else "test")


def validation(numbers: Numbers, root: Path, download: bool) -> Images:
    """Crops to tune on."""
    return _read(numbers, root, "validation")


def coarse_targets(numbers: Numbers, root: Path) -> list[int]:
    """The material of each texture, what its file's name begins with."""
    names = [_material(name) for _, name in _chosen(numbers.classes)]
    return [sorted(set(names)).index(name) for name in names]


def _read(numbers: Numbers, root: Path, split: str) -> Images:
    """The split's crops, cut once and kept beside the archive."""
    made_of = hashlib.sha256(f"{LISTED.read_text()}{STRIPS}{SIDE}{CROP}".encode()).hexdigest()  # or stale ones are read
    kept = root / f"materials_{'_'.join(map(str, numbers))}_{made_of[:8]}.safetensors"
    if not kept.is_file():
        made = _cut(root / ARCHIVE, numbers)
        with whole(kept) as part:
            part.write_bytes(save(made))  # safetensors' own file could be read by its owner alone
    pixels = load_file(kept)[split]
    targets = torch.arange(len(pixels)) // (len(pixels) // numbers.classes)
    return in_memory(pixels, targets, tuple(_title(name) for _, name in _chosen(numbers.classes)))


def _cut(archive: Path, numbers: Numbers) -> dict[str, Tensor]:
    """Crops of every texture and strip."""
    if not archive.is_file():
        raise Refusal(
            f"data_dir must hold the textures of Debian's package ufoai-textures, but there is no file {archive}: "
            f"`apt-get download ufoai-textures`, `dpkg-deb -x ufoai-textures_*.deb .`, and move usr/share/games/ufoai/"
            f"base/{ARCHIVE} there"
        )
    made: dict[str, list[Tensor]] = {split: [] for split in STRIPS}
    try:
        files = zipfile.ZipFile(archive)
    except zipfile.BadZipFile as error:
        raise Refusal(f"{archive} must be that of ufoai-textures 2.5-2, got a broken file: {error}") from None
    with files:
        for checksum, name in _chosen(numbers.classes):
            pixels = _texture(files, archive, checksum, name)
            draws = np.random.default_rng(int(checksum[:8], 16))
            height, width = pixels.shape[:2]
            for split, (left, right) in STRIPS.items():
                for _ in range(numbers.crops if split == "train" else numbers.held_out):
                    top = draws.integers(0, height - CROP + 1)
                    start = draws.integers(round(left * width), round(right * width) - CROP + 1)
                    crop = Image.fromarray(pixels[top : top + CROP, start : start + CROP])
                    small = np.asarray(crop.resize((numbers.image_size,) * 2, Image.Resampling.BOX))
                    made[split].append(torch.from_numpy(small.copy()).permute(2, 0, 1))
    return {split: torch.stack(each) for split, each in made.items()}


def _texture(files: zipfile.ZipFile, archive: Path, checksum: str, name: str) -> np.ndarray:
    """Its pixels, the shorter side of 256, if it is what the list says."""
    try:
        content = files.read(name)
    except (KeyError, zipfile.BadZipFile) as error:
        raise Refusal(f"{archive} must hold {name}, as ufoai-textures 2.5-2 does: {error}") from None
    if (found := hashlib.sha256(content).hexdigest()) != checksum:
        raise Refusal(f"{name} in {archive} must have the SHA-256 {checksum}, got {found}: take ufoai-textures 2.5-2")
    image = Image.open(io.BytesIO(content)).convert("RGB")
    scale = SIDE / min(image.size)
    size = max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def _chosen(classes: int) -> list[tuple[str, str]]:
    """Checksums and names of so many textures, chosen by a fixed seed, in the order of their names."""
    lines = [(line[:64], line[65:]) for line in LISTED.read_text().splitlines()]
    random.Random(0).shuffle(lines)
    return sorted(lines[:classes], key=lambda line: line[1])


def _title(name: str) -> str:
    return name.removeprefix("textures/").rsplit(".", 1)[0]


def _material(name: str) -> str:
    """What its file's name begins with, in the singular."""
    word = re.match("[a-z]*", name.rsplit("/", 1)[-1].lower())
    found = word.group() if word else ""
    return found.removesuffix("s") if found in ("bricks", "tiles") else found


SET = materials()
