"""The pairs that a band selects: in a training step, read off what the step returned, and among given features."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from lit_hardcl.distributed import Keys
from lit_hardcl.errors import Refusal
from lit_hardcl.functional.selection import check_band
from lit_hardcl.hardness.difficult_rows import DifficultRows, chunks


class Band(NamedTuple):
    """Between which ranks, as fractions, pairs are selected (arXiv:2501.01317, Eq. 12), and of which keys.

    Attributes:
        pos_high: where the selected keys begin.
        pos_low: where they end; 1 or ``None``: no lower end.
        gathered: whether keys are the rows of all processes, in their order, or this process's own.
    """

    pos_high: float
    pos_low: float | None
    gathered: bool = True

    def keys(self, rows: Shaped[Tensor, "anchors *rest"]) -> Shaped[Tensor, "keys *rest"]:
        """What stands at the keys, if ``rows`` stands at the anchors; every process must bring equally many."""
        return Keys(len(rows), 1, rows.device, self.gathered, fewest=1).of(rows)


class SelectedPairs(NamedTuple):
    """Some of this process's views as anchors, the band's keys as keys.

    Attributes:
        anchors: which rows of the features the anchors are.
        selected: 1 where a pair is selected, else 0; good until the next anchors are asked for.
        rows: what they were selected from.
    """

    anchors: slice
    selected: Float[Tensor, "anchors keys"]
    rows: DifficultRows

    @property
    def similarity(self) -> Float[Tensor, "anchors keys"]:
        """Cosines of the pairs, computed on asking; good as ``selected`` is."""
        return self.rows.similarity(self.anchors.start, self.anchors.stop)


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


def selected_pairs(features: Float[Tensor, "rows width"], band: Band) -> Iterator[SelectedPairs]:
    """Select among all views of a step as the loss does: by cosine of the features, a view itself excluded.

    A few anchors at a time, so that memory grows with the rows and not with their pairs.
    """
    keys = Keys(len(features), 1, features.device, band.gathered, fewest=1)
    every = keys.of(features)
    rows = DifficultRows(features, every, keys.own, band.pos_high, band.pos_low)
    for first, last in chunks(features, len(every)):
        yield SelectedPairs(slice(first, last), rows.marks(first, last), rows)


def selection_counts(
    features: Float[Tensor, "rows width"], targets: Int[Tensor, " rows"], band: Band
) -> Int[Tensor, " 4"]:
    """Of this process's anchors, the number of pairs, of selected, of selected labelled, and of different classes."""
    key_targets = band.keys(targets)
    counts = torch.zeros(4, dtype=torch.long, device=features.device)
    for anchors, marks, _ in selected_pairs(features, band):
        selected, anchor_targets = marks.bool(), targets[anchors].unsqueeze(1)
        labelled = selected & (anchor_targets >= 0) & (key_targets >= 0)
        different = labelled & (anchor_targets != key_targets)
        pairs = counts.new_full((), selected.numel() - len(selected))
        counts += torch.stack([pairs, selected.sum(), labelled.sum(), different.sum()])
    return counts


def interval(features: Float[Tensor, "rows width"], band: Band) -> tuple[float, float] | None:
    """Lowest and highest similarity that the band selects among these, each the median over the rows that select any.

    ``None`` if none does.
    """
    lows, highs = [], []
    for pairs in selected_pairs(features, band._replace(gathered=False)):
        selected, similarity = pairs.selected.bool(), pairs.similarity
        some = selected.any(dim=1)
        lows.append(similarity.masked_fill(~selected, torch.inf)[some].amin(dim=1))
        highs.append(similarity.masked_fill(~selected, -torch.inf)[some].amax(dim=1))
    low, high = torch.cat(lows), torch.cat(highs)
    return (low.median().item(), high.median().item()) if len(low) else None
