"""From similarities to a contrastive loss: one formula for every treatment of difficult pairs."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.functional.similarity import at_least_float32


def pair_logits(
    similarity: Float[Tensor, "anchors keys"],
    difficult: Bool[Tensor, "anchors keys"],
    temperature: float,
    margin: float = 0.0,
    temperature_scale: float = 1.0,
) -> Float[Tensor, "anchors keys"]:
    """Turn similarities into logits that treat difficult pairs differently.

    ``(s + margin) / (temperature * temperature_scale)`` where difficult, ``s / temperature`` elsewhere
    (arXiv:2501.01317, Eq. 16). Eq. 15 is ``margin=0``; Eq. 14 is ``temperature_scale=1``; Eq. 13, removal, is
    ``temperature_scale=inf``: the logit becomes 0 and its gradient 0, its term exp(0) stays in the sum.

    Args:
        similarity: cosines.
        difficult: True where a pair is treated.
        temperature: positive and finite; from about 1e-30 to 1e30, see below.
        margin: finite; the paper's σ, positive there.
        temperature_scale: positive, may be infinite; the paper's ρ, below 1 there.

    Raises:
        ValueError: if one of the three numbers breaks its rule, or the largest logit, ``(1 + |margin|) / (temperature *
            min(1, temperature_scale))``, is not in 1e-30 ... 1e30: then the difference of two logits, at most twice
            that, can be summed over a hundred million anchors in float32, and a gradient is no zero.

    Example:
        >>> pair_logits(torch.tensor([[0.5, 0.2]]), torch.tensor([[True, False]]), 0.5, margin=0.1)
        tensor([[1.2000, 0.4000]])
    """
    check_treatment(temperature, margin, temperature_scale)
    return torch.where(difficult, (similarity + margin) / (temperature * temperature_scale), similarity / temperature)


def check_treatment(temperature: float, margin: float, temperature_scale: float) -> None:
    """Raise ``ValueError`` unless the three numbers are as :func:`pair_logits` says."""
    if not 0 < temperature < math.inf:
        raise Refusal(f"temperature must be positive and finite, got {temperature}")
    if not math.isfinite(margin):
        raise Refusal(f"margin must be finite, got {margin}")
    if not temperature_scale > 0:
        raise Refusal(f"temperature_scale must be positive (inf removes the pairs), got {temperature_scale}")
    smallest = temperature * min(1, temperature_scale)
    if not 1e-30 * smallest <= 1 + abs(margin) <= 1e30 * smallest:
        raise Refusal(
            "the largest logit, (1 + |margin|) / (temperature * min(1, temperature_scale)), must be in 1e-30 ... 1e30, "
            f"which float32 can sum, got temperature={temperature}, margin={margin} and "
            f"temperature_scale={temperature_scale}"
        )


def nt_xent(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"] | Bool[Tensor, "anchors keys"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, ""]:
    """Mean of :func:`nt_xent_rows` over the anchors.

    Example:
        >>> nt_xent(torch.zeros(2, 4), torch.tensor([1, 0]), exclude=torch.eye(2, 4, dtype=torch.bool))
        tensor(1.0986)
    """
    return nt_xent_rows(logits, positives, exclude).mean()


def nt_xent_rows(
    logits: Float[Tensor, "anchors keys"],
    positives: Int[Tensor, " anchors"] | Bool[Tensor, "anchors keys"],
    exclude: Bool[Tensor, "anchors keys"] | None = None,
) -> Float[Tensor, " anchors"]:
    """``-log(sum of exp over positives / sum of exp over all keys not excluded)`` of each anchor.

    With one positive per anchor this is the cross-entropy of SimCLR (arXiv:2002.05709, Eq. 1). Log-sum-exp in
    float32 or better. Infinite for an anchor without a positive.

    Args:
        logits: rows, one per anchor.
        positives: the column of each anchor's positive or, for several positives in one sum, True where a key is one.
        exclude: True where a key is in neither sum, such as the anchor itself.
    """
    logits = without_excluded(logits, exclude)
    if positives.dtype == torch.bool:
        return logits.logsumexp(dim=1) - logits.masked_fill(~positives, -torch.inf).logsumexp(dim=1)
    return logits.logsumexp(dim=1) - logits.gather(1, positives.unsqueeze(1)).squeeze(1)


def without_excluded(
    logits: Float[Tensor, "anchors keys"], exclude: Bool[Tensor, "anchors keys"] | None
) -> Float[Tensor, "anchors keys"]:
    """Float32 or better, and minus infinity where a key is excluded."""
    logits = at_least_float32(logits)
    return logits if exclude is None else logits.masked_fill(exclude, -torch.inf)
