"""Losses: settings, the choice of pairs without gradient, the gather across processes."""

from lit_hardcl.losses.difficult_pairs import DifficultPairLoss
from lit_hardcl.losses.hard_sets import HardSets, hard_sets
from lit_hardcl.losses.rectangle import difficult_pair_loss
from lit_hardcl.losses.spacl import SPACLLoss

__all__ = ["DifficultPairLoss", "HardSets", "SPACLLoss", "difficult_pair_loss", "hard_sets"]
