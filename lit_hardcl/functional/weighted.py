"""Row formulas that weigh or drop the terms of an anchor's keys."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.functional.contrast import without_excluded


def dcl_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent without the positive in its denominator (arXiv:2110.06848, Eq. 6): may be negative.

    0 for an anchor that has no key besides its positive.

    Args:
        logits: rows, one per anchor.
        positives: the column of each anchor's positive.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> dcl_rows(torch.tensor([[2.0, 1.0, 0.5]]), torch.tensor([0]))
        tensor([-0.5259])
    """
    positives = positives.unsqueeze(1)
    logits = without_excluded(logits, exclude)
    negatives = logits.scatter(1, positives, -torch.inf).logsumexp(dim=1)
    return (negatives - logits.gather(1, positives).squeeze(1)).masked_fill(negatives.isneginf(), 0)
