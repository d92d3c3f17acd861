"""What a loader hands to the device: bytes, and the random numbers that turn them into views."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int32, Int64, UInt8
from torch import Tensor

from lit_hardcl.views.batch_views import clean_view, compiled, cropped_views, random_views
from lit_hardcl.views.recipe import Augmentation


class Making(NamedTuple):
    """How views are made.

    Attributes:
        size: height and width of a view in pixels.
        recipe: recipe of random views.
        mean: number per channel, of images in 0 ... 1.
        std: number per channel.
        clean_view: whether each image's clean view comes last.
        compile: whether the makers are compiled.
    """

    size: int
    recipe: Augmentation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    clean_view: bool = False
    compile: bool = False


class RawBatch(NamedTuple):
    """Whole images, whose views are cropped where they lie.

    A batch carries its own randomness, so making views needs neither a state nor the trainer.

    Attributes:
        images: bytes.
        targets: class numbers, -1 where an image has no label.
        indices: row numbers of the images in the data set as it was published.
        draws: the bits of the float32 numbers that `draw` makes. As floats a trainer of another precision would
            convert them with the rest of the batch, and bfloat16 has only 256 crops.
    """

    images: UInt8[Tensor, "batch channels height width"]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]
    draws: Int32[Tensor, "views batch numbers"]

    def views(self, making: Making) -> list[Float[Tensor, "batch channels size size"]]:
        """Random views by the batch's own numbers and, if there is one, the clean view last."""
        make = compiled(random_views) if making.compile else random_views
        size, recipe, *colours = making[:4]
        views = make(self.images, self.draws.view(torch.float32), recipe, size, *colours)
        return [*views, clean_view(self.images, size, *colours)] if making.clean_view else views


class CroppedBatch(NamedTuple):
    """Crops that workers have made, one for each view, the clean one last if there is one; else as `RawBatch`."""

    images: UInt8[Tensor, "crops batch channels height width"]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]
    draws: Int32[Tensor, "views batch numbers"]

    def views(self, making: Making) -> list[Float[Tensor, "batch channels size size"]]:
        """The crops flipped and coloured, the clean one as it is."""
        make = compiled(cropped_views) if making.compile else cropped_views
        size, recipe, *colours = making[:4]
        views = make(self.images[: len(self.draws)], self.draws.view(torch.float32), recipe, *colours)
        return [*views, clean_view(self.images[-1], size, *colours)] if making.clean_view else views
