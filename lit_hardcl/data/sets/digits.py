"""scikit-learn's handwritten digits: the default, which needs no download."""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import interpolate

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """Read scikit-learn's handwritten digits, enlarged from 8×8 to 32×32; a fifth of each class is held out.

    The split is a constant of the data set, not of a run, so that no seed lets a held-out image into training.
    """
    pixels, targets = load_digits(return_X_y=True)
    rows = train_test_split(np.arange(len(targets)), test_size=0.2, stratify=targets, random_state=0)
    small = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) * (255 / 16)
    large = interpolate(small, scale_factor=4, mode="bilinear").round().to(torch.uint8)
    names = tuple(str(digit) for digit in range(10))
    return in_memory(large, targets, names).take(torch.from_numpy(np.sort(rows[0] if train else rows[1])))


SET = DataSet(
    load=load,
    channels=1,
    image_size=32,
    mean=(0.305,),
    std=(0.324,),
    # A mirrored or a badly cropped digit is another digit.
    augmentation=Augmentation(crop_scale=(0.4, 1.0), flip=0.0, saturation=0.0, hue=0.0, grey=0.0),
    num_classes=10,
    class_names=tuple(str(digit) for digit in range(10)),
)
