"""The engine: any row formula, a few anchors at a time, its gradient taken in the same pass."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl.errors import Refusal, is_whole
from lit_hardcl.functional.similarity import at_least_float32, unit_vectors, whole_float32
from lit_hardcl.hardness import chunks

RowFormula = Callable[..., Float[Tensor, " some_anchors"]]


class OwnKeys(NamedTuple):
    """How keys are made for each anchor alone, such as synthetic negatives.

    Attributes:
        make: function from the slice of some anchors and their cosines, without gradient, to unit vectors without
            gradient, ``(some_anchors, number, dim)``.
        number: amount of keys that it makes for an anchor.
    """

    make: Callable[[slice, Tensor], Tensor]
    number: int


def by_rows(
    anchors: Float[Tensor, "anchors dim"],
    keys: Float[Tensor, "keys dim"] | None,
    row_losses: RowFormula,
    chunk_size: int | None = None,
    others: Sequence[Float[Tensor, "..."]] = (),
    own_keys: OwnKeys | None = None,
    normalize: bool = True,
) -> Float[Tensor, ""]:
    """Mean over the anchors of a row formula, in memory that grows with anchors plus keys, not with their product.

    The value and gradient of ``row_losses(cosine_similarity(anchors, keys), slice(None)).mean()``: the formula runs
    under autograd, on a chunk of anchors at a time, and the chunk's part of the gradient is taken at once, in the
    forward pass. So it can be differentiated only once. Outside autocast, in float32 or better; NaN passes on.

    Args:
        anchors: vectors of any length.
        keys: vectors, with or without gradient; ``None``: the anchors.
        row_losses: ``row_losses(similarity, rows, *others)``: from some anchors' cosines with all keys, and the slice
            of the anchors that they are, to one loss for each of them.
        chunk_size: anchors at a time; ``None``: so many that a matrix of them has 4 MB on a CPU, 256 MB elsewhere.
        others: tensors besides the cosines that the formula takes and that need a gradient, such as a learned
            temperature; whole, not in slices.
        own_keys: maker of keys for each anchor alone; their cosines stand behind the others.
        normalize: whether the formula gets cosines; otherwise inner products, of vectors in float32 or better.

    Raises:
        Refusal: if ``chunk_size`` is below 1, or the formula uses a tensor that needs a gradient and is none of
            ``others``: that gradient would be lost.

    Example:
        >>> anchors = torch.eye(2, requires_grad=True)
        >>> loss = by_rows(anchors, None, lambda similarity, rows: similarity.square().sum(dim=1))
        >>> loss.backward()
        >>> loss, anchors.grad.shape
        (tensor(1., grad_fn=<_ByRowsBackward>), torch.Size([2, 2]))
    """
    check_chunk_size(chunk_size)
    with torch.autocast(anchors.device.type, enabled=False), whole_float32():
        scaled = unit_vectors if normalize else at_least_float32
        sides = scaled(anchors), None if keys is None else scaled(keys)
        return _ByRows.apply(row_losses, chunk_size, own_keys, *as_asked(*sides, *others))


def as_asked(*roots: Tensor | None) -> list[Tensor | None]:
    """Under ``no_grad`` without the gradient that a Function would else make for a leaf."""
    return list(roots) if torch.is_grad_enabled() else [None if root is None else root.detach() for root in roots]


def check_chunk_size(chunk_size: int | None) -> None:
    """Raise a refusal unless some anchors are in a chunk."""
    if chunk_size is not None and not is_whole(chunk_size):
        raise Refusal(f"chunk_size must be at least 1, or None to suit the memory, got {chunk_size}")


def check_floating(*embeddings: Tensor) -> None:
    """Raise a refusal of whole or complex numbers, which carry no gradient of a cosine."""
    if wrong := [rows.dtype for rows in embeddings if not rows.is_floating_point()]:
        raise Refusal(f"projections and features must be floating-point numbers, got {wrong[0]}: call .float()")


class _ByRows(torch.autograd.Function):
    """The loss of unit vectors; its gradients are made with it and wait for backward."""

    @staticmethod
    def forward(
        ctx: Any,
        row_losses: RowFormula,
        chunk_size: int | None,
        own_keys: OwnKeys | None,
        anchors: Tensor,
        keys: Tensor | None,
        *others: Tensor,
    ) -> Tensor:
        roots = (anchors, keys, *others)
        wanted = ctx.needs_input_grad[3:]
        gradients = [
            torch.zeros_like(root) if root is not None and wants else None
            for root, wants in zip(roots, wanted, strict=True)
        ]
        every, to_keys = (anchors, gradients[0]) if keys is None else (keys, gradients[1])
        copies = [other.detach().requires_grad_(wants) for other, wants in zip(others, wanted[2:], strict=True)]
        losses = anchors.new_empty(len(anchors))
        largest = len(every) if own_keys is None else max(len(every), own_keys.number * anchors.shape[1])
        for first, last in chunks(anchors, largest, chunk_size):
            similarity, more = anchors[first:last] @ every.T, None
            if own_keys is not None:
                more = own_keys.make(slice(first, last), similarity)
                similarity = torch.cat([similarity, _to_each(more, anchors[first:last])], dim=1)
            with torch.set_grad_enabled(any(wanted)):
                each = row_losses(similarity.requires_grad_(any(wanted)), slice(first, last), *copies)
            if each.shape != (last - first,):
                raise Refusal(
                    f"a row formula gives one number for each of the {last - first} anchors, got {tuple(each.shape)}"
                )
            losses[first:last] = each.detach()
            if any(wanted):
                leaves = [similarity, *(copy for copy in copies if copy.requires_grad)]
                _check_leaves(each, leaves)
                share = each.new_full(each.shape, 1 / len(anchors))
                slope, *slopes = torch.autograd.grad(each, leaves, share, allow_unused=True)
                if slope is not None and more is not None:
                    slope, own_slope = slope.tensor_split([len(every)], dim=1)
                    if gradients[0] is not None:
                        gradients[0][first:last] += _to_each(more.mT, own_slope)
                if slope is not None:
                    if gradients[0] is not None:
                        gradients[0][first:last] += slope @ every
                    if to_keys is not None:
                        to_keys.addmm_(slope.T, anchors[first:last])
                for gradient, part in zip((g for g in gradients[2:] if g is not None), slopes, strict=True):
                    if part is not None:
                        gradient += part
        ctx.save_for_backward(*roots, *gradients)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        half = len(ctx.saved_tensors) // 2
        return None, None, None, *final_gradients(ctx.saved_tensors[:half], ctx.saved_tensors[half:], outer[0])


def _to_each(matrices: Float[Tensor, "rows m n"], vectors: Float[Tensor, "rows n"]) -> Float[Tensor, "rows m"]:
    """Each row's matrix times its vector."""
    return (matrices @ vectors.unsqueeze(2)).squeeze(2)


