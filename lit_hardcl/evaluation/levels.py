"""How similar images of one class, of two classes, and difficult images are: α, β, γ and the measured graph."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy import stats
from torch import Tensor

from lit_hardcl.errors import Refusal, is_whole
from lit_hardcl.functional import cosine_similarity
from lit_hardcl.functional.similarity import at_least_float32


class SimilarityLevels(NamedTuple):
    """Mean similarities of the kinds of pairs (arXiv:2501.01317, Sec. 3 and Table 11); see `similarity_levels`.

    Attributes:
        alpha: mean cosine of the pairs of one class.
        beta: mean over the pairs of different classes, none of the two difficult.
        gamma: mean over the pairs of different classes, at least one of the two difficult.
        gap: gamma - beta.
        t: Welch's t of gamma's pairs against beta's. An image stands in many pairs, so the pairs are not independent:
            read it as a distance in standard errors, not as a test.
        p_value: p-value that belongs to t, two-sided; far too small for the same reason.
        eigenvalue: λ_{k+1} of the measured similarity graph, symmetrically normalised.
    """

    alpha: float
    beta: float
    gamma: float
    gap: float
    t: float
    p_value: float
    eigenvalue: float


class PairSimilarities(NamedTuple):
    """Cosines of the pairs of each kind, every pair once."""

    same: Float[Tensor, " same_class_pairs"]
    easy: Float[Tensor, " easy_pairs"]
    difficult: Float[Tensor, " difficult_pairs"]


def similarity_levels(
    features: Float[Tensor, "images width"],
    targets: Int[Tensor, " images"],
    difficult: Bool[Tensor, " images"] | None = None,
    k: int | None = None,
) -> SimilarityLevels:
    """Measure α, β, γ of features, and the eigenvalue that bounds a linear probe's error (arXiv:2501.01317, Sec. 3).

    In float64 on the CPU. Some matrices of 8 N² bytes and an eigensolve of order N³: of a large set give a subset.

    Args:
        features: rows, one per image.
        targets: classes; images without a label (-1) are left out of everything.
        difficult: whether each image is difficult, as from `difficult_examples`. ``None``: none is, and gamma, gap, t
            and p_value are NaN.
        k: index in λ_{k+1}, in 1..labelled images - 1; ``None``: the number of classes present.

    The graph's weights are the cosines between images, negative ones clipped at 0 because a weight cannot be negative,
    and 1 of an image with itself. t is NaN or infinite where the pairs of both kinds do not vary.

    Raises:
        ValueError: if a feature is not finite, there are fewer than two classes, a kind of pair does not occur, or
            ``k`` is out of range.

    Example:
        >>> levels = similarity_levels(torch.eye(2).repeat_interleave(2, dim=0), torch.tensor([0, 0, 1, 1]), k=1)
        >>> levels.alpha, levels.beta, round(levels.eigenvalue, 6)
        (1.0, 0.0, 1.0)
    """
    same, easy, hard = pair_similarities(features, targets, difficult)
    labelled = targets >= 0
    images = int(labelled.sum())
    k = len(targets[labelled].unique()) if k is None else k
    if not is_whole(k, 1, images - 1):
        raise Refusal(f"k must be in 1..{images - 1}, one less than the labelled images, got {k}")
    gamma = t = p_value = math.nan
    if difficult is not None:
        gamma = hard.mean().item()
        # Of the NaN that pairs which do not vary make, numpy need not warn.
        with np.errstate(divide="ignore", invalid="ignore"):
            t, p_value = stats.ttest_ind_from_stats(*_moments(hard), *_moments(easy), equal_var=False)
    beta = easy.mean().item()
    eigenvalue = _graph_eigenvalue(cosine_similarity(features[labelled].cpu().double()), k)
    return SimilarityLevels(same.mean().item(), beta, gamma, gamma - beta, float(t), float(p_value), eigenvalue)


def pair_similarities(
    features: Float[Tensor, "images width"],
    targets: Int[Tensor, " images"],
    difficult: Bool[Tensor, " images"] | None = None,
) -> PairSimilarities:
    """Cosines of the pairs of one class, of two classes, and of two classes with a difficult image; float64.

    Raises:
        ValueError: if a feature is not finite, there are fewer than two classes, or a kind of pair does not occur
            (without ``difficult``, the last one need not).
    """
    labelled = (targets >= 0).cpu()
    rows, classes = at_least_float32(features.cpu()[labelled]).double(), targets.cpu()[labelled]
    if (count := len(classes.unique())) < 2:
        raise Refusal(
            f"beta and gamma compare images of different classes, got {count} class{'es' * (count != 1)} among "
            f"{len(classes)} labelled images"
        )
    if not rows.isfinite().all():
        raise Refusal("similarities need finite features, got NaN or infinite ones")
    once = torch.ones(len(rows), len(rows), dtype=torch.bool).triu(1)
    same = classes.unsqueeze(1) == classes
    is_difficult = torch.zeros_like(classes, dtype=torch.bool) if difficult is None else difficult.cpu()[labelled]
    touched = is_difficult.unsqueeze(1) | is_difficult
    similarity = cosine_similarity(rows)
    pairs = PairSimilarities(*(similarity[once & kind] for kind in (same, ~same & ~touched, ~same & touched)))
    if len(pairs.same) == 0:
        raise Refusal("alpha needs two images of one class, got none: give more images")
    if len(pairs.easy) == 0 or (difficult is not None and len(pairs.difficult) == 0):
        raise Refusal(
            "beta needs easy images and gamma difficult ones, in at least two classes, got "
            f"{int(is_difficult.sum())} difficult ones among {len(rows)}"
        )
    return pairs


def _moments(values: Float64[Tensor, " pairs"]) -> tuple[float, float, int]:
    """Mean, standard deviation (of one value: NaN) and number."""
    deviation = values.std().item() if len(values) > 1 else math.nan
    return values.mean().item(), deviation, len(values)


def _graph_eigenvalue(similarity: Float64[Tensor, "images images"], k: int) -> float:
    """λ_{k+1} of ``D^-1/2 W D^-1/2``."""
    weights = similarity.clamp(min=0).fill_diagonal_(1)
    scale = weights.sum(dim=1).rsqrt()
    return torch.linalg.eigvalsh(weights * scale.unsqueeze(1) * scale)[-k - 1].item()
