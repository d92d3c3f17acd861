"""The pairs that a band selects among given features, a few anchors at a time, and how many they are."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl.distributed import Keys
from lit_hardcl.hardness.band import Band
from lit_hardcl.hardness.difficult_rows import DifficultRows, chunks


class SelectedPairs(NamedTuple):
    """Some of this process's views as anchors, the band's keys as keys.

    Attributes:
        anchors: rows of the features that the anchors are.
        selected: 1 where a pair is selected, else 0; good until the next anchors are asked for.
        rows: rows that they were selected from.
    """

    anchors: slice
    selected: Float[Tensor, "anchors keys"]
    rows: DifficultRows

    @property
    def similarity(self) -> Float[Tensor, "anchors keys"]:
        """Cosines of the pairs, computed on asking; good as ``selected`` is."""
        return self.rows.similarity(self.anchors.start, self.anchors.stop)


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


def selected_range(features: Float[Tensor, "rows width"], band: Band) -> tuple[float, float] | None:
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
