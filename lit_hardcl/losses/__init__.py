"""Losses: settings, the choice of pairs without gradient, the gather across processes."""

from lit_hardcl.hardness import HardSets, hard_sets
from lit_hardcl.losses.difficult_pairs import DifficultPairLoss
from lit_hardcl.losses.fused import difficult_pair_loss
from lit_hardcl.losses.rows import RowLoss
from lit_hardcl.losses.spacl import SPACLLoss

__all__ = ["DifficultPairLoss", "HardSets", "RowLoss", "SPACLLoss", "difficult_pair_loss", "hard_sets"]
