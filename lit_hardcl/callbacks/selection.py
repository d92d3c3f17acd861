"""Which pairs of a batch a band selects, counted; and between which similarities."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl import distributed
from lit_hardcl.functional import cosine_similarity, difficult_pairs


class Band(NamedTuple):
    """Between which ranks, as fractions, pairs are selected (arXiv:2501.01317, Eq. 12)."""

    pos_high: float
    pos_low: float | None


def selected_pairs(
    features: Float[Tensor, "rows width"], targets: Int[Tensor, " rows"], band: Band, gathered: bool
) -> Int[Tensor, " 4"]:
    """Of this process's anchors, the number of pairs, of selected, of selected labelled, and of different classes.

    An anchor's keys are all other rows of the batch, of all processes if ``gathered``, its own other view among them.
    """
    keys, key_targets, own = features, targets, 0
    if gathered:
        keys, key_targets = distributed.gather(features), distributed.gather(targets)
        own = distributed.rank() * len(features)
    itself = torch.zeros(len(features), len(keys), dtype=torch.bool, device=features.device)
    itself.diagonal(own).fill_(True)
    selected = difficult_pairs(cosine_similarity(features, keys), *band, itself)
    labelled = selected & (targets >= 0).unsqueeze(1) & (key_targets >= 0)
    different = labelled & (targets.unsqueeze(1) != key_targets)
    return torch.stack([(~itself).sum(), selected.sum(), labelled.sum(), different.sum()])


def interval(features: Float[Tensor, "rows width"], band: Band) -> tuple[float, float] | None:
    """Lowest and highest similarity that the band selects, each the median over the rows that select any, if any."""
    similarity = cosine_similarity(features)
    selected = difficult_pairs(similarity, *band, torch.eye(len(features), dtype=torch.bool, device=features.device))
    some = selected.any(dim=1)
    if not some.any():
        return None
    low = similarity.masked_fill(~selected, torch.inf)[some].amin(dim=1).median()
    high = similarity.masked_fill(~selected, -torch.inf)[some].amax(dim=1).median()
    return low.item(), high.item()
