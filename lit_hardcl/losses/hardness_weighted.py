"""The more similar a negative, the more it weighs."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import hardness_weighted_rows
from lit_hardcl.losses.row_loss import RowLoss


class HardnessWeightedLoss(RowLoss):
    """NT-Xent whose negatives weigh by an exponential of their cosine, without gradient (arXiv:2503.04812).

    Args:
        temperature: positive and finite.
        strength: factor in the exponential, at least 0; 0 is NT-Xent.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> HardnessWeightedLoss(0.5, strength=1.0)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, strength: float, **settings: Any) -> None:
        check_range("[0, 1e6]", strength=strength)
        super().__init__(temperature, **settings)
        self.strength = strength

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.hardness_weighted_rows` with these settings."""
        return hardness_weighted_rows(similarity, positives, self.temperature, self.strength, exclude)
