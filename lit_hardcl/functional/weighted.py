"""Row formulas that weigh or drop the terms of an anchor's keys."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.functional.contrast import nt_xent_rows, without_excluded
from lit_hardcl.functional.similarity import at_least_float32


def dcl_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
    weights: Float[Tensor, " anchors"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent without the positive in its denominator (arXiv:2110.06848, Eq. 6): may be negative.

    0 for an anchor that has no key besides its positive.

    Args:
        logits: rows, one per anchor.
        positives: the column of each anchor's positive.
        exclude: True where a key does not count, such as the anchor itself.
        weights: factors of the positives' logits, such as :func:`von_mises_fisher_weights`; ``None``: 1.

    Example:
        >>> dcl_rows(torch.tensor([[2.0, 1.0, 0.5]]), torch.tensor([0]))
        tensor([-0.5259])
    """
    positive, negatives = _parted(logits, positives, exclude)
    total = negatives.logsumexp(dim=1)
    return (total - (positive if weights is None else weights * positive)).masked_fill(total.isneginf(), 0)


def von_mises_fisher_weights(
    cosines: Float[Tensor, " anchors"], everybody: Float[Tensor, " all_anchors"], sigma: float
) -> Float[Tensor, " anchors"]:
    """``2 - exp(s / sigma) / mean of exp(s / sigma)`` of positives' cosines: less where they are close already.

    The weights of DCLW (arXiv:2110.06848).

    Args:
        cosines: similarities of some anchors with their positives.
        everybody: similarities of all anchors that the mean goes over with theirs.
        sigma: width of the exponential, positive.

    Example:
        >>> both = torch.tensor([1.0, 0.0])
        >>> von_mises_fisher_weights(both, both, sigma=0.5)
        tensor([0.2384, 1.7616])
    """
    return 2 - ((cosines - 1) / sigma).exp() / ((everybody - 1) / sigma).exp().mean()


def hcl_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    temperature: float,
    beta: float,
    tau_plus: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """``log(e^p + N g) - p`` with N negatives that weigh more the harder they are, less the share of false ones.

    ``g = max((E[w e^n] - tau_plus e^p) / (1 - tau_plus), e^(-1 / temperature))``, ``w = e^(beta n) / E[e^(beta n)]``;
    n are the negatives' logits, p is the positive's and E the mean over the negatives (arXiv:2010.04592, Sec. 3). The
    gradient goes through w, as in the authors' code. ``beta=0`` is the debiased loss (arXiv:2007.00224, Eq. 7), with
    ``tau_plus=0`` it is NT-Xent; then g has no lower end.

    Args:
        logits: cosines by temperature, one row per anchor.
        positives: the column of each anchor's positive.
        temperature: positive.
        beta: concentration on hard negatives, at least 0.
        tau_plus: share of negatives that are of the anchor's class, in [0, 1).
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> rows, first = torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([0])
        >>> hcl_rows(rows, first, 0.5, beta=0.0, tau_plus=0.0), hcl_rows(rows, first, 0.5, beta=2.0, tau_plus=0.0)
        (tensor([0.3490]), tensor([0.5448]))
    """
    positive, negatives = _parted(logits, positives, exclude)
    count = (~negatives.isneginf()).sum(dim=1).to(negatives.dtype)  # times tau_plus, whole numbers would give float32
    total = tilted_total(negatives, beta)
    lowest = -1 / temperature if tau_plus else -torch.inf
    largest = torch.maximum(positive, total).clamp(min=lowest).detach()
    of_positive, of_negatives = (positive - largest).exp(), (total - largest).exp()
    if tau_plus:
        of_negatives = (of_negatives - tau_plus * count * of_positive) / (1 - tau_plus)
        of_negatives = torch.maximum(of_negatives, count * (lowest - largest).exp())
    return (of_positive + of_negatives).log() + largest - positive


def tilted_total(negatives: Float[Tensor, "anchors keys"], beta: float) -> Float[Tensor, " anchors"]:
    """``log(N E[w e^n])`` with ``w = e^(beta n) / E[e^(beta n)]``; minus infinity for an anchor without negatives.

    Args:
        negatives: logits n; minus infinity where a key is no negative.
        beta: concentration on hard negatives; with 0 it is the log-sum-exp.

    Example:
        >>> tilted_total(torch.tensor([[0.0, -torch.inf, 0.0]]), beta=2.0)
        tensor([0.6931])
    """
    is_negative = ~negatives.isneginf()
    count = is_negative.sum(dim=1).to(negatives.dtype)
    least_tilted = negatives.amax(dim=1, keepdim=True).detach()  # whose tilt of 0 leaves nothing to round away
    tilt = (beta * (negatives - least_tilted).where(is_negative, 0)).masked_fill(~is_negative, -torch.inf)
    total = (negatives + tilt.where(is_negative, 0)).logsumexp(dim=1) - tilt.logsumexp(dim=1) + count.log()
    return total.where(count > 0, -torch.inf)


