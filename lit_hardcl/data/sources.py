"""Where images come from, memory or files: a source fetches a batch as bytes, whole or cropped by its worker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import center_crop, resize, resized_crop

from lit_hardcl.data.decoding import decoded
from lit_hardcl.data.raw_batch import CroppedBatch, Making, RawBatch
from lit_hardcl.views.crops import crop_boxes

_SHORTER_SIDE = 1.14  # of the view's size, before the central crop: 256 for 224, as ImageNet is evaluated


@runtime_checkable
class Source(Protocol):
    """Images by row. What a data set's images lie in; a stream has to offer the same."""

    @property
    def batch(self) -> Callable[..., Any]:
        """Kind of the batches whose images :meth:`fetch` gives: it turns them into views."""

    @property
    def decodes(self) -> bool:
        """Whether fetching takes so long that worker processes pay."""

    def __len__(self) -> int: ...

    def take(self, rows: Int64[Tensor, " rows"]) -> "Source":
        """The images in these rows, in this order."""

    def fetch(
        self, rows: Int64[Tensor, " rows"], draws: Float[Tensor, "views rows numbers"], making: Making
    ) -> UInt8[Tensor, "..."]:
        """Images to make views of, by these random numbers."""

    def clean(self, rows: Int64[Tensor, " rows"], size: int) -> UInt8[Tensor, "rows channels height width"]:
        """Images to make clean views of."""

    def content(self) -> list[object]:
        """What tells these images from others: tensors, or values with a repr."""


class InMemory:
    """All images in one tensor.

    Args:
        pixels: their bytes.
    """

    batch = RawBatch
    decodes = False

    def __init__(self, pixels: UInt8[Tensor, "images channels height width"]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: Int64[Tensor, " rows"]) -> "InMemory":
        """The images in these rows."""
        return InMemory(self.pixels[rows])

    def fetch(self, rows: Int64[Tensor, " rows"], draws: Tensor, making: Making) -> Tensor:
        """Whole images: their views are cropped on the device."""
        return self.pixels[rows]

    def clean(self, rows: Int64[Tensor, " rows"], size: int) -> Tensor:
        """Whole images."""
        return self.pixels[rows]

    def content(self) -> list[object]:
        """The bytes."""
        return [self.pixels]


class Files:
    """Image files of any size, decoded and cropped when they are fetched.

    Args:
        files: their paths; an array, since of a list every string would be copied into every worker, which counts
            references.
    """

    batch = CroppedBatch
    decodes = True

    def __init__(self, files: np.ndarray) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Int64[Tensor, " rows"]) -> "Files":
        """The files in these rows."""
        return Files(self.files[rows.numpy()])

    def fetch(self, rows: Int64[Tensor, " rows"], draws: Tensor, making: Making) -> Tensor:
        """One crop for each view, the clean one last if there is one: whole photographs would be too much to send."""
        crops = [self._crops(row, draws[:, place], making) for place, row in enumerate(rows.tolist())]
        return torch.stack(crops, dim=1)

    def clean(self, rows: Int64[Tensor, " rows"], size: int) -> Tensor:
        """Central crops."""
        return torch.stack([_centre(decoded(self.files[row]), size) for row in rows.tolist()])

    def content(self) -> list[object]:
        """Paths, sizes and times of change."""
        return [[(file, Path(file).stat().st_size, Path(file).stat().st_mtime_ns) for file in self.files.tolist()]]

    def _crops(self, row: int, draws: Float[Tensor, "views numbers"], making: Making) -> Tensor:
        image = decoded(self.files[row])
        _, height, width = image.shape
        boxes = crop_boxes(draws, height, width, making.recipe.crop_scale, making.recipe.crop_ratio)
        size = [making.size, making.size]
        crops = [resized_crop(image, *box, size=size, antialias=True) for box in boxes.tolist()]
        return torch.stack([*crops, _centre(image, making.size)] if making.clean_view else crops)


def _centre(image: UInt8[Tensor, "3 rows columns"], size: int) -> UInt8[Tensor, "3 {size} {size}"]:
    return center_crop(resize(image, [round(_SHORTER_SIDE * size)], antialias=True), [size, size])
