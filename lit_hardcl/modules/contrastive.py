"""Contrastive: a backbone trained by any criterion of two views."""

from typing import Literal

from jaxtyping import Int
from torch import Tensor, nn
from torch.optim import SGD
from torch.profiler import record_function

from lit_hardcl.errors import check_choice
from lit_hardcl.losses import RowLoss
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
        optimizer: function from parameters to an optimizer.
        scheduler: function from an optimizer to a learning-rate scheduler, stepped with every optimizer step.

    Raises:
        Refusal: if a setting breaks its rule; in training, unless images have two views.
    """

    def __init__(
        self,
        backbone: nn.Module,
        criterion: RowLoss,
        projection_head: nn.Module | None = None,
        select_by: Literal["features", "projections"] = "features",
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
    ) -> None:
        check_choice("select_by", select_by, "features", "projections")
        super().__init__(backbone, projection_head, optimizer, scheduler)
        self.criterion = criterion
        self.select_by = select_by

    def objective(self, views: list[Tensor], targets: Int[Tensor, " batch"], batch_idx: int) -> Objective:
        """The criterion of two views."""
        self.check_two(views)
        with record_function("forward"):
            features = self.encode(views)
            projections = self.projection_head(features)
        by = features if self.select_by == "features" else projections
        known = {"indices": self.indices} if getattr(self.criterion, "uses_indices", False) else {}
        loss = self.criterion(*projections.chunk(2), *by.detach().chunk(2), targets, **known)
        return Objective(loss, features, {})
