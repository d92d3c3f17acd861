"""Which keys are difficult, a few anchors at a time, from two order statistics of each row."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.profiler import record_function

from lit_hardcl.errors import check_whole
from lit_hardcl.functional.selection import check_band, position_at
from lit_hardcl.functional.similarity import unit_vectors, whole_float32


class DifficultRows:
    """Rows of what :func:`~lit_hardcl.functional.difficult_pairs` marks, without the matrix of all pairs.

    Args:
        anchors: features.
        keys: features; ``None``: the anchors.
        own: the column of each anchor itself, never marked; ``None``: it is not among the keys.
        pos_high: rank, as there.
        pos_low: rank, as there.
        exclude: function from a slice of anchors to what else is no key of theirs, new at each call, or ``None``.
    """

    def __init__(
        self,
        anchors: Float[Tensor, "anchors width"],
        keys: Float[Tensor, "keys width"] | None,
        own: Int[Tensor, " anchors"] | None,
        pos_high: float | None,
        pos_low: float | None,
        exclude: Callable[[slice], Bool[Tensor, "some_anchors keys"] | None] = lambda rows: None,
    ) -> None:
        check_band(pos_high, pos_low)
        self._anchors = unit_vectors(anchors.detach())
        self._keys = self._anchors if keys is None else unit_vectors(keys.detach())
        self._own = None if own is None else own.unsqueeze(1)
        counted = len(self._keys) - (own is not None)
        self._ends: list[Any] = [] if pos_high is None else [pos_high] if pos_low in (None, 1) else [pos_high, pos_low]
        self._positions = [min(math.floor(end * counted), counted - 1) for end in self._ends]
        self._exclude = exclude
        self._kept: dict[int, Tensor] = {}

    def marks(self, first: int, last: int) -> Float[Tensor, "{last-first} keys"]:
        """1 where a key is difficult for the anchors from ``first`` up to ``last``, else 0; good until the next call.

        The first call must be for as many anchors as any other.
        """
        with record_function("selection"):
            return self._marks(first, last)

    def _marks(self, first: int, last: int) -> Float[Tensor, "{last-first} keys"]:
        similarity, marks = (self._space(place, last - first) for place in range(2))
        own = None if self._own is None else self._own[first:last]
        excluded = self._exclude(slice(first, last))
        if excluded is not None and own is not None:
            excluded.scatter_(1, own, True)
        if self._positions:
            self._cosines(first, last, similarity)
            positions: list[Any] = self._positions
            if excluded is not None:
                similarity.masked_fill_(excluded, -torch.inf)
                counts = excluded.shape[1] - excluded.sum(dim=1)
                positions = [position_at(end, counts, len(self._keys)) for end in self._ends]
            elif own is not None:
                similarity.scatter_(1, own, -torch.inf)
            high, *low = _ranked(similarity, positions, self._positions[-1], marks)
            torch.lt(similarity, high, out=marks)
            for end in low:
                marks.mul_(torch.ge(similarity, end, out=similarity))
        else:
            marks.fill_(1)
        if excluded is not None:
            return marks.masked_fill_(excluded, 0)
        return marks if own is None else marks.scatter_(1, own, 0)

    def similarity(self, first: int, last: int) -> Float[Tensor, "{last-first} keys"]:
        """Cosines of these anchors with all keys; good as the marks are, in room of its own."""
        return self._cosines(first, last, self._space(2, last - first))

    def mask(self, chunk_size: int | None = None) -> Bool[Tensor, "anchors keys"]:
        """All rows, as booleans."""
        return torch.cat([self.marks(*ends).bool() for ends in chunks(self._anchors, len(self._keys), chunk_size)])

    def _space(self, place: int, rows: int) -> Tensor:
        """Room for a matrix, kept for the next chunk."""
        if place not in self._kept:
            self._kept[place] = self._anchors.new_empty(rows, len(self._keys))
        return self._kept[place][:rows]

    def _cosines(self, first: int, last: int, out: Tensor) -> Tensor:
        with torch.autocast(out.device.type, enabled=False), whole_float32():
            return torch.mm(self._anchors[first:last], self._keys.T, out=out)


def chunks(anchors: Shaped[Tensor, "anchors *rest"], keys: int, size: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield where each chunk of anchors begins and ends.

    Args:
        anchors: whose device says how much a chunk may hold.
        keys: number of keys of each anchor.
        size: anchors at a time; ``None``: so many that a matrix of them has 4 MB of float32 on a CPU, about its
            caches, and 256 MB elsewhere.
    """
    check_whole(1, size=size)
    if size is None:
        size = max(1, (2**20 if anchors.device.type == "cpu" else 2**26) // max(1, keys))
    for first in range(0, len(anchors), size):
        yield first, min(first + size, len(anchors))


def _ranked(
    rows: Float[Tensor, "anchors keys"],
    positions: Sequence[int | Int[Tensor, "anchors 1"]],
    deepest: int,
    space: Float[Tensor, "anchors keys"],
) -> list[Float[Tensor, "anchors 1"]]:
    """The values at positions, none below the deepest, of each row in descending order; ``space`` is overwritten."""
    if rows.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
        # There NumPy sorts with vector instructions, in a quarter of the time of topk.
        threads = min(torch.get_num_threads(), len(rows))
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: part.sort(axis=1), np.array_split(space.copy_(rows).numpy(), threads)))
        ranked, positions = space, [space.shape[1] - 1 - position for position in positions]
    else:
        ranked = rows.topk(deepest + 1).values
    return [
        # A list as index would wait for the device; a copy, since `space` is used again.
        ranked[:, at].clone().unsqueeze(1) if isinstance(at, int) else ranked.gather(1, at)
        for at in positions
    ]
