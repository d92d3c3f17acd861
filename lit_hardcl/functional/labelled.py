"""Row formulas whose positives are known by labels."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lit_hardcl.errors import check_choice
from lit_hardcl.functional.contrast import without_excluded


def supcon_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Bool[Tensor, "anchors keys"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
    form: str = "out",
) -> Float[Tensor, " anchors"]:
    """NT-Xent with every key of the anchor's label as a positive (arXiv:2004.11362).

    ``"out"``: mean over the positives of -log softmax (Eq. 2); ``"in"``: -log of the mean over the positives of the
    softmax (Eq. 3). With one positive both are NT-Xent.

    Args:
        logits: rows, one per anchor.
        positives: True where a key is a positive; each anchor needs one.
        exclude: True where a key does not count, such as the anchor itself.
        form: place of the mean.

    Example:
        >>> rows, both = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
        >>> supcon_rows(rows, both), supcon_rows(rows, both, form="in")
        (tensor([1.0514]), tensor([0.9313]))
    """
    check_choice("form", form, "out", "in")
    logits = without_excluded(logits, exclude)
    count, total = positives.sum(dim=1).to(logits.dtype), logits.logsumexp(dim=1)
    if form == "out":
        return total - logits.where(positives, 0).sum(dim=1) / count
    return total + count.log() - logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
