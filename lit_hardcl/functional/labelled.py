"""Row formulas whose positives are known by labels, or found without them."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from lit_hardcl.errors import check_choice
from lit_hardcl.functional.contrast import without_excluded
from lit_hardcl.functional.weighted import tilted_total


def supcon_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Bool[Tensor, "anchors keys"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
    form: str = "out",
    weights: Float[Tensor, " keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent with every key of the anchor's label as a positive (arXiv:2004.11362).

    ``"out"``: mean over the positives of -log softmax (Eq. 2); ``"in"``: -log of the mean over the positives of the
    softmax (Eq. 3). With one positive both are NT-Xent.

    Args:
        logits: rows, one per anchor.
        positives: True where a key is a positive; each anchor needs one.
        exclude: True where a key does not count, such as the anchor itself.
        form: place of the mean.
        weights: shares of the keys in that mean, of which PaCo (arXiv:2107.12028) gives centres of classes more
            than samples; ``None``: all alike.

    Example:
        >>> rows, both = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
        >>> supcon_rows(rows, both), supcon_rows(rows, both, form="in")
        (tensor([1.0514]), tensor([0.9313]))
    """
    check_choice("form", form, "out", "in")
    logits = without_excluded(logits, exclude)
    share = positives.to(logits.dtype) if weights is None else positives * weights
    share, total = share / share.sum(dim=1, keepdim=True), logits.logsumexp(dim=1)
    if form == "out":
        return total - (logits.where(positives, 0) * share).sum(dim=1)
    return total - (logits.masked_fill(~positives, -torch.inf) + share.log()).logsumexp(dim=1)


def hard_supcon_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Bool[Tensor, "anchors keys"],
    beta: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """Mean over the positives of each against the keys of other labels, the harder the heavier (arXiv:2209.00078).

    ``log(e^p + N E[w e^n]) - p`` with :func:`tilted_total`. Unlike in SupCon the other positives are not in the sum,
    so that with ``beta=0`` it is NT-Xent of labels that occur once, and the paper's SCL of others.

    Args:
        logits: rows, one per anchor.
        positives: True where a key is a positive; each anchor needs one.
        beta: concentration on hard negatives, at least 0.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> rows, both = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, True, False]])
        >>> hard_supcon_rows(rows, both, beta=1.0)
        tensor([0.5032])
    """
    logits = without_excluded(logits, exclude)
    total = tilted_total(logits.masked_fill(positives, -torch.inf), beta).unsqueeze(1)
    each = -F.logsigmoid(logits.where(positives, 0) - total)
    return each.where(positives, 0).sum(dim=1) / positives.sum(dim=1)


def false_negatives(
    scores: Float[Tensor, "anchors keys"],
    is_negative: Bool[Tensor, "anchors keys"],
    top_k: int | None,
    threshold: float | None,
) -> Bool[Tensor, "anchors keys"]:
    """Which negatives are taken for false ones: the most similar, and similar enough (arXiv:2011.11765).

    Args:
        scores: similarities to the views of the anchor's image, aggregated.
        is_negative: True where a key is a negative.
        top_k: largest number of them for an anchor; ``None``: any.
        threshold: score that they exceed; ``None``: any.

    Example:
        >>> false_negatives(torch.tensor([[0.9, 0.8, 0.1]]), torch.tensor([[False, True, True]]), 2, 0.5)
        tensor([[False,  True, False]])
    """
    found = is_negative if threshold is None else is_negative & (scores > threshold)
    if top_k is None:
        return found
    best = scores.masked_fill(~is_negative, -torch.inf).topk(min(top_k, scores.shape[1]), dim=1).indices
    return found & torch.zeros_like(found).scatter(1, best, True)
