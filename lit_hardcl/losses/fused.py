"""NT-Xent of a rectangle of anchors and keys with treated difficult pairs, a few anchors at a time."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_hardcl.errors import Refusal
from lit_hardcl.functional.contrast import check_treatment
from lit_hardcl.functional.similarity import unit_vectors, whole_float32
from lit_hardcl.hardness.difficult_rows import DifficultRows, chunks

LARGEST_LOGIT = 60.0  # up to here exponentials are summed as they are; beyond, each row's largest logit is taken off


def difficult_pair_loss(
    anchors: Float[Tensor, "anchors dim"],
    keys: Float[Tensor, "keys dim"] | None,
    positives: Int[Tensor, " anchors"],
    own: Int[Tensor, " anchors"] | None = None,
    anchor_features: Float[Tensor, "anchors width"] | None = None,
    key_features: Float[Tensor, "keys width"] | None = None,
    *,
    temperature: float,
    pos_high: float | None = None,
    pos_low: float | None = None,
    margin: float = 0.0,
    temperature_scale: float = 1.0,
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """Mean over the anchors of their NT-Xent against the keys, difficult pairs treated.

    The value and gradient of ``nt_xent(pair_logits(cosine_similarity(anchors, keys), difficult_pairs(...)))`` of
    :mod:`lit_hardcl.functional`, in memory that grows with anchors plus keys, not with their product: a chunk of
    anchors at a time, whose part of the gradient is taken at once, in the forward pass. It can be differentiated only
    once. NaN if a projection or a feature is not finite.

    Args:
        anchors: projections.
        keys: projections, with or without gradient; ``None``: the anchors.
        positives: the column of each anchor's positive.
        own: the column of each anchor itself, which is no key of its own; ``None``: it is not among the keys.
        anchor_features: by which pairs are chosen; ``None``: the projections choose.
        key_features: the same of the keys; ``None`` where ``keys`` is.
        temperature: this and the next four as in :class:`~lit_hardcl.losses.DifficultPairLoss`.
        pos_high: where the band begins.
        pos_low: where it ends.
        margin: added to the cosine of difficult pairs.
        temperature_scale: multiplies their temperature.
        chunk_size: anchors at a time; ``None``: so many that a matrix of them has 4 MB on a CPU, 256 MB elsewhere.

    Raises:
        ValueError: if a number breaks its rule.
    """
    check_treatment(temperature, margin, temperature_scale)
    check_chunk_size(chunk_size)
    is_plain = margin == 0 and temperature_scale == 1
    features = (anchors, keys) if anchor_features is None else (anchor_features, key_features)
    with torch.autocast(anchors.device.type, enabled=False), whole_float32():
        difficult = None if is_plain else DifficultRows(*features, own, pos_high, pos_low)
        numbers = temperature, margin, temperature_scale
        loss = _NTXent.apply(anchors, keys, positives, own, difficult, *numbers, chunk_size)
    return loss if anchor_features is None else nan_unless_finite(loss, *features)


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise ``ValueError`` unless some anchors are in a chunk."""
    if chunk_size is not None and chunk_size < 1:
        raise Refusal(f"chunk_size must be at least 1, or None to suit the memory, got {chunk_size}")


