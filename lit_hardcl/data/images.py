"""Images: what every data set is here: each image's class and original row number, and the source of its pixels."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from lit_hardcl.contract import check_targets
from lit_hardcl.data.sources import Files, InMemory, Source
from lit_hardcl.errors import Refusal


class Images:
    """One split of a data set.

    Args:
        targets: class numbers, -1 where an image has no label.
        class_names: names in the order of the class numbers.
        indices: row numbers in the data set as it was published; they stay with an image through every variant.
        pixels: all images in memory; or
        files: paths of the images, decoded when needed; or
        source: place where they are if not in memory.
        mixed: whether each image is a mixture of two classes (see `mix_classes`).

    Raises:
        Refusal: if there are no images, not as many targets and indices as images, targets that are none of these
            numbers, or pixels that are no bytes.
    """

    def __init__(
        self,
        targets: Int64[Tensor, " images"],
        class_names: tuple[str, ...],
        indices: Int64[Tensor, " images"],
        pixels: UInt8[Tensor, "images channels height width"] | None = None,
        files: np.ndarray | None = None,
        source: Source | None = None,
        mixed: Bool[Tensor, " images"] | None = None,
    ) -> None:
        given = [one for one in (pixels, files, source) if one is not None]
        if len(given) != 1:
            raise Refusal("images are either pixels or files, got both or none of them")
        if len(given[0]) == 0:
            raise Refusal("a data set needs at least one image, got none")
        if not len(given[0]) == len(targets) == len(indices):
            raise Refusal(
                "every image needs one target and one index, got "
                f"{len(given[0])} images, {len(targets)} targets, {len(indices)} indices"
            )
        check_targets(targets, len(class_names))
        if (targets < -1).any():
            raise Refusal(f"targets must be class numbers, or -1 for no label, got {int(targets.min())}")
        if pixels is not None and (pixels.ndim != 4 or pixels.dtype != torch.uint8):
            raise Refusal(
                "pixels must be bytes of shape (images, channels, height, width), got "
                f"{pixels.dtype} of shape {tuple(pixels.shape)}"
            )
        self.targets, self.class_names, self.indices, self.mixed = targets, class_names, indices, mixed
        self.source: Source
        if source is not None:
            self.source = source
        else:
            self.source = Files(files) if files is not None else InMemory(pixels)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def pixels(self) -> UInt8[Tensor, "images channels height width"] | None:
        """All images, if they are in memory."""
        return getattr(self.source, "pixels", None)

    @property
    def files(self) -> np.ndarray | None:
        """Paths of the images, if they are files."""
        return getattr(self.source, "files", None)

    @property
    def mixed_indices(self) -> Int64[Tensor, " mixed"]:
        """Original indices of the mixed images."""
        return self.indices[:0] if self.mixed is None else self.indices[self.mixed]

    def take(self, rows: Int64[Tensor, " rows"]) -> "Images":
        """Return the images in these rows, in this order, with the indices they had."""
        return Images(
            self.targets[rows],
            self.class_names,
            self.indices[rows],
            source=self.source.take(rows),
            mixed=None if self.mixed is None else self.mixed[rows],
        )


def in_memory(
    pixels: UInt8[Tensor, "images channels height width"], targets: object, class_names: tuple[str, ...]
) -> Images:
    """Return images that are numbered in the order in which they come."""
    numbers = torch.as_tensor(targets, dtype=torch.long)
    return Images(numbers, class_names, torch.arange(len(pixels)), pixels=pixels)
