"""CIFAR-10."""

from pathlib import Path

from torchvision.datasets import CIFAR10

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.images import Images
from lit_hardcl.data.torchvision_sets import read_cifar
from lit_hardcl.views.recipe import Augmentation


def load(root: Path, train: bool, download: bool) -> Images:
    """Read CIFAR-10 (32×32)."""
    return read_cifar(CIFAR10, root, train, download)


SET = DataSet(
    load=load,
    channels=3,
    image_size=32,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    augmentation=Augmentation(),
    num_classes=10,
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
