"""Every pair a little harder than it is."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import ifm_rows
from lit_hardcl.losses.row_loss import RowLoss


class IFMLoss(RowLoss):
    """NT-Xent and its implicit feature modification (arXiv:2106.11230), in equal parts.

    Args:
        temperature: positive and finite.
        epsilon: number by which positives are made less similar and negatives more, in [0, 2]; 0 is NT-Xent.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> IFMLoss(0.5, epsilon=0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, epsilon: float, **settings: Any) -> None:
        check_range("[0, 2]", epsilon=epsilon)
        super().__init__(temperature, **settings)
        self.epsilon = epsilon

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.ifm_rows` with these settings."""
        return ifm_rows(similarity, positives, self.temperature, self.epsilon, exclude)
