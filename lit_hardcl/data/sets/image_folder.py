"""Folders of image files in the layout of ImageNet."""

from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images
from lit_hardcl.errors import Refusal
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
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


def _classes(folder: Path, download: bool) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not names:
        advice = "; image_folder cannot be downloaded" if download else ""
        raise Refusal(
            f"data_dir must hold image_folder as train/CLASS/* and val/CLASS/*, got no class in {folder}{advice}"
        )
    return names


SET = DataSet(
    load=load,
    channels=3,
    image_size=224,
    # Mean and deviation of ImageNet's training images.
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    # SimCLR's recipe for ImageNet (arXiv:2002.05709, Appendix A), colour strength 1.
    augmentation=Augmentation(crop_scale=(0.08, 1.0), brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, blur=0.5),
)
