"""Supervised contrastive learning: every image of an anchor's label is its positive."""

from typing import Any, Literal

from torch import Tensor

from lit_hardcl.errors import check_choice
from lit_hardcl.functional import supcon_rows
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class SupConLoss(RowLoss):
    """Supervised contrastive loss (arXiv:2004.11362), which needs targets; an image without one (-1) has its own views.

    With labels that occur once each it is NT-Xent.

    Args:
        temperature: positive and finite.
        form: place where the mean over the positives stands: ``"out"``, outside the logarithm (Eq. 2), which the paper
            prefers, or ``"in"`` it (Eq. 3).
        settings: ``gather_distributed``, ``chunk_size``, ``band``, ``margin`` and ``temperature_scale`` of
            :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule; in training, without targets.

    Example:
        >>> import torch
        >>> SupConLoss(temperature=0.1)(*torch.randn(2, 8, 16), targets=torch.arange(8) % 3).shape
        torch.Size([])
    """

    uses_targets = True

    def __init__(self, temperature: float, form: Literal["out", "in"] = "out", **settings: Any) -> None:
        check_choice("form", form, "out", "in")
        super().__init__(temperature, **settings)
        self.form = form

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.supcon_rows` of cosines by temperature."""

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, same = rectangle.exclude(similarity, rows), rectangle.same_label(similarity, rows)
            return supcon_rows(similarity / self.temperature, same, exclude, self.form)

        return row_losses
