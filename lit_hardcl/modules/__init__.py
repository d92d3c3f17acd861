"""LightningModules: one training step for each family of methods, and named presets."""

from lit_hardcl.modules.simclr import SimCLR, SimCLRCombined, SimCLRMargin, SimCLRRemoval, SimCLRTemperature

__all__ = ["SimCLR", "SimCLRCombined", "SimCLRMargin", "SimCLRRemoval", "SimCLRTemperature"]