class _NTXent(torch.autograd.Function):
    """The loss; its gradients are made with it and wait for backward."""

    @staticmethod
    def forward(
        ctx: Any,
        projections: Tensor,
        other_projections: Tensor | None,
        positives: Tensor,
        own: Tensor | None,
        difficult: DifficultRows | None,
        temperature: float,
        margin: float,
        temperature_scale: float,
        chunk_size: int | None,
    ) -> Tensor:
        anchors = unit_vectors(projections)
        keys = anchors if other_projections is None else unit_vectors(other_projections)
        to_anchors = torch.zeros_like(anchors) if ctx.needs_input_grad[0] else None
        to_others = torch.zeros_like(keys) if ctx.needs_input_grad[1] else None
        to_keys = to_anchors if other_projections is None else to_others
        slope = 1 / (temperature * len(anchors))  # of the loss, along a similarity, where the softmax is 1
        treated = 1 / temperature_scale - 1
        is_large = max(1, (1 + abs(margin)) / temperature_scale) / temperature > LARGEST_LOGIT
        parts = list(chunks(anchors, len(keys), chunk_size))
        is_symmetric = other_projections is None and difficult is None and not is_large and len(parts) == 1

        losses = anchors.new_empty(len(anchors), 1)
        space = anchors.new_empty(parts[0][1] if parts else 0, len(keys))
        for first, last in parts:
            rows, positive = anchors[first:last], positives[first:last, None]
            logits = torch.mm(rows / temperature, keys.T, out=space[: last - first])
            if difficult is not None:
                marks = difficult.marks(first, last).to(logits.dtype)
                logits.addcmul_(logits, marks, value=treated)
                logits.add_(marks, alpha=margin / (temperature * temperature_scale))
            if own is not None:
                logits.scatter_(1, own[first:last, None], -torch.inf)
            if is_large:
                logits.sub_(logits.amax(dim=1, keepdim=True))
            losses[first:last] = -logits.gather(1, positive)
            terms = logits.exp_()
            total = terms.sum(dim=1, keepdim=True)
            losses[first:last] += total.log()

            if is_symmetric and to_anchors is not None:
                # One product, as terms equal their transpose: a key receives what an anchor sends, and the reverse.
                terms.mul_(1 / total + (1 / total).T)
                minus_one = -torch.ones_like(total)
                for side in (terms, terms.T):
                    side.scatter_add_(1, positive, minus_one)
                torch.mm(terms, keys, out=to_anchors).mul_(slope)
            elif to_anchors is not None or to_keys is not None:
                terms.scatter_add_(1, positive, -total)
                if difficult is not None:
                    terms.addcmul_(terms, marks, value=treated)
                weight = slope / total
                if to_anchors is not None:
                    to_anchors[first:last] += (terms @ keys).mul_(weight)
                if to_keys is not None:
                    to_keys.addmm_(terms.T, rows * weight)

        _through_lengths(to_anchors, anchors, projections)
        _through_lengths(to_others, keys, other_projections)
        ctx.save_for_backward(projections, other_projections, to_anchors, to_others)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        *roots, to_anchors, to_others = ctx.saved_tensors
        gradients = [
            None if root is None or to is None else _Final.apply((to * outer[0]).to(root.dtype), *roots)
            for root, to in zip(roots, (to_anchors, to_others), strict=True)
        ]
        return *gradients, *(None,) * 7


def _through_lengths(gradient: Tensor | None, unit: Tensor, vectors: Tensor | None) -> None:
    """Turn a gradient with respect to unit vectors, in place, into that with respect to the vectors as they were."""
    if gradient is not None and vectors is not None:
        lengths = vectors.to(unit.dtype).norm(dim=1, keepdim=True).clamp_min(1e-12)  # as unit_vectors does
        gradient.addcmul_(unit, torch.linalg.vecdot(unit, gradient).unsqueeze(1), value=-1).div_(lengths)


class _Final(torch.autograd.Function):
    """A gradient that depends on the roots, but not in a way that can be differentiated."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *roots: Tensor | None) -> Tensor:
        return gradient

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(
            "the difficult-pair loss can be differentiated only once: for a second derivative, build it from "
            "lit_hardcl.functional, as nt_xent(pair_logits(...))"
        )


def nan_unless_finite(loss: Float[Tensor, ""], *features: Tensor | None) -> Float[Tensor, ""]:
    """A NaN feature compares as False and would quietly select nothing. No look at values here: it would wait."""
    ends = [end for rows in features if rows is not None for end in rows.detach().aminmax()]
    return torch.where(torch.stack([end.isfinite() for end in ends]).all(), loss, torch.full_like(loss, torch.nan))
