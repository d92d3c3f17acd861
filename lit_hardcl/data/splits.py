"""Which images are trained on and which are held out: test images for the report, validation images to tune on."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images

HELD_OUT: Final = 5  # every fifth image of a class


def training_images(source: DataSet, root: Path, split: str, download: bool) -> Images:
    """The training images; but for the fifth that is held out, if the data set has no validation images of its own."""
    images = source.read(root, True, download)
    return images.take(_rows(images, held_out=False)) if split == "validation" and not source.validation else images


def held_out_images(source: DataSet, root: Path, split: str, download: bool) -> Images:
    """The data set's test images, or its validation images: its own or a fifth of the training images of each class.

    Which fifth is a constant of the data set, not of a run, so that no seed tunes on what another trains on.
    """
    if split == "test":
        return source.read(root, False, download)
    if source.validation is not None:
        return source.checked(source.validation(root, download))
    images = source.read(root, True, download)
    return images.take(_rows(images, held_out=True))


def _rows(images: Images, held_out: bool) -> Int64[Tensor, " rows"]:
    """Rows of the fifth, or of the rest, ascending."""
    random, targets = np.random.default_rng(0), images.targets.numpy()
    chosen = np.zeros(len(images), dtype=bool)
    for number in np.unique(targets):
        chosen[random.permutation(np.flatnonzero(targets == number))[HELD_OUT - 1 :: HELD_OUT]] = True
    return torch.from_numpy(np.flatnonzero(chosen == held_out))
