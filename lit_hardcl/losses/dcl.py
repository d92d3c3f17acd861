"""Decoupled contrastive learning: NT-Xent without the positive in its denominator."""

from torch import Tensor

from lit_hardcl.functional import dcl_rows
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class DCLLoss(RowLoss):
    """Decoupled contrastive loss (arXiv:2110.06848, Eq. 6); arguments and errors as in :class:`RowLoss`.

    Example:
        >>> import torch
        >>> DCLLoss(temperature=0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.dcl_rows` of cosines by temperature."""

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude = rectangle.exclude(similarity, rows)
            return dcl_rows(similarity / self.temperature, rectangle.positives[rows], exclude)

        return row_losses
