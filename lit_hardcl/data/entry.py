"""What an entry of the data sets says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lit_hardcl.data.images import Images
from lit_hardcl.errors import Refusal
from lit_hardcl.views.recipe import Augmentation


@dataclass(frozen=True)
class DataSet:
    """A data set: how it is read, its size, its colours, and its recipe of random views.

    One of your own is given by its import path, ``--data.dataset mine.SET``.

    Attributes:
        load: takes the data folder, whether the training split (else the held-out one) is wanted, and whether it
            may be downloaded. Raises a ValueError that says how to get the data if they are not there.
        channels: 1 or 3.
        image_size: height and width of a view in pixels.
        mean: per channel, of images in 0 ... 1.
        std: likewise.
        augmentation: the recipe unless the user gives another.
        num_classes: number of classes; None if only the data themselves can tell.
        class_names: likewise.
        coarse_targets: function from the data folder to the coarse class of each class, if the data set has coarse
            classes.
        validation: function from the data folder, and whether it may be downloaded, to validation images of the data
            set's own, which are among neither split; None: a fifth of the training images is held out where asked.
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
    validation: Callable[[Path, bool], Images] | None = None

    def read(self, root: Path, train: bool, download: bool) -> Images:
        """What `load` gives, `checked`."""
        return self.checked(self.load(root, train, download))

    def checked(self, images: object) -> Images:
        """What was read; refused if it is no `Images`, or if these have other channels than the entry says."""
        if not isinstance(images, Images):
            raise Refusal(f"a data set's load must give Images, got a {type(images).__name__}")
        if images.pixels is not None and images.pixels.shape[1] != self.channels:
            raise Refusal(f"the data set has {self.channels} channels, but its images have {images.pixels.shape[1]}")
        return images
