"""Readers of the data sets that scikit-learn and torchvision have, each into `Images` in memory."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import interpolate
from torchvision.datasets import CIFAR10, CIFAR100, STL10, FashionMNIST

from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.errors import Refusal


def digits(root: Path, train: bool, download: bool) -> Images:
    """Read scikit-learn's handwritten digits, enlarged from 8×8 to 32×32; a fifth of each class is held out.

    The split is a constant of the data set, not of a run, so that no seed lets a held-out image into training.
    """
    pixels, targets = load_digits(return_X_y=True)
    rows = train_test_split(np.arange(len(targets)), test_size=0.2, stratify=targets, random_state=0)
    small = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) * (255 / 16)
    large = interpolate(small, scale_factor=4, mode="bilinear").round().to(torch.uint8)
    names = tuple(str(digit) for digit in range(10))
    return in_memory(large, targets, names).take(torch.from_numpy(np.sort(rows[0] if train else rows[1])))


def fashion_mnist(root: Path, train: bool, download: bool) -> Images:
    """Read Fashion-MNIST (28×28, one channel)."""
    advice = f"or put its four unpacked files into {root / 'FashionMNIST' / 'raw'}"
    data = _read(FashionMNIST, root, download, advice, train=train)
    return in_memory(data.data[:, None], data.targets, tuple(data.classes))


def cifar10(root: Path, train: bool, download: bool) -> Images:
    """Read CIFAR-10 (32×32)."""
    return _cifar(CIFAR10, root, train, download)


def cifar100(root: Path, train: bool, download: bool) -> Images:
    """Read CIFAR-100 (32×32)."""
    return _cifar(CIFAR100, root, train, download)


def cifar100_coarse_targets(root: Path) -> list[int]:
    """Read the superclass, one of 20, of each of CIFAR-100's classes, which torchvision leaves in the files.

    Raises:
        ValueError: if the file is not there.
    """
    file = root / CIFAR100.base_folder / "train"
    if not file.is_file():
        raise Refusal(f"data_dir must hold CIFAR100, but there is no file {file}")
    batch = pickle.loads(file.read_bytes(), encoding="latin1")
    coarse = dict(zip(batch["fine_labels"], batch["coarse_labels"], strict=True))
    return [coarse[fine] for fine in sorted(coarse)]


def stl10(root: Path, train: bool, download: bool) -> Images:
    """Read STL-10 (96×96): trained on are the 5,000 labelled images, then 100,000 without a label (-1)."""
    advice = f"or unpack {STL10.filename} into {root}"
    data = _read(STL10, root, download, advice, split="train+unlabeled" if train else "test")
    pixels = torch.from_numpy(np.ascontiguousarray(data.data))
    return in_memory(pixels, data.labels, tuple(data.classes))


def _cifar(source: type[CIFAR10], root: Path, train: bool, download: bool) -> Images:
    advice = f"or unpack {source.filename} into {root}"
    data = _read(source, root, download, advice, train=train)
    pixels = torch.from_numpy(np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)))
    return in_memory(pixels, data.targets, tuple(data.classes))


def _read(source: Callable[..., Any], root: Path, download: bool, advice: str, **split: object) -> Any:
    try:
        return source(root, download=download, **split)
    except RuntimeError as error:
        raise Refusal(
            f"data_dir must hold {source.__name__}, but {root} does not hold all of it ({error}); "
            f"let it be downloaded with --data.download=true, {advice}"
        ) from error
