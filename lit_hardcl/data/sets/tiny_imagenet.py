"""Tiny ImageNet."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets.utils import download_and_extract_archive
from torchvision.transforms.v2.functional import resize

from lit_hardcl.data.decoding import decoded
from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.data.sets.image_folder import class_folders
from lit_hardcl.errors import Refusal
from lit_hardcl.files import read_text
from lit_hardcl.views.recipe import Augmentation

_TINY = "tiny-imagenet-200"
_TINY_SIZE = 64


def load(root: Path, train: bool, download: bool) -> Images:
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
    numbers = {name: number for number, name in enumerate(class_folders(folder / "train"))}
    if train:
        files = [file for name in numbers for file in sorted((folder / "train" / name).glob("images/[!.]*"))]
        targets = [numbers[file.parent.parent.name] for file in files]
    else:
        annotations = folder / "val" / "val_annotations.txt"
        lines = [line.split("\t")[:2] for line in read_text(annotations, "a list of labels").splitlines()]
        if wrong := [line for line in lines if len(line) < 2 or line[1] not in numbers]:
            raise Refusal(f"{annotations} must give each file a training class after a tab, got {wrong[0]}")
        files = [folder / "val" / "images" / name for name, _ in sorted(lines)]
        targets = [numbers[label] for _, label in sorted(lines)]
    if not files:
        raise Refusal(f"a data set needs at least one image, got none in {folder}")
    with ThreadPoolExecutor() as threads:
        pixels = torch.stack(list(threads.map(_tiny, files)))
    return in_memory(pixels, targets, _words(folder / "words.txt", list(numbers)))


def _tiny(file: Path) -> Tensor:
    image = decoded(file)
    if image.shape[1:] != (_TINY_SIZE, _TINY_SIZE):
        image = resize(image, [_TINY_SIZE, _TINY_SIZE], antialias=True)
    return image


def _words(file: Path, numbers: list[str]) -> tuple[str, ...]:
    if not file.is_file():
        return tuple(numbers)
    words = dict(line.split("\t", 1) for line in read_text(file, "a list of words").splitlines() if "\t" in line)
    return tuple(words.get(number, number) for number in numbers)


SET = DataSet(
    load=load,
    channels=3,
    image_size=64,
    mean=(0.4802, 0.4481, 0.3975),
    std=(0.2770, 0.2691, 0.2821),
    augmentation=Augmentation(),
    num_classes=200,
)
