"""LightningModules: one training step for every criterion, and named presets."""

from lit_hardcl.modules.contrastive import Contrastive
from lit_hardcl.modules.moco import MoCo, MomentumContrast
from lit_hardcl.modules.presets import SimCLR, SimCLRCombined, SimCLRMargin, SimCLRRemoval, SimCLRTemperature
from lit_hardcl.modules.spacl import SPACL

__all__ = [
    "SPACL",
    "Contrastive",
    "MoCo",
    "MomentumContrast",
    "SimCLR",
    "SimCLRCombined",
    "SimCLRMargin",
    "SimCLRRemoval",
    "SimCLRTemperature",
]
