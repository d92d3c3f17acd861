"""A temperature for each pair, by its cosine."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import Refusal, check_positive
from lit_hardcl.functional import dystress_rows
from lit_hardcl.losses.row_loss import RowLoss


class DySTreSSLoss(RowLoss):
    """NT-Xent with a temperature that depends on the cosine (DySTreSS, arXiv:2308.01140).

    It makes the temperature of similar pairs larger, where arXiv:2501.01317 (Eq. 15) makes that of difficult pairs
    smaller: the two pull against each other. With both temperatures alike it is NT-Xent.

    Args:
        temperature_min: temperature of pairs with a cosine of 0, positive.
        temperature_max: temperature of pairs with a cosine of 1 or -1, at least ``temperature_min``.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others but the temperature of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> DySTreSSLoss(0.1, 0.2)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature_min: float, temperature_max: float, **settings: Any) -> None:
        check_positive(temperature_min=temperature_min, temperature_max=temperature_max)
        if not 1e-30 <= temperature_min <= temperature_max:
            raise Refusal(
                f"1e-30 <= temperature_min <= temperature_max must hold, got {temperature_min} and {temperature_max}"
            )
        super().__init__(1.0, **settings)
        self.temperature_min, self.temperature_max = temperature_min, temperature_max

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.dystress_rows` with these settings."""
        return dystress_rows(similarity, positives, self.temperature_min, self.temperature_max, exclude)
