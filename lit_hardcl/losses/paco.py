"""Supervised contrast with learned centres of the classes among the keys."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lit_hardcl.contract import check_targets
from lit_hardcl.errors import Refusal, check_range, check_whole
from lit_hardcl.functional import supcon_rows
from lit_hardcl.functional.similarity import at_least_float32
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula


class PaCoLoss(RowLoss):
    """Parametric contrastive loss (PaCo, arXiv:2107.12028), which needs targets; without centres it is SupCon.

    The paper reads a centre's logit off a linear layer of the features; here a centre is a key like any other, of unit
    length and at the same temperature.

    Args:
        temperature: positive and finite.
        num_classes: number of classes, a learned centre each.
        dim: width of the projections.
        alpha: weight of a sample among an anchor's positives where its centre has 1, in (0, 1e6]; the paper's 0.05.
        settings: ``band``, ``margin``, ``temperature_scale`` and the others of :class:`RowLoss`; a centre is never
            difficult.

    Raises:
        Refusal: if a setting breaks its rule; in training, without targets or of more classes.

    Example:
        >>> PaCoLoss(0.5, num_classes=3, dim=16)(*torch.randn(2, 8, 16), targets=torch.arange(8) % 3).shape
        torch.Size([])
    """

    uses_targets = True

    def __init__(
        self, temperature: float, num_classes: int = 0, dim: int = 128, alpha: float = 0.05, **settings: Any
    ) -> None:
        check_whole(0, 10**7, num_classes=num_classes)
        check_whole(1, 10**7, dim=dim)
        check_range("(0, 1e6]", alpha=alpha)
        super().__init__(temperature, **settings)
        self.num_classes, self.dim, self.alpha = num_classes, dim, alpha
        self.centres = nn.Parameter(torch.randn(num_classes, dim))

    def prepared(self, rectangle: Rectangle) -> Rectangle:
        """With the centres behind the keys, each of its own class."""
        if len(self.centres) == 0:
            return rectangle
        keys = at_least_float32(rectangle.anchors if rectangle.keys is None else rectangle.keys)
        targets = rectangle.known_targets()
        check_targets(targets, len(self.centres))
        if keys.shape[1] != self.centres.shape[1]:
            raise Refusal(
                f"centres must be as wide as the projections, {keys.shape[1]}, got dim={self.centres.shape[1]}"
            )
        classes = torch.arange(len(self.centres), device=keys.device)
        images = rectangle.key_images
        return replace(
            rectangle,
            keys=torch.cat([keys, self.centres.to(keys.dtype)]),
            key_targets=torch.cat([targets, classes]),
            key_images=None if images is None else torch.cat([images, torch.full_like(classes, -1)]),
            key_features=None,
        )

    def formula(self, rectangle: Rectangle) -> RowFormula:
        """:func:`~lit_hardcl.functional.supcon_rows` of cosines by temperature, the centres weighing more."""
        samples = len(rectangle.anchors if rectangle.keys is None else rectangle.keys) - len(self.centres)

        def row_losses(similarity: Tensor, rows: slice) -> Tensor:
            exclude, same = rectangle.exclude(similarity, rows), rectangle.same_label(similarity, rows)
            weights = similarity.new_full((similarity.shape[1],), self.alpha)
            weights[samples : samples + len(self.centres)] = 1
            return supcon_rows(similarity / self.temperature, same, exclude, weights=weights)

        return row_losses
