"""Supervised contrast whose negatives weigh more the harder they are."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import hard_supcon_rows
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class HardSupConLoss(RowLoss):
    """Supervised contrastive loss with hard negatives (H-SCL, arXiv:2209.00078), which needs targets.

    Args:
        temperature: positive and finite.
        beta: concentration on hard negatives, in [0, 1e6].
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule; in training, without targets.

    Example:
        >>> import torch
        >>> HardSupConLoss(0.5, beta=1.0)(*torch.randn(2, 8, 16), targets=torch.arange(8) % 3).shape
        torch.Size([])
    """

    uses_targets = True

    def __init__(self, temperature: float, beta: float, **settings: Any) -> None:
        check_range("[0, 1e6]", beta=beta)
        super().__init__(temperature, **settings)
        self.beta = beta

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.hard_supcon_rows` of cosines by temperature."""

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, same = rectangle.exclude(similarity, rows), rectangle.same_label(similarity, rows)
            return hard_supcon_rows(similarity / self.temperature, same, self.beta, exclude)

        return row_losses
