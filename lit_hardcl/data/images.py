"""Images: what every data set is here, in memory or as files, each with its class and its original row number."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from lit_hardcl.errors import Refusal


@dataclass(frozen=True)
class Images:
    """One split of a data set.

    Attributes:
        targets: class numbers, -1 where an image has no label.
        class_names: in the order of the class numbers.
        indices: row numbers in the data set as it was published; they stay with an image through every variant.
        pixels: all images in memory; None if `files` has them.
        files: paths of the images, decoded when needed; None if `pixels` has them.
        mixed: which images are a mixture of two classes (see `mix_classes`).

    Raises:
        ValueError: if there are no images, or not as many targets and indices as images.
    """

    targets: Int64[Tensor, " images"]
    class_names: tuple[str, ...]
    indices: Int64[Tensor, " images"]
    pixels: UInt8[Tensor, "images channels height width"] | None = None
    # An array, not a list: a million Python strings would be copied into every worker as it counts references.
    files: np.ndarray | None = None
    mixed: Bool[Tensor, " images"] | None = None

    def __post_init__(self) -> None:
        content = self.pixels if self.files is None else self.files
        if content is None or (self.pixels is not None and self.files is not None):
            raise Refusal("images are either pixels or files, got both or none of them")
        if len(content) == 0:
            raise Refusal("a data set needs at least one image, got none")
        if not len(content) == len(self.targets) == len(self.indices):
            raise Refusal(
                "every image needs one target and one index, got "
                f"{len(content)} images, {len(self.targets)} targets, {len(self.indices)} indices"
            )

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def mixed_indices(self) -> Int64[Tensor, " mixed"]:
        """Original indices of the mixed images."""
        return self.indices[:0] if self.mixed is None else self.indices[self.mixed]

    def take(self, rows: Int64[Tensor, " rows"]) -> "Images":
        """Return the images in these rows, in this order, with the indices they had."""
        return replace(
            self,
            targets=self.targets[rows],
            indices=self.indices[rows],
            pixels=None if self.pixels is None else self.pixels[rows],
            files=None if self.files is None else self.files[rows.numpy()],
            mixed=None if self.mixed is None else self.mixed[rows],
        )


def in_memory(
    pixels: UInt8[Tensor, "images channels height width"], targets: object, class_names: tuple[str, ...]
) -> Images:
    """Return images that are numbered in the order in which they come."""
    numbers = torch.as_tensor(targets, dtype=torch.long)
    return Images(numbers, class_names, torch.arange(len(pixels)), pixels=pixels)
