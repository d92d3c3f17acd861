"""Similarity between rows of features."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from lit_hardcl.errors import Refusal

SHORTEST = 1e-12  # length below which a vector has no direction


def cosine_similarity(
    anchors: Float[Tensor, "anchors width"],
    keys: Float[Tensor, "keys width"] | None = None,
) -> Float[Tensor, "anchors keys"]:
    """Cosine of every anchor with every key, in [-1, 1]; of the anchors with themselves if ``keys`` is None.

    Computed outside autocast and in float32 or better, whatever ``torch.set_float32_matmul_precision`` says: in
    bfloat16 a whole batch of cosines takes only about 56 distinct values, and a ranking of them selects the wrong
    pairs. A zero vector has similarity 0 to everything.

    Example:
        >>> cosine_similarity(torch.tensor([[3.0, 0.0], [0.0, 2.0]]))
        tensor([[1., 0.],
                [0., 1.]])
    """
    with torch.autocast(anchors.device.type, enabled=False), whole_float32():
        unit_anchors = unit_vectors(anchors)
        unit_keys = unit_anchors if keys is None else unit_vectors(keys)
        return unit_anchors @ unit_keys.T


@contextmanager
def whole_float32() -> Iterator[None]:
    """No TF32 and no bfloat16 inside float32 products."""
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def unit_vectors(vectors: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows width"]:
    """Scale each row to length 1, in float32 or better; a zero vector stays zero.

    A vector no longer than 1e-12 has gradient 0: the arithmetic's own, divided by 1e-12, would be no number in float16.

    Example:
        >>> unit_vectors(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """
    vectors = at_least_float32(vectors)
    lengths = vectors.norm(dim=-1, keepdim=True)
    unit = vectors / lengths.clamp_min(SHORTEST)
    return unit.detach().where(lengths <= SHORTEST, unit) if unit.requires_grad else unit


def at_least_float32(values: Tensor) -> Tensor:
    """The same numbers in float32 or better; refused if they are whole ones, which no embedding has."""
    if not values.is_floating_point():
        raise Refusal(f"embeddings, similarities and logits must be floating-point numbers, got {values.dtype}")
    return values.to(torch.promote_types(values.dtype, torch.float32))
