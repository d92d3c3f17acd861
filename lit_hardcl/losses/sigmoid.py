"""Each pair for itself: no softmax over the keys."""

from typing import Any

import torch
from torch import Tensor, nn

from lit_hardcl.errors import check_range
from lit_hardcl.functional import sigmoid_rows
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class SigmoidLoss(RowLoss):
    """Sigmoid contrastive loss (SigCLR, arXiv:2410.17427), with a bias that is learned.

    Args:
        temperature: positive and finite; the paper finds that it must not be learned.
        bias: number added to every logit at the beginning, in [-1e6, 1e6]: negative, as most pairs are.
        learn_bias: whether it is learned with the network.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> SigmoidLoss(0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, bias: float = -10.0, learn_bias: bool = True, **settings: Any) -> None:
        check_range("[-1e6, 1e6]", bias=bias)
        super().__init__(temperature, **settings)
        self.bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=learn_bias)

    def learned(self) -> tuple[Tensor, ...]:
        """The bias."""
        return (self.bias,)

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.sigmoid_rows` with these settings."""

        def row_losses(similarity: Tensor, rows: slice, bias: Tensor) -> Tensor:
            exclude, positives = rectangle.exclude(similarity, rows), rectangle.positives[rows]
            return sigmoid_rows(similarity / self.temperature + bias, positives, exclude)

        return row_losses
