"""STL-10, with its unlabelled images."""

from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import STL10

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.data.torchvision_sets import read
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """Read STL-10 (96×96): trained on are the 5,000 labelled images, then 100,000 without a label (-1)."""
    advice = f"or unpack {STL10.filename} into {root}"
    data = read(STL10, root, download, advice, split="train+unlabeled" if train else "test")
    pixels = torch.from_numpy(np.ascontiguousarray(data.data))
    return in_memory(pixels, data.labels, tuple(data.classes))


SET = DataSet(
    load=load,
    channels=3,
    image_size=96,
    mean=(0.4467, 0.4398, 0.4066),
    std=(0.2603, 0.2566, 0.2713),
    augmentation=Augmentation(blur=0.5),
    num_classes=10,
    class_names=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
)
