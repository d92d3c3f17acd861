"""The two batches: what a loader hands to the device, and what a module receives."""

from typing import NamedTuple

from jaxtyping import Float, Int64, UInt8
from torch import Tensor


class Batch(NamedTuple):
    """What ``training_step``, ``validation_step`` and callbacks receive, positionally ``(views, targets, indices)``.

    Attributes:
        views: normalised float images; several random views in training, one clean view otherwise.
        targets: class numbers, -1 where an image has no label.
        indices: row numbers of the images in the data set as it was published.
    """

    views: list[Float[Tensor, "batch channels height width"]]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]


class RawBatch(NamedTuple):
    """Bytes, and the random numbers that turn them into views once they lie on the device.

    A batch carries its own randomness, so making views needs neither a state nor the trainer.

    Attributes:
        images: whole images, or one crop per view where workers have decoded and cropped files.
        targets: as in `Batch`.
        indices: as in `Batch`.
        draws: uniform in [0, 1), as `draw` makes them; no views at all mean one clean view.
    """

    images: UInt8[Tensor, "batch channels height width"] | UInt8[Tensor, "views batch channels height width"]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]
    draws: Float[Tensor, "views batch numbers"]
