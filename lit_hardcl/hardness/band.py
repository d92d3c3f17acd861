"""A band of ranks: which of an anchor's keys, ranked by similarity, are difficult; and whose band it is."""

from typing import Any, NamedTuple

from jaxtyping import Shaped
from torch import Tensor

from lit_hardcl.distributed import Keys
from lit_hardcl.errors import Refusal
from lit_hardcl.functional.selection import check_band


class Band(NamedTuple):
    """Which of an anchor's keys, ranked by falling similarity, are difficult (arXiv:2501.01317, Eq. 12).

    Those below the similarity at rank ``pos_high`` down to that at rank ``pos_low``, both fractions of the keys,
    ``0 <= pos_high < pos_low <= 1``: `lit_hardcl.functional.difficult_pairs` has the formula. Losses and callbacks take
    the two numbers; a callback without ``pos_high`` takes those of the module's ``criterion``.

    Attributes:
        pos_high: rank where the band begins.
        pos_low: rank where it ends; 1 or ``None``: no lower end.
        gathered: whether keys are the rows of all processes, in their order, or this process's own.
    """

    pos_high: float
    pos_low: float | None
    gathered: bool = True

    def keys(self, rows: Shaped[Tensor, "anchors *rest"]) -> Shaped[Tensor, "keys *rest"]:
        """What stands at the keys, if ``rows`` stands at the anchors; every process must bring equally many."""
        return Keys(len(rows), 1, rows.device, self.gathered, fewest=1).of(rows)


def check_own_band(pos_high: float | None, pos_low: float | None) -> None:
    """Raise ``ValueError`` if this is half a band, or none: see `check_band`."""
    if pos_high is None and pos_low is not None:
        raise Refusal(f"pos_low needs pos_high, got pos_low={pos_low} alone")
    check_band(pos_high, pos_low)


def band_of(module: Any, pos_high: float | None, pos_low: float | None) -> Band | None:
    """The given band or, without ``pos_high``, that of the module's ``criterion``; ``None`` if it has none either."""
    criterion = getattr(module, "criterion", None)
    if pos_high is None:
        pos_high, pos_low = getattr(criterion, "pos_high", None), getattr(criterion, "pos_low", None)
    return None if pos_high is None else Band(pos_high, pos_low, getattr(criterion, "gather_distributed", True))
