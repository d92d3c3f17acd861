"""Fashion-MNIST."""

from pathlib import Path

from torchvision.datasets import FashionMNIST

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images, in_memory
from lit_hardcl.data.torchvision_sets import read
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """Read Fashion-MNIST (28×28, one channel)."""
    advice = f"or put its four unpacked files into {root / 'FashionMNIST' / 'raw'}"
    data = read(FashionMNIST, root, download, advice, train=train)
    return in_memory(data.data[:, None], data.targets, tuple(data.classes))


SET = DataSet(
    load=load,
    channels=1,
    image_size=28,
    mean=(0.2860,),
    std=(0.3530,),
    augmentation=Augmentation(crop_scale=(0.3, 1.0), saturation=0.0, hue=0.0, grey=0.0),
    num_classes=10,
    class_names=tuple(FashionMNIST.classes),
)
