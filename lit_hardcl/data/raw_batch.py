"""What a loader hands to the device: bytes, and the random numbers that turn them into views."""

from typing import NamedTuple

from jaxtyping import Int32, Int64, UInt8
from torch import Tensor


class RawBatch(NamedTuple):
    """Bytes, and the random numbers that turn them into views once they lie on the device.

    A batch carries its own randomness, so making views needs neither a state nor the trainer.

    Attributes:
        images: whole images, or one crop per view, the clean one last if there is one, where workers have decoded and
            cropped files.
        targets: as in `Batch`.
        indices: as in `Batch`.
        draws: the bits of the float32 numbers that `draw` makes. As floats a trainer of another precision would
            convert them with the rest of the batch, and bfloat16 has only 256 crops.
    """

    images: UInt8[Tensor, "batch channels height width"] | UInt8[Tensor, "crops batch channels height width"]
    targets: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]
    draws: Int32[Tensor, "views batch numbers"]
