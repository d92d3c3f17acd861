"""Hard negatives weigh more, and the share of false ones is taken off."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import hcl_rows
from lit_hardcl.losses.row_loss import RowLoss


class HCLLoss(RowLoss):
    """Contrastive loss with hard negative samples (arXiv:2010.04592).

    Args:
        temperature: positive and finite.
        beta: concentration on hard negatives, at least 0; 0 is :class:`DebiasedLoss`.
        tau_plus: share of negatives that are of the anchor's class, in [0, 1): about one over the number of classes.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> HCLLoss(0.5, beta=1.0, tau_plus=0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, beta: float, tau_plus: float, **settings: Any) -> None:
        check_range("[0, 1e6]", beta=beta)
        check_range("[0, 1)", tau_plus=tau_plus)
        super().__init__(temperature, **settings)
        self.beta, self.tau_plus = beta, tau_plus

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.hcl_rows` with these settings."""
        return hcl_rows(similarity / self.temperature, positives, self.temperature, self.beta, self.tau_plus, exclude)


class DebiasedLoss(HCLLoss):
    """Debiased contrastive loss (arXiv:2007.00224): of all negatives the expected share of false ones is taken off.

    Args:
        temperature: positive and finite.
        tau_plus: share of negatives that are of the anchor's class, in [0, 1); 0 is NT-Xent.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> DebiasedLoss(0.5, tau_plus=0.1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float, tau_plus: float, **settings: Any) -> None:
        super().__init__(temperature, beta=0.0, tau_plus=tau_plus, **settings)
