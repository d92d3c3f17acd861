"""Difficulty-aware contrastive learning for PyTorch Lightning."""

import lit_hardcl.stopping  # noqa: F401 (first, for a Ctrl-C while the others are imported)
from lit_hardcl.callbacks import CollapseAlarm, DifficultyFilter, OnlineKNN, OnlineLinearProbe, SimilarityStatistics
from lit_hardcl.data import Batch, ContrastiveDataModule
from lit_hardcl.losses import DifficultPairLoss, SPACLLoss
from lit_hardcl.modules import (
    SPACL,
    Contrastive,
    MoCo,
    SimCLR,
    SimCLRCombined,
    SimCLRMargin,
    SimCLRRemoval,
    SimCLRTemperature,
)

__all__ = [
    "SPACL",
    "Batch",
    "CollapseAlarm",
    "Contrastive",
    "ContrastiveDataModule",
    "DifficultPairLoss",
    "DifficultyFilter",
    "MoCo",
    "OnlineKNN",
    "OnlineLinearProbe",
    "SPACLLoss",
    "SimCLR",
    "SimCLRCombined",
    "SimCLRMargin",
    "SimCLRRemoval",
    "SimCLRTemperature",
    "SimilarityStatistics",
]
