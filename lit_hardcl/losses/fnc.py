"""Keys that are too similar to be negatives: left out, or taken as positives."""

from typing import Any, Literal

import torch
from torch import Tensor

from lit_hardcl.errors import check_choice, check_range, check_whole
from lit_hardcl.functional import false_negatives, nt_xent_rows, supcon_rows, unit_vectors
from lit_hardcl.losses.rectangle import Rectangle, widened
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class FNCLoss(RowLoss):
    """False negative cancellation (arXiv:2011.11765), without labels.

    False negatives are keys whose similarity to the anchor or to its positive, the paper's support views, is high:
    :func:`~lit_hardcl.functional.false_negatives`. Eliminated, they leave the sum; attracted, they are positives as in
    SupCon. They are found by true cosines, whatever is treated.

    Args:
        temperature: positive and finite.
        mode: fate of the false negatives.
        top_k: largest number of them for an anchor; ``None``: any.
        threshold: similarity that they exceed, in [-1, 2], where above 1 there are none; ``None``: any.
        aggregate: similarity that counts of those to both views.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`.

    Raises:
        Refusal: if a setting breaks its rule.

    Example:
        >>> FNCLoss(0.5, mode="attract", top_k=1)(*torch.randn(2, 8, 16)).shape
        torch.Size([])
    """

    def __init__(
        self,
        temperature: float,
        mode: Literal["eliminate", "attract"] = "eliminate",
        top_k: int | None = None,
        threshold: float | None = 0.7,
        aggregate: Literal["max", "mean"] = "max",
        **settings: Any,
    ) -> None:
        check_choice("mode", mode, "eliminate", "attract")
        check_choice("aggregate", aggregate, "max", "mean")
        check_whole(0, top_k=top_k)
        if threshold is not None:
            check_range("[-1, 2]", threshold=threshold)
        super().__init__(temperature, **settings)
        self.mode, self.top_k, self.threshold, self.aggregate = mode, top_k, threshold, aggregate

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """NT-Xent without the false negatives, or SupCon with them, of cosines by temperature."""
        anchors = unit_vectors(rectangle.anchors.detach())
        keys = anchors if rectangle.keys is None else unit_vectors(rectangle.keys.detach())

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, positives = rectangle.exclude(similarity, rows), rectangle.positives[rows].unsqueeze(1)
            scores, of_other = anchors[rows] @ keys.T, keys[positives.squeeze(1)] @ keys.T
            scores = torch.maximum(scores, of_other) if self.aggregate == "max" else (scores + of_other) / 2
            is_positive = torch.zeros_like(scores, dtype=torch.bool).scatter(1, positives, True)
            is_negative = ~is_positive if exclude is None else ~is_positive & ~exclude[:, : len(keys)]
            false = false_negatives(scores, is_negative, self.top_k, self.threshold)
            logits, false = similarity / self.temperature, widened(false, similarity)
            if self.mode == "attract":
                return supcon_rows(logits, false.scatter(1, positives, True), exclude)
            return nt_xent_rows(logits, positives.squeeze(1), false if exclude is None else false | exclude)

        return row_losses
