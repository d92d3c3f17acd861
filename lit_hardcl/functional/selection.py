"""Which pairs of a batch are difficult: similar, yet probably of different classes."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.functional.similarity import at_least_float32


def difficult_pairs(
    similarity: Float[Tensor, "anchors keys"],
    pos_high: float | None,
    pos_low: float | None,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Bool[Tensor, "anchors keys"]:
    """Mark each anchor's keys that are similar to it, yet not the most similar.

    ``p_ij = 1[s_low <= s_ij < s_high]``, both thresholds read off the anchor's similarities in descending order, at
    the fractions ``pos_high < pos_low`` of its K keys that are not excluded: ``s_high`` stands at position
    ``min(floor(pos_high * K), K - 1)``, counted from 0, and ``s_low`` likewise (arXiv:2501.01317, Eq. 12). Values
    tied with ``s_high`` are therefore easy, values tied with ``s_low`` difficult. Nothing here carries a gradient.

    Args:
        similarity: rows, one per anchor.
        pos_high: rank where the band begins, in [0, 1); keys above it pass for the anchor's own class. About one over
            the number of classes. ``None`` selects every key, whatever ``pos_low`` (the papers' "all pairs" ablation).
        pos_low: rank where the band ends, in (0, 1]; keys below it are easy. 1 or ``None``: the band has no lower end.
        exclude: True where a key does not count, such as the anchor itself. Never marked.

    Raises:
        ValueError: unless ``0 <= pos_high < pos_low <= 1``; if a similarity that counts is NaN.

    Example:
        >>> difficult_pairs(torch.tensor([[0.9, 0.1, 0.5, 0.7]]), pos_high=0.25, pos_low=0.5)
        tensor([[False, False,  True, False]])
    """
    check_band(pos_high, pos_low)
    counted = torch.ones_like(similarity, dtype=torch.bool) if exclude is None else ~exclude
    if pos_high is None:
        return counted
    if (at_least_float32(similarity).isnan() & counted).any():
        raise Refusal("similarities must be numbers that can be ranked, got NaN")
    similarity = similarity.detach()
    ranked = similarity.masked_fill(~counted, -torch.inf)
    key_counts = counted.sum(dim=1)
    deepest = pos_high if pos_low in (None, 1) else pos_low
    ranked = ranked.topk(min(int(deepest * ranked.shape[1]) + 1, ranked.shape[1])).values

    difficult = counted & (similarity < ranked.gather(1, position_at(pos_high, key_counts, similarity.shape[1])))
    if pos_low not in (None, 1):
        difficult &= similarity >= ranked.gather(1, position_at(pos_low, key_counts, similarity.shape[1]))
    return difficult


def check_band(pos_high: float | None, pos_low: float | None) -> None:
    """Raise ``ValueError`` unless ``0 <= pos_high < pos_low <= 1`` (``None``: see :func:`difficult_pairs`)."""
    high, low = 0.0 if pos_high is None else pos_high, 1.0 if pos_low is None else pos_low
    if not 0 <= high < low <= 1:
        raise Refusal(f"0 <= pos_high < pos_low <= 1 must hold, got pos_high={pos_high} and pos_low={pos_low}")


def position_at(fraction: float, key_counts: Int[Tensor, " anchors"], keys: int) -> Int[Tensor, "anchors 1"]:
    """Rank at ``fraction`` of each anchor's keys. The products are taken in float64, which some devices lack."""
    at_count = (fraction * torch.arange(keys + 1, dtype=torch.float64)).floor().long()
    at_count = at_count.to(key_counts.device, non_blocking=True)
    return torch.minimum(at_count[key_counts], key_counts - 1).clamp(min=0).unsqueeze(1)
