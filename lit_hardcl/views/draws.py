"""The random numbers behind views: one row of uniform numbers per view of an image, and where they come from."""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl.errors import check_seed

# The columns of a row. Every number has its own place, whether a recipe uses it or not, so that
# switching one operation off leaves the others' draws as they were.
TRIES: Final = 10  # torchvision's RandomResizedCrop gives up after as many boxes
AREA = slice(0, TRIES)
ASPECT = slice(TRIES, 2 * TRIES)
TOP, LEFT, FLIP, JITTER, GREY, BLUR, SIGMA = range(2 * TRIES, 2 * TRIES + 7)
ORDER = slice(SIGMA + 1, SIGMA + 5)
FACTORS = slice(SIGMA + 5, SIGMA + 9)
NUMBERS: Final = SIGMA + 9

_BLOCK = 256


def draw(num_views: int, batch: int, generator: torch.Generator) -> Float[Tensor, "views batch numbers"]:
    """Draw the uniform numbers in [0, 1) for a batch of views, on the CPU, whatever the device of the images."""
    return torch.rand(batch, num_views, NUMBERS, generator=generator).transpose(0, 1).contiguous()


def draw_at(positions: list[int], num_views: int, seed: int, epoch: int) -> Float[Tensor, "views batch numbers"]:
    """Draw for the images at these positions of an epoch's order.

    An image's numbers depend on nothing but its position, the seed and the epoch: not on the batch size, the
    number of processes or workers, or where a resumed run starts.
    """
    blocks = sorted({position // _BLOCK for position in positions})
    tables = [draw(num_views, _BLOCK, generator_of(seed, epoch, block + 1)) for block in blocks]
    place = {block: _BLOCK * number for number, block in enumerate(blocks)}
    rows = [place[position // _BLOCK] + position % _BLOCK for position in positions]
    return torch.cat(tables, dim=1)[:, rows]


def generator_of(*key: int) -> torch.Generator:
    """Return a generator for a key of non-negative numbers; keys that differ anywhere give unrelated streams.

    Sums such as seed + epoch do not: seed 0 in epoch 1 would repeat seed 1 in epoch 0.
    """
    check_seed(key[0])
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
