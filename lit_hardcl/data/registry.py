"""The data sets by name: how each is read, its size, its colours, and its recipe of random views."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets import FashionMNIST

from lit_hardcl.data.folders import image_folder, tiny_imagenet
from lit_hardcl.data.images import Images
from lit_hardcl.data.sources import cifar10, cifar100, cifar100_coarse_targets, digits, fashion_mnist, stl10
from lit_hardcl.errors import Refusal
from lit_hardcl.views.recipe import Augmentation


@dataclass(frozen=True)
class DataSet:
    """An entry of `DATASETS`; add one there to make a data set of your own known by name.

    Attributes:
        load: takes the data folder, whether the training split (else the held-out one) is wanted, and whether it
            may be downloaded. Raises a ValueError that says how to get the data if they are not there.
        channels: 1 or 3.
        image_size: height and width of a view in pixels.
        mean: per channel, of images in 0 ... 1.
        std: likewise.
        augmentation: the recipe unless the user gives another.
        num_classes: None if only the data themselves can tell.
        class_names: likewise.
        coarse_targets: from the data folder to the coarse class of each class, if the data set has coarse classes.
    """

    load: Callable[[Path, bool, bool], Images]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    coarse_targets: Callable[[Path], list[int]] | None = None


# Mean and deviation of ImageNet's training images, which the folders share.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

DATASETS: dict[str, DataSet] = {
    "digits": DataSet(
        load=digits,
        channels=1,
        image_size=32,
        mean=(0.305,),
        std=(0.324,),
        # A mirrored or a badly cropped digit is another digit.
        augmentation=Augmentation(crop_scale=(0.4, 1.0), flip=0.0, saturation=0.0, hue=0.0, grey=0.0),
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
    ),
    "fashion_mnist": DataSet(
        load=fashion_mnist,
        channels=1,
        image_size=28,
        mean=(0.2860,),
        std=(0.3530,),
        augmentation=Augmentation(crop_scale=(0.3, 1.0), saturation=0.0, hue=0.0, grey=0.0),
        num_classes=10,
        class_names=tuple(FashionMNIST.classes),
    ),
    "cifar10": DataSet(
        load=cifar10,
        channels=3,
        image_size=32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        augmentation=Augmentation(),
        num_classes=10,
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": DataSet(
        load=cifar100,
        channels=3,
        image_size=32,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        augmentation=Augmentation(),
        num_classes=100,
        coarse_targets=cifar100_coarse_targets,
    ),
    "stl10": DataSet(
        load=stl10,
        channels=3,
        image_size=96,
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2603, 0.2566, 0.2713),
        augmentation=Augmentation(blur=0.5),
        num_classes=10,
        class_names=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    ),
    "tiny_imagenet": DataSet(
        load=tiny_imagenet,
        channels=3,
        image_size=64,
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
        augmentation=Augmentation(),
        num_classes=200,
    ),
    "image_folder": DataSet(
        load=image_folder,
        channels=3,
        image_size=224,
        mean=_IMAGENET[0],
        std=_IMAGENET[1],
        # SimCLR's recipe for ImageNet (arXiv:2002.05709, Appendix A), colour strength 1.
        augmentation=Augmentation(
            crop_scale=(0.08, 1.0), brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, blur=0.5
        ),
    ),
}


def data_set(name: str) -> DataSet:
    """Return the entry of this name.

    Raises:
        ValueError: listing the known names.
    """
    if name not in DATASETS:
        raise Refusal(f"dataset must be one of {', '.join(sorted(DATASETS))}, got {name!r}")
    return DATASETS[name]
