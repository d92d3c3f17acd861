"""Decoupled contrastive learning: NT-Xent without the positive in its denominator."""

from typing import Any, Literal

import torch
from torch import Tensor

from lit_hardcl.distributed import gather
from lit_hardcl.errors import check_choice, check_range
from lit_hardcl.functional import dcl_rows, unit_vectors, von_mises_fisher_weights
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class DCLLoss(RowLoss):
    """Decoupled contrastive loss (arXiv:2110.06848, Eq. 6).

    Args:
        temperature: positive and finite.
        weight: factor of the positives' terms: ``"von_mises_fisher"``, of less where they are close already (DCLW), or
            ``None``. It is of true cosines, whatever is treated, and carries no gradient.
        sigma: width of that weight, in [0.05, 100].
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> DCLLoss(temperature=0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float,
        weight: Literal["von_mises_fisher"] | None = None,
        sigma: float = 0.5,
        **settings: Any,
    ) -> None:
        check_choice("weight", weight, None, "von_mises_fisher")
        check_range("[0.05, 100]", sigma=sigma)
        super().__init__(temperature, **settings)
        self.weight, self.sigma = weight, sigma

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.dcl_rows` of cosines by temperature."""
        weights = None if self.weight is None else self._weights(rectangle)

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, of_rows = rectangle.exclude(similarity, rows), None if weights is None else weights[rows]
            return dcl_rows(similarity / self.temperature, rectangle.positives[rows], exclude, of_rows)

        return row_losses

    @torch.no_grad()
    def _weights(self, rectangle: Rectangle) -> Tensor:
        """Of all processes' positives, if they are contrasted together."""
        keys = rectangle.anchors if rectangle.keys is None else rectangle.keys
        cosines = torch.linalg.vecdot(unit_vectors(rectangle.anchors), unit_vectors(keys[rectangle.positives]))
        everybody = gather(cosines) if self.gather_distributed else cosines
        return von_mises_fisher_weights(cosines, everybody, self.sigma)
