"""Row formulas with other logits, or another function of them, than NT-Xent's."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from lit_hardcl.functional.contrast import nt_xent_rows
from lit_hardcl.functional.similarity import at_least_float32


def dystress_rows(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    temperature_min: float,
    temperature_max: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent whose temperature is each pair's own (arXiv:2308.01140).

    ``tau(s) = tau_min + (tau_max - tau_min) (1 + cos(pi (1 + s))) / 2``, without gradient: largest for the most similar
    pairs and for opposite ones, smallest at a cosine of 0.

    Args:
        similarity: cosines s.
        positives: the column of each anchor's positive.
        temperature_min: temperature at a cosine of 0, positive.
        temperature_max: temperature at cosines of 1 and -1, positive.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> dystress_rows(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), 0.1, 0.5)
        tensor([0.1269])
    """
    similarity = at_least_float32(similarity)
    swing = (1 + (math.pi * (1 + similarity.detach())).cos()) / 2
    return nt_xent_rows(
        similarity / (temperature_min + (temperature_max - temperature_min) * swing), positives, exclude
    )


def ifm_rows(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    temperature: float,
    epsilon: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """Mean of NT-Xent and of NT-Xent whose positive is epsilon less similar and whose negatives are epsilon more.

    Which is what an adversary does to embeddings within a distance of epsilon (arXiv:2106.11230, Sec. 3).

    Args:
        similarity: cosines.
        positives: the column of each anchor's positive.
        temperature: positive.
        epsilon: number added to negatives' cosines and taken off the positive's; 0 is NT-Xent.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> ifm_rows(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), temperature=0.5, epsilon=0.1)
        tensor([0.1554])
    """
    similarity = at_least_float32(similarity)
    shift = torch.full_like(similarity, epsilon).scatter(1, positives.unsqueeze(1), -epsilon)
    plain, modified = (
        nt_xent_rows(each / temperature, positives, exclude) for each in (similarity, similarity + shift)
    )
    return (plain + modified) / 2


def spectral_rows(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """``-2 s_p + mean of s^2 over the negatives`` (arXiv:2106.04156, Eq. 6).

    Args:
        similarity: inner products s.
        positives: the column of each anchor's positive.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> spectral_rows(torch.tensor([[0.9, 0.2, -0.2]]), torch.tensor([0]))
        tensor([-1.7600])
    """
    similarity, is_negative = _split(similarity, positives, exclude)
    squares = similarity.where(is_negative, 0).square().sum(dim=1) / is_negative.sum(dim=1).clamp(min=1)
    return squares - 2 * similarity.gather(1, positives.unsqueeze(1)).squeeze(1)


def sigmoid_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """``-log sigmoid(p) - sum of log sigmoid(-n) over the negatives``: each pair for itself (arXiv:2410.17427).

    Args:
        logits: cosines by temperature, plus a bias.
        positives: the column of each anchor's positive.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> sigmoid_rows(torch.tensor([[1.0, -1.0]]), torch.tensor([0]))
        tensor([0.6265])
    """
    logits, is_negative = _split(logits, positives, exclude)
    of_negatives = F.logsigmoid(-logits).where(is_negative, 0).sum(dim=1)
    return -of_negatives - F.logsigmoid(logits.gather(1, positives.unsqueeze(1)).squeeze(1))


def truncated_triplet_rows(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    skipped: int,
    kept: int,
    positive_weight: float,
    slack: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """``max(0, slack + 2 (deputy - positive_weight s_p))``, the deputy the mean of negatives of a middle rank.

    Of the negatives in descending order some are skipped, since they may be false, and the next ones kept
    (arXiv:2104.08760); distances are ``-2 s``, as in the authors' code. 0 for an anchor without negatives.

    Args:
        similarity: cosines s.
        positives: the column of each anchor's positive.
        skipped: number of the most similar negatives that are left out; the last ones stay where there are fewer.
        kept: number of those after them whose mean is the deputy.
        positive_weight: factor of the positive's cosine.
        slack: number that is added, beyond which a triplet has no gradient.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> rows, first = torch.tensor([[0.9, 0.8, 0.3, 0.1, -0.5]]), torch.tensor([0])
        >>> truncated_triplet_rows(rows, first, skipped=1, kept=2, positive_weight=1.0, slack=2.0)
        tensor([0.6000])
    """
    similarity, is_negative = _split(similarity, positives, exclude)
    count = is_negative.sum(dim=1, keepdim=True)
    first = torch.minimum(torch.full_like(count, skipped), (count - 1).clamp(min=0))
    last = torch.minimum(first + kept, count)
    deepest = min(skipped + kept, similarity.shape[1])
    ranked = similarity.masked_fill(~is_negative, -torch.inf).topk(deepest, dim=1).values
    place = torch.arange(deepest, device=ranked.device)
    deputy = ranked.where((place >= first) & (place < last), 0).sum(dim=1) / (last - first).squeeze(1).clamp(min=1)
    positive = similarity.gather(1, positives.unsqueeze(1)).squeeze(1)
    return (slack + 2 * (deputy - positive_weight * positive)).clamp(min=0).where(count.squeeze(1) > 0, 0)


def _split(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None,
) -> tuple[Float[Tensor, "anchors keys"], Bool[Tensor, "anchors keys"]]:
    """Float32 or better, and True at the negatives."""
    is_negative = torch.ones_like(similarity, dtype=torch.bool) if exclude is None else ~exclude
    return at_least_float32(similarity), is_negative.scatter(1, positives.unsqueeze(1), False)
