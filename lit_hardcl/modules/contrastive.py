"""Contrastive: a backbone trained by any criterion of two views."""

from itertools import combinations
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.optim import SGD
from torch.profiler import record_function

from lit_hardcl.errors import check_choice
from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses import RowLoss
from lit_hardcl.models import untracked
from lit_hardcl.modules.method import Method, Objective, OptimizerCallable, SchedulerCallable
from lit_hardcl.schedules import WarmupCosine


class Contrastive(Method):
    """A backbone with a projection head, trained by a criterion on two views of every image.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        criterion: loss of projections, features and targets of two views, ``criterion(z0, z1, h0, h1, targets)``.
        projection_head: network from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        select_by: rows that rank the pairs: backbone ``"features"``, as in arXiv:2501.01317, or ``"projections"`` (its
            Table 7).
        views: pair that is trained on: ``"both"`` of two views, or of more the ``"hardest"`` of each image, the two
            whose projections are least similar, so that their loss is largest against the same negatives (HVP,
            arXiv:2310.03940). They are found in a pass without gradient that leaves no trace.
        optimizer: function from parameters to an optimizer.
        scheduler: function from an optimizer to a learning-rate scheduler, stepped with every optimizer step.

    Raises:
        Refusal: if a setting breaks its rule; in training, unless images have two views, or at least two.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: RowLoss,
        projection_head: nn.Module | None = None,
        select_by: Literal["features", "projections"] = "features",
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
        views: Literal["both", "hardest"] = "both",
    ) -> None:
        check_choice("views", views, "both", "hardest")
        check_choice("select_by", select_by, "features", "projections")
        super().__init__(backbone, projection_head, optimizer, scheduler)
        self.criterion = criterion
        self.select_by = select_by
        self.views = views

    def objective(self, views: list[Tensor], targets: Int[Tensor, " batch"], batch_idx: int) -> Objective:
        """The criterion of two views."""
        if self.views == "hardest" and len(views) > 2:
            views = self.hardest(views)
        self.check_two(views)
        with record_function("forward"):
            features = self.encode(views)
            projections = self.projection_head(features)
        by = features if self.select_by == "features" else projections
        known = {"indices": self.indices} if getattr(self.criterion, "uses_indices", False) else {}
        loss = self.criterion(*projections.chunk(2), *by.detach().chunk(2), targets, **known)
        return Objective(loss, features, {})

    @torch.no_grad()
    def hardest(self, views: list[Tensor]) -> list[Tensor]:
        """Of each image the two views whose projections are least similar; of equals the first pair."""
        with untracked(self.backbone, self.projection_head):
            projections = unit_vectors(self.projection_head(self.encode(views))).unflatten(0, (len(views), -1))
        pairs = list(combinations(range(len(views)), 2))
        cosines = torch.stack([torch.linalg.vecdot(projections[i], projections[j]) for i, j in pairs])
        chosen = torch.tensor(pairs, device=cosines.device)[cosines.argmin(dim=0)]
        images = torch.arange(len(chosen), device=cosines.device)
        return [torch.stack(views)[chosen[:, side], images] for side in range(2)]
