"""A triplet whose negative is neither the hardest nor an easy one."""

from typing import Any

from torch import Tensor

from lit_hardcl.errors import check_range, check_whole
from lit_hardcl.functional import truncated_triplet_rows
from lit_hardcl.losses.row_loss import RowLoss


class TruncatedTripletLoss(RowLoss):
    """Truncated triplet loss (arXiv:2104.08760), with the numbers of the authors' code.

    Args:
        skipped: number of an anchor's most similar negatives that are left out, as they may be false ones.
        kept: number of those after them, whose mean is the negative.
        positive_weight: factor of the positive's cosine, in [0, 1e6].
        slack: number that is added, in [0, 1e6]; with 100 no triplet is ever without a gradient.
        settings: ``gather_distributed`` and ``chunk_size`` of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> import torch
        >>> TruncatedTripletLoss()(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    untreatable = "it looks at negatives of one band of ranks already"

    def __init__(
        self, skipped: int = 1, kept: int = 9, positive_weight: float = 2.0, slack: float = 100.0, **settings: Any
    ) -> None:
        check_whole(0, skipped=skipped)
        check_whole(1, kept=kept)
        check_range("[0, 1e6]", positive_weight=positive_weight, slack=slack)
        super().__init__(**settings)
        self.skipped, self.kept, self.positive_weight, self.slack = skipped, kept, positive_weight, slack

    def rows(self, similarity: Tensor, positives: Tensor, exclude: Tensor | None) -> Tensor:
        """:func:`~lit_hardcl.functional.truncated_triplet_rows` with these settings."""
        return truncated_triplet_rows(
            similarity, positives, self.skipped, self.kept, self.positive_weight, self.slack, exclude
        )