def _check_leaves(each: Tensor, leaves: list[Tensor]) -> None:
    """Refuse a formula whose value depends on leaves other than these."""
    if not each.requires_grad:
        raise Refusal("a row formula must carry the gradient of the similarities, got a result without: detached?")
    seen, waiting = set(), [each.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (leaf := getattr(node, "variable", None)) is not None and not any(leaf is one for one in leaves):
            raise Refusal(
                f"a row formula may use tensors that need a gradient only as others of by_rows, got one of shape "
                f"{tuple(leaf.shape)} from elsewhere: its gradient would be lost"
            )
        waiting += [parent for parent, _ in node.next_functions]


def final_gradients(
    roots: Sequence[Tensor | None], gradients: Sequence[Tensor | None], outer: Tensor
) -> list[Tensor | None]:
    """Ready-made gradients times the outer one, as a function of the roots that refuses to be differentiated."""
    return [
        None if root is None or to is None else _Final.apply((to * outer).to(root.dtype), *roots)
        for root, to in zip(roots, gradients, strict=True)
    ]


class _Final(torch.autograd.Function):
    """A gradient that depends on the roots, but not in a way that can be differentiated."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *roots: Tensor | None) -> Tensor:
        return gradient

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(
            "a loss taken by rows can be differentiated only once: for a second derivative, build it from "
            "lit_hardcl.functional, as nt_xent(pair_logits(...))"
        )


def nan_unless_finite(loss: Float[Tensor, ""], *features: Tensor | None) -> Float[Tensor, ""]:
    """A NaN feature compares as False and would quietly select nothing. No look at values here: it would wait."""
    ends = [end for rows in features if rows is not None for end in rows.detach().aminmax()]
    if not ends:
        return loss
    return torch.where(torch.stack([end.isfinite() for end in ends]).all(), loss, torch.full_like(loss, torch.nan))
