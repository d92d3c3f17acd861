"""CIFAR-100, with its superclasses."""

import os
import pickle
from pathlib import Path

from torchvision.datasets import CIFAR100
from torchvision.datasets.utils import check_integrity

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images
from lit_hardcl.data.torchvision_sets import read_cifar
from lit_hardcl.errors import Refusal
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """Read CIFAR-100 (32×32)."""
    return read_cifar(CIFAR100, root, train, download)


def coarse_targets(root: Path) -> list[int]:
    """Read the superclass, one of 20, of each of CIFAR-100's classes, which torchvision leaves in the files.

    Raises:
        Refusal: if the file is not there, or is not the published one: a pickle may run any code.
    """
    file = root / CIFAR100.base_folder / "train"
    if not file.is_file():
        raise Refusal(f"data_dir must hold CIFAR100, but there is no file {file}")
    if not check_integrity(os.fspath(file), md5 := dict(CIFAR100.train_list)[file.name]):
        raise Refusal(f"data_dir must hold CIFAR100, but {file} has not its published MD5 sum {md5}: download it anew")
    batch = pickle.loads(file.read_bytes(), encoding="latin1")
    coarse = dict(zip(batch["fine_labels"], batch["coarse_labels"], strict=True))
    return [coarse[fine] for fine in sorted(coarse)]


SET = DataSet(
    load=load,
    channels=3,
    image_size=32,
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    augmentation=Augmentation(),
    num_classes=100,
    coarse_targets=coarse_targets,
)
