"""Synthetic negatives: hard keys mixed, stretched or disturbed until they are harder."""

from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.functional.similarity import unit_vectors

KINDS: Final = ("interpolated", "extrapolated", "mixed", "noised", "perturbed", "adversarial")


def synthetic_negative(
    kind: str,
    query: Float[Tensor, "anchors 1 dim"],
    negative: Float[Tensor, "anchors made dim"],
    other: Float[Tensor, "anchors made dim"],
    draw: Float[Tensor, "anchors made 1"],
    noise: Float[Tensor, "anchors made dim"],
    size: float,
) -> Float[Tensor, "anchors made dim"]:
    """Unit vectors made of unit vectors q, n and m, a uniform u and Gaussian z (arXiv:2410.02401, Sec. 3).

    ``interpolated``: ``c q + (1 - c) n`` with ``c = u size``; ``extrapolated``: ``q + c (n - q)`` with
    ``c = 1 + u (size - 1)``; ``mixed``: ``c n + (1 - c) m`` with ``c = u size``; ``noised``: ``n + size z``;
    ``perturbed``: ``n + size g`` and ``adversarial``: ``n + size sign(g)``, where g is the gradient of ``q n`` along n,
    q itself, which the authors' code estimates by finite differences. MoCHi (arXiv:2010.01028) makes ``mixed`` and
    ``interpolated`` ones.

    Args:
        kind: way it is made, of ``KINDS``.
        query: unit vectors q, one for each anchor.
        negative: unit vectors n, hard negatives of the anchor.
        other: unit vectors m, hard negatives too.
        draw: numbers u, in [0, 1).
        noise: numbers z.
        size: largest coefficient, or length of the disturbance.

    Example:
        >>> q, n = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> synthetic_negative("interpolated", q, n, n, torch.tensor([[[0.8]]]), n, size=0.5)
        tensor([[[0.5547, 0.8321]]])
    """
    made = {
        "interpolated": lambda: draw * size * query + (1 - draw * size) * negative,
        "extrapolated": lambda: query + (1 + draw * (size - 1)) * (negative - query),
        "mixed": lambda: draw * size * negative + (1 - draw * size) * other,
        "noised": lambda: negative + size * noise,
        "perturbed": lambda: negative + size * query,
        "adversarial": lambda: negative + size * query.sign(),
    }
    return unit_vectors(made[kind]())


def pick_hard(
    similarity: Float[Tensor, "anchors keys"],
    is_negative: Bool[Tensor, "anchors keys"],
    hardest: int,
    draws: Float[Tensor, "anchors made"],
) -> Int[Tensor, "anchors made"]:
    """Columns of keys drawn among each anchor's most similar negatives; -1 for an anchor without negatives.

    Args:
        similarity: cosines.
        is_negative: True where a key is a negative.
        hardest: number of negatives that are drawn from, or all of an anchor that has fewer.
        draws: numbers in [0, 1).

    Example:
        >>> cosines, draws = torch.tensor([[0.1, 0.9, 0.5]]), torch.tensor([[0.0, 0.9]])
        >>> pick_hard(cosines, torch.tensor([[True, True, False]]), 2, draws)
        tensor([[1, 0]])
    """
    ranked = similarity.masked_fill(~is_negative, -torch.inf).topk(min(hardest, similarity.shape[1]), dim=1).indices
    count = is_negative.sum(dim=1, keepdim=True).clamp(max=ranked.shape[1])
    places = torch.minimum((draws * count).long(), (count - 1).clamp(min=0))
    return ranked.gather(1, places).where(count > 0, -1)
