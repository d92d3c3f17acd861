"""LightningModules: one training step for each family of methods, and named presets."""

from lit_hardcl.modules.moco import MoCo
from lit_hardcl.modules.presets import SimCLR, SimCLRCombined, SimCLRMargin, SimCLRRemoval, SimCLRTemperature
from lit_hardcl.modules.spacl import SPACL

__all__ = ["SPACL", "MoCo", "SimCLR", "SimCLRCombined", "SimCLRMargin", "SimCLRRemoval", "SimCLRTemperature"]
