"""Data sets that are folders of image files: the ImageNet layout and Tiny ImageNet; decoding of one file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset
from torchvision.datasets.utils import download_and_extract_archive
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.errors import Refusal

_TINY = "tiny-imagenet-200"
_TINY_SIZE = 64


def image_folder(root: Path, train: bool, download: bool) -> Images:
    """List the files of ``root/train/CLASS/*`` or ``root/val/CLASS/*``; the training folders number the classes.

    Raises:
        ValueError: if a folder is missing or empty, or a held-out class is not a training class.
    """
    names = _classes(root / "train", download)
    split = root / ("train" if train else "val")
    unknown = sorted(set(_classes(split, download)) - set(names))
    if unknown:
        raise Refusal(f"held-out classes must be among the training classes, got {unknown[:5]} in {split}")
    numbers = {name: number for number, name in enumerate(names)}
    found = make_dataset(split, numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    if not found:
        raise Refusal(f"a data set needs at least one image, got none in {split} ({', '.join(IMG_EXTENSIONS)})")
    files, targets = zip(*found, strict=True)
    return Images(torch.tensor(targets), tuple(names), torch.arange(len(files)), files=np.array(files))


def tiny_imagenet(root: Path, train: bool, download: bool) -> Images:
    """Read ``root/tiny-imagenet-200`` into memory; its labelled validation images are the held-out ones.

    Raises:
        ValueError: if it is not there and must not be downloaded.
    """
    folder = root / _TINY
    if download and not folder.is_dir():
        address = f"http://cs231n.stanford.edu/{_TINY}.zip"
        download_and_extract_archive(address, str(root), md5="90528d7ca1a48142e341f4ef8d21d0de")
    if not (folder / "train").is_dir() or not (folder / "val" / "val_annotations.txt").is_file():
        raise Refusal(
            f"data_dir must hold tiny_imagenet, but {folder} is not there, or not all of it; "
            f"let it be downloaded with --data.download=true, or unpack {_TINY}.zip into {root}"
        )
    numbers = {path.name: number for number, path in enumerate(sorted((folder / "train").iterdir()))}
    if train:
        files = sorted((folder / "train").glob("*/images/*"))
        targets = [numbers[file.parent.parent.name] for file in files]
    else:
        lines = [line.split("\t")[:2] for line in (folder / "val" / "val_annotations.txt").read_text().splitlines()]
        files = [folder / "val" / "images" / name for name, _ in sorted(lines)]
        targets = [numbers[label] for _, label in sorted(lines)]
    if not files:
        raise Refusal(f"a data set needs at least one image, got none in {folder}")
    with ThreadPoolExecutor() as threads:
        pixels = torch.stack(list(threads.map(_tiny, files)))
    return in_memory(pixels, targets, _words(folder / "words.txt", list(numbers)))


def decoded(file: str | Path) -> UInt8[Tensor, "3 height width"]:
    """Decode one image file to red, green and blue.

    Raises:
        ValueError: naming the file, if it is not there or not a whole image.
    """
    try:
        with Image.open(file) as image:
            return pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # what PIL raises depends on where the file is broken
        raise Refusal(f"an image file cannot be read: {file} ({error}); replace or remove it") from error


def _tiny(file: Path) -> Tensor:
    image = decoded(file)
    if image.shape[1:] != (_TINY_SIZE, _TINY_SIZE):
        image = resize(image, [_TINY_SIZE, _TINY_SIZE], antialias=True)
    return image


def _classes(folder: Path, download: bool) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        advice = "; image_folder cannot be downloaded" if download else ""
        raise Refusal(
            f"data_dir must hold image_folder as train/CLASS/* and val/CLASS/*, got no class in {folder}{advice}"
        )
    return names


def _words(file: Path, numbers: list[str]) -> tuple[str, ...]:
    if not file.is_file():
        return tuple(numbers)
    words = dict(line.split("\t", 1) for line in file.read_text().splitlines() if "\t" in line)
    return tuple(words.get(number, number) for number in numbers)