def hardness_weighted_rows(
    similarity: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    temperature: float,
    strength: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent whose negatives' terms are weighted by ``e^(strength s)`` (arXiv:2503.04812, Eq. 5).

    The weights carry no gradient.

    Args:
        similarity: cosines s.
        positives: the column of each anchor's positive.
        temperature: positive.
        strength: factor in the exponent, at least 0; 0 is NT-Xent.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> hardness_weighted_rows(torch.tensor([[1.0, 0.5]]), torch.tensor([0]), 0.5, strength=2.0)
        tensor([0.6931])
    """
    similarity = at_least_float32(similarity)
    return _weighted(similarity / temperature, strength * similarity.detach(), positives, exclude)


def bcl_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    tau_plus: float,
    alpha: float,
    beta: float,
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent whose negatives' terms are weighted by :func:`true_negative_weights` (arXiv:2301.11673).

    Args:
        logits: rows, one per anchor.
        positives: the column of each anchor's positive.
        tau_plus: share of false negatives; this and the next two as in the weights.
        alpha: probability that a true negative is less similar than a false one.
        beta: concentration on hard negatives.
        exclude: True where a key does not count, such as the anchor itself.

    Example:
        >>> bcl_rows(torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([0]), tau_plus=0.1, alpha=0.5, beta=0.5)
        tensor([0.3490])
    """
    _, negatives = _parted(logits, positives, exclude)
    weights = true_negative_weights(negatives.detach(), tau_plus, alpha, beta)
    return _weighted(logits, weights.log().masked_fill(negatives.isneginf(), 0), positives, exclude)


def true_negative_weights(
    negatives: Float[Tensor, "anchors keys"], tau_plus: float, alpha: float, beta: float
) -> Float[Tensor, "anchors keys"]:
    """How much denser hard, true negatives lie at a negative's rank than all do (arXiv:2301.11673, Sec. 3).

    Of two draws of a base distribution with CDF F, a true negative is the lower one with probability alpha, a false one
    the higher, so that ``F_all = a F^2 + b F`` with ``a = (1 - 2 alpha) (tau_minus - tau_plus)`` and
    ``b = 2 (alpha tau_minus + (1 - alpha) tau_plus)``. F_all is the row's empirical CDF; solved for F, the weight is
    the ratio of the densities, of which beta tilts the true negatives' to the higher draw. The authors' program adds
    0.001 to a and to the tilted density's norm, against a division by 0 that this solution does not have.

    Args:
        negatives: logits; minus infinity where a key is no negative.
        tau_plus: share of negatives that are of the anchor's class, in [0, 1).
        alpha: probability that a true negative is less similar than a false one, in [0.5, 1).
        beta: concentration on hard negatives, in [0.5, 1]. With alpha 0.5 as well every weight is 1.

    Example:
        >>> true_negative_weights(torch.tensor([[0.3, 0.1]]), tau_plus=0.1, alpha=0.5, beta=1.0)
        tensor([[2., 1.]])
    """
    tau_minus = 1 - tau_plus
    count = (~negatives.isneginf()).sum(dim=1, keepdim=True)
    ranks = torch.searchsorted(negatives.sort(dim=1).values, negatives, right=True) - (negatives.shape[1] - count)
    of_all = ranks.to(negatives.dtype) / count.clamp(min=1)
    a, b = (1 - 2 * alpha) * (tau_minus - tau_plus), 2 * (alpha * tau_minus + (1 - alpha) * tau_plus)
    cdf = 2 * of_all / (b + (b**2 + 4 * a * of_all).clamp(min=0).sqrt())
    lower, higher = 2 * (1 - cdf), 2 * cdf
    true, false = alpha * lower + (1 - alpha) * higher, (1 - alpha) * lower + alpha * higher
    hard = alpha * (1 - beta) * lower + (1 - alpha) * beta * higher
    return hard / (alpha * (1 - beta) + (1 - alpha) * beta) / (tau_minus * true + tau_plus * false)


def _parted(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None,
) -> tuple[Float[Tensor, " anchors"], Float[Tensor, "anchors keys"]]:
    """The positive's logit, and the others', minus infinity where a key is no negative."""
    logits, positives = without_excluded(logits, exclude), positives.unsqueeze(1)
    return logits.gather(1, positives).squeeze(1), logits.scatter(1, positives, -torch.inf)


def _weighted(
    logits: Float[Tensor, "anchors keys"],
    log_weights: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"],
    exclude: Bool[Tensor, "anchors keys"] | None,
) -> Float[Tensor, " anchors"]:
    """NT-Xent with the negatives' terms weighted."""
    return nt_xent_rows(logits + log_weights.scatter(1, positives.unsqueeze(1), 0), positives, exclude)
