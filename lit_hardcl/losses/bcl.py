"""Negatives weigh by how likely their rank makes them true and hard."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import bcl_rows
from lit_hardcl.losses.row_loss import RowLoss


class BCLLoss(RowLoss):
    """Bayesian contrastive loss (arXiv:2301.11673).

    Args:
        temperature: positive and finite.
        tau_plus: share of negatives that are of the anchor's class, in [0, 1): about one over the number of classes.
        alpha: probability that a true negative is less similar than a false one, in [0.5, 1): the encoder's AUC.
        beta: concentration on hard negatives, in [0.5, 1]. With alpha 0.5 as well it is NT-Xent.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> BCLLoss(0.5, tau_plus=0.1, alpha=0.7, beta=1.0)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, tau_plus: float, alpha: float, beta: float, **settings: Any) -> None:
        check_range("[0, 1)", tau_plus=tau_plus)
        check_range("[0.5, 1)", alpha=alpha)
        check_range("[0.5, 1]", beta=beta)
        super().__init__(temperature, **settings)
        self.tau_plus, self.alpha, self.beta = tau_plus, alpha, beta

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.bcl_rows` with these settings."""
        return bcl_rows(similarity / self.temperature, positives, self.tau_plus, self.alpha, self.beta, exclude)
