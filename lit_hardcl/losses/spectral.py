"""The loss that the theory of difficult pairs is about."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range
from lit_hardcl.functional import spectral_rows
from lit_hardcl.losses.row_loss import RowLoss


class SpectralLoss(RowLoss):
    """Spectral contrastive loss (arXiv:2106.04156): its minimiser spans the top eigenvectors of the similarity graph.

    :func:`lit_hardcl.theory.spectral_loss` is its expectation over a graph; negatives are the batch's other images.
    The loss may be negative.

    Args:
        temperature: divisor of the inner products, in [1e-6, 1e6]: cosines by it are inner products of vectors whose
            length is ``temperature ** -0.5``, the paper's root of mu.
        normalize: whether cosines are taken; otherwise inner products of the projections as they are.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> SpectralLoss()(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(self, temperature: float = 1.0, normalize: bool = True, **settings: Any) -> None:
        check_range("[1e-6, 1e6]", temperature=temperature)
        super().__init__(temperature, **settings)
        self.normalize = normalize

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.spectral_rows` with these settings."""
        return spectral_rows(similarity / self.temperature, positives, exclude)
