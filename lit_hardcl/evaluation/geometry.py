"""How features lie on the sphere: alignment, uniformity, tolerance and effective rank."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal, check_whole
from lit_hardcl.functional import cosine_similarity, unit_vectors
from lit_hardcl.functional.similarity import at_least_float32


@torch.no_grad()
def alignment(z0: Float[Tensor, "images width"], z1: Float[Tensor, "images width"], exponent: float = 2.0) -> float:
    """Mean distance between two views of an image, to the power of ``exponent`` (arXiv:2005.10242, Sec. 4.1).

    Rows are scaled to length 1. From 0, where all views agree, to ``2 ** exponent``.

    Raises:
        ValueError: if there is no image, or ``exponent`` is not positive.

    Example:
        >>> round(alignment(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])), 4)
        1.0
    """
    if len(z0) == 0 or not 0 < exponent <= 100:
        raise Refusal(
            f"alignment needs an image and a positive exponent, at most 100, got {len(z0)} images and {exponent}"
        )
    distances = (unit_vectors(z0) - unit_vectors(z1)).norm(dim=1)
    return distances.pow(exponent).mean().item()


@torch.no_grad()
def uniformity(z: Float[Tensor, "images width"], t: float = 2.0, chunk: int = 1024) -> float:
    """Logarithm of the mean over pairs of images of ``exp(-t * squared distance)`` (arXiv:2005.10242, Sec. 4.1).

    Rows are scaled to length 1; every pair counts once and no image is paired with itself. From ``-4 t`` to 0, where
    all images are one point; the lower, the more evenly they fill the sphere.

    Args:
        z: rows, one per image.
        t: positive.
        chunk: rows compared with all others at once, which bounds memory.

    Raises:
        ValueError: if there are fewer than two images, or ``t`` is not positive.
    """
    check_whole(1, chunk=chunk)
    if len(z) < 2 or not 0 < t <= 1e30:
        raise Refusal(f"uniformity needs two images and a positive t, got {len(z)} images and t={t}")
    rows = unit_vectors(z)
    sums = []
    for start in range(0, len(rows), chunk):
        cosines = cosine_similarity(rows[start : start + chunk], rows[start:])
        logits = -t * (2 - 2 * cosines.double()).clamp(min=0)
        later = torch.ones_like(logits, dtype=torch.bool).triu(diagonal=1)
        sums.append(logits.masked_fill(~later, -math.inf).flatten().logsumexp(dim=0))
    return torch.stack(sums).logsumexp(dim=0).item() - math.log(len(rows) * (len(rows) - 1) / 2)


@torch.no_grad()
def tolerance(features: Float[Tensor, "images width"], labels: Int[Tensor, " images"]) -> float:
    """Mean cosine of two images of one class (arXiv:2012.09740): the price of uniformity is paid here.

    Every such pair counts once; NaN if there is none.

    Example:
        >>> tolerance(torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 3.0]]), torch.tensor([0, 0, 1]))
        0.0
    """
    classes, of_image, sizes = labels.unique(return_inverse=True, return_counts=True)
    sums = features.new_zeros(len(classes), features.shape[1], dtype=torch.double)
    sums.index_add_(0, of_image, unit_vectors(features.double()))
    pairs = (sizes * (sizes - 1)).sum()
    return ((sums.square().sum() - len(features)) / pairs).item() if pairs > 0 else math.nan


@torch.no_grad()
def rank_me(features: Float[Tensor, "images width"], eps: float = 1e-7) -> float:
    """Effective rank of the features: exp of the entropy of their normalised singular values (arXiv:2210.02885).

    ``exp(-sum p log p)`` with ``p = singular value / their sum + eps`` (Eq. 1), from about 1, if all features are
    multiples of one, to about the smaller of their number and their width.

    Raises:
        ValueError: if the features are empty, all zero or not finite.
    """
    if not 0 < eps < 1:
        raise Refusal(f"eps must be above 0 and below 1, got {eps}")
    features = at_least_float32(features)
    values = torch.linalg.svdvals(features.double()) if features.isfinite().all() else features.new_zeros(0)
    if not values.sum() > 0:
        raise Refusal(f"the effective rank needs finite features that are not all zero, got {tuple(features.shape)}")
    shares = values / values.sum() + eps
    return (-shares * shares.log()).sum().exp().item()
