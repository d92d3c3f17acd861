"""Folders of image files in the layout of ImageNet."""

import os
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images
from lit_hardcl.errors import Refusal
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """List the files of ``root/train/CLASS/*`` or ``root/val/CLASS/*``; the training folders number the classes.

    What is hidden, its name beginning with a dot, is neither a class nor an image.

    Raises:
        ValueError: if a folder is missing or empty, a link leads back to a folder above it, or the held-out classes are
            not the training classes.
    """
    names = _classes(root / "train", download)
    split = root / ("train" if train else "val")
    own = _classes(split, download)
    if unknown := sorted(set(own) - set(names)):
        raise Refusal(f"held-out classes must be among the training classes, got {unknown[:5]} in {split}")
    if missing := sorted(set(names) - set(own)):
        raise Refusal(f"held-out classes must be the training classes, but {split} lacks {missing[:5]}")
    files = [_image_files(split / name) for name in names]
    if not any(files):
        raise Refusal(f"a data set needs at least one image, got none in {split} ({', '.join(IMG_EXTENSIONS)})")
    if empty := [name for name, its in zip(names, files, strict=True) if not its]:
        raise Refusal(f"every class needs an image, got none of {empty[:5]} in {split}; fill or remove the folder")
    targets = torch.arange(len(names)).repeat_interleave(torch.tensor([len(its) for its in files]))
    every = np.array([file for its in files for file in its])
    return Images(targets, tuple(names), torch.arange(len(every)), files=every)


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, but hidden ones such as ``.ipynb_checkpoints``, in their order."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []


def _image_files(folder: Path) -> list[str]:
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "."]
        for inner in (Path(place, name) for name in folders):
            if Path(place).resolve().is_relative_to(inner.resolve()):
                raise Refusal(f"a folder of images must not link to a folder above it, but {inner} does; remove it")
        found += [(place, name) for name in names if name[0] != "." and name.lower().endswith(IMG_EXTENSIONS)]
    return [os.path.join(*one) for one in sorted(found)]


def _classes(folder: Path, download: bool) -> list[str]:
    names = class_folders(folder)
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
