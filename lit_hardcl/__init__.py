"""Difficulty-aware contrastive learning for PyTorch Lightning."""

from lit_hardcl.callbacks import OnlineKNN, OnlineLinearProbe
from lit_hardcl.data import Batch, ContrastiveDataModule
from lit_hardcl.losses import DifficultPairLoss
from lit_hardcl.modules import SimCLR, SimCLRCombined, SimCLRMargin, SimCLRRemoval, SimCLRTemperature

__all__ = [
    "Batch",
    "ContrastiveDataModule",
    "DifficultPairLoss",
    "OnlineKNN",
    "OnlineLinearProbe",
    "SimCLR",
    "SimCLRCombined",
    "SimCLRMargin",
    "SimCLRRemoval",
    "SimCLRTemperature",
]
