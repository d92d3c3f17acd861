"""Losses: a row formula each, their settings, and the gather across processes."""

from lit_hardcl.hardness import HardSets, hard_sets
from lit_hardcl.losses.bcl import BCLLoss
from lit_hardcl.losses.dcl import DCLLoss
from lit_hardcl.losses.difficult_pairs import DifficultPairLoss
from lit_hardcl.losses.dystress import DySTreSSLoss
from lit_hardcl.losses.fnc import FNCLoss
from lit_hardcl.losses.glofnd import GloFNDLoss
from lit_hardcl.losses.hard_supcon import HardSupConLoss
from lit_hardcl.losses.hardness_weighted import HardnessWeightedLoss
from lit_hardcl.losses.hcl import DebiasedLoss, HCLLoss
from lit_hardcl.losses.ifm import IFMLoss
from lit_hardcl.losses.paco import PaCoLoss
from lit_hardcl.losses.rectangle import Rectangle
from lit_hardcl.losses.row_loss import RowLoss
from lit_hardcl.losses.rows import RowFormula, by_rows
from lit_hardcl.losses.sigmoid import SigmoidLoss
from lit_hardcl.losses.spacl import SPACLLoss
from lit_hardcl.losses.spectral import SpectralLoss
from lit_hardcl.losses.supcon import SupConLoss
from lit_hardcl.losses.synthetic_negatives import MoCHi, SynCo
from lit_hardcl.losses.truncated_triplet import TruncatedTripletLoss

__all__ = [
    "BCLLoss",
    "DCLLoss",
    "DebiasedLoss",
    "DifficultPairLoss",
    "DySTreSSLoss",
    "FNCLoss",
    "GloFNDLoss",
    "HCLLoss",
    "HardSets",
    "HardSupConLoss",
    "HardnessWeightedLoss",
    "IFMLoss",
    "MoCHi",
    "PaCoLoss",
    "Rectangle",
    "RowFormula",
    "RowLoss",
    "SPACLLoss",
    "SigmoidLoss",
    "SpectralLoss",
    "SupConLoss",
    "SynCo",
    "TruncatedTripletLoss",
    "by_rows",
    "hard_sets",
]
