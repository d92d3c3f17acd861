"""SimCLR with a treatment of difficult pairs, and the presets that name its special cases."""

import math
from typing import Any

from torch import nn

from lit_hardcl.losses import DifficultPairLoss
from lit_hardcl.modules.contrastive import Contrastive


class DifficultPairSimCLR(Contrastive):
    """SimCLR (arXiv:2002.05709) whose difficult pairs are treated (arXiv:2501.01317): all the presets below at once.

    Args:
        backbone: any module from images to features; what it returns is flattened.
        temperature: positive and finite.
        projection_head: network from features to projections; ``None``: a :class:`~lit_hardcl.models.ProjectionHead` as
            wide as the features, to 128 dims.
        margin: number added to the cosine of difficult pairs (Eq. 14).
        temperature_scale: factor of the temperature of difficult pairs (Eq. 15); ``inf`` removes them (Eq. 13).
        pos_high: rank where an anchor's difficult keys begin among its ranked keys, as a fraction (Eq. 12); ``None``:
            every pair. Then a margin cancels in the softmax, and removal leaves nothing to learn.
        pos_low: rank where they end.
        gather_distributed: whether the images of all processes are contrasted.
        settings: ``select_by``, ``views``, ``optimizer`` and ``scheduler`` of :class:`~lit_hardcl.modules.Contrastive`.

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
        gather_distributed: bool = True,
        **settings: Any,
    ) -> None:
        criterion = DifficultPairLoss(temperature, pos_high, pos_low, margin, temperature_scale, gather_distributed)
        super().__init__(backbone, criterion, projection_head, **settings)


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
