"""SimCLR with a treatment of difficult pairs, and the presets that name its special cases."""

import math
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD

from lit_hardcl.contract import step_output, unpack
from lit_hardcl.errors import Refusal
from lit_hardcl.losses import DifficultPairLoss
from lit_hardcl.models import ProjectionHead, feature_width
from lit_hardcl.modules.contrastive import (
    ContrastiveModule,
    OptimizerCallable,
    SchedulerCallable,
)
from lit_hardcl.schedules import WarmupCosine


class DifficultPairSimCLR(ContrastiveModule):
    """SimCLR (arXiv:2002.05709) whose difficult pairs are treated (arXiv:2501.01317): all the presets below at once.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as wide
            as the features, to 128 dims.
        margin: added to the cosine of difficult pairs (Eq. 14).
        temperature_scale: multiplies the temperature of difficult pairs (Eq. 15); ``inf`` removes them (Eq. 13).
        pos_high: where an anchor's difficult keys begin among its ranked keys, as a fraction (Eq. 12); ``None``: every
            pair. Then a margin cancels in the softmax, and removal leaves nothing to learn.
        pos_low: where they end.
        select_by: rank keys by backbone ``"features"``, as the paper does, or by ``"projections"`` (its Table 7).
        gather_distributed: contrast with the images of all processes.
        channels_last: keep the backbone's weights in the memory format that convolutions are fastest in.
        optimizer: from parameters to an optimizer.
        scheduler: from an optimizer to a learning-rate scheduler, stepped with every optimizer step.

    Raises:
        ValueError: if a number breaks the rule of :class:`~lit_hardcl.losses.DifficultPairLoss`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        temperature: float,
        projection_head: nn.Module | None = None,
        margin: float = 0.0,
        temperature_scale: float = 1.0,
        pos_high: float | None = None,
        pos_low: float | None = None,
        select_by: Literal["features", "projections"] = "features",
        gather_distributed: bool = True,
        channels_last: bool = True,
        optimizer: OptimizerCallable = lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=5e-4),
        scheduler: SchedulerCallable | None = WarmupCosine,
    ) -> None:
        if select_by not in ("features", "projections"):
            raise Refusal(f"select_by must be 'features' or 'projections', got {select_by!r}")
        super().__init__(backbone, optimizer, scheduler, channels_last)
        self.criterion = DifficultPairLoss(
            temperature, pos_high, pos_low, margin, temperature_scale, gather_distributed
        )
        self.projection_head = ProjectionHead(feature_width(backbone)) if projection_head is None else projection_head
        self.select_by = select_by

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Contrast two views of every image."""
        views, targets, indices = unpack(batch)
        if len(views) != 2:
            raise Refusal(f"{type(self).__name__} contrasts 2 views of an image, got {len(views)}: set num_views=2")
        features = self(torch.cat(views))
        projections = self.projection_head(features)
        by = features if self.select_by == "features" else projections
        loss = self.criterion(*projections.chunk(2), *by.detach().chunk(2))
        self.watch(loss)
        self.log("train_loss", loss, prog_bar=True, sync_dist=True, batch_size=len(targets))
        return {"loss": loss, **step_output(features, targets, indices, views=2)}


class SimCLR(DifficultPairSimCLR):
    """Plain SimCLR (arXiv:2002.05709): no pair is treated."""

    def __init__(self, backbone: nn.Module, temperature: float, **settings: Any) -> None:
        super().__init__(
            backbone, temperature, margin=0.0, temperature_scale=1.0, pos_high=None, pos_low=None, **settings
        )


class SimCLRRemoval(DifficultPairSimCLR):
    """SimCLR that removes difficult pairs: their logit is 0 and carries no gradient (arXiv:2501.01317, Eq. 13)."""

    def __init__(self, pos_high: float | None, pos_low: float | None, **settings: Any) -> None:
        super().__init__(margin=0.0, temperature_scale=math.inf, pos_high=pos_high, pos_low=pos_low, **settings)


class SimCLRMargin(DifficultPairSimCLR):
    """SimCLR that adds ``margin`` to the cosine of difficult pairs (arXiv:2501.01317, Eq. 14)."""

    def __init__(self, margin: float, pos_high: float | None, pos_low: float | None, **settings: Any) -> None:
        super().__init__(margin=margin, temperature_scale=1.0, pos_high=pos_high, pos_low=pos_low, **settings)


class SimCLRTemperature(DifficultPairSimCLR):
    """SimCLR that multiplies the temperature of difficult pairs (arXiv:2501.01317, Eq. 15)."""

    def __init__(
        self, temperature_scale: float, pos_high: float | None, pos_low: float | None, **settings: Any
    ) -> None:
        super().__init__(
            margin=0.0, temperature_scale=temperature_scale, pos_high=pos_high, pos_low=pos_low, **settings
        )


class SimCLRCombined(DifficultPairSimCLR):
    """SimCLR that gives difficult pairs a margin and a temperature of their own (arXiv:2501.01317, Eq. 16)."""

    def __init__(
        self,
        margin: float,
        temperature_scale: float,
        pos_high: float | None,
        pos_low: float | None,
        **settings: Any,
    ) -> None:
        super().__init__(
            margin=margin, temperature_scale=temperature_scale, pos_high=pos_high, pos_low=pos_low, **settings
        )
