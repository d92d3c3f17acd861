"""NT-Xent with treated pairs, its gradient taken by hand: the fast path of the formula."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl.functional.similarity import SHORTEST, unit_vectors, whole_float32
from lit_hardcl.hardness import DifficultRows, chunks
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.rows import as_asked, final_gradients

LARGEST_LOGIT = 60.0  # up to here exponentials are summed as they are; beyond, each row's largest logit is taken off


def fused_nt_xent(
    rectangle: Rectangle,
    difficult: DifficultRows | None,
    temperature: float,
    margin: float = 0.0,
    temperature_scale: float = 1.0,
    chunk_size: int | None = None,
) -> Float[Tensor, ""]:
    """``nt_xent(pair_logits(cosine_similarity(anchors, keys), difficult, ...))``, value and gradient by hand.

    What :func:`~lit_hardcl.losses.by_rows` does with that formula, in half the time: no graph is made, the
    exponentials are turned into the gradient where they lie, and NT-Xent of a small batch takes one product for both
    sides.

    Args:
        rectangle: anchors, keys, and the columns of positives and of the anchors themselves.
        difficult: the pairs that are treated; ``None``: none.
        temperature: this and the next two as in :class:`~lit_hardcl.losses.DifficultPairLoss`.
        margin: number added to the cosine of difficult pairs.
        temperature_scale: factor of their temperature.
        chunk_size: anchors at a time; ``None`` as there.
    """
    with torch.autocast(rectangle.anchors.device.type, enabled=False), whole_float32():
        sides = *as_asked(rectangle.anchors, rectangle.keys), rectangle
        return _NTXent.apply(*sides, difficult, temperature, margin, temperature_scale, chunk_size)


class _NTXent(torch.autograd.Function):
    """The loss; its gradients are made with it and wait for backward."""

    @staticmethod
    def forward(
        ctx: Any,
        projections: Tensor,
        other_projections: Tensor | None,
        rectangle: Rectangle,
        difficult: DifficultRows | None,
        temperature: float,
        margin: float,
        temperature_scale: float,
        chunk_size: int | None,
    ) -> Tensor:
        positives, own = rectangle.positives, rectangle.own
        anchors = unit_vectors(projections)
        keys = anchors if other_projections is None else unit_vectors(other_projections)
        to_anchors = torch.zeros_like(anchors) if ctx.needs_input_grad[0] else None
        to_others = torch.zeros_like(keys) if ctx.needs_input_grad[1] else None
        to_keys = to_anchors if other_projections is None else to_others
        slope = 1 / (temperature * len(anchors))  # of the loss, along a similarity, where the softmax is 1
        treated = 1 / temperature_scale - 1
        is_large = max(1, (1 + abs(margin)) / temperature_scale) / temperature > LARGEST_LOGIT
        parts = list(chunks(anchors, len(keys), chunk_size))
        is_plain = difficult is None and rectangle.key_images is None
        is_symmetric = other_projections is None and is_plain and not is_large and len(parts) == 1

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
            if (same_image := rectangle.same_image(slice(first, last))) is not None:
                logits.masked_fill_(same_image, -torch.inf)
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
        roots, gradients = ctx.saved_tensors[:2], ctx.saved_tensors[2:]
        return *final_gradients(roots, gradients, outer[0]), *(None,) * 6


def _through_lengths(gradient: Tensor | None, unit: Tensor, vectors: Tensor | None) -> None:
    """Turn a gradient with respect to unit vectors, in place, into that with respect to the vectors as they were."""
    if gradient is not None and vectors is not None:
        lengths = vectors.to(unit.dtype).norm(dim=1, keepdim=True)
        lengths.masked_fill_(lengths <= SHORTEST, torch.inf)  # as unit_vectors does
        gradient.addcmul_(unit, torch.linalg.vecdot(unit, gradient).unsqueeze(1), value=-1).div_(lengths)
